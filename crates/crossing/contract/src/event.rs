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

/// Keyed digest of an event's body (without the version), 16 bytes: it differs when a record has
/// changed.
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

/// Version of a record, which rises with every change: the generation of the gateway's state, then
/// a count. Never a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Number that rises when the gateway's state was lost or copied back; from 1.
    pub generation: u32,
    /// Number that rises with every change sent in this generation; from 1.
    pub count: u32,
}

impl Version {
    /// Number that sorts as the pair does, at most 2^63 - 1 so that it fits an SQL `BIGINT`.
    #[must_use]
    pub fn to_u64(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.count)
    }

    /// Undoes [`Version::to_u64`].
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves are cut out on purpose"
    )]
    pub const fn from_u64(number: u64) -> Self {
        Self {
            generation: (number >> 32) as u32,
            count: number as u32,
        }
    }

    /// Reads a number that came from outside: both halves count from 1, and it fits a `BIGINT`.
    pub(crate) fn from_wire(number: u64) -> Option<Self> {
        let version = i64::try_from(number)
            .is_ok()
            .then(|| Self::from_u64(number))?;
        (version.generation >= 1 && version.count >= 1).then_some(version)
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Digest of the body; none from older gateways.
    pub content: Option<ContentDigest>,
    /// Statement about the record.
    pub body: Body,
}

/// An event that has no version yet: made by `pseudonym`, and taken by the outbox or found
/// unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Digest that names the record.
    pub record: RecordDigest,
    /// Digest of the body.
    pub content: ContentDigest,
    /// Statement about the record.
    pub body: Body,
    /// True for a withdrawal that matters only if the record had been sent before (a plan, a
    /// refusal).
    pub only_if_sent: bool,
}
