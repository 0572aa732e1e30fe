//! Conversions of the gateway's errors into failures of a command.

use outbox::OutboxError;
use program::Failure;

use crate::daemon::DaemonError;
use crate::gateway::StartError;
use crate::requests::RequestError;

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match &error {
            // At a start, a file that cannot be opened is a matter of its owner and mode.
            StartError::Outbox(OutboxError::Io { .. }) => Self::change(error),
            // The other process will end some time.
            StartError::Outbox(OutboxError::Locked { .. }) => Self::later(error),
            StartError::Outbox(outbox) if outbox.is_retryable() => Self::later(error),
            StartError::Queue(queue) if queue.is_retry() => Self::later(error),
            _ => Self::change(error),
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::UnknownSource(..) => Self::usage(error),
            RequestError::Outbox(error) => StartError::from(error).into(),
            RequestError::Source { ref failure, .. } if failure.retry_after().is_some() => {
                Self::later(error)
            }
            RequestError::Stopped => Self::later(error),
            RequestError::Source { .. } | RequestError::Name(_) | RequestError::ReceiptsOff => {
                Self::change(error)
            }
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
