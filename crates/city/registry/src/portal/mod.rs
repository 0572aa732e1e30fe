//! HTTP interface of the passes, for the portals of a city.
//!
//! A portal knows the citizen and asks by pseudonyms. Nothing of a request is stored or logged but
//! its outcome; answers to requests for passes are kept in memory for repeats.

mod config;
#[cfg(feature = "portal")]
mod interface;

pub use client_door::TlsConfig;
#[cfg(feature = "portal")]
pub use client_door::{DoorError, MOST_CONNECTIONS, MOST_HANDSHAKES, TlsError};
pub use config::PortalConfig;
#[cfg(feature = "portal")]
pub use interface::{
    Door, KEPT_FOR, LOOK_EVERY, MAX_BODY_BYTES, MAX_IDEMPOTENCY_KEY, PUBLISH_EVERY, Portal,
    register_metrics,
};
