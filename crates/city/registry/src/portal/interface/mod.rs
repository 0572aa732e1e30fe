//! Routes, ceilings, repeats and publications of the interface, and its connections.

mod answer;
mod ceilings;
mod door;
mod limits;
mod metrics;
mod openapi;
mod outcome;
mod problem;
mod publisher;
mod repeats;
mod request;
mod route_names;
mod routes;
mod service;

use super::PortalConfig;

pub use door::Door;
pub use limits::MAX_BODY_BYTES;
pub use metrics::register_metrics;
pub use publisher::PUBLISH_EVERY;
pub use repeats::{KEPT_FOR, MAX_IDEMPOTENCY_KEY};
pub use service::{LOOK_EVERY, Portal};
