//! `key-service run`: answers clients until it is stopped.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use program::audit_log::failure;
use program::{Failure, systemd};
use telemetry::{Endpoint, Health};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config_file::LoadedConfig;
use crate::{KeyService, OpenError, STEP_EVERY, open_door, register_metrics, serve};

/// Time that the last answers of metrics and health get.
const CLOSING_TIME: Duration = Duration::from_secs(2);

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match &error {
            OpenError::Audit(audit) => failure(audit),
            OpenError::State(state) => Self::by(state.may_pass(), state),
            OpenError::Key(key) => Self::change(key),
        }
    }
}

pub(super) async fn run(
    loaded: &LoadedConfig,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let config = &loaded.config;
    let health = Health::default();
    let tasks = TaskTracker::new();
    let endpoint = Endpoint::open(config.listen.as_ref(), &health).await?;
    register_metrics(config.clients.iter().map(|client| client.name.as_str()));
    let door = open_door(&config.service, &loaded.base)
        .await
        .map_err(Failure::change)?;
    if let Some(endpoint) = endpoint {
        tasks.spawn(endpoint.serve(stop.clone().cancelled_owned()));
    }
    let service = open(loaded, clock).await?;
    tracing::info!(
        event = "started",
        address = %door.address(),
        tls = config.service.tls.is_some(),
        keys = service.keys().public().len(),
        clients = config.clients.len(),
        "clients are answered"
    );
    health.set_ready();
    systemd::notify_ready();
    tasks.spawn(step_loop(Arc::clone(&service), health, stop.clone()));
    serve(door, Arc::clone(&service), stop).await;
    systemd::notify_stopping();
    tasks.close();
    let _in_time = tokio::time::timeout(CLOSING_TIME, tasks.wait()).await;
    let stopped = spawn_blocking(move || service.stop()).await;
    stopped.map_err(Failure::later)??;
    tracing::info!(event = "stopped", "stopped; clients are not answered");
    Ok(())
}

/// Opens the service on a thread that may wait for the disk.
async fn open(loaded: &LoadedConfig, clock: Arc<dyn Clock>) -> Result<Arc<KeyService>, Failure> {
    let config = loaded.config.clone();
    let base = loaded.base.clone();
    let opened = spawn_blocking(move || KeyService::open(&config, &base, clock)).await;
    Ok(opened.map_err(Failure::later)??)
}

/// Steps until `stop` is cancelled, and tells the health.
async fn step_loop(service: Arc<KeyService>, health: Health, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(STEP_EVERY) => {}
        }
        let stepping = Arc::clone(&service);
        match spawn_blocking(move || stepping.step()).await {
            Ok(None) => health.set_ready(),
            Ok(Some(trouble)) => health.set_unready(trouble),
            Err(_) => health.set_unready("a step of the service failed"),
        }
    }
}
