//! `city-registry run`: the daemon. Consumers, metrics and health, and an orderly end.

use std::sync::Arc;
use std::time::Duration;

use circuit::Circuit;
use clap::Args;
use clock::Clock;
use program::audit_log::Counts;
use program::terminal::print_line;
use program::{Failure, systemd};
use telemetry::{Endpoint, Health, HealthPart};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::closing::close_in_time;
use super::config_file::LoadedConfig;
use super::disks::{disk_loop, disks_in_use};
use super::expire::expiry_loop;
use super::tokens::token_loop;
use crate::breaker::STORE;
use crate::consume::{count_store_error, register_metrics};
use crate::{ConsumeError, ConsumeStep, OpenRegistryError, Reader, Registry};

/// Longest pause of a consumer while the store gets no request: another consumer may find it mended
/// earlier.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// Pause between two removals of old refusals.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// Time that the transaction in hand gets to end after a stop. Then it is given up: its batches are
/// not acknowledged, and come again.
const FINISH_LIMIT: Duration = Duration::from_millis(1500);
/// Time that a consumer gets to acknowledge what is stored and to leave the queue after a stop.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// Take what waits now (one step), then end.
    #[arg(long, conflicts_with = "drain")]
    once: bool,
    /// Take everything until the queue is empty, then end.
    #[arg(long)]
    drain: bool,
}

impl RunArguments {
    /// Returns whether the command ends without being asked to.
    pub(super) const fn ends_by_itself(&self) -> bool {
        self.once || self.drain
    }
}

pub(super) async fn run(
    arguments: &RunArguments,
    loaded: &LoadedConfig,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    counts: &mut Counts,
) -> Result<(), Failure> {
    if arguments.ends_by_itself() {
        return tokio::select! {
            biased;
            ended = run_to_end(arguments.once, loaded, clock, counts) => ended,
            () = stopped_for(&stop, FINISH_LIMIT) => Err(Failure::Later(
                "asked to stop before the end; what is not stored waits in the queue".into(),
            )),
        };
    }
    let health = Health::default();
    let tasks = TaskTracker::new();
    if let Some(endpoint) = Endpoint::open(loaded.config.listen.as_ref(), &health).await? {
        tasks.spawn(endpoint.serve(stop.clone().cancelled_owned()));
    }
    register_metrics();
    let Some(first) = open_when_it_answers(loaded, &clock, &health, &stop).await? else {
        return Ok(());
    };
    let reader = first.reader().clone();
    let consumers = open_consumers(first, loaded)?;
    tracing::info!(
        event = "started",
        store = reader.describe(),
        consumers = consumers.len(),
        "the registry is running"
    );
    systemd::notify_ready();
    let mut watched = Vec::with_capacity(consumers.len());
    let mut parts = health.parts(consumers.len() + 1);
    if let Some(part) = parts.pop() {
        let watching = disk_loop(disks_in_use(loaded), part, stop.clone());
        tasks.spawn(watching);
    }
    for (registry, part) in consumers.into_iter().zip(parts) {
        let consuming = consume_loop(registry, Arc::clone(&clock), part.clone(), stop.clone());
        watched.push(tasks.spawn(watch(consuming, part, stop.clone())));
    }
    tasks.spawn(prune_loop(reader.clone(), Arc::clone(&clock), stop.clone()));
    if reader.tokens.is_some() {
        tasks.spawn(token_loop(reader.clone(), Arc::clone(&clock), stop.clone()));
    }
    tasks.spawn(expiry_loop(
        reader.clone(),
        Arc::clone(&clock),
        stop.clone(),
    ));
    stop.cancelled().await;
    systemd::notify_stopping();
    tracing::info!(
        event = "draining",
        "asked to stop: finishing the transaction in hand"
    );
    close_in_time(&tasks, &reader).await;
    tracing::info!(
        event = "stopped",
        "stopped; what is not stored waits in the queue"
    );
    watched.retain(JoinHandle::is_finished);
    all_ended_as_asked(watched).await
}

