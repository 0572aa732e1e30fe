//! The outgoing event: one version of one record, about a person known only by pseudonyms.

use std::fmt;

use crate::{PartialDate, Subject, TestCode, TestResult, Vaccine};

/// Keyed digest of a source record's identity: the same for every version of it, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordDigest(pub [u8; 32]);

impl RecordDigest {
    /// Length of the hex form.
    pub(crate) const HEX_CHARS: usize = 64;

    /// Writes the digest in lower-case hex, 64 characters.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Reads 64 hex characters.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Debug for RecordDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordDigest({}…)", hex::encode(&self.0[..4]))
    }
}

/// Keyed digest of a record and its event's body (without the version), 16 bytes: it differs when
/// the record has changed, and from record to record.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentDigest(pub [u8; 16]);

impl ContentDigest {
    /// Writes the digest in lower-case hex, 32 characters.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentDigest({}…)", hex::encode(&self.0[..4]))
    }
}

/// Length of an owner token, in bytes.
pub const OWNER_TOKEN_BYTES: usize = 16;

/// Token that proves who made a record: a secret of the record and of its clinic, the same in every
/// version. Only the registry reads it, inside the seal, and keeps a keyed hash of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OwnerToken(pub [u8; OWNER_TOKEN_BYTES]);

impl fmt::Debug for OwnerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerToken(…)")
    }
}

/// Version of a record: a number from 1 to 2^63 - 1 that rises with every change. Where a clinic
/// begins and by how much it goes up tells nothing about the clinic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// Largest version: it fits an SQL `BIGINT`.
    pub const MAX: Self = Self(i64::MAX.unsigned_abs());

    /// Makes a version of a number; `None` where it is 0 or above [`Version::MAX`].
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number >= 1 && number <= Self::MAX.0 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Number of the version, 1 to 2^63 - 1.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// Number of the version as an SQL `BIGINT`.
    #[must_use]
    pub const fn to_i64(self) -> i64 {
        self.0.cast_signed()
    }
}

/// Kinds of fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FactKind {
    /// A dose of a vaccine.
    Vaccination,
    /// A laboratory test for the virus.
    Test,
    /// An illness that ended.
    Recovery,
}

impl FactKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Vaccination, Self::Test, Self::Recovery];

    /// Name used on the wire, in the registry and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vaccination => "vaccination",
            Self::Test => "test",
            Self::Recovery => "recovery",
        }
    }
}

/// A medical fact about a person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fact {
    /// A dose of a vaccine.
    Vaccination {
        /// The vaccine.
        vaccine: Vaccine,
        /// Number of the dose in the course, 1 to 9.
        dose_number: Option<u8>,
        /// Number of doses in the course, 1 to 9.
        series_doses: Option<u8>,
        /// Date of the dose.
        occurred_on: PartialDate,
    },
    /// A laboratory test for the virus.
    Test {
        /// The test.
        test: TestCode,
        /// Result of the test.
        result: TestResult,
        /// Date on which the sample was taken.
        occurred_on: PartialDate,
    },
    /// An illness (ICD-10 U07.1) that ended.
    Recovery {
        /// Date on which the illness began.
        began_on: Option<PartialDate>,
        /// Date on which the person was declared well.
        occurred_on: PartialDate,
    },
}

impl Fact {
    /// Kind of the fact.
    #[must_use]
    pub const fn kind(&self) -> FactKind {
        match self {
            Self::Vaccination { .. } => FactKind::Vaccination,
            Self::Test { .. } => FactKind::Test,
            Self::Recovery { .. } => FactKind::Recovery,
        }
    }
}

/// Statement of an event about its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The fact holds, for this person.
    Asserted {
        /// The person, by pseudonyms.
        subject: Subject,
        /// The fact.
        fact: Fact,
    },
    /// The record is taken back; nothing of it is repeated.
    Withdrawn {
        /// Kind of the fact that is taken back.
        kind: FactKind,
    },
}

impl Body {
    /// Kind of the fact it is about.
    #[must_use]
    pub const fn kind(&self) -> FactKind {
        match self {
            Self::Asserted { fact, .. } => fact.kind(),
            Self::Withdrawn { kind } => *kind,
        }
    }
}

/// A version of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Digest that names the record.
    pub record: RecordDigest,
    /// Version of the record.
    pub version: Version,
    /// Digest of the record and the body.
    pub content: ContentDigest,
    /// Token of the record's owner.
    pub owner: OwnerToken,
    /// Statement about the record.
    pub body: Body,
}
