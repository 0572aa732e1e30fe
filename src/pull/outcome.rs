//! Outcomes of one feed's run: how it ended, or why it failed.

use std::time::Duration;

use connector_kit::{Feed, SourceError};
use draft::EvaluationError;
use outbox::{NoToken, OutboxError};

use crate::endless::{self, EndlessSource};

/// Longest pause before a key service or a token issuer is asked again: its operator may raise the ceiling.
const LOOK_AT_CEILING_AGAIN: Duration = Duration::from_mins(15);

/// End of a run that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// The feed is exhausted for now.
    Complete,
    /// The program was asked to stop; the rest follows in the next run.
    Stopped,
}

/// Reasons why a run stopped before its end. Nothing is lost: the next run starts from the stored
/// cursor.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The clinic's system failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The gateway's own state failed.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The clinic's system hands out the same pages again and again.
    #[error(transparent)]
    Endless(#[from] EndlessSource),
    /// A bug: reading, pseudonymising or sealing panicked; the page was not committed.
    #[error(
        "internal error while reading, pseudonymising or sealing a page; the page was not committed"
    )]
    Internal,
}

/// A feed whose run did not reach its end.
#[derive(Debug)]
pub struct FeedFailure {
    /// The feed.
    pub feed: Feed,
    /// The reason.
    pub error: PullError,
}

impl FeedFailure {
    /// Pause before another try that may help, at least as long as the source asked for; `None`
    /// where a person has to change something first.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.error {
            PullError::Source(SourceError::Retry { after, .. }) => Some(after.unwrap_or_default()),
            PullError::Source(SourceError::Misconfigured { .. })
            | PullError::Endless(_)
            | PullError::Internal => None,
            PullError::Outbox(OutboxError::Evaluation(error)) => error
                .retry_after()
                .map(|after| after.min(LOOK_AT_CEILING_AGAIN)),
            PullError::Outbox(OutboxError::NoToken(error)) => error
                .retry_after()
                .map(|after| after.min(LOOK_AT_CEILING_AGAIN)),
            PullError::Outbox(error) => error.is_retryable().then_some(Duration::ZERO),
        }
    }

    /// Short code of the failure in `status` and metrics.
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

    /// True if the outbox is full and nothing is published any more, so that another try would find
    /// no space either.
    pub(crate) const fn is_outbox_full(&self) -> bool {
        matches!(self.error, PullError::Outbox(OutboxError::Full { .. }))
    }

    /// True if a key service or the token issuer gives this clinic no more today, so that another try would not
    /// help for hours.
    pub(crate) const fn is_at_ceiling(&self) -> bool {
        matches!(
            self.error,
            PullError::Outbox(
                OutboxError::Evaluation(EvaluationError::Ceiling { .. })
                    | OutboxError::NoToken(NoToken::Ceiling { .. })
            )
        )
    }

    /// True if the source did not answer as a whole or in this feed, and may by itself.
    #[cfg(feature = "cli")]
    pub(crate) const fn is_away(&self) -> bool {
        matches!(self.error, PullError::Source(SourceError::Retry { .. }))
    }

    /// True if the source failed, false if the gateway's own state did.
    #[must_use]
    pub const fn is_the_source(&self) -> bool {
        matches!(self.error, PullError::Source(_) | PullError::Endless(_))
    }
}
