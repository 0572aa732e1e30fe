//! HTTP interface of the passes, for the portals of a city.
//!
//! A portal knows the citizen and asks by pseudonyms. Nothing of a request is stored or logged but
//! its outcome; answers to requests for passes are kept in memory for repeats.

#[cfg(feature = "portal")]
mod answer;
#[cfg(feature = "portal")]
mod ceilings;
#[cfg(feature = "portal")]
mod client;
mod config;
#[cfg(feature = "portal")]
mod connections;
#[cfg(feature = "portal")]
mod door;
#[cfg(feature = "portal")]
mod limits;
#[cfg(feature = "portal")]
mod metrics;
#[cfg(feature = "portal")]
mod openapi;
#[cfg(feature = "portal")]
mod outcome;
#[cfg(feature = "portal")]
mod problem;
#[cfg(feature = "portal")]
mod publisher;
#[cfg(feature = "portal")]
mod repeats;
#[cfg(feature = "portal")]
mod request;
#[cfg(feature = "portal")]
mod route_names;
#[cfg(feature = "portal")]
mod routes;
#[cfg(feature = "portal")]
mod service;
#[cfg(feature = "portal")]
mod tls;

pub use config::{PortalConfig, TlsConfig};
#[cfg(feature = "portal")]
pub use door::{Door, DoorError, MOST_CONNECTIONS, MOST_HANDSHAKES};
#[cfg(feature = "portal")]
pub use limits::MAX_BODY_BYTES;
#[cfg(feature = "portal")]
pub use metrics::register_metrics;
#[cfg(feature = "portal")]
pub use publisher::PUBLISH_EVERY;
#[cfg(feature = "portal")]
pub use repeats::{KEPT_FOR, MAX_IDEMPOTENCY_KEY};
#[cfg(feature = "portal")]
pub use service::{LOOK_EVERY, Portal};
#[cfg(feature = "portal")]
pub use tls::TlsError;
