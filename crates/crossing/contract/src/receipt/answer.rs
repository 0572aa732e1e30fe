//! The registry's answer to a batch, and its bytes inside the encryption.
//!
//! Stored: 3 | accepted (4) | refused count (4) | superseded count (4) | refused | superseded. A
//! refused event: index (4) | reason (1) | record known (1) | record (32, zeros where unknown) |
//! version (8, zeros where unknown). A superseded one: record (32) | held version (8). Probed: 2 |
//! equal (4) | count (4) | differences, each: kind (1) | record (32) | held version (8, zeros where
//! none). Before it its length (4), after it zeros up to a padded size.

use zeroize::Zeroizing;

use crate::bytes::{self, ByteReader};
use crate::wire::{MAX_EVENTS, MAX_PROBED};
use crate::{RecordDigest, RefusalReason, Version};

/// Plaintext sizes that an answer is padded to before it is encrypted, smallest first.
pub const PADDED_ANSWER_BYTES: [usize; 4] = [1 << 10, 16 << 10, 64 << 10, 192 << 10];

/// Size of the answer's length in front of it.
pub(super) const LENGTH_BYTES: usize = 4;
/// Kind of an answer to events; 1 was that of the contract's first version, which counted
/// otherwise.
const STORED: u8 = 3;
const PROBED: u8 = 2;
const NO_RECORD: RecordDigest = RecordDigest([0; 32]);

/// Result of a batch that the registry could read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Answer to a batch of events.
    Stored(StoredAnswer),
    /// Answer to a probe.
    Probed(ProbeAnswer),
}

/// Result of the events of a batch; `accepted`, the refused and the superseded ones are all of
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredAnswer {
    /// Number of events that were applied or held already.
    pub accepted: u32,
    /// Refused events.
    pub refused: Vec<RefusedEvent>,
    /// Records of the events that changed nothing, since the registry holds a higher version: one
    /// entry for each event. Their sender knows whether it gave that version out.
    pub superseded: Vec<Superseded>,
}

/// An event the registry refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedEvent {
    /// Place of the event in the batch, from 0, below [`MAX_EVENTS`].
    pub index: u32,
    /// Record of the event, where that could be read.
    pub record: Option<RecordDigest>,
    /// Version of the event, where that could be read.
    pub version: Option<Version>,
    /// Reason for the refusal.
    pub reason: RefusalReason,
}

/// A record of which the registry holds a higher version than the batch brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superseded {
    /// Digest that names the record.
    pub record: RecordDigest,
    /// Version that the registry holds.
    pub held: Version,
}

/// Result of a probe; `equal` and the differences are all of its records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProbeAnswer {
    /// Number of records that the registry holds as probed.
    pub equal: u32,
    /// Records held otherwise, at most [`MAX_PROBED`] together with the equal ones.
    pub differences: Vec<Difference>,
}

/// A record the registry holds otherwise than the gateway believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Digest that names the record.
    pub record: RecordDigest,
    /// Kind of difference.
    pub what: DifferenceKind,
    /// Version that the registry holds; none exactly where the record is missing.
    pub held: Option<Version>,
}

/// Kinds of difference between the registry's record and the gateway's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// The registry does not hold it.
    Missing,
    /// The registry's version is lower.
    Stale,
    /// The registry's version is higher.
    Newer,
    /// The same version, but with other content or another status.
    Conflicting,
}

/// Reasons of the registry for not reading a batch at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnreadableReason {
    /// No sealed batch of a known format.
    NotABatch,
    /// Sealed to a key the registry does not hold.
    OtherKey,
    /// Changed on the way.
    NotAuthentic,
    /// Opened, but the content is not within the contract's limits.
    Content,
    /// The store refused it for good.
    StoreRefuses,
    /// Storing it failed or took too long, again and again.
    GivenUp,
}

impl DifferenceKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Missing, Self::Stale, Self::Newer, Self::Conflicting];

    /// Name used in reports and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Stale => "stale",
            Self::Newer => "newer",
            Self::Conflicting => "conflicting",
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Missing => 1,
            Self::Stale => 2,
            Self::Newer => 3,
            Self::Conflicting => 4,
        }
    }
}

impl UnreadableReason {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::NotABatch,
        Self::OtherKey,
        Self::NotAuthentic,
        Self::Content,
        Self::StoreRefuses,
        Self::GivenUp,
    ];

    /// Reason as the registry's dead letters carry it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotABatch => "not-a-sealed-batch",
            Self::OtherKey => "sealed-to-another-key",
            Self::NotAuthentic => "not-authentic",
            Self::Content => "content-outside-limits",
            Self::StoreRefuses => "store-refuses",
            Self::GivenUp => "given-up",
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::NotABatch => 1,
            Self::OtherKey => 2,
            Self::NotAuthentic => 3,
            Self::Content => 4,
            Self::StoreRefuses => 5,
            Self::GivenUp => 6,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

