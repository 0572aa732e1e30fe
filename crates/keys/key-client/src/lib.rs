//! Asks key services for evaluations, and token issuers for tokens, and checks what they answer
//! against pinned keys.
//!
//! What is sent is blinded, and each answer is verified before the next service is asked. Neither
//! is logged anywhere.

mod build;
mod client;
mod config;
mod connection;
mod error;
mod exchange;
mod limits;
mod look;
mod metrics;
mod peer;
mod pinned_key;
mod refusal;
mod rules;
mod service;
mod tokens;
mod transport;

pub use client::KeyClient;
pub use config::{KeyServiceConfig, KeyServicesConfig, PinnedKeyConfig};
pub use error::{KeyClientError, KeyConfigMistake};
pub use limits::{
    DEFAULT_CEILING_WAIT, DEFAULT_TIMEOUT_SECONDS, MAX_CEILING_WAIT, MAX_OPEN_EPOCHS, MAX_SERVICES,
    MAX_TIMEOUT_SECONDS, MIN_CEILING_WAIT,
};
pub use look::{PinnedKeyLook, PinnedKeyState, ServiceLook, ServiceState};
pub use tokens::{
    DayTokenAnswer, DifferingKey, PinnedTokenKeyConfig, TokenBytes, TokenClient, TokenIssuerConfig,
    TokenIssuerState,
};