/// Runs `--once` and `--drain`.
async fn run_to_end(
    once: bool,
    loaded: &LoadedConfig,
    clock: Arc<dyn Clock>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let mut registry = Registry::open(&loaded.config, &loaded.base, Arc::clone(&clock)).await?;
    let (outcome, dead) = if once {
        match registry.consume_once(clock.now()).await? {
            ConsumeStep::Idle => Default::default(),
            ConsumeStep::Done { outcome, dead, .. } => (outcome, dead),
        }
    } else {
        registry.drain().await?
    };
    registry.close().await;
    registry.reader().close().await;
    counts.note_len("applied", outcome.applied);
    counts.note_len("refused", outcome.refused);
    counts.note_len("dead-lettered", dead);
    print_line(format!(
        "{} applied, {} unchanged, {} superseded, {} refused; {dead} batches to the dead letters",
        outcome.applied, outcome.unchanged, outcome.superseded, outcome.refused
    ));
    Ok(())
}

/// Opens the registry, and waits for a store that does not answer yet. Returns `None` when asked to
/// stop meanwhile.
async fn open_when_it_answers(
    loaded: &LoadedConfig,
    clock: &Arc<dyn Clock>,
    health: &Health,
    stop: &CancellationToken,
) -> Result<Option<Registry>, Failure> {
    let mut circuit = Circuit::new(STORE);
    let mut log = StepLog::default();
    loop {
        let opening = Registry::open(&loaded.config, &loaded.base, Arc::clone(clock));
        let opened = tokio::select! {
            opened = opening => opened,
            () = stop.cancelled() => return Ok(None),
        };
        let pause = match opened {
            Ok(registry) => {
                log.works();
                return Ok(Some(registry));
            }
            Err(error) if error.is_misconfigured() => return Err(error.into()),
            Err(error) => {
                if let OpenRegistryError::Store(error) = &error {
                    count_store_error(error);
                }
                log.failed("store-away", &error.to_string());
                health.set_unready(error.to_string());
                circuit
                    .failure(clock.elapsed())
                    .unwrap_or(STORE.first_pause)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Opens as many consumers as the configuration asks for.
fn open_consumers(first: Registry, loaded: &LoadedConfig) -> Result<Vec<Registry>, Failure> {
    let mut consumers = vec![first];
    for _ in 1..loaded.config.consume.consumers.get() {
        consumers.push(consumers[0].additional_consumer()?);
    }
    Ok(consumers)
}

/// Waits for the end of a consumer's loop and returns true if it was asked to end.
///
/// A loop that ends unasked ends the program, which systemd starts anew: with a consumer less it
/// would look well without being so.
async fn watch(
    consuming: impl Future<Output = ()> + Send + 'static,
    health: HealthPart,
    stop: CancellationToken,
) -> bool {
    let ended = tokio::spawn(consuming).await;
    if ended.is_ok() && stop.is_cancelled() {
        return true;
    }
    let panicked = ended.is_err_and(|error| error.is_panic());
    tracing::error!(
        event = "consumer-ended",
        panicked,
        "a consumer ended unasked: the program ends with it"
    );
    health.set_unready("a consumer ended unasked".into());
    stop.cancel();
    false
}

async fn all_ended_as_asked(watched: Vec<JoinHandle<bool>>) -> Result<(), Failure> {
    for ended_as_asked in watched {
        if !ended_as_asked.await.unwrap_or(false) {
            return Err(Failure::Later(
                "a consumer ended unasked; the log says more".into(),
            ));
        }
    }
    Ok(())
}

/// Waits until `limit` has passed since the program was asked to stop.
async fn stopped_for(stop: &CancellationToken, limit: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(limit).await;
}

async fn consume_loop(
    mut registry: Registry,
    clock: Arc<dyn Clock>,
    health: HealthPart,
    stop: CancellationToken,
) {
    let mut log = StepLog::default();
    while !stop.is_cancelled() {
        if let Some(wait) = registry.store_pause(clock.now()).await {
            let cause = log
                .failure()
                .unwrap_or("another consumer's log line says how");
            health.set_unready(format!(
                "the store failed and is left alone for a moment: {cause}"
            ));
            let pause = tokio::time::sleep(wait.min(MAX_PAUSE));
            tokio::select! { () = stop.cancelled() => {}, () = pause => {} }
            continue;
        }
        let stepped = tokio::select! {
            biased;
            stepped = step(&mut registry, clock.as_ref()) => stepped,
            () = stopped_for(&stop, FINISH_LIMIT) => {
                tracing::warn!(
                    event = "step-given-up",
                    "the transaction in hand took too long for the stop; its batches come again"
                );
                break;
            }
        };
        match stepped {
            Ok(step) => {
                // An idle step without a connection says nothing about readiness.
                if step != ConsumeStep::Idle || registry.queue_connected() {
                    log.works();
                    health.set_ready();
                }
                log_stored(&step);
            }
            Err(error) => {
                let error = error.to_string();
                log.failed("step-failed", &error);
                health.set_unready(error);
            }
        }
    }
    leave(&mut registry).await;
}

async fn leave(registry: &mut Registry) {
    if timeout(LEAVE_LIMIT, registry.close()).await.is_err() {
        tracing::warn!(
            event = "leave-failed",
            "the queue could not be left in time; what is not acknowledged comes again"
        );
    }
}

fn log_stored(step: &ConsumeStep) {
    if let ConsumeStep::Done {
        batches,
        probes,
        dead,
        outcome,
    } = step
    {
        tracing::debug!(
            event = "stored",
            batches,
            probes,
            dead,
            applied = outcome.applied,
            refused = outcome.refused
        );
    }
}

/// Log of the changes between working and failing: each is logged once, and so is another failure.
#[derive(Debug, Default)]
struct StepLog {
    failure: Option<String>,
}

impl StepLog {
    fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    fn failed(&mut self, event: &'static str, error: &str) {
        if self.failure() == Some(error) {
            tracing::debug!(event, error, "still");
            return;
        }
        tracing::warn!(event, error, "nothing was lost; trying again");
        self.failure = Some(error.to_owned());
    }

    fn works(&mut self) {
        if let Some(error) = self.failure.take() {
            tracing::info!(
                event = "works-again",
                after = error,
                "batches are stored again"
            );
        }
    }
}

/// Does one step. An idle one asks the store, so that readiness is known when nothing arrives, too.
async fn step(registry: &mut Registry, clock: &dyn Clock) -> Result<ConsumeStep, ConsumeError> {
    let step = registry.consume_ahead(clock.now()).await?;
    if step == ConsumeStep::Idle {
        registry.check_store().await?;
    }
    Ok(step)
}

async fn prune_loop(reader: Reader, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(PRUNE_EVERY);
    loop {
        tokio::select! { () = stop.cancelled() => return, _ = tick.tick() => {} }
        match reader.prune_refusals().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(event = "refusals-pruned", removed),
            Err(error) => tracing::warn!(event = "prune-failed", %error),
        }
        if let Err(error) = reader.prune_failures(clock.now()).await {
            tracing::warn!(event = "prune-failed", %error);
        }
        if let Err(error) = reader.prune_marks(clock.now()).await {
            tracing::warn!(event = "prune-failed", %error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn watched(
        work: impl Future<Output = ()> + Send + 'static,
        stop: &CancellationToken,
    ) -> (bool, Option<String>) {
        let health = Health::default();
        let part = health.parts(1).remove(0);
        part.set_ready();
        let watched = tokio::spawn(watch(work, part, stop.clone()));
        (
            all_ended_as_asked(vec![watched]).await.is_ok(),
            health.reason_unready(),
        )
    }

    #[tokio::test]
    async fn a_consumer_that_ends_unasked_ends_the_program_with_a_failure() {
        for panics in [true, false] {
            let stop = CancellationToken::new();
            let work = async move { assert!(!panics, "a consumer's fault") };
            let (well, unready) = watched(work, &stop).await;
            assert!(!well && stop.is_cancelled());
            assert!(
                unready
                    .as_ref()
                    .is_some_and(|reason| reason.contains("ended unasked")),
                "{unready:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_consumer_that_was_asked_to_stop_ends_well() {
        let stop = CancellationToken::new();
        stop.cancel();
        let (well, unready) = watched(async {}, &stop).await;
        assert!(well && unready.is_none(), "{unready:?}");
    }
}
