//! Runs of a source: each feed in turn, its outcome kept for `status`, metrics and the log.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use connector_kit::Feed;
use outbox::RunOutcome;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::endless;
use crate::gateway::Gateway;
use crate::pull::{Counters, FeedFailure, FeedRun, PullError, RunEnd, Trigger, pull_feed};
use crate::sources::Source;
use crate::sweep::{FeedSweep, sweep_feed};

/// Tries after the first one before a command gives a source up and says so.
const RETRIES: usize = 4;

/// First pause before a retry; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause before a retry, whatever the source asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Run over feeds of a source.
#[derive(Clone, Copy)]
pub struct SourceRun<'a> {
    /// The gateway that the records go through.
    pub gateway: &'a Gateway,
    /// The source of the records.
    pub source: &'a Source,
    /// Cancelled when the program is asked to stop.
    pub stop: &'a CancellationToken,
    /// Counts of the records, for whoever shows progress.
    pub counters: &'a Counters,
}

/// Turn of one feed in a run of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FeedTurn {
    /// The feed.
    pub(crate) feed: Feed,
    /// Cause of its run.
    pub(crate) trigger: Trigger,
    /// True if a sweep that is due may follow; never after a hint.
    pub(crate) may_sweep: bool,
}

/// Result of a source's run. A feed that fails does not keep the others from their turn.
#[derive(Debug)]
pub struct RunSummary {
    /// End of the pull, or of the sweep behind it.
    pub end: RunEnd,
    /// Result of the sweep, feed by feed; `None` where none was due, or where no feed with a sweep
    /// due was read to its end.
    pub sweep: Option<Vec<FeedSweep>>,
    /// Feeds that were not read to their end.
    pub failed: Vec<FeedFailure>,
    /// Feeds that were read to their end, and whose sweep failed; it stays due.
    pub failed_sweeps: Vec<FeedFailure>,
}

impl RunSummary {
    const fn new(end: RunEnd) -> Self {
        Self {
            end,
            sweep: None,
            failed: Vec::new(),
            failed_sweeps: Vec::new(),
        }
    }

    /// Takes the failures out, those of pulls first.
    pub(crate) fn take_failures(&mut self) -> Vec<FeedFailure> {
        let mut failures = std::mem::take(&mut self.failed);
        failures.append(&mut self.failed_sweeps);
        failures
    }

    fn add_sweeps(&mut self, sweeps: Option<Vec<FeedSweep>>) {
        if let Some(sweeps) = sweeps {
            self.sweep.get_or_insert_default().extend(sweeps);
        }
    }

    fn or_first_failure(mut self) -> Result<Self, FeedFailure> {
        match self.take_failures().into_iter().next() {
            Some(failure) => Err(failure),
            None => Ok(self),
        }
    }
}

impl<'a> SourceRun<'a> {
    /// Pulls every feed, and sweeps those of them where a sweep is due and the pull reached its
    /// end.
    ///
    /// # Errors
    /// The first feed that failed, in the pull or in the sweep, after the others had their turn; a
    /// sweep that failed stays due.
    pub async fn scheduled(self) -> Result<RunSummary, FeedFailure> {
        let turns = self.turns(self.source.connector.feeds(), Trigger::Schedule);
        self.of_feeds(&turns).await.or_first_failure()
    }

    /// Pulls what is new after a hint, and does nothing else.
    ///
    /// # Errors
    /// See [`SourceRun::scheduled`].
    pub async fn after_hint(self) -> Result<RunSummary, FeedFailure> {
        let turns = self.turns(self.source.connector.feeds(), Trigger::Hint);
        self.of_feeds(&turns).await.or_first_failure()
    }

    /// Pulls every feed as [`SourceRun::scheduled`] does, and those that failed again while that
    /// may help.
    pub(crate) async fn with_retries(self) -> RunSummary {
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_times(RETRIES)
            .build();
        let mut turns = self.turns(self.source.connector.feeds(), Trigger::Schedule);
        let mut total = RunSummary::new(RunEnd::Complete);
        loop {
            let mut summary = self.of_feeds(&turns).await;
            total.end = summary.end;
            total.add_sweeps(summary.sweep.take());
            let mut again = summary.take_failures();
            total
                .failed
                .extend(again.extract_if(.., |failure| !may_pass(failure)));
            let asked_for = again.iter().filter_map(FeedFailure::retry_after).max();
            let pause = pauses.next().filter(|_| summary.end == RunEnd::Complete);
            let (Some(asked_for), Some(pause)) = (asked_for, pause) else {
                total.failed.extend(again);
                return total;
            };
            tokio::select! {
                () = self.stop.cancelled() => {
                    total.end = RunEnd::Stopped;
                    return total;
                }
                () = tokio::time::sleep(asked_for.max(pause).min(LONGEST_PAUSE)) => {}
            }
            let again = again.iter().map(|failure| failure.feed).collect();
            turns = self.turns(again, Trigger::Schedule);
        }
    }

