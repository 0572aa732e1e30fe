//! Failures of a source: try again, or somebody must change something.

use std::time::Duration;

use fault::{Fault, Injected, Point};

/// Failure of a source. The words are the connector's own: never a server's free text, which may
/// quote a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The source is away or busy; the same request may succeed later.
    #[error("{what}")]
    Retry {
        /// Description of the failure.
        what: String,
        /// Time for which the source asked to be left alone, if it did.
        after: Option<Duration>,
    },
    /// The source answers, but something has to be changed by a person.
    #[error("{what}; {help}")]
    Misconfigured {
        /// Description of the fault.
        what: String,
        /// Advice on what to change.
        help: String,
    },
}

impl SourceError {
    /// A failure worth another try.
    pub fn retry(what: impl Into<String>) -> Self {
        Self::Retry {
            what: what.into(),
            after: None,
        }
    }

    /// A failure that a person has to mend.
    pub fn misconfigured(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Misconfigured {
            what: what.into(),
            help: help.into(),
        }
    }
}

impl Injected for SourceError {
    fn injected(fault: Fault, point: Point) -> Self {
        let what = fault::injected_text(point);
        match fault {
            Fault::Retry => Self::retry(what),
            Fault::Permanent => Self::misconfigured(what, fault::INJECTED_HELP),
        }
    }
}
