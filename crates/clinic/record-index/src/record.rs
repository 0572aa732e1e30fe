//! Records as the index takes them and gives them back.

use az::SaturatingAs as _;
use contract::{ContentDigest, RecordDigest};
use record_secrets::Revision;

use crate::RecordMap;

/// Key of a record: the first 8 bytes of its digest. Two records may share one.
pub type Key = u64;

/// Returns the key of a record.
#[must_use]
pub const fn key_of(record: &RecordDigest) -> Key {
    let [a, b, c, d, e, f, g, h, ..] = record.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// State of a record, as its owner last wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordState {
    /// Row of the feed that the record was read from; `None` if it was not read since feeds are
    /// stored.
    pub feed_id: Option<i64>,
    /// Change stamp at the source.
    pub stamp: Option<i64>,
    /// Digest of the content, sent or not; `None` if there is none, or if it has to be sent again.
    pub content: Option<ContentDigest>,
    /// Last revision given out; of count 0 if there was none.
    pub revision: Revision,
    /// True if the last revision was a withdrawal.
    pub withdrawn: bool,
}

impl RecordState {
    /// Returns whether a revision of the record was ever given out.
    #[must_use]
    pub const fn was_sent(&self) -> bool {
        self.revision.count > 0
    }
}

/// A record that the index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownRecord {
    /// Number of the record, from 1 in the order in which records were appended.
    pub record_no: i64,
    /// State of the record.
    pub state: RecordState,
}

impl KnownRecord {
    /// Returns whether the last revision given out asserts a fact.
    #[must_use]
    pub const fn is_asserted(&self) -> bool {
        self.state.was_sent() && !self.state.withdrawn
    }
}

/// Result of [`crate::RecordIndex::look_up`].
#[derive(Debug, Default)]
pub struct LookedUp {
    /// Records that were asked for and are stored.
    pub known: RecordMap<KnownRecord>,
    /// Highest record number at the time of the look-up: records above it were not looked at.
    pub upto: i64,
}

/// Records that one transaction has appended, numbered without a gap.
#[derive(Debug)]
pub struct Appended {
    /// Last record number before the appended ones.
    pub(crate) after: i64,
    /// Keys in the order of their numbers.
    pub(crate) keys: Vec<Key>,
}

/// Key and number of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyEntry {
    /// Key of the record.
    pub(crate) key: Key,
    /// Number of the record.
    pub(crate) record_no: i64,
}

impl KeyEntry {
    /// Returns the place of the entry in a run. A tuple is compared faster than a struct.
    pub(crate) const fn order(&self) -> (Key, i64) {
        (self.key, self.record_no)
    }
}

impl Appended {
    /// Returns the last record number before the appended ones.
    #[must_use]
    pub const fn after(&self) -> i64 {
        self.after
    }

    /// Returns the number of the last appended record; [`Self::after`] if there is none.
    #[must_use]
    pub fn last(&self) -> i64 {
        self.after + self.keys.len().saturating_as::<i64>()
    }

    /// Returns the entries of the appended records.
    pub(crate) fn entries(&self) -> impl Iterator<Item = KeyEntry> {
        let numbered = self.keys.iter().zip(self.after + 1..);
        numbered.map(|(key, record_no)| KeyEntry {
            key: *key,
            record_no,
        })
    }
}
