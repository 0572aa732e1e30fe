//! Address that portals connect to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use client_door::{DoorConfig, DoorError};
use tokio_util::sync::CancellationToken;

use super::metrics::count_handshake_refused;
use super::routes::router;
use super::{Portal, PortalConfig};
use crate::portal::config::SETTING_NAMES;

/// Bound address that does not answer yet.
pub struct Door(client_door::Door);

impl Door {
    /// Reads the certificates and binds the address. Relative paths start from `base`.
    ///
    /// # Errors
    /// [`DoorError`].
    pub async fn open(config: &PortalConfig, base: &Path) -> Result<Self, DoorError> {
        let config = DoorConfig {
            address: config.address,
            tls: config.tls.as_ref(),
            base,
            names: SETTING_NAMES,
        };
        client_door::Door::open(config).await.map(Self)
    }

    /// Address, with the port that the operating system chose where 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Sentence about the address, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        self.0.describe()
    }

    /// Answers requests until `stop` is cancelled.
    pub async fn serve(self, portal: Arc<Portal>, stop: CancellationToken) {
        let app = router(portal);
        self.0.serve(app, count_handshake_refused, stop).await;
    }
}
