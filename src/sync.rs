//! One pass over the sources, published as it goes: what `clinic-gateway sync` and the demo do.

use std::time::Duration;

use outbox::OutboxError;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::publish::publish_once;
use crate::pull::{Counters, RunEnd};
use crate::run::{FeedFailure, run_source};
use crate::sources::Source;

/// How often a pass tries a source or the queue again before it gives up and says so.
const ATTEMPTS: u32 = 5;

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What a pass came to.
#[derive(Debug, Default)]
pub struct SyncReport {
    /// Sources that could not be read to their end, with the first failure of each.
    pub failed: Vec<(String, FeedFailure)>,
    /// True when the pass was stopped.
    pub stopped: bool,
    /// Batches delivered.
    pub delivered: usize,
    /// Batches that still wait in the outbox.
    pub waiting: u64,
    /// The queue's last failure, if batches wait because of it.
    pub queue_error: Option<String>,
}

impl SyncReport {
    /// True when every source was read to its end and every batch delivered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && !self.stopped && self.waiting == 0
    }
}

/// Pulls the named sources (all when `only` is empty) once, and publishes until the outbox is empty.
///
/// # Errors
/// [`OutboxError`] when the gateway's own state fails while publishing.
pub async fn sync(
    gateway: &Gateway,
    only: &[String],
    full: bool,
    stop: &CancellationToken,
    counters: &Counters,
) -> Result<SyncReport, OutboxError> {
    let chosen: Vec<_> =
        gateway.sources.iter().filter(|source| only.is_empty() || only.contains(&source.name)).collect();
    if full {
        for source in &chosen {
            gateway.outbox.forget_cursors(&source.name).await?;
        }
    }
    let pulled = CancellationToken::new();
    let pulling = async {
        let runs = chosen.iter().map(|source| run_with_retries(gateway, source, stop, counters));
        let results = futures_util::future::join_all(runs).await;
        pulled.cancel();
        results
    };
    let (results, published) = tokio::join!(pulling, publish_until(gateway, &pulled, stop));
    let mut report = published?;
    for (source, result) in chosen.iter().zip(results) {
        match result {
            Ok(RunEnd::Complete) => {}
            Ok(RunEnd::Stopped) => report.stopped = true,
            Err(failure) => report.failed.push((source.name.clone(), failure)),
        }
    }
    report.waiting = gateway.outbox.backlog().await?.batches;
    Ok(report)
}

async fn run_with_retries(
    gateway: &Gateway,
    source: &Source,
    stop: &CancellationToken,
    counters: &Counters,
) -> Result<RunEnd, FeedFailure> {
    let mut attempt = 1;
    loop {
        match run_source(gateway, source, stop, counters).await {
            Err(failure) if attempt < ATTEMPTS => {
                let Some(after) = failure.retry_after() else { return Err(failure) };
                let pause = after.max(Duration::from_millis(250 << attempt)).min(LONGEST_PAUSE);
                attempt += 1;
                tokio::select! {
                    () = stop.cancelled() => return Ok(RunEnd::Stopped),
                    () = tokio::time::sleep(pause) => {}
                }
            }
            other => return other,
        }
    }
}

/// Publishes while sources are pulled, and afterwards until the outbox is empty or the queue has failed too often.
async fn publish_until(
    gateway: &Gateway,
    pulled: &CancellationToken,
    stop: &CancellationToken,
) -> Result<SyncReport, OutboxError> {
    let mut report = SyncReport::default();
    let mut failures = 0;
    loop {
        let last_round = pulled.is_cancelled();
        let published = publish_once(gateway).await?;
        report.delivered += published.delivered;
        if published.failed > 0 {
            failures += 1;
            report.queue_error = published.error;
        } else if published.delivered > 0 {
            (failures, report.queue_error) = (0, None);
        }
        if failures >= ATTEMPTS || stop.is_cancelled() {
            pulled.cancelled().await;
            return Ok(report);
        }
        if published.delivered > 0 {
            continue;
        }
        if last_round && gateway.outbox.backlog().await?.batches == 0 {
            return Ok(report);
        }
        // Nothing was due: wait for a commit, for the end of pulling, or for a failed batch's next try.
        tokio::select! {
            () = gateway.batches_waiting.notified() => {}
            () = pulled.cancelled(), if !last_round => {}
            () = stop.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}
