//! `clinic-gateway run`: triggers, one worker a source, one publisher, receipts, requests, gauges,
//! and an orderly end.

mod gauges;
mod hints;
mod publisher;
mod receipts;
mod requests;
mod schedule;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use broker::BrokerError;
use program::systemd;
use telemetry::{Endpoint, Health, ListenConfig, ListenError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::receipts::Receipts;
use crate::requests::note_removed;

use schedule::{Plan, Ticking};
pub(crate) use schedule::{ScheduleError, verify as verify_schedule};

/// How long the end may take: the page in hand is committed, what is ready is published.
pub(crate) const DRAIN: Duration = Duration::from_secs(20);

/// Why the daemon could not start, or did not run on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    /// A schedule cannot be read.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The metrics endpoint cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Receipts cannot be subscribed to.
    #[error("queue: {0}")]
    Receipts(#[from] BrokerError),
    /// A bug: one of the loops ended without being asked to.
    #[error(
        "internal error: a part of the program ended by itself; start it again, nothing is lost"
    )]
    EndedByItself,
}

/// Runs until `stop` is cancelled, then drains for at most [`DRAIN`].
///
/// # Errors
/// [`DaemonError`]; all but the last before anything was pulled.
pub(crate) async fn run(
    gateway: Arc<Gateway>,
    listen: Option<&ListenConfig>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let health = Health::default();
    let endpoint = Endpoint::open(listen, &health).await?;
    let reconcile_due = Arc::new(Notify::new());
    let plans = plans(&gateway, &reconcile_due);
    let ticking = Ticking::new(plans, gateway.time_zone, Arc::clone(&gateway.clock))?;
    let receipts = Receipts::subscribe(&gateway)?;

    if let Err(error) = note_removed(&gateway).await {
        tracing::warn!(event = "removed-sources-unknown", %error);
    }
    let mut tasks = JoinSet::new();
    // The publisher and the endpoint outlive the workers, so that what was pulled last still
    // leaves.
    let stop_publishing = CancellationToken::new();
    if let Some(endpoint) = endpoint {
        tasks.spawn(endpoint.serve(stop_publishing.clone().cancelled_owned()));
    }
    let heard = receipts.is_some();
    let connected = receipts.map(|receipts| {
        let (telling, told) = watch::channel(false);
        let stop = stop_publishing.clone();
        tasks.spawn(receipts::receipts_loop(
            Arc::clone(&gateway),
            receipts,
            telling,
            stop,
        ));
        told
    });
    tasks.spawn(publisher::publish_loop(
        Arc::clone(&gateway),
        connected,
        stop_publishing.clone(),
    ));
    tasks.spawn(gauges::gauge_loop(
        Arc::clone(&gateway),
        health,
        stop_publishing.clone(),
    ));
    let mut workers = JoinSet::new();
    workers.spawn(ticking.run(stop.clone()));
    workers.spawn(requests::request_loop(Arc::clone(&gateway), stop.clone()));
    if heard {
        workers.spawn(requests::reconcile_loop(
            Arc::clone(&gateway),
            reconcile_due,
            stop.clone(),
        ));
    }
    for source in &gateway.sources {
        workers.spawn(worker::work(
            Arc::clone(&gateway),
            Arc::clone(source),
            stop.clone(),
        ));
        workers.spawn(hints::hint_loop(Arc::clone(source), stop.clone()));
    }
    let sources = gateway.sources.len();
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(
        event = "started",
        sources,
        version,
        "the gateway is running"
    );
    systemd::notify_ready();

    let by_itself = tokio::select! {
        biased;
        () = stop.cancelled() => false,
        Some(_) = workers.join_next() => true,
        Some(_) = tasks.join_next() => true,
    };
    stop.cancel();
    systemd::notify_stopping();
    tracing::info!(
        event = "draining",
        "asked to stop: finishing the pages in hand and publishing what is ready"
    );
    drain(&gateway, workers, tasks, &stop_publishing).await;
    if by_itself {
        Err(DaemonError::EndedByItself)
    } else {
        Ok(())
    }
}

/// Every schedule of the configuration, and what it rings.
fn plans(gateway: &Gateway, reconcile_due: &Arc<Notify>) -> Vec<Plan> {
    let mut plans = Vec::new();
    for source in &gateway.sources {
        let pulled = Arc::clone(source);
        let swept = Arc::clone(source);
        plans.push(Plan {
            key: format!("source.{}.schedule", source.name),
            schedule: source.schedule.clone(),
            at_start: true,
            due: Arc::new(move || pulled.wake.notify_one()),
        });
        plans.push(Plan {
            key: format!("source.{}.sweep.schedule", source.name),
            schedule: source.sweep.schedule.clone(),
            at_start: false,
            due: Arc::new(move || {
                swept.request_sweep();
                swept.wake.notify_one();
            }),
        });
    }
    let rung = Arc::clone(reconcile_due);
    plans.push(Plan {
        key: "reconcile.schedule".to_owned(),
        schedule: gateway.reconcile.schedule.clone(),
        at_start: false,
        due: Arc::new(move || rung.notify_one()),
    });
    plans
}

async fn drain(
    gateway: &Gateway,
    mut workers: JoinSet<()>,
    mut tasks: JoinSet<()>,
    stop_publishing: &CancellationToken,
) {
    let drained = tokio::time::timeout(DRAIN, async {
        while workers.join_next().await.is_some() {}
        publisher::drain(gateway).await;
        stop_publishing.cancel();
        while tasks.join_next().await.is_some() {}
    });
    match drained.await {
        Ok(()) => {
            tracing::info!(
                event = "stopped",
                "stopped; what could not be delivered waits in the outbox"
            );
        }
        Err(_) => tracing::warn!(
            event = "stopped-late",
            "stopped without waiting longer; nothing is lost, the next start goes on"
        ),
    }
}
