//! Evaluates blinded identifiers under a key of its own, and never learns whom they name; or, with
//! keys of another kind, issues one-use tokens that nobody can connect with whom they were given to.
//!
//! README.md describes the configuration, the interface, the limits and the audit log.

#[cfg(feature = "cli")]
pub mod cli;
mod config;
mod counts;
mod error;
mod interface;
mod keys;
mod metrics;
mod numbers;
mod record;
mod refusal;
mod service;

pub use config::{
    ClientConfig, Config, KeyConfig, LEAST_CEILING, MAX_CLIENT_NAME, MAX_CLIENTS, MAX_KEYS,
    ServiceConfig, TokenKeyConfig, TokenUseName,
};
pub use counts::BLOCK;
pub use error::OpenError;
pub use interface::{open_door, serve};
pub use keys::{KeyError, Keys, PublicFacts};
pub use metrics::register_metrics;
pub use service::{KeyService, MOST_REQUESTS, STEP_EVERY};
pub use state_folder::StateError;
