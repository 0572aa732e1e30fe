//! `city-registry run`: consumers, metrics and health, and an orderly end.

use std::sync::Arc;
use std::time::Duration;

use circuit::Circuit;
use clap::Args;
use clock::Clock;
use telemetry::http::{Endpoint, Health};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use telemetry::terminal as out;

use super::readiness::{self, Share};
use super::{Failure, Loaded};
use crate::breaker::STORE;
use crate::{ConsumeError, Reader, Registry, Step};

/// Longest that a consumer sleeps while the store is left alone: another may find it mended
/// earlier.
const LONGEST_NAP: Duration = Duration::from_secs(1);
/// How often old refusals are removed.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// Take what waits now (one step), then end.
    #[arg(long, conflicts_with = "drain")]
    once: bool,
    /// Take everything until the queue is empty, then end.
    #[arg(long)]
    drain: bool,
}

pub(super) async fn run(
    arguments: &RunArguments,
    loaded: &Loaded,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    if arguments.once || arguments.drain {
        return take(arguments.once, loaded, clock).await;
    }
    let config = &loaded.config;
    let health = Health::default();
    let tasks = TaskTracker::new();
    if let Some(listen) = &config.listen {
        let recorder = telemetry::http::install_recorder();
        let bound = Endpoint::bind(listen, recorder, health.clone()).await;
        let endpoint = bound.map_err(|error| Failure::Change(error.to_string()))?;
        let address = endpoint.address().map(tracing::field::display);
        tracing::info!(
            event = "endpoint-open",
            address,
            "metrics and health are served"
        );
        tasks.spawn(endpoint.serve(stop.clone().cancelled_owned()));
    }
    let Some(first) = open_when_it_answers(loaded, &clock, &health, &stop).await? else {
        return Ok(());
    };
    let reader = first.reader().clone();
    let mut consumers = vec![first];
    for _ in 1..config.consume.consumers.get() {
        consumers.push(consumers[0].additional_consumer()?);
    }
    let count = consumers.len();
    tracing::info!(
        event = "started",
        store = reader.describe(),
        consumers = count,
        "the registry is running"
    );
    notify_systemd(sd_notify::NotifyState::Ready);
    let mut watched = Vec::with_capacity(count);
    for (registry, share) in consumers.into_iter().zip(readiness::shares(&health, count)) {
        let work = consume_loop(registry, Arc::clone(&clock), share.clone(), stop.clone());
        watched.push(tasks.spawn(watch(work, share, stop.clone())));
    }
    tasks.spawn(prune_loop(reader.clone(), stop.clone()));
    stop.cancelled().await;
    notify_systemd(sd_notify::NotifyState::Stopping);
    tracing::info!(
        event = "draining",
        "asked to stop: finishing the transaction in hand"
    );
    tasks.close();
    tasks.wait().await;
    reader.close().await;
    tracing::info!(
        event = "stopped",
        "stopped; what is not stored waits in the queue"
    );
    all_asked(watched).await
}

/// `--once` and `--drain`.
async fn take(once: bool, loaded: &Loaded, clock: Arc<dyn Clock>) -> Result<(), Failure> {
    let mut registry = Registry::open(&loaded.config, &loaded.base, Arc::clone(&clock)).await?;
    let (outcome, dead) = if once {
        match registry.consume_once(clock.now()).await? {
            Step::Idle => Default::default(),
            Step::Done { outcome, dead, .. } => (outcome, dead),
        }
    } else {
        registry.drain().await?
    };
    registry.close().await;
    registry.reader().close().await;
    out::say(format!(
        "{} applied, {} unchanged, {} superseded, {} refused; {dead} batches to the dead letters",
        outcome.applied, outcome.unchanged, outcome.superseded, outcome.refused
    ));
    Ok(())
}

