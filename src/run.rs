//! Runs of a source: every feed in turn, its outcome kept for `status`, metrics and the log.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use connector_kit::Feed;
use outbox::RunOutcome;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::corrections;
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

/// Run over every feed of a source.
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

/// Result of a source's run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// End of the pull, or of the sweep behind it.
    pub end: RunEnd,
    /// Result of the sweep, feed by feed; `None` where none was due or the pull did not reach its
    /// end.
    pub sweep: Option<Vec<FeedSweep>>,
}

impl<'a> SourceRun<'a> {
    /// Pulls every feed, and sweeps them afterwards where a sweep is due and the pull reached its
    /// end.
    ///
    /// # Errors
    /// The first feed that failed, in the pull or in the sweep; a sweep that failed stays due.
    pub async fn scheduled(self) -> Result<RunSummary, FeedFailure> {
        let _lock = self.source.run_lock.lock().await;
        let end = self.pull_feeds(Trigger::Schedule).await?;
        if end == RunEnd::Stopped || !self.source.take_sweep_request() {
            return Ok(RunSummary { end, sweep: None });
        }
        let result = self.sweep_feeds().await;
        let finished = |sweep: &Vec<FeedSweep>| sweep.iter().all(|feed| feed.finished);
        if !result.as_ref().is_ok_and(finished) {
            self.source.request_sweep();
        }
        let end = if self.stop.is_cancelled() {
            RunEnd::Stopped
        } else {
            end
        };
        Ok(RunSummary {
            end,
            sweep: Some(result?),
        })
    }

    /// Pulls what is new after a hint, and does nothing else.
    ///
    /// # Errors
    /// See [`SourceRun::scheduled`].
    pub async fn after_hint(self) -> Result<RunSummary, FeedFailure> {
        let _lock = self.source.run_lock.lock().await;
        let end = self.pull_feeds(Trigger::Hint).await?;
        Ok(RunSummary { end, sweep: None })
    }

    /// Does [`SourceRun::scheduled`], again while that may help.
    ///
    /// # Errors
    /// See [`SourceRun::scheduled`]; the error of the last try.
    pub(crate) async fn with_retries(self) -> Result<RunSummary, FeedFailure> {
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_times(RETRIES)
            .build();
        loop {
            let failure = match self.scheduled().await {
                Ok(summary) => return Ok(summary),
                Err(failure) => failure,
            };
            let asked_for = failure.retry_after().filter(|_| !failure.is_outbox_full());
            let (Some(asked_for), Some(pause)) = (asked_for, pauses.next()) else {
                return Err(failure);
            };
            tokio::select! {
                () = self.stop.cancelled() => {
                    return Ok(RunSummary { end: RunEnd::Stopped, sweep: None });
                }
                () = tokio::time::sleep(asked_for.max(pause).min(LONGEST_PAUSE)) => {}
            }
        }
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

    /// Pulls every feed once. A feed that fails does not keep the others from their turn.
    async fn pull_feeds(self, trigger: Trigger) -> Result<RunEnd, FeedFailure> {
        let mut first_failure = None;
        for feed in self.source.connector.feeds() {
            if self.stop.is_cancelled() {
                return Ok(RunEnd::Stopped);
            }
            let run = self.feed(feed);
            let pulled = pull_and_note(&run, trigger).instrument(run.span()).await;
            first_failure = first_failure.or(pulled.err());
        }
        match first_failure {
            Some(failure) => Err(failure),
            None if self.stop.is_cancelled() => Ok(RunEnd::Stopped),
            None => Ok(RunEnd::Complete),
        }
    }

    /// Sweeps every feed, each from where it was left. A feed that fails does not keep the others
    /// from their turn.
    async fn sweep_feeds(self) -> Result<Vec<FeedSweep>, FeedFailure> {
        let mut swept = Vec::new();
        let mut first_failure = None;
        for feed in self.source.connector.feeds() {
            let run = self.feed(feed);
            match sweep_feed(&run).instrument(run.span()).await {
                Ok(sweep) => swept.push(sweep),
                Err(failure) => first_failure = first_failure.or(Some(failure)),
            }
        }
        first_failure.map_or(Ok(swept), Err)
    }
}

/// Pulls a feed and notes the outcome.
async fn pull_and_note(run: &FeedRun<'_>, trigger: Trigger) -> Result<(), FeedFailure> {
    let result = pull_and_settle(run, trigger).await;
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

/// Pulls a feed, and settles the corrections that were refused on the way; also after a failure,
/// for the pages before it are committed.
async fn pull_and_settle(run: &FeedRun<'_>, trigger: Trigger) -> Result<(), PullError> {
    let pulled = pull_feed(run, trigger).await;
    if !run.stop.is_cancelled() {
        let settled = corrections::settle(run).await;
        pulled?;
        settled?;
        return Ok(());
    }
    pulled.map(drop)
}

async fn note_outcome(run: &FeedRun<'_>, failure: Option<&FeedFailure>) {
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
    let now = run.gateway.clock.now();
    if let Err(error) = run
        .gateway
        .outbox
        .record_run(source, feed, outcome, now)
        .await
    {
        tracing::warn!(
            event = "run-not-noted",
            %error,
            "the outcome of a run could not be noted"
        );
    }
}
