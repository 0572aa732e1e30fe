//! Dead letters as callers see them.

use chrono::{DateTime, Utc};
use contract::RecordDigest;
use serde::{Deserialize, Serialize};

use crate::corrections::OlderVersion;
use crate::limits::MAX_DEAD_LETTERS_PER_FEED;
use crate::records::SourceStamp;
use crate::values::RefusedValue;

/// Origin of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Row of the clinic that could not become an event.
    Clinic,
    /// Record whose latest word does not stand at the registry: it refused the event, it holds a
    /// higher version, or no version is left to send one in.
    Registry,
}

impl Origin {
    /// Word used in files, `--json` and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clinic => "clinic",
            Self::Registry => "registry",
        }
    }

    /// Origin of a column's word; the schema holds no third one.
    pub(crate) fn from_column(word: &str) -> Self {
        if word == "clinic" {
            Self::Clinic
        } else {
            Self::Registry
        }
    }
}

/// Reason of a row that the source could not hand over, but for its keys.
pub const RECORD_UNREADABLE: &str = "record-unreadable";

/// Reason of a row whose fact lies in the future: it can be sent once its day has come, without a
/// change of the row.
pub const DATE_FUTURE: &str = "date-future";

/// Reason of a row whose person the source does not let its account read.
pub const PERSON_HIDDEN: &str = "person-hidden";

/// A row of the clinic that could not become an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Record id of the clinic; stays in the dead letters. Cut at 512 characters.
    pub record_id: String,
    /// Reason, as a code of a closed list.
    pub reason: &'static str,
    /// Record that the row would have been.
    pub record: RecordDigest,
    /// Change stamp of the row.
    pub stamp: SourceStamp,
    /// Value that nobody has mapped, where the row is refused for one.
    pub value: Option<RefusedValue>,
}

impl Refused {
    /// Returns whether the row may be readable in a moment: a connector gives it no stamp then, so
    /// that it is read again.
    pub(crate) fn may_pass(&self) -> bool {
        self.reason == RECORD_UNREADABLE && self.stamp.is_none()
    }

    /// Returns whether the refusal says nothing about the fact, so that an older version stands.
    pub(crate) fn leaves_older_version(&self) -> bool {
        self.reason == PERSON_HIDDEN
    }
}

/// Filter that selects dead letters; a field that is left out does not narrow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterFilter {
    /// Only of this source.
    pub source: Option<String>,
    /// Only of this feed.
    pub feed: Option<String>,
    /// Only with this reason code.
    pub reason: Option<String>,
    /// Only of this origin.
    pub origin: Option<Origin>,
    /// Only those first seen before this time.
    pub older_than: Option<DateTime<Utc>>,
    /// Only those with these ids; empty: all.
    pub ids: Vec<i64>,
    /// Discarded ones instead of open ones.
    pub discarded: bool,
    /// Number of letters at most, the last seen first.
    pub limit: u32,
}

impl DeadLetterFilter {
    /// Returns whether refusals that are not listed may be meant: they have neither a number nor a
    /// time, and cannot be discarded.
    #[must_use]
    pub const fn may_mean_unlisted(&self) -> bool {
        self.ids.is_empty() && self.older_than.is_none() && !self.discarded
    }
}

impl Default for DeadLetterFilter {
    /// All open ones, as many as are ever kept for one feed.
    fn default() -> Self {
        Self {
            source: None,
            feed: None,
            reason: None,
            origin: None,
            older_than: None,
            ids: Vec::new(),
            discarded: false,
            limit: MAX_DEAD_LETTERS_PER_FEED,
        }
    }
}

/// A row of the clinic that could not become an event, or an event the registry refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Id, which stays the same as long as the letter exists.
    pub id: i64,
    /// Name of the source; empty for a record from before feeds were remembered.
    pub source: String,
    /// Name of the feed; empty as `source`.
    pub feed: String,
    /// Origin of the refusal.
    pub origin: Origin,
    /// Record id of the clinic: for the clinic's eyes only. `None` for the registry's letters until
    /// a sweep has named them.
    pub record_id: Option<String>,
    /// First 16 hex digits of the record's digest; empty for letters from before digests were kept.
    pub record: String,
    /// Reason, as a code; the registry's begin with `registry:`, but for
    /// [`crate::VERSIONS_EXHAUSTED`] and [`crate::WITHDRAWAL_OF_UNKNOWN_KIND`].
    pub reason: String,
    /// Number of the value that the row is refused for, as [`crate::UnknownValueRow::id`].
    #[serde(skip)]
    pub value_id: Option<i64>,
    /// State of the older version that was sent of the record; `None` where there is none, or none
    /// that the refusal judges: behind [`PERSON_HIDDEN`] one that was sent stands.
    pub older_version: Option<OlderVersion>,
    /// Time of the first refusal.
    pub first_seen_at: Option<DateTime<Utc>>,
    /// Time of the last refusal.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// Time at which an operator discarded it.
    pub discarded_at: Option<DateTime<Utc>>,
}
