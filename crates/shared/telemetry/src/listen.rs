//! Configuration of the address that serves metrics and health.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The `[listen]` section: where metrics and health are served.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenConfig {
    /// Address and port, for instance `127.0.0.1:9464`. Metric labels name the clinic's sources:
    /// keep it inside.
    pub address: SocketAddr,
}
