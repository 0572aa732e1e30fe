//! The outgoing event: one version of one record, about a person known only by pseudonyms.

use std::fmt;

use crate::{PartialDate, Subject, TestCode, TestResult, Vaccine};

/// Keyed digest of a source record's identity: the same for every version of it, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordDigest(pub [u8; 32]);

impl RecordDigest {
    /// Length of the hex form.
    pub(crate) const HEX_CHARS: usize = 64;

    /// Lower-case hex, 64 characters.
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

/// Keyed digest of what an event says (its body without the version), 16 bytes: tells changed from
/// unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentDigest(pub [u8; 16]);

impl ContentDigest {
    /// Lower-case hex, 32 characters.
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

/// Rises with every change of a record: the generation of the gateway's state, then a count. Never
/// a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Rises when the gateway's state was lost or copied back; from 1.
    pub generation: u32,
    /// Rises with every change sent in this generation; from 1.
    pub count: u32,
}

impl Version {
    /// One number that sorts as the pair does, at most 2^63 - 1 so that it fits an SQL `BIGINT`.
    #[must_use]
    pub fn to_u64(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.count)
    }

    /// The pair behind [`Version::to_u64`].
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

    /// The version behind a number that came from outside: both halves count from 1, and it fits a
    /// `BIGINT`.
    pub(crate) fn from_wire(number: u64) -> Option<Self> {
        let version = i64::try_from(number)
            .is_ok()
            .then(|| Self::from_u64(number))?;
        (version.generation >= 1 && version.count >= 1).then_some(version)
    }
}

/// The kinds of fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FactKind {
    /// One dose of a vaccine.
    Vaccination,
    /// A laboratory test for the virus.
    Test,
    /// An illness that ended.
    Recovery,
}

impl FactKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Vaccination, Self::Test, Self::Recovery];

    /// The name used on the wire, in the registry and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vaccination => "vaccination",
            Self::Test => "test",
            Self::Recovery => "recovery",
        }
    }
}

/// What happened to the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// One dose of a vaccine.
    Vaccination {
        /// Which vaccine.
        vaccine: Vaccine,
        /// Which dose of the course, 1 to 9.
        dose_number: Option<u8>,
        /// How many doses the course has, 1 to 9.
        series_doses: Option<u8>,
        /// When.
        occurred_on: PartialDate,
    },
    /// A laboratory test for the virus.
    Test {
        /// Which test.
        test: TestCode,
        /// Its result.
        result: TestResult,
        /// When the sample was taken.
        occurred_on: PartialDate,
    },
    /// An illness (ICD-10 U07.1) that ended.
    Recovery {
        /// When it began.
        began_on: Option<PartialDate>,
        /// When the person was declared well.
        occurred_on: PartialDate,
    },
}

impl Fact {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> FactKind {
        match self {
            Self::Vaccination { .. } => FactKind::Vaccination,
            Self::Test { .. } => FactKind::Test,
            Self::Recovery { .. } => FactKind::Recovery,
        }
    }
}

/// What an event says about its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The fact holds, for this person.
    Asserted {
        /// Who, by pseudonyms.
        subject: Subject,
        /// What.
        fact: Fact,
    },
    /// The record is taken back; nothing of it is repeated.
    Withdrawn {
        /// What kind of fact it was.
        kind: FactKind,
    },
}

impl Body {
    /// The kind of fact it is about.
    #[must_use]
    pub const fn kind(&self) -> FactKind {
        match self {
            Self::Asserted { fact, .. } => fact.kind(),
            Self::Withdrawn { kind } => *kind,
        }
    }
}

/// One version of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which record.
    pub record: RecordDigest,
    /// Which version of it.
    pub version: Version,
    /// What it says, in short; none from gateways that do not say so yet.
    pub content: Option<ContentDigest>,
    /// What it says.
    pub body: Body,
}

/// An event that has no version yet: what `pseudonym` makes and the outbox takes, or finds
/// unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Which record.
    pub record: RecordDigest,
    /// What it says, in short.
    pub content: ContentDigest,
    /// What it says.
    pub body: Body,
    /// True for a withdrawal that matters only if the record had been sent before (a plan, a
    /// refusal).
    pub only_if_sent: bool,
}
