//! Tokens of an issuer: asked for, verified under pinned keys, and handed over.

mod client;
mod config;
mod look;
mod pinned_key;

pub use client::{DayTokenAnswer, TokenBytes, TokenClient};
pub use config::{PinnedTokenKeyConfig, TokenIssuerConfig};
pub use look::{DifferingKey, TokenIssuerState};
