//! `mix-relay run`: takes batches and publishes them in slots until it is stopped.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use program::{Failure, systemd};
use telemetry::{Endpoint, Health};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::check::broker_failure;
use super::config_file::LoadedConfig;
use super::status::state_failure;
use crate::{OpenError, Relay, register_metrics, run_slots};

/// Time that the last acknowledgements, and the last answers of metrics and health, get.
const CLOSING_TIME: Duration = Duration::from_secs(8);

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::State(error) => state_failure(error),
            OpenError::Key(error) => error.into(),
            OpenError::Escrow(error) => Self::by(error.may_pass(), error),
            OpenError::Broker(error) => broker_failure(&error),
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
    register_metrics(config.accounts.iter().map(|account| account.name.as_str()));
    let relay = Relay::open(config, &loaded.base, Arc::clone(&clock), &health)?;
    // Messages are acknowledged after the last slot, so the receivers end after it.
    let ending = CancellationToken::new();
    if let Some(endpoint) = endpoint {
        tasks.spawn(endpoint.serve(ending.clone().cancelled_owned()));
    }
    let mixer = relay.begin(&tasks, &ending);
    tracing::info!(
        event = "started",
        accounts = config.accounts.len(),
        slot_seconds = config.mix.slot_seconds,
        "batches are taken and published in slots"
    );
    systemd::notify_ready();
    run_slots(&mixer, &clock, &stop).await;
    systemd::notify_stopping();
    ending.cancel();
    tasks.close();
    let _in_time = tokio::time::timeout(CLOSING_TIME, tasks.wait()).await;
    tracing::info!(
        event = "stopped",
        "stopped; batches wait at the clinics' broker"
    );
    Ok(())
}
