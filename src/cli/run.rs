//! `clinic-gateway run`: the daemon.

use std::sync::Arc;

use clock::Clock;
use program::Failure;
use tokio_util::sync::CancellationToken;

use crate::config::LoadedConfig;
use crate::daemon;
use crate::disks::disks_in_use;
use crate::gateway::Gateway;

pub(super) async fn run(
    loaded: &LoadedConfig,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let gateway = Arc::new(Gateway::open(loaded, clock, "run").await?);
    let listen = loaded.config.listen.as_ref();
    let disks = disks_in_use(loaded);
    let result = daemon::run(Arc::clone(&gateway), listen, disks, stop).await;
    if let Some(gateway) = Arc::into_inner(gateway) {
        gateway.close().await;
    }
    Ok(result?)
}
