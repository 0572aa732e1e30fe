//! Conversions of the gateway's errors into failures of a command: one place says which of them may
//! be over later by themselves, so that a code means the same whatever the command.

use connector_kit::SourceError;
use outbox::OutboxError;
use program::Failure;

use crate::daemon::DaemonError;
use crate::gateway::StartError;
use crate::pull::FeedFailure;
use crate::requests::RequestError;

/// Makes the failure of a command for which a source has failed.
pub(super) fn of_source(error: &SourceError, message: String) -> Failure {
    Failure::by(matches!(error, SourceError::Retry { .. }), message)
}

/// True for a feed's failure that may be over later by itself.
pub(super) fn may_pass(failure: &FeedFailure) -> bool {
    failure.retry_after().is_some()
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match &error {
            // At a start, a file that cannot be opened is a matter of its owner and mode.
            StartError::Outbox(OutboxError::Io { .. }) => Self::change(error),
            // The other process will end some time.
            StartError::Outbox(OutboxError::Locked { .. }) => Self::later(error),
            StartError::Outbox(outbox) => Self::by(outbox.is_retryable(), error),
            StartError::Queue(queue) => Self::by(queue.is_retry(), error),
            _ => Self::change(error),
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::UnknownSource(..) => Self::usage(error),
            RequestError::Outbox(error) => StartError::from(error).into(),
            RequestError::Source { ref failure, .. } => Self::by(may_pass(failure), error),
            RequestError::Stopped => Self::later(error),
            RequestError::Name(_) | RequestError::ReceiptsOff => Self::change(error),
        }
    }
}

impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Self {
        match error {
            DaemonError::Schedule(_)
            | DaemonError::Listen(_)
            | DaemonError::Receipts(_)
            | DaemonError::OtherGateway(_) => Self::change(error),
            DaemonError::EndedByItself => Self::later(error),
        }
    }
}
