//! What becomes of a clinic's record before it is an event: drafts, made by `pseudonym` and taken
//! by the outbox, and persons whose pseudonyms key services have yet to evaluate.

mod class;
mod evaluator;
mod local;
mod persons;

use contract::{Body, ContentDigest, Fact, FactKind, RecordDigest, Subject};

pub use class::{ClassMember, CoarserFact, FactClass};
pub use evaluator::{EvaluationError, Evaluator};
pub use local::{LocalName, LocalSubject};
pub use persons::Persons;

/// Statement of a draft about its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DraftBody {
    /// Statement that can be sent as it is.
    Ready(Body),
    /// The fact holds, for a person whose pseudonyms key services have yet to evaluate.
    Unevaluated {
        /// The person, by names that never leave the clinic.
        person: LocalSubject,
        /// Pseudonyms that leave beside those that are evaluated, while a city moves from another
        /// suite.
        beside: Option<Subject>,
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

    /// The fact, where one holds.
    #[must_use]
    pub const fn fact(&self) -> Option<&Fact> {
        match self {
            Self::Ready(Body::Asserted { fact, .. }) | Self::Unevaluated { fact, .. } => Some(fact),
            Self::Ready(Body::Withdrawn { .. }) => None,
        }
    }

    /// The same statement with another fact; a withdrawal stays as it is.
    #[must_use]
    pub fn with_fact(self, fact: Fact) -> Self {
        match self {
            Self::Ready(Body::Asserted { subject, .. }) => {
                Self::Ready(Body::Asserted { subject, fact })
            }
            Self::Unevaluated { person, beside, .. } => Self::Unevaluated {
                person,
                beside,
                fact,
            },
            Self::Ready(Body::Withdrawn { .. }) => self,
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
    /// Class of the fact, where the release policy wants one of several persons; `None` for a
    /// withdrawal, and without such a policy.
    pub class: Option<FactClass>,
}