/// Opens the registry, waiting for a store that does not answer yet; `None` when asked to stop
/// meanwhile.
async fn open_when_it_answers(
    loaded: &Loaded,
    clock: &Arc<dyn Clock>,
    health: &Health,
    stop: &CancellationToken,
) -> Result<Option<Registry>, Failure> {
    let mut circuit = Circuit::new(STORE);
    loop {
        let pause = match Registry::open(&loaded.config, &loaded.base, Arc::clone(clock)).await {
            Ok(registry) => return Ok(Some(registry)),
            Err(error) if error.is_misconfigured() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(event = "store-away", %error, "cannot start yet");
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

/// Sees a consumer's loop to its end; whether it ended because it was asked to. One that ends by
/// itself ends the program, which then starts anew: with a consumer less it would look well and not
/// be.
async fn watch(
    work: impl Future<Output = ()> + Send + 'static,
    share: Share,
    stop: CancellationToken,
) -> bool {
    let ended = tokio::spawn(work).await;
    if ended.is_ok() && stop.is_cancelled() {
        return true;
    }
    let panicked = ended.is_err_and(|error| error.is_panic());
    tracing::error!(
        event = "consumer-ended",
        panicked,
        "a consumer ended unasked: the program ends with it"
    );
    share.set_unready("a consumer ended unasked".into());
    stop.cancel();
    false
}

async fn all_asked(watched: Vec<JoinHandle<bool>>) -> Result<(), Failure> {
    for asked in watched {
        if !asked.await.unwrap_or(false) {
            return Err(Failure::Later(
                "a consumer ended unasked; the log says more".into(),
            ));
        }
    }
    Ok(())
}

async fn consume_loop(
    mut registry: Registry,
    clock: Arc<dyn Clock>,
    share: Share,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        if let Some(wait) = registry.store_pause(clock.now()).await {
            share.set_unready("the store failed and is left alone for a moment".into());
            let nap = tokio::time::sleep(wait.min(LONGEST_NAP));
            tokio::select! { () = stop.cancelled() => {}, () = nap => {} }
            continue;
        }
        match step(&mut registry, clock.as_ref()).await {
            Ok(step) => {
                // Nothing came, and nothing could: still as ready as before.
                if step != Step::Idle || registry.queue_connected() {
                    share.set_ready();
                }
                if let Step::Done {
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
            Err(error) => {
                tracing::warn!(event = "step-failed", %error, "nothing was lost; trying again");
                share.set_unready(error.to_string());
            }
        }
    }
    registry.close().await;
}

/// One step; an idle one asks the store, so that readiness is true also when nothing arrives.
async fn step(registry: &mut Registry, clock: &dyn Clock) -> Result<Step, ConsumeError> {
    let step = registry.consume_ahead(clock.now()).await?;
    if step == Step::Idle {
        registry.check_store().await?;
    }
    Ok(step)
}

async fn prune_loop(reader: Reader, stop: CancellationToken) {
    let mut tick = tokio::time::interval(PRUNE_EVERY);
    loop {
        tokio::select! { () = stop.cancelled() => return, _ = tick.tick() => {} }
        match reader.prune_refusals().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(event = "refusals-pruned", removed),
            Err(error) => tracing::warn!(event = "prune-failed", %error),
        }
    }
}

fn notify_systemd(state: sd_notify::NotifyState<'_>) {
    // Without systemd there is nobody to tell, which is no error.
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(event = "sd-notify", kind = ?error.kind());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn watched(
        work: impl Future<Output = ()> + Send + 'static,
        stop: &CancellationToken,
    ) -> (bool, String) {
        let health = Health::default();
        let share = readiness::shares(&health, 1).remove(0);
        share.set_ready();
        let watched = tokio::spawn(watch(work, share, stop.clone()));
        (
            all_asked(vec![watched]).await.is_ok(),
            format!("{health:?}"),
        )
    }

    #[tokio::test]
    async fn a_consumer_that_ends_unasked_ends_the_program_with_a_failure() {
        for panics in [true, false] {
            let stop = CancellationToken::new();
            let work = async move { assert!(!panics, "a consumer's fault") };
            let (well, health) = watched(work, &stop).await;
            assert!(!well && stop.is_cancelled());
            assert!(
                health.contains("ready: false") && health.contains("ended unasked"),
                "{health}"
            );
        }
    }

    #[tokio::test]
    async fn a_consumer_that_was_asked_to_stop_ends_well() {
        let stop = CancellationToken::new();
        stop.cancel();
        let (well, health) = watched(async {}, &stop).await;
        assert!(well && health.contains("ready: true"), "{health}");
    }
}
