//! Evaluation of persons: the seam between what plans events and what asks key services.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use contract::Subject;

use crate::LocalSubject;

/// Reason for which pseudonyms could not be evaluated. Nothing was sent; the page is read again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// A key service did not answer, or not now.
    #[error("{0}")]
    Retry(String),
    /// This clinic's daily ceiling at a key service is reached.
    #[error("{what}")]
    Ceiling {
        /// Sentence that names the service and the ceiling.
        what: String,
        /// Time until the next day of the ceiling begins.
        after: Duration,
    },
    /// A person has to change something first.
    #[error("{what}: {help}")]
    Misconfigured {
        /// What is wrong.
        what: String,
        /// What to change.
        help: String,
    },
}

impl EvaluationError {
    /// Short code for `status`, logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Retry(_) => "key-service-away",
            Self::Ceiling { .. } => "key-service-ceiling",
            Self::Misconfigured { .. } => "key-service-misconfigured",
        }
    }

    /// Shortest time after which the same call may succeed; `None` where a person has to change
    /// something first.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Retry(_) => Some(Duration::ZERO),
            Self::Ceiling { after, .. } => Some(*after),
            Self::Misconfigured { .. } => None,
        }
    }
}

/// Makes the pseudonyms of persons whose identifiers it holds, by asking key services.
#[async_trait]
pub trait Evaluator: fmt::Debug + Send + Sync {
    /// Evaluates persons; the result has their order.
    ///
    /// # Errors
    /// [`EvaluationError`]; then nobody was evaluated.
    async fn evaluate(&self, persons: &[LocalSubject]) -> Result<Vec<Subject>, EvaluationError>;
}
