//! Reasons why an operator's request could not be done.

use outbox::OutboxError;
use serde::{Deserialize, Serialize};

use crate::pull::FeedFailure;

/// Reason why a request could not be done.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No source has the name.
    #[error("no source is named {0}; the configuration has: {1}")]
    UnknownSource(String, String),
    /// A source could not be read.
    #[error("source {source_name}, {}: {}", .failure.feed, .failure.error)]
    Source {
        /// Name of the source.
        source_name: String,
        /// The reason.
        failure: FeedFailure,
    },
    /// The gateway's own state failed.
    #[error("outbox: {0}")]
    Outbox(#[from] OutboxError),
    /// The program was asked to stop.
    #[error("the program was stopped before the end; what was done stays done")]
    Stopped,
    /// The pseudonymiser of a removed source cannot be made.
    #[error("the source's name cannot be used: {0}")]
    Name(#[from] pseudonym::NewError),
    /// Receipts are off, so that the registry cannot answer.
    #[error(
        "the registry can only answer with receipts: set receipts = \"required\" and receipt_keys \
         in [registry]"
    )]
    ReceiptsOff,
}

/// What helps against a failure; the exit code of a command says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// To wait: it may be over later by itself.
    Wait,
    /// To give other arguments.
    OtherArguments,
    /// To change something: the configuration, a key, an account.
    Change,
}

impl Remedy {
    /// Remedy of a failure of which it is known whether it may be over later by itself.
    #[must_use]
    pub const fn of(may_pass: bool) -> Self {
        if may_pass { Self::Wait } else { Self::Change }
    }

    /// Remedy of a failure of the gateway's own state.
    #[must_use]
    pub fn of_outbox(error: &OutboxError) -> Self {
        match error {
            // A file that cannot be opened is a matter of its owner and mode.
            OutboxError::Io { .. } => Self::Change,
            // The other process will end some time.
            OutboxError::Locked { .. } => Self::Wait,
            _ => Self::of(error.is_retryable()),
        }
    }
}

impl RequestError {
    /// What helps against the failure.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::UnknownSource(..) => Remedy::OtherArguments,
            Self::Outbox(error) => Remedy::of_outbox(error),
            Self::Source { failure, .. } => Remedy::of(failure.retry_after().is_some()),
            Self::Stopped => Remedy::Wait,
            Self::Name(_) | Self::ReceiptsOff => Remedy::Change,
        }
    }
}

/// Failure of a request, as it is handed to another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What helps against it.
    pub remedy: Remedy,
    /// What is said of it.
    pub message: String,
}

impl From<&RequestError> for Refused {
    fn from(error: &RequestError) -> Self {
        Self {
            remedy: error.remedy(),
            message: error.to_string(),
        }
    }
}

impl Refused {
    /// Writes the failure as the text of an answer.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| self.message.clone())
    }

    /// Reads the text of an answer. An older gateway says its words alone, and so does the outbox
    /// of a request that it does not know.
    #[must_use]
    pub fn of_text(text: String) -> Self {
        serde_json::from_str(&text).unwrap_or(Self {
            remedy: Remedy::Wait,
            message: text,
        })
    }
}

#[cfg(test)]
mod tests {
    use connector_kit::{Feed, SourceError};

    use super::*;
    use crate::pull::PullError;

    fn of_source(error: SourceError) -> RequestError {
        RequestError::Source {
            source_name: "mis".to_owned(),
            failure: FeedFailure {
                feed: Feed::Tests,
                error: PullError::Source(error),
            },
        }
    }

    #[test]
    fn a_failure_that_is_handed_over_says_what_helps_against_it() {
        for (error, remedy) in [
            (
                of_source(SourceError::misconfigured("no column `a`", "add it")),
                Remedy::Change,
            ),
            (
                of_source(SourceError::retry("the server is away")),
                Remedy::Wait,
            ),
            (RequestError::ReceiptsOff, Remedy::Change),
            (RequestError::Stopped, Remedy::Wait),
            (
                RequestError::UnknownSource("a".to_owned(), "mis".to_owned()),
                Remedy::OtherArguments,
            ),
            (
                RequestError::Outbox(OutboxError::Io {
                    what: "open",
                    kind: "denied".to_owned(),
                }),
                Remedy::Change,
            ),
        ] {
            let refused = Refused::from(&error);
            assert_eq!(refused.remedy, remedy, "{error}");
            assert_eq!(refused.message, error.to_string());
            assert_eq!(Refused::of_text(refused.to_text()), refused);
        }
        let older = Refused::of_text("the running gateway does not know this".to_owned());
        assert_eq!(older.remedy, Remedy::Wait);
        assert_eq!(older.message, "the running gateway does not know this");
    }
}
