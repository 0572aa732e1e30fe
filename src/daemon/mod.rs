//! `clinic-gateway run`: triggers, one worker a source, one publisher, gauges, and an orderly end.

mod gauges;
mod publisher;
mod schedule;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use telemetry::http::{Endpoint, Health, ListenError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gateway::Gateway;
use telemetry::ListenConfig;

pub use schedule::{ScheduleError, verify as verify_schedule};

/// How long the end may take: the page in hand is committed, what is ready is published.
pub const DRAIN: Duration = Duration::from_secs(20);

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A schedule cannot be read.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The metrics endpoint cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// Runs until `stop` is cancelled, then drains for at most [`DRAIN`].
///
/// # Errors
/// [`DaemonError`], before anything was pulled.
pub async fn run(
    gateway: Arc<Gateway>,
    listen: Option<&ListenConfig>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let health = Health::default();
    let recorder = telemetry::http::install_recorder();
    let endpoint = match listen {
        Some(config) => Some(Endpoint::bind(config, recorder, health.clone()).await?),
        None => None,
    };
    let triggers = schedule::start(&gateway.sources, gateway.time_zone).await?;

    let tasks = TaskTracker::new();
    // The publisher and the endpoint outlive the workers, so that what was pulled last still leaves.
    let stop_publishing = CancellationToken::new();
    if let Some(endpoint) = endpoint {
        tracing::info!(event = "endpoint-open", address = ?endpoint.address(), "metrics and health are served");
        tasks.spawn(endpoint.serve(stop_publishing.clone().cancelled_owned()));
    }
    tasks.spawn(publisher::publish_loop(Arc::clone(&gateway), stop_publishing.clone()));
    tasks.spawn(gauges::gauge_loop(Arc::clone(&gateway), health, stop_publishing.clone()));
    let workers = TaskTracker::new();
    for (source, trigger) in gateway.sources.iter().zip(triggers.queues) {
        workers.spawn(worker::work(Arc::clone(&gateway), Arc::clone(source), trigger, stop.clone()));
    }
    tracing::info!(
        event = "started",
        sources = gateway.sources.len(),
        version = env!("CARGO_PKG_VERSION"),
        "the gateway is running"
    );
    notify_systemd(&[sd_notify::NotifyState::Ready]);

    stop.cancelled().await;
    notify_systemd(&[sd_notify::NotifyState::Stopping]);
    tracing::info!(
        event = "draining",
        "asked to stop: finishing the pages in hand and publishing what is ready"
    );
    triggers.end.end().await;
    workers.close();
    tasks.close();
    let drained = tokio::time::timeout(DRAIN, async {
        workers.wait().await;
        publisher::drain(&gateway).await;
        stop_publishing.cancel();
        tasks.wait().await;
    })
    .await;
    match drained {
        Ok(()) => {
            tracing::info!(event = "stopped", "stopped; what could not be delivered waits in the outbox")
        }
        Err(_) => tracing::warn!(
            event = "stopped-late",
            "stopped without waiting longer; nothing is lost, the next start goes on"
        ),
    }
    Ok(())
}

fn notify_systemd(state: &[sd_notify::NotifyState<'_>]) {
    // Without systemd there is nobody to tell, which is no error.
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(event = "sd-notify", kind = ?error.kind());
    }
}
