//! Takes batches from each clinic's own queue and publishes them in slots, shuffled and stripped,
//! so that nobody behind it sees who sends. Receipts go back over it.
//!
//! README.md describes the configuration, the limits and the metrics.

mod account;
#[cfg(feature = "cli")]
pub mod cli;
mod config;
mod form;
mod heard;
mod metrics;
mod mixer;
mod pool;
mod random;
mod receipt_source;
mod receipts;
mod relay;
mod senders;
mod slots;

pub use config::{
    AccountConfig, Config, EscrowConfig, LARGEST_SLOT, LONGEST_DELAY, LONGEST_SLOT,
    MAX_ACCOUNT_NAME, MAX_ACCOUNTS, MAX_KEYS, MOST_HELD, MOST_MEMORY_BYTES, MixConfig, RelayConfig,
};
pub use form::KeyError;
pub use metrics::register_metrics;
pub use mixer::{Mixer, SlotReport};
pub use relay::{OpenError, Relay};
pub use senders::EscrowFolderError;
pub use slots::run_slots;
pub use state_folder::StateError;