impl Answer {
    /// Returns whether the answer keeps the limits and agrees with itself; checked where it is made
    /// and where it is read.
    fn is_consistent(&self) -> bool {
        let within = |count: u32, more: usize, max: usize| {
            usize::try_from(count).is_ok_and(|count| count.saturating_add(more) <= max)
        };
        match self {
            Self::Stored(StoredAnswer {
                accepted,
                refused,
                superseded,
            }) => {
                within(*accepted, refused.len() + superseded.len(), MAX_EVENTS)
                    && refused
                        .iter()
                        .all(|event| within(event.index, 1, MAX_EVENTS))
            }
            Self::Probed(ProbeAnswer { equal, differences }) => {
                within(*equal, differences.len(), MAX_PROBED)
                    && differences.iter().all(|difference| {
                        (difference.what == DifferenceKind::Missing) == difference.held.is_none()
                    })
            }
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Stored(StoredAnswer {
                accepted,
                refused,
                superseded,
            }) => {
                out.push(STORED);
                out.extend_from_slice(&accepted.to_be_bytes());
                out.extend_from_slice(&bytes::count(refused.len()));
                out.extend_from_slice(&bytes::count(superseded.len()));
                for RefusedEvent {
                    index,
                    record,
                    version,
                    reason,
                } in refused
                {
                    out.extend_from_slice(&index.to_be_bytes());
                    out.extend_from_slice(&[reason.code(), u8::from(record.is_some())]);
                    out.extend_from_slice(&record.unwrap_or(NO_RECORD).0);
                    out.extend_from_slice(&bytes::optional_version(*version));
                }
                for Superseded { record, held } in superseded {
                    out.extend_from_slice(&record.0);
                    out.extend_from_slice(&bytes::optional_version(Some(*held)));
                }
            }
            Self::Probed(ProbeAnswer { equal, differences }) => {
                out.push(PROBED);
                out.extend_from_slice(&equal.to_be_bytes());
                out.extend_from_slice(&bytes::count(differences.len()));
                for Difference { record, what, held } in differences {
                    out.push(what.code());
                    out.extend_from_slice(&record.0);
                    out.extend_from_slice(&bytes::optional_version(*held));
                }
            }
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = ByteReader::new(bytes);
        let answer = match reader.u8()? {
            STORED => {
                let accepted = reader.u32()?;
                let refused = reader.length(MAX_EVENTS)?;
                let superseded = reader.length(MAX_EVENTS)?;
                let refused = reader.list(refused, refused_event)?;
                let superseded = reader.list(superseded, |reader| {
                    Some(Superseded {
                        record: reader.record()?,
                        held: reader.version()?,
                    })
                })?;
                Self::Stored(StoredAnswer {
                    accepted,
                    refused,
                    superseded,
                })
            }
            PROBED => {
                let equal = reader.u32()?;
                let differences = reader.length(MAX_PROBED)?;
                let differences = reader.list(differences, difference)?;
                Self::Probed(ProbeAnswer { equal, differences })
            }
            _ => return None,
        };
        reader.done(answer).filter(Self::is_consistent)
    }
}

fn refused_event(reader: &mut ByteReader<'_>) -> Option<RefusedEvent> {
    let index = reader.u32()?;
    let reason = RefusalReason::from_code(reader.u8()?)?;
    let known = reader.flag()?;
    let record = reader.record()?;
    let version = reader.optional_version()?;
    let record = match known {
        true => Some(record),
        false if record == NO_RECORD => None,
        false => return None,
    };
    Some(RefusedEvent {
        index,
        record,
        version,
        reason,
    })
}

fn difference(reader: &mut ByteReader<'_>) -> Option<Difference> {
    let code = reader.u8()?;
    let what = DifferenceKind::ALL
        .into_iter()
        .find(|what| what.code() == code)?;
    Some(Difference {
        record: reader.record()?,
        what,
        held: reader.optional_version()?,
    })
}

/// Writes the answer's length, the answer, and zeros up to a padded size.
pub(super) fn padded(answer: &Answer) -> Zeroizing<Vec<u8>> {
    assert!(
        answer.is_consistent(),
        "the answer contradicts itself or names more than a batch may hold"
    );
    let mut out = Zeroizing::new(vec![0; LENGTH_BYTES]);
    answer.write(&mut out);
    let length = out.len() - LENGTH_BYTES;
    out[..LENGTH_BYTES].copy_from_slice(&bytes::count(length));
    let size = PADDED_ANSWER_BYTES
        .into_iter()
        .find(|size| out.len() <= *size);
    out.resize(size.expect("the largest size holds the largest answer"), 0);
    out
}

/// Reads the result of [`padded`], strictly.
pub(super) fn unpadded(plaintext: &[u8]) -> Option<Answer> {
    let mut reader = ByteReader::new(plaintext);
    let length = reader.length(plaintext.len())?;
    let answer = Answer::parse(reader.take(length)?)?;
    let padding = plaintext.get(LENGTH_BYTES + length..)?;
    padding.iter().all(|byte| *byte == 0).then_some(answer)
}
