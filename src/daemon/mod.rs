//! `clinic-gateway run`: schedules, one worker a source, one publisher, receipts, requests, gauges,
//! and an orderly end.

mod gauges;
mod hints;
mod key_services;
mod links;
mod metrics_at_zero;
mod publisher;
mod receipts;
mod requests;
mod schedule;
mod tokens;
mod waits;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use broker::BrokerError;
use outbox::{BeaconOccasion, OutboxError};
use program::systemd;
use telemetry::{Endpoint, Health, ListenConfig, ListenError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::disks::DiskInUse;
use crate::gateway::Gateway;
use crate::receipts::ReceiptReceiver;
use crate::requests::note_removed;

pub(crate) use schedule::{ScheduleError, next_due, verify as verify_schedule};
use schedule::{ScheduledAction, Scheduler};

/// Longest time that the end may take: the page in hand is committed, what is ready is published.
pub(crate) const DRAIN: Duration = Duration::from_secs(20);

/// Reason why the daemon could not start, or ended by itself.
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
    /// Another gateway runs on a copy of this one's state.
    #[error("outbox: {0}")]
    OtherGateway(OutboxError),
    /// A bug: one of the loops ended without being asked to.
    #[error(
        "internal error: a part of the program ended by itself; start it again, nothing is lost"
    )]
    EndedByItself,
}

/// Runs until `stop` is cancelled, then drains for at most [`DRAIN`].
///
/// # Errors
/// [`DaemonError`]; all but the last two before anything was pulled.
pub(crate) async fn run(
    gateway: Arc<Gateway>,
    listen: Option<&ListenConfig>,
    disks: Vec<DiskInUse>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let health = Health::default();
    let endpoint = Endpoint::open(listen, &health).await?;
    metrics_at_zero::register(&gateway).await;
    let reconcile_due = Arc::new(Notify::new());
    let actions = scheduled_actions(&gateway, &reconcile_due);
    let scheduler = Scheduler::new(actions, gateway.time_zone, Arc::clone(&gateway.clock))?;
    let receipts = ReceiptReceiver::subscribe(&gateway)?;

    prepare(&gateway).await;
    let receipts_are_on = receipts.is_some();
    // The publisher and the endpoint outlive the workers, so that what was pulled last still
    // leaves.
    let stop_publishing = CancellationToken::new();
    let mut tasks = JoinSet::new();
    if let Some(endpoint) = endpoint {
        tasks.spawn(endpoint.serve(stop_publishing.clone().cancelled_owned()));
    }
    let connection = spawn_delivery(&gateway, receipts, &mut tasks, &stop_publishing);
    let watching = gauges::gauge_loop(
        Arc::clone(&gateway),
        gauges::Watched { disks, connection },
        health,
        stop_publishing.clone(),
    );
    tasks.spawn(watching);
    if let Some(evaluation) = &gateway.evaluation {
        let evaluation = Arc::clone(evaluation);
        tasks.spawn(key_services::look_loop(evaluation, stop_publishing.clone()));
    }
    if let Some(tokens) = &gateway.tokens {
        let tokens = Arc::clone(tokens);
        let gateway = Arc::clone(&gateway);
        tasks.spawn(tokens::token_loop(gateway, tokens, stop_publishing.clone()));
    }
    let mut workers = JoinSet::new();
    workers.spawn(scheduler.run(stop.clone()));
    if receipts_are_on {
        let reconciling =
            requests::reconcile_loop(Arc::clone(&gateway), reconcile_due, stop.clone());
        workers.spawn(reconciling);
    }
    spawn_workers(&gateway, &mut workers, &stop);
    log_start(&gateway);
    let ended = until_ended(&gateway, &stop, &mut workers, &mut tasks).await;
    stop.cancel();
    systemd::notify_stopping();
    tracing::info!(
        event = "draining",
        "asked to stop: finishing the pages in hand and publishing what is ready"
    );
    drain(&gateway, workers, tasks, &stop_publishing).await;
    ended
}

/// Looks at what has changed since the last start.
async fn prepare(gateway: &Gateway) {
    if let Err(error) = note_removed(gateway).await {
        tracing::warn!(event = "removed-sources-unknown", %error);
    }
    // The answer comes while the sources are read, and reads them again if this state is old.
    if let Err(error) = gateway.give_out_beacon(BeaconOccasion::Start).await {
        tracing::warn!(event = "beacon-failed", code = error.code());
    }
}

/// Waits until the daemon is asked to end, or cannot go on.
async fn until_ended(
    gateway: &Gateway,
    stop: &CancellationToken,
    workers: &mut JoinSet<()>,
    tasks: &mut JoinSet<()>,
) -> Result<(), DaemonError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        () = gateway.other_gateway.cancelled() => {
            Err(DaemonError::OtherGateway(OutboxError::OtherGateway))
        }
        Some(_) = workers.join_next() => Err(DaemonError::EndedByItself),
        Some(_) = tasks.join_next() => Err(DaemonError::EndedByItself),
    }
}

/// Starts the publisher, and the receiver of receipts where they are on; returns whether receipts
/// can arrive.
fn spawn_delivery(
    gateway: &Arc<Gateway>,
    receipts: Option<ReceiptReceiver>,
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Option<watch::Receiver<bool>> {
    let connection = receipts.map(|receipts| {
        let (connected, connection) = watch::channel(false);
        tasks.spawn(receipts::receipts_loop(
            Arc::clone(gateway),
            receipts,
            connected,
            stop.clone(),
        ));
        connection
    });
    let publishing = publisher::publish_loop(Arc::clone(gateway), connection.clone(), stop.clone());
    tasks.spawn(publishing);
    connection
}

/// Starts the workers of operators' requests and of every source.
fn spawn_workers(gateway: &Arc<Gateway>, workers: &mut JoinSet<()>, stop: &CancellationToken) {
    workers.spawn(requests::request_loop(Arc::clone(gateway), stop.clone()));
    for source in &gateway.sources {
        let working = worker::work(Arc::clone(gateway), Arc::clone(source), stop.clone());
        workers.spawn(working);
        workers.spawn(hints::hint_loop(Arc::clone(source), stop.clone()));
    }
}

fn log_start(gateway: &Gateway) {
    let sources = gateway.sources.len();
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(
        event = "started",
        sources,
        version,
        "the gateway is running"
    );
    systemd::notify_ready();
}

/// Lists every schedule of the configuration with its action.
fn scheduled_actions(gateway: &Gateway, reconcile_due: &Arc<Notify>) -> Vec<ScheduledAction> {
    let mut actions = Vec::new();
    for source in &gateway.sources {
        let pulled = Arc::clone(source);
        let swept = Arc::clone(source);
        actions.push(ScheduledAction {
            key: format!("source.{}.schedule", source.name),
            schedule: source.schedule.clone(),
            at_start: true,
            due: Arc::new(move || pulled.wake.notify_one()),
        });
        actions.push(ScheduledAction {
            key: format!("source.{}.sweep.schedule", source.name),
            schedule: source.sweep.schedule.clone(),
            at_start: false,
            due: Arc::new(move || {
                swept.request_sweep();
                swept.wake.notify_one();
            }),
        });
    }
    let reconcile_due = Arc::clone(reconcile_due);
    actions.push(ScheduledAction {
        key: "reconcile.schedule".to_owned(),
        schedule: gateway.reconcile.schedule.clone(),
        at_start: false,
        due: Arc::new(move || reconcile_due.notify_one()),
    });
    actions
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
