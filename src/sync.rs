//! A pass over the sources, published as it goes: for `clinic-gateway sync` and the demo.

use std::sync::Arc;
use std::time::Duration;

use outbox::{BeaconOccasion, Origin, OutboxError, RaiseWaits};
use tokio_util::sync::CancellationToken;

use crate::foreground::{DeliveryReport, deliver_during};
use crate::gateway::Gateway;
use crate::pull::{Counters, FeedFailure, RunEnd};
use crate::receipts::ReceiptCounts;
use crate::run::{RunSummary, SourceRun};
use crate::sources::Source;

/// Most passes in one `sync`: another one follows when a receipt has made the generation rise, so
/// that everything must be read again.
const MOST_PASSES: u32 = 3;

/// Options of a pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncOptions {
    /// Names of the sources to pull; all when none is named.
    pub only: Vec<String>,
    /// True to read everything again; unchanged records are not sent again.
    pub full: bool,
    /// Longest wait for the registry's receipts at the end; zero takes those that have come.
    pub wait_receipts: Duration,
}

/// Result of a pass.
#[derive(Debug, Default)]
pub struct SyncReport {
    /// Feeds that could not be read or swept to their end, each with the name of its source.
    pub failed: Vec<(String, FeedFailure)>,
    /// True when the pass was stopped.
    pub stopped: bool,
    /// Number of batches delivered.
    pub delivered: usize,
    /// Number of batches that still wait in the outbox for the queue.
    pub waiting: u64,
    /// Number of batches delivered whose receipt has not come.
    pub awaiting_receipt: u64,
    /// The receipts that came.
    pub receipts: ReceiptCounts,
    /// The queue's last failure, if batches wait because of it.
    pub queue_error: Option<String>,
    /// True when that failure will not pass by itself.
    pub queue_misconfigured: bool,
    /// True when another gateway runs on a copy of this state, so that the pass was given up.
    pub other_gateway: bool,
    /// Number of records of the pulled sources whose latest version the registry refuses, or that
    /// no version is left for; those that an operator has discarded do not count.
    pub refused: u64,
    /// Raise of the generation that the registry's answers ask for, and that has to wait.
    pub raise_waits: Option<RaiseWaits>,
}

impl SyncReport {
    /// True when every source was read to its end and every batch delivered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && !self.stopped && self.waiting == 0 && !self.other_gateway
    }

    fn add_delivery(&mut self, delivery: DeliveryReport) {
        self.delivered += delivery.delivered;
        self.receipts.add(delivery.receipts);
        self.queue_error = delivery.queue_error;
        self.queue_misconfigured = delivery.queue_misconfigured;
    }

    fn add_run(&mut self, source: &Source, mut run: RunSummary) {
        self.stopped |= run.end == RunEnd::Stopped;
        for failure in run.take_failures() {
            self.failed.push((source.name.clone(), failure));
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
    // The answer comes while the sources are read, and reads them again if this state is old.
    gateway.give_out_beacon(BeaconOccasion::Start).await?;
    for _ in 0..MOST_PASSES {
        let pulling = async {
            let runs = chosen.iter().map(|source| {
                let run = SourceRun {
                    gateway,
                    source,
                    stop,
                    counters,
                };
                run.with_retries()
            });
            futures_util::future::join_all(runs).await
        };
        let (results, delivery) =
            deliver_during(gateway, stop, options.wait_receipts, pulling).await?;
        let raised = delivery.receipts.raised;
        report.other_gateway = delivery.receipts.other_gateway;
        report.add_delivery(delivery);
        report.failed.clear();
        for (source, result) in chosen.iter().zip(results) {
            report.add_run(source, result);
        }
        if !raised || report.other_gateway || stop.is_cancelled() {
            break;
        }
    }
    let status = gateway.outbox.reader().status().await?;
    report.waiting = status.backlog.batches;
    report.awaiting_receipt = status.backlog.awaiting_receipt_batches;
    report.raise_waits = status.raise_waits;
    report.refused = status
        .dead_letters
        .iter()
        .filter(|count| count.origin == Origin::Registry)
        // A record from before feeds were remembered may be of any source.
        .filter(|count| {
            count.source.is_empty() || chosen.iter().any(|source| source.name == count.source)
        })
        .map(|count| count.count)
        .sum();
    Ok(report)
}
