//! One pass over the sources, published as it goes: what `clinic-gateway sync` and the demo do.

use std::time::Duration;

use broker::State;
use outbox::OutboxError;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::publish::{Published, publish_once};
use crate::pull::{Counters, RunEnd};
use crate::run::{FeedFailure, run_source};
use crate::sources::Source;

/// How often a pass tries a source again before it gives up and says so.
const ATTEMPTS: u32 = 5;

/// How long the queue may take nothing before a pass gives up and says so.
const QUEUE_PATIENCE: Duration = Duration::from_secs(20);

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
    /// True when that failure will not pass by itself.
    pub queue_misconfigured: bool,
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

/// Publishes while sources are pulled, and afterwards until the outbox is empty or the queue has failed for too long.
async fn publish_until(
    gateway: &Gateway,
    pulled: &CancellationToken,
    stop: &CancellationToken,
) -> Result<SyncReport, OutboxError> {
    let mut report = SyncReport::default();
    let mut failing_since = None;
    loop {
        let last_round = pulled.is_cancelled();
        let now = gateway.clock.elapsed();
        let patience = failing_since.map(|since: Duration| (since + QUEUE_PATIENCE).saturating_sub(now));
        // A publish that is cut off leaves its batches in the outbox, leased until the next start at the latest.
        let published = tokio::select! {
            published = publish_once(gateway) => published?,
            () = in_vain(gateway, patience) => Published::default(),
            () = stop.cancelled() => Published::default(),
        };
        report.delivered += published.delivered;
        let now = gateway.clock.elapsed();
        if published.failed > 0 {
            failing_since.get_or_insert(now);
            (report.queue_error, report.queue_misconfigured) = (published.error, published.misconfigured);
        } else if published.delivered > 0 {
            (failing_since, report.queue_error, report.queue_misconfigured) = (None, None, false);
        }
        let patience_ended = failing_since.is_some_and(|since| now.saturating_sub(since) >= QUEUE_PATIENCE);
        if patience_ended || report.queue_misconfigured || stop.is_cancelled() {
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

/// Resolves when patience is at its end and the queue still takes nothing.
async fn in_vain(gateway: &Gateway, patience: Option<Duration>) {
    match patience {
        Some(patience) => tokio::time::sleep(patience).await,
        None => std::future::pending().await,
    }
    while !matches!(gateway.publisher.state(), State::Down | State::Blocked) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
