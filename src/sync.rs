//! One pass over the sources, published as it goes: what `clinic-gateway sync` and the demo do.

use std::sync::Arc;
use std::time::Duration;

use outbox::OutboxError;
use tokio_util::sync::CancellationToken;

use crate::attend::{Attended, attended};
use crate::gateway::Gateway;
use crate::pull::{Counters, RunEnd};
use crate::receipts::Heard;
use crate::run::{FeedFailure, Run, run_in_turn};
use crate::sources::Source;

/// How often a pass tries a source again before it gives up and says so.
const ATTEMPTS: u32 = 5;

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Passes in one `sync`: another one follows when a receipt has told that everything must be read
/// again.
const MOST_PASSES: u32 = 3;

/// What a pass is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncOptions {
    /// The sources to pull; all when none is named.
    pub only: Vec<String>,
    /// Read everything again; unchanged records are not sent again.
    pub full: bool,
    /// How long to wait for the registry's receipts at the end; zero takes what has come.
    pub wait_receipts: Duration,
}

/// What a pass came to.
#[derive(Debug, Default)]
pub struct SyncReport {
    /// Sources that could not be read to their end, with the first failure of each.
    pub failed: Vec<(String, FeedFailure)>,
    /// True when the pass was stopped.
    pub stopped: bool,
    /// Batches delivered.
    pub delivered: usize,
    /// Batches that still wait in the outbox for the queue.
    pub waiting: u64,
    /// Batches delivered whose receipt has not come.
    pub awaiting_receipt: u64,
    /// The receipts that came.
    pub heard: Heard,
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

    fn add(&mut self, attended: Attended, results: Vec<(String, Result<Run, FeedFailure>)>) {
        self.delivered += attended.delivered;
        self.heard.add(attended.heard);
        (self.queue_error, self.queue_misconfigured) =
            (attended.queue_error, attended.queue_misconfigured);
        self.failed.clear();
        for (name, result) in results {
            match result {
                Ok(Run {
                    end: RunEnd::Complete,
                    ..
                }) => {}
                Ok(Run {
                    end: RunEnd::Stopped,
                    ..
                }) => self.stopped = true,
                Err(failure) => self.failed.push((name, failure)),
            }
        }
    }
}

/// Pulls the named sources once, publishes until the outbox is empty, and waits a while for the
/// receipts.
///
/// # Errors
/// [`OutboxError`] when the gateway's own state fails while publishing.
pub async fn sync(
    gateway: &Gateway,
    options: &SyncOptions,
    stop: &CancellationToken,
    counters: &Counters,
) -> Result<SyncReport, OutboxError> {
    let chosen =
        |source: &&Arc<Source>| options.only.is_empty() || options.only.contains(&source.name);
    let chosen: Vec<_> = gateway.sources.iter().filter(chosen).collect();
    if options.full {
        for source in &chosen {
            gateway.outbox.forget_cursors(&source.name).await?;
        }
    }
    let mut report = SyncReport::default();
    for _ in 0..MOST_PASSES {
        let pulling = async {
            let runs = chosen
                .iter()
                .map(|source| run_with_retries(gateway, source, stop, counters));
            futures_util::future::join_all(runs).await
        };
        let (results, attended) = attended(gateway, stop, options.wait_receipts, pulling).await?;
        let raised = attended.heard.raised;
        let names = chosen.iter().map(|source| source.name.clone());
        report.add(attended, names.zip(results).collect());
        if !raised || stop.is_cancelled() {
            break;
        }
    }
    let backlog = gateway.outbox.backlog().await?;
    (report.waiting, report.awaiting_receipt) = (backlog.batches, backlog.awaiting_receipt_batches);
    Ok(report)
}

/// One turn of a source, tried again while that may help.
pub(crate) async fn run_with_retries(
    gateway: &Gateway,
    source: &Source,
    stop: &CancellationToken,
    counters: &Counters,
) -> Result<Run, FeedFailure> {
    let mut attempt = 1;
    loop {
        match run_in_turn(gateway, source, stop, counters).await {
            Err(failure) if attempt < ATTEMPTS => {
                let Some(after) = failure.retry_after().filter(|_| !failure.is_in_vain()) else {
                    return Err(failure);
                };
                let pause = after
                    .max(Duration::from_millis(250 << attempt))
                    .min(LONGEST_PAUSE);
                attempt += 1;
                tokio::select! {
                    () = stop.cancelled() => return Ok(Run { end: RunEnd::Stopped, sweep: None }),
                    () = tokio::time::sleep(pause) => {}
                }
            }
            other => return other,
        }
    }
}
