//! Reasons why an operator's request could not be done.

use outbox::OutboxError;

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
    #[error(transparent)]
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