    /// Pulls some feeds in turn. Sweeps then those of them where a sweep is due and permitted, and
    /// the pull reached its end, each from where it was left.
    pub(crate) async fn of_feeds(self, turns: &[FeedTurn]) -> RunSummary {
        let _lock = self.source.run_lock.lock().await;
        let mut summary = RunSummary::new(RunEnd::Complete);
        let mut read = Vec::new();
        for turn in turns {
            if self.stop.is_cancelled() {
                break;
            }
            let run = self.feed(turn.feed);
            let pulled = pull_and_note(&run, turn.trigger);
            match pulled.instrument(run.span()).await {
                Ok(RunEnd::Complete) if turn.may_sweep => read.push(turn.feed),
                Ok(_) => {}
                Err(failure) => summary.failed.push(failure),
            }
        }
        for feed in read {
            if self.stop.is_cancelled() || !self.source.take_sweep_request(feed) {
                continue;
            }
            let run = self.feed(feed);
            let swept = sweep_feed(&run).instrument(run.span()).await;
            if !swept.as_ref().is_ok_and(|sweep| sweep.finished) {
                self.source.request_sweep_of(feed);
            }
            match swept {
                Ok(sweep) => summary.add_sweeps(Some(vec![sweep])),
                Err(failure) => summary.failed_sweeps.push(failure),
            }
        }
        if self.stop.is_cancelled() {
            summary.end = RunEnd::Stopped;
        }
        summary
    }

    /// Turns of feeds that may all be swept where that is due, but after a hint.
    fn turns(&self, feeds: Vec<Feed>, trigger: Trigger) -> Vec<FeedTurn> {
        let turn = |feed| FeedTurn {
            feed,
            trigger,
            may_sweep: trigger == Trigger::Schedule,
        };
        feeds.into_iter().map(turn).collect()
    }

    /// Makes the run of one of the source's feeds.
    fn feed(self, feed: Feed) -> FeedRun<'a> {
        FeedRun {
            gateway: self.gateway,
            source: self.source,
            feed,
            stop: self.stop,
            counters: self.counters,
        }
    }
}

/// True if another try may help.
fn may_pass(failure: &FeedFailure) -> bool {
    failure.retry_after().is_some() && !failure.is_outbox_full()
}

/// Pulls a feed and notes the outcome.
async fn pull_and_note(run: &FeedRun<'_>, trigger: Trigger) -> Result<RunEnd, FeedFailure> {
    let result = pull_feed(run, trigger).await;
    let result = result.map_err(|error| FeedFailure {
        feed: run.feed,
        error,
    });
    let failure = result.as_ref().err();
    if failure.is_some_and(|failure| matches!(failure.error, PullError::Endless(_))) {
        run.note_surprise(endless::CODE, 1).await;
    }
    // Hints come many times a second, and each note is a write: the next scheduled run notes that
    // all is well.
    if trigger == Trigger::Schedule || failure.is_some() {
        note_outcome(run, failure).await;
    }
    result
}

/// Notes the outcome of a feed's run, or of the probe of a feed that is left alone, in `status`,
/// metrics and the log.
pub(crate) async fn note_outcome(run: &FeedRun<'_>, failure: Option<&FeedFailure>) {
    let source = &run.source.name;
    let feed = run.feed.as_str();
    let code = failure.map_or("ok", FeedFailure::code);
    metrics::counter!(
        "gateway_pull_runs_total",
        "source" => source.clone(),
        "feed" => feed,
        "outcome" => code
    )
    .increment(1);
    let outcome = match failure {
        Some(failure) => {
            let error = failure.error.to_string();
            tracing::warn!(
                event = "pull-failed",
                code,
                error,
                "a pull stopped before its end; nothing is lost, the next one goes on where this \
                 one began"
            );
            RunOutcome::Failed { code }
        }
        None => {
            tracing::debug!(event = "pull-done");
            RunOutcome::Ok
        }
    };
    keep_outcome(run, outcome).await;
}

/// Keeps the outcome of a feed's run for `status`, where failures in a row are counted.
pub(crate) async fn keep_outcome(run: &FeedRun<'_>, outcome: RunOutcome<'_>) {
    let source = &run.source.name;
    let now = run.gateway.clock.now();
    if let Err(error) = run
        .gateway
        .outbox
        .record_run(source, run.feed.as_str(), outcome, now)
        .await
    {
        tracing::warn!(
            event = "run-not-noted",
            %error,
            "the outcome of a run could not be noted"
        );
    }
}
