//! Why the registry refuses one event of a batch it could open.

/// Reason codes; a closed list, stored by the registry and later sent back in receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalReason {
    /// The CloudEvent or its FHIR resource does not follow the contract.
    Malformed,
    /// A code outside the contract's lists.
    UnknownCode,
    /// No pseudonym, too many, or one of an unknown scheme or suite.
    BadSubject,
    /// A date that does not exist or lies in the future.
    BadDate,
    /// The record was announced before as another kind of fact.
    KindChanged,
}

impl RefusalReason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::Malformed, Self::UnknownCode, Self::BadSubject, Self::BadDate, Self::KindChanged];

    /// The code as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownCode => "unknown-code",
            Self::BadSubject => "bad-subject",
            Self::BadDate => "bad-date",
            Self::KindChanged => "kind-changed",
        }
    }
}
