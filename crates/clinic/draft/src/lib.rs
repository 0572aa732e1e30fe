//! What becomes of a clinic's record before it is an event: drafts, made by `pseudonym` and taken
//! by the outbox, and persons whose pseudonyms key services have yet to evaluate.

mod evaluator;
mod local;

use contract::{Body, ContentDigest, Fact, FactKind, RecordDigest};

pub use evaluator::{EvaluationError, Evaluator};
pub use local::{LocalName, LocalSubject};

/// Statement of a draft about its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DraftBody {
    /// Statement that can be sent as it is.
    Ready(Body),
    /// The fact holds, for a person whose pseudonyms key services have yet to evaluate.
    Unevaluated {
        /// The person, by names that never leave the clinic.
        person: LocalSubject,
        /// The fact.
        fact: Fact,
    },
}

impl DraftBody {
    /// Kind of the fact it is about.
    #[must_use]
    pub const fn kind(&self) -> FactKind {
        match self {
            Self::Ready(body) => body.kind(),
            Self::Unevaluated { fact, .. } => fact.kind(),
        }
    }

    /// Statement that can be sent as it is; `None` where the person is yet to be evaluated.
    #[must_use]
    pub fn ready(self) -> Option<Body> {
        match self {
            Self::Ready(body) => Some(body),
            Self::Unevaluated { .. } => None,
        }
    }

    /// Returns whether it takes the record back.
    #[must_use]
    pub const fn withdraws(&self) -> bool {
        matches!(self, Self::Ready(Body::Withdrawn { .. }))
    }
}

impl From<Body> for DraftBody {
    fn from(body: Body) -> Self {
        Self::Ready(body)
    }
}

/// An event that has no version yet: made by `pseudonym`, and taken by the outbox or found
/// unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Digest that names the record.
    pub record: RecordDigest,
    /// Digest of the record and the body.
    pub content: ContentDigest,
    /// Statement about the record.
    pub body: DraftBody,
    /// True for a withdrawal that matters only if the record had been sent before (a plan, a
    /// refusal).
    pub only_if_sent: bool,
}
