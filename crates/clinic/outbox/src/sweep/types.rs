//! Sweeps as callers see them.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, Utc};
use contract::RecordDigest;

use crate::records::RecordName;

/// What a sweep reads. The second look, and the questions after it, are the same for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SweepKind {
    /// Ids and stamps; a row that differs is read again by its id.
    Keys,
    /// Whole rows, in the first look; the second look reads ids.
    Contents,
}

/// A running sweep of one feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// What it reads.
    pub kind: SweepKind,
    /// True if it has just begun; false if it goes on from where it was left.
    pub is_new: bool,
    /// Number of the pass: 1, or 2 for the second look.
    pub pass: u8,
    /// Cursor of the keys, or of the contents; `None` at the beginning of a pass.
    pub cursor: Option<String>,
    /// True if all keys or rows of this pass are read, so that [`crate::Outbox::finish_sweep_pass`] is due.
    pub all_read: bool,
    /// Keys or rows seen in this pass.
    pub seen: u64,
    /// Events that it has found so far.
    pub changed: u64,
    /// Records that it has withdrawn so far.
    pub withdrawn: u64,
    /// Time at which the sweep began.
    pub begun_at: Option<DateTime<Utc>>,
}

impl Sweep {
    /// Returns whether the present pass reads whole rows.
    #[must_use]
    pub fn reads_contents(&self) -> bool {
        self.kind == SweepKind::Contents && self.pass == 1
    }
}

/// Result of comparing a page of keys with the outbox. Numbers in lists are places in the page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepLookUp {
    /// Rows to read by id: unknown here, or changed since they were read.
    pub reread: Vec<usize>,
    /// Known rows without a stamp: to be read by id as well, unless their contents were read in the
    /// pass before.
    pub unstamped: Vec<usize>,
    /// Rows whose own id a dead letter of the registry lacks: to be given in
    /// [`SweepStep::letter_names`].
    pub unnamed_letters: Vec<usize>,
    /// Rows whose record is asserted and has no name yet: to be given in
    /// [`SweepStep::record_names`].
    pub unnamed_records: Vec<usize>,
    /// Rows whose stamp lies before the one remembered.
    pub went_back: u64,
    /// Rows unknown here.
    pub unknown: u64,
    /// Keys of the page, to be given back with [`SweepStep::seen`].
    pub seen: SeenKeys,
}

/// Records of a page of keys as they were known when it was looked up, for the step that notes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenKeys {
    /// Number of keys of the page.
    pub(crate) keys: usize,
    /// Numbers of the records that were known: a record keeps its number.
    pub(crate) record_nos: Vec<i64>,
    /// Records among them that are asserted and have no name, with their numbers.
    pub(crate) unnamed: HashMap<RecordDigest, i64>,
    /// Highest number at that time. A record that was unknown then, if it is known now, has a
    /// higher one.
    pub(crate) upto: i64,
}

/// A page of keys, or of whole rows, of a running sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepStep {
    /// Number of whole rows that the source gave; `None` for a page of keys. The drafts and refusals
    /// that are committed with it are what it has seen, and their names those of all its rows.
    pub contents: Option<u64>,
    /// Keys of the page, all of them: [`SweepLookUp::seen`].
    pub seen: SeenKeys,
    /// Record ids of the clinic for the rows that [`SweepLookUp::unnamed_letters`] asked for.
    pub letter_names: Vec<(RecordDigest, String)>,
    /// Names of the rows that [`SweepLookUp::unnamed_records`] asked for.
    pub record_names: Vec<RecordName>,
    /// Cursor of the keys or contents after this page; `None` when all were read.
    pub cursor: Option<String>,
}

impl SweepStep {
    /// Step of a page of so many whole rows.
    #[must_use]
    pub fn of_contents(rows: u64, cursor: Option<String>) -> Self {
        Self {
            contents: Some(rows),
            cursor,
            ..Self::default()
        }
    }

    /// Number of keys or rows of the page.
    pub(crate) fn rows(&self) -> u64 {
        self.contents.unwrap_or(self.seen.keys as u64)
    }

    /// Names of known records that lack theirs, with the records' numbers.
    pub(crate) fn names_to_add(&self) -> Vec<(i64, RecordName)> {
        let names = self.record_names.iter();
        let numbered = names.filter_map(|name| {
            let record_no = self.seen.unnamed.get(&name.record)?;
            Some((*record_no, name.clone()))
        });
        numbered.collect()
    }
}

/// A record that no key has named in either pass of a sweep, asserted or with a dead letter.
#[derive(Clone, PartialEq, Eq)]
pub struct MissingRecord {
    /// Number of the record in the outbox.
    pub(crate) record_no: i64,
    /// The clinic's own id of the record; `None` for one that no sweep and no page has named since
    /// names are stored.
    pub record_id: Option<String>,
}

impl fmt::Debug for MissingRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MissingRecord")
            .field("record_no", &self.record_no)
            .finish_non_exhaustive()
    }
}

/// Limits from which on a sweep's withdrawals wait for an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepLimits {
    /// Share of the feed's records, in percent, that is still withdrawn without asking.
    pub percent: u8,
    /// Number of records that is withdrawn without asking, whatever the share.
    pub always: u32,
}

impl SweepLimits {
    /// Returns whether so many withdrawals, of so many records, need an operator's word.
    pub(crate) fn are_exceeded(self, withdrawals: u64, records: u64) -> bool {
        withdrawals > u64::from(self.always)
            && withdrawals.saturating_mul(100) > u64::from(self.percent) * records
    }
}

/// End of a sweep's pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepEnd {
    /// Something was not named: all keys are to be read once more, in pass 2.
    LookAgain {
        /// Records and dead letters that no key has named.
        missing: u64,
    },
    /// Rows are missing in both passes, and the safety catch lets their records go. The source is to
    /// be asked for each by its id ([`crate::Outbox::missing_records`],
    /// [`crate::Outbox::missing_letters`]); what is gone is to be withdrawn
    /// ([`crate::Outbox::withdraw_missing`]), what gets no answer to be kept
    /// ([`crate::Outbox::keep_missing`]), and the sweep to be ended
    /// ([`crate::Outbox::end_sweep`]).
    Missing {
        /// Records and dead letters that no key has named.
        missing: u64,
    },
    /// The sweep is finished.
    Done {
        /// Keys seen in the last pass.
        seen: u64,
        /// Records withdrawn.
        withdrawn: u64,
        /// Dead letters closed because their row is gone.
        dead_letters_closed: u64,
    },
    /// The safety catch holds: nothing was withdrawn; see [`crate::Outbox::confirm_withdrawals`].
    Held {
        /// Records that would have been withdrawn.
        missing: u64,
        /// Records of the feed that are asserted.
        known: u64,
    },
}

/// Treatment of older versions of records whose row cannot be sent any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CorrectionRule {
    /// Older versions are withdrawn; where these limits are exceeded, they are held.
    Withdraw(SweepLimits),
    /// Older versions stay at the registry.
    Keep,
}

/// Result of settling the refused corrections of one feed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SettledCorrections {
    /// Older versions that were withdrawn.
    pub withdrawn: u64,
    /// Older versions that the safety catch holds.
    pub held: u64,
    /// Older versions among `held` that were not held before.
    pub newly_held: u64,
    /// Records of the feed that the safety catch compared with.
    pub held_of: u64,
}

impl SettledCorrections {
    /// Sum of two results of one feed.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            withdrawn: self.withdrawn + other.withdrawn,
            held: self.held + other.held,
            newly_held: self.newly_held + other.newly_held,
            held_of: self.held_of.max(other.held_of),
        }
    }
}
