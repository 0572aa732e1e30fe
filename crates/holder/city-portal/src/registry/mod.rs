//! The registry, asked over its HTTP interface.

mod answer;
mod client;
mod fault;
mod question;

pub(crate) use answer::{CoveredDays, EligibilityReply, IssuedPass, PassesReply, RegistryReason};
pub use client::{ClientMistake, RegistryClient};
pub use fault::{RegistryFault, RegistryFaultKind};
pub(crate) use question::{IdempotencyKey, PassKind, PassOrder};
