//! What the registry answers to a batch, and its bytes inside the encryption.
//!
//! Stored: 1 | accepted (4) | refused count (4) | superseded count (4) | refused | superseded. A
//! refused event: index (4) | reason (1) | record known (1) | record (32, zeros where unknown) |
//! version (8, zeros where unknown). A superseded one: record (32) | held version (8). Probed: 2 |
//! equal (4) | count (4) | differences, each: kind (1) | record (32) | held version (8, zeros where
//! none). Before it its length (4), after it zeros up to a padded size.

use zeroize::Zeroizing;

use super::{LENGTH_BYTES, PADDED_ANSWER_BYTES};
use crate::bytes::{self, Reader};
use crate::wire::{MAX_EVENTS, MAX_PROBED};
use crate::{RecordDigest, RefusalReason, Version};

const STORED: u8 = 1;
const PROBED: u8 = 2;
const NO_RECORD: RecordDigest = RecordDigest([0; 32]);

/// What came of a batch that the registry could read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To a batch of events.
    Stored(StoredAnswer),
    /// To a probe.
    Probed(ProbeAnswer),
}

/// What came of the events of a batch; `accepted` and the refused ones are all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredAnswer {
    /// Events that were applied, held already, or superseded.
    pub accepted: u32,
    /// Events that were refused, at most [`MAX_EVENTS`] together with the accepted ones.
    pub refused: Vec<RefusedEvent>,
    /// Those of the accepted ones that changed nothing, since the registry holds a higher version.
    pub superseded: Vec<Superseded>,
}

/// An event the registry refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedEvent {
    /// Its place in the batch, from 0, below [`MAX_EVENTS`].
    pub index: u32,
    /// Its record, where that could be read.
    pub record: Option<RecordDigest>,
    /// Its version, where that could be read.
    pub version: Option<Version>,
    /// Why.
    pub reason: RefusalReason,
}

/// A record of which the registry holds a higher version than the batch brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superseded {
    /// Which record.
    pub record: RecordDigest,
    /// The version the registry holds.
    pub held: Version,
}

/// What the registry holds of the records of a probe; `equal` and the differences are all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProbeAnswer {
    /// Records held as probed.
    pub equal: u32,
    /// Those that are not, at most [`MAX_PROBED`] together with the equal ones.
    pub differences: Vec<Difference>,
}

/// A record the registry holds otherwise than the gateway believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Which record.
    pub record: RecordDigest,
    /// In what way.
    pub what: DifferenceKind,
    /// The version the registry holds; none exactly where the record is missing.
    pub held: Option<Version>,
}

/// How a record differs.
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

/// Why the registry could not read a batch at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnreadableReason {
    /// Not a sealed batch of a known format.
    NotABatch,
    /// Sealed to a key the registry does not hold.
    OtherKey,
    /// Changed on the way.
    NotAuthentic,
    /// Opened, but the content is not within the contract's limits.
    Content,
    /// The store refused it for good.
    StoreRefuses,
}

impl DifferenceKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Missing, Self::Stale, Self::Newer, Self::Conflicting];

    /// The name used in reports and metrics.
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
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::NotABatch,
        Self::OtherKey,
        Self::NotAuthentic,
        Self::Content,
        Self::StoreRefuses,
    ];

    /// The reason as the registry's dead letters carry it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotABatch => "not-a-sealed-batch",
            Self::OtherKey => "sealed-to-another-key",
            Self::NotAuthentic => "not-authentic",
            Self::Content => "content-outside-limits",
            Self::StoreRefuses => "store-refuses",
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::NotABatch => 1,
            Self::OtherKey => 2,
            Self::NotAuthentic => 3,
            Self::Content => 4,
            Self::StoreRefuses => 5,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

impl Answer {
    /// Whether it keeps the limits and agrees with itself; the same question is asked of both
    /// sides.
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
                within(*accepted, refused.len(), MAX_EVENTS)
                    && u32::try_from(superseded.len())
                        .is_ok_and(|superseded| superseded <= *accepted)
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
        let mut reader = Reader::new(bytes);
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

fn refused_event(reader: &mut Reader<'_>) -> Option<RefusedEvent> {
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

fn difference(reader: &mut Reader<'_>) -> Option<Difference> {
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

/// The answer's length, the answer, and zeros up to a padded size.
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

/// Undoes [`padded`], strictly.
pub(super) fn unpadded(plaintext: &[u8]) -> Option<Answer> {
    let mut reader = Reader::new(plaintext);
    let length = reader.length(plaintext.len())?;
    let answer = Answer::parse(reader.take(length)?)?;
    let padding = plaintext.get(LENGTH_BYTES + length..)?;
    padding.iter().all(|byte| *byte == 0).then_some(answer)
}
