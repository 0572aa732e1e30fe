//! Values that nobody has mapped, as callers see them.

use std::fmt;

use chrono::{DateTime, Utc};
use record_secrets::{ValueDigest, ValuePerson, ValueSecrets};
use serde::Serialize;

/// Value that a row is refused for.
#[derive(Clone, PartialEq, Eq)]
pub struct RefusedValue {
    /// Table of the configuration that could map it, as a code of a closed list.
    pub table: &'static str,
    /// Keyed digest of the value, the same for each of its spellings.
    pub digest: ValueDigest,
    /// The value itself, to rest sealed once several persons have it; `None` for one that is never
    /// shown.
    pub text: Option<String>,
    /// Keyed digests of the identifiers of the row's person.
    pub persons: Vec<ValuePerson>,
}

impl fmt::Debug for RefusedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefusedValue({}, {:?})", self.table, self.digest)
    }
}

/// A value that rows are refused for, as it rests in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownValueRow {
    /// Number of the value, to which dead letters refer.
    pub id: i64,
    /// Name of the source.
    pub source: String,
    /// Name of the feed.
    pub feed: String,
    /// Table of the configuration that could map it.
    pub table: String,
    /// Keyed digest of the value.
    pub digest: ValueDigest,
    /// Number of different persons that it was seen with, at most [`crate::PERSONS_TO_SHOW`].
    pub persons: u8,
    /// Number of rows that are refused for it, listed or not; discarded letters do not count.
    pub refused: u64,
    /// Time at which a row was first refused for it.
    pub first_seen_at: Option<DateTime<Utc>>,
    /// Time at which a row was last refused for it.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// The value under its seal, once several persons have it.
    pub(crate) sealed: Option<Vec<u8>>,
}

impl UnknownValueRow {
    /// Returns whether the value can be read with the clinic's keys.
    #[must_use]
    pub const fn is_readable(&self) -> bool {
        self.sealed.is_some()
    }

    /// The value as [`RefusedValue::text`] brought it; `None` where it is not to be shown, or was
    /// sealed under another key.
    #[must_use]
    pub fn open(&self, secrets: &ValueSecrets) -> Option<String> {
        secrets.open(&self.digest, self.sealed.as_ref()?)
    }
}

/// Number of values of one feed and table that nobody has mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownValueCount {
    /// Name of the source.
    pub source: String,
    /// Name of the feed.
    pub feed: String,
    /// Table of the configuration that could map them.
    pub table: String,
    /// Number of distinct values.
    pub values: u64,
    /// Number of those among them that are too long, or too rare, to be shown.
    pub not_shown: u64,
    /// Number of rows that are refused for them.
    pub refused: u64,
}
