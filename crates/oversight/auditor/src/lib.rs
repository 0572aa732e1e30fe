//! The auditor: joins what relays and registries have laid down, and says which records the
//! accounts asked for stated in a period, and nothing of any other account.

#[cfg(feature = "cli")]
pub mod cli;
mod join;

pub use join::{Asked, Counts, JoinError, Joined, join};
