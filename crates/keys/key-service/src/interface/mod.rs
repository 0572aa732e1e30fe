//! Interface over HTTP: `POST /v1/evaluate` and `GET /v1/keys`.

mod problem;
mod routes;

use std::path::Path;
use std::sync::Arc;

use client_door::{Door, DoorConfig, DoorError};
use tokio_util::sync::CancellationToken;

use crate::config::{SETTING_NAMES, ServiceConfig};
use crate::metrics::count_handshake_refused;
use crate::service::KeyService;

/// Reads the certificates and binds the address. Relative paths start from `base`.
///
/// # Errors
/// [`DoorError`].
pub async fn open_door(config: &ServiceConfig, base: &Path) -> Result<Door, DoorError> {
    Door::open(DoorConfig {
        address: config.listen,
        tls: config.tls.as_ref(),
        base,
        names: SETTING_NAMES,
    })
    .await
}

/// Answers requests until `stop` is cancelled.
pub async fn serve(door: Door, service: Arc<KeyService>, stop: CancellationToken) {
    let app = routes::router(service);
    door.serve(app, count_handshake_refused, stop).await;
}
