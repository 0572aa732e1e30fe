//! Reasons of the registry for refusing one event of a batch it could open.

/// Reason codes; a closed list, stored by the registry and sent back in receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalReason {
    /// The CloudEvent or its FHIR resource does not follow the contract.
    Malformed,
    /// A code outside the contract's lists.
    UnknownCode,
    /// No pseudonym, too many in all or of one scheme, one of an unknown scheme or suite, or one of
    /// suite `voprf` whose value is no element.
    BadSubject,
    /// A date that does not exist or lies in the future.
    BadDate,
    /// The record was announced before as another kind of fact.
    KindChanged,
    /// The same version of the record was announced before with other content.
    VersionReused,
    /// The record was announced before with another owner token.
    NotTheOwner,
    /// A pseudonym of a key epoch that the city has not opened, or has closed.
    EpochNotOpen,
    /// An operator of the city has purged the record, with everything that its sender stated at
    /// that time.
    Purged,
    /// The batch has no one-use token, or one that is forged, spent for another batch, or of a key
    /// that the city takes no more.
    Token,
}

impl RefusalReason {
    /// All reasons.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::UnknownCode,
        Self::BadSubject,
        Self::BadDate,
        Self::KindChanged,
        Self::VersionReused,
        Self::NotTheOwner,
        Self::EpochNotOpen,
        Self::Purged,
        Self::Token,
    ];

    /// Code as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownCode => "unknown-code",
            Self::BadSubject => "bad-subject",
            Self::BadDate => "bad-date",
            Self::KindChanged => "kind-changed",
            Self::VersionReused => "version-reused",
            Self::NotTheOwner => "not-the-owner",
            Self::EpochNotOpen => "epoch-not-open",
            Self::Purged => "purged",
            Self::Token => "token",
        }
    }

    /// Number inside a receipt, from 1.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Malformed => 1,
            Self::UnknownCode => 2,
            Self::BadSubject => 3,
            Self::BadDate => 4,
            Self::KindChanged => 5,
            Self::VersionReused => 6,
            Self::NotTheOwner => 7,
            Self::EpochNotOpen => 8,
            Self::Purged => 9,
            Self::Token => 10,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}
