//! Errors on the way to or from the queue, in words for the operator.

use fault::{Fault, Injected, Point};

/// Failure to hand a batch over or to take one. Quotes no secret and nothing out of a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// Failure that may pass by itself; the batch was not (or not surely) delivered.
    #[error("{what}")]
    Retry {
        /// The fault, one clause.
        what: String,
        /// True if the connection was lost or not made, so that every message fails alike.
        is_of_the_connection: bool,
    },
    /// Failure that lasts until somebody changes something. Callers keep trying all the same,
    /// slowly.
    #[error("{what}; {help}")]
    Misconfigured {
        /// The fault, one clause.
        what: String,
        /// The remedy, one clause.
        help: String,
    },
    /// Message that is longer than the broker takes; it alone is kept back, the others are sent.
    #[error(
        "a message of {bytes} bytes is longer than the broker's max_message_size, {limit_bytes} \
         bytes; it is kept here, and the others are sent; {TOO_LONG_HELP}"
    )]
    TooLong {
        /// Length of the message in bytes.
        bytes: u64,
        /// Limit of the broker in bytes.
        limit_bytes: u64,
    },
}

/// Remedy for a message that is too long.
const TOO_LONG_HELP: &str = "write max_message_size = 4194304 in rabbitmq.conf and restart the \
                             broker; a lower batch_events of [outbox] makes shorter batches of \
                             what is still to be read";

impl BrokerError {
    pub(crate) fn retry(what: impl Into<String>) -> Self {
        Self::Retry {
            what: what.into(),
            is_of_the_connection: false,
        }
    }

    /// The same failure as one of the connection, where it may pass. A directory has none.
    #[cfg(feature = "amqp")]
    pub(crate) fn into_connection_failure(self) -> Self {
        match self {
            Self::Retry { what, .. } => Self::Retry {
                what,
                is_of_the_connection: true,
            },
            other => other,
        }
    }

    pub(crate) fn misconfigured(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Misconfigured {
            what: what.into(),
            help: help.into(),
        }
    }

    /// Returns whether the message itself is the cause, so that others may well arrive.
    #[must_use]
    pub fn is_of_the_message(&self) -> bool {
        matches!(self, Self::TooLong { .. })
    }

    /// Returns whether waiting alone may help.
    #[must_use]
    pub fn is_retry(&self) -> bool {
        matches!(self, Self::Retry { .. })
    }

    /// Returns whether the connection was lost or not made, which may pass, and which says nothing
    /// of the message.
    #[must_use]
    pub fn is_of_the_connection(&self) -> bool {
        matches!(
            self,
            Self::Retry {
                is_of_the_connection: true,
                ..
            }
        )
    }
}

impl Injected for BrokerError {
    fn injected(fault: Fault, point: Point) -> Self {
        let what = fault::injected_text(point);
        match fault {
            Fault::Retry => Self::retry(what),
            Fault::Permanent => Self::misconfigured(what, fault::INJECTED_HELP),
        }
    }
}
