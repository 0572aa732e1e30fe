//! One run of one source: every feed in turn, its outcome kept for `status`, metrics and the log.

use std::time::Duration;

use connector_kit::{Feed, SourceError};
use outbox::{OutboxError, RunOutcome};
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::pull::{Counters, PullError, RunEnd, Trigger, pull_feed};
use crate::sources::Source;
use crate::sweep::{FeedSweep, sweep_source};
use crate::{endless, surprise};

/// What a run of a source came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// How the pull ended.
    pub end: RunEnd,
    /// What the sweep came to, feed by feed, where one was due and the pull reached its end.
    pub sweep: Option<Vec<FeedSweep>>,
}

/// A feed whose run did not reach its end.
#[derive(Debug)]
pub struct FeedFailure {
    /// Which feed.
    pub feed: Feed,
    /// Why.
    pub error: PullError,
}

impl FeedFailure {
    /// Whether trying again by itself may help, and how long the source asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.error {
            PullError::Source(SourceError::Retry { after, .. }) => Some(after.unwrap_or_default()),
            PullError::Source(SourceError::Misconfigured { .. })
            | PullError::Endless(_)
            | PullError::Internal => None,
            PullError::Outbox(error) => error.is_retryable().then_some(Duration::ZERO),
        }
    }

    /// A short code for `status` and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &self.error {
            PullError::Source(SourceError::Retry { .. }) => "source-away",
            PullError::Source(SourceError::Misconfigured { .. }) => "source-misconfigured",
            PullError::Outbox(error) => error.code(),
            PullError::Endless(_) => endless::CODE,
            PullError::Internal => "internal",
        }
    }

    /// Whether the outbox is full and nothing is published any more, so that no room comes of
    /// another try.
    pub(crate) const fn is_in_vain(&self) -> bool {
        matches!(self.error, PullError::Outbox(OutboxError::Full { .. }))
    }

    /// Whether it was the source that failed, not the gateway's own state.
    #[must_use]
    pub const fn is_the_source(&self) -> bool {
        matches!(self.error, PullError::Source(_) | PullError::Endless(_))
    }
}

/// One turn of a source: a pull, and a sweep behind it where one is due and the pull reached its
/// end.
///
/// # Errors
/// The first feed that failed, in the pull or in the sweep; a sweep that failed stays due.
pub async fn run_in_turn(
    gateway: &Gateway,
    source: &Source,
    stop: &CancellationToken,
    counters: &Counters,
) -> Result<Run, FeedFailure> {
    let _turn = source.turn.lock().await;
    let end = run_source(gateway, source, Trigger::Schedule, stop, counters).await?;
    if end == RunEnd::Stopped || !source.take_sweep_request() {
        return Ok(Run { end, sweep: None });
    }
    let result = sweep_source(gateway, source, stop, counters).await;
    let finished = |sweep: &Vec<FeedSweep>| sweep.iter().all(|feed| feed.finished);
    if !result.as_ref().is_ok_and(finished) {
        source.request_sweep();
    }
    let end = if stop.is_cancelled() {
        RunEnd::Stopped
    } else {
        end
    };
    Ok(Run {
        end,
        sweep: Some(result?),
    })
}

/// One turn after a hint: what is new is pulled, and nothing else done.
///
/// # Errors
/// As [`run_in_turn`].
pub async fn run_hinted(
    gateway: &Gateway,
    source: &Source,
    stop: &CancellationToken,
    counters: &Counters,
) -> Result<Run, FeedFailure> {
    let _turn = source.turn.lock().await;
    let end = run_source(gateway, source, Trigger::Hint, stop, counters).await?;
    Ok(Run { end, sweep: None })
}

/// Pulls every feed of a source once. A feed that fails does not keep the others from their turn.
async fn run_source(
    gateway: &Gateway,
    source: &Source,
    trigger: Trigger,
    stop: &CancellationToken,
    counters: &Counters,
) -> Result<RunEnd, FeedFailure> {
    let mut first_failure = None;
    for feed in source.connector.feeds() {
        if stop.is_cancelled() {
            return Ok(RunEnd::Stopped);
        }
        let result = pull_feed(gateway, source, feed, trigger, stop, counters).await;
        let failure = result.err().map(|error| FeedFailure { feed, error });
        if let Some(FeedFailure {
            error: PullError::Endless(_),
            ..
        }) = &failure
        {
            surprise::note(gateway, source, feed, endless::CODE, 1).await;
        }
        // Hints come many times a second, and each note is a write: the next scheduled run tells
        // that all is well.
        if trigger == Trigger::Schedule || failure.is_some() {
            note(gateway, source, feed, failure.as_ref()).await;
        }
        first_failure = first_failure.or(failure);
    }
    match first_failure {
        Some(failure) => Err(failure),
        None if stop.is_cancelled() => Ok(RunEnd::Stopped),
        None => Ok(RunEnd::Complete),
    }
}

async fn note(gateway: &Gateway, source: &Source, feed: Feed, failure: Option<&FeedFailure>) {
    let outcome = failure.map_or("ok", FeedFailure::code);
    metrics::counter!("gateway_pull_runs_total", "source" => source.name.clone(), "feed" => feed.as_str(), "outcome" => outcome)
        .increment(1);
    let what = failure.map(|failure| failure.error.to_string());
    match &what {
        Some(error) => tracing::warn!(
            event = "pull-failed", source = %source.name, feed = %feed, code = outcome, error,
            "a pull stopped before its end; nothing is lost, the next one goes on where this one \
             began"
        ),
        None => tracing::debug!(event = "pull-done", source = %source.name, feed = %feed),
    }
    let outcome = match &what {
        Some(_) => RunOutcome::Failed { code: outcome },
        None => RunOutcome::Ok,
    };
    if let Err(error) = gateway
        .outbox
        .record_run(&source.name, feed.as_str(), outcome, gateway.clock.now())
        .await
    {
        tracing::warn!(event = "run-not-noted", source = %source.name, feed = %feed, %error, "the outcome of a run could not be noted");
    }
}
