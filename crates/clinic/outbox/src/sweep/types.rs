//! Sweeps as callers see them.

use chrono::{DateTime, Utc};
use contract::RecordDigest;

/// A running sweep of one feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// Number of the pass: 1, or 2 for the second look.
    pub pass: u8,
    /// Cursor of the keys; `None` at the beginning of a pass.
    pub cursor: Option<String>,
    /// True if all keys of this pass are read, so that [`crate::Outbox::finish_sweep_pass`] is due.
    pub all_read: bool,
    /// Keys seen in this pass.
    pub seen: u64,
    /// Time at which the sweep began.
    pub begun_at: Option<DateTime<Utc>>,
}

/// Result of comparing a page of keys with the outbox. Numbers in lists are places in the page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepLookUp {
    /// Rows to read by id: unknown here, changed since they were read, or without a stamp.
    pub reread: Vec<usize>,
    /// Rows whose own id a dead letter of the registry lacks: to be given in [`SweepStep::names`].
    pub unnamed: Vec<usize>,
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
    /// Highest number at that time. A record that was unknown then, if it is known now, has a
    /// higher one.
    pub(crate) upto: i64,
}

/// A page of keys of a running sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepStep {
    /// Keys of the page, all of them: [`SweepLookUp::seen`].
    pub seen: SeenKeys,
    /// Record ids of the clinic for the rows that [`SweepLookUp::unnamed`] asked for.
    pub names: Vec<(RecordDigest, String)>,
    /// Cursor of the keys after this page; `None` when all were read.
    pub cursor: Option<String>,
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
