//! The registry, asked over its HTTP interface.

mod answer;
mod client;
mod fault;
mod question;

pub(crate) use answer::{Covered, Eligibility, Passes, Reason, Strip};
pub use client::{ClientMistake, RegistryClient};
pub use fault::{RegistryFault, RegistryFaultKind};
pub(crate) use question::{IdempotencyKey, Kind, Order};
