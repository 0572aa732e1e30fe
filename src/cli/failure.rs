//! Conversions of the gateway's errors into failures of a command: one place says which of them may
//! be over later by themselves, so that a code means the same whatever the command.

use connector_kit::SourceError;
use program::Failure;

use crate::daemon::DaemonError;
use crate::gateway::StartError;
use crate::pull::FeedFailure;
use crate::requests::{Refused, Remedy, RequestError};

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
            StartError::Outbox(outbox) => failure(Remedy::of_outbox(outbox), error.to_string()),
            StartError::Queue(queue) => Self::by(queue.is_retry(), error),
            _ => Self::change(error),
        }
    }
}

/// Failure of a command, by what helps against it.
fn failure(remedy: Remedy, message: String) -> Failure {
    match remedy {
        Remedy::Wait => Failure::Later(message),
        Remedy::OtherArguments => Failure::Usage(message),
        Remedy::Change => Failure::Change(message),
    }
}

// A request ends with the same code whoever has done it.
impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Refused::from(&error).into()
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        failure(refused.remedy, refused.message)
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
