//! What can go wrong on the way to or from the queue, in words for the operator.

use fault::{Fault, Injected, Point};

/// Why a batch could not be handed over or taken. Quotes no secret and nothing out of a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// It may work later without anyone doing anything; the batch was not (or not surely)
    /// delivered.
    #[error("{what}")]
    Retry {
        /// What happened, one clause.
        what: String,
    },
    /// It will not work until somebody changes something. Callers keep trying all the same, slowly.
    #[error("{what}; {help}")]
    Misconfigured {
        /// What is wrong, one clause.
        what: String,
        /// What to change, one clause.
        help: String,
    },
}

impl BrokerError {
    pub(crate) fn retry(what: impl Into<String>) -> Self {
        Self::Retry { what: what.into() }
    }

    pub(crate) fn misconfigured(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Misconfigured {
            what: what.into(),
            help: help.into(),
        }
    }

    /// Whether waiting alone may help.
    #[must_use]
    pub fn is_retry(&self) -> bool {
        matches!(self, Self::Retry { .. })
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
