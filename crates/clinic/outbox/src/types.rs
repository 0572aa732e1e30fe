//! What goes into the outbox and what it answers.

use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::{Draft, PublicKey, RecordDigest, wire};

use crate::{MAX_RESEND_MS, OutboxError};

/// How an outbox is opened.
#[derive(Debug, Clone)]
pub struct OutboxOptions {
    /// The registry's public key: every batch is sealed to it.
    pub seal_to: PublicKey,
    /// Most events in a batch, 1 to [`wire::MAX_EVENTS`]; fewer where fewer fill a padded size,
    /// which with usual events is 64 KiB.
    pub batch_events: usize,
    /// From this many sealed bytes waiting on, pages are refused with [`OutboxError::Full`].
    pub max_bytes: u64,
    /// Whether the events of a page are shuffled before they are cut into batches.
    pub shuffle: bool,
    /// What this process is, in a word or two (`run`, `sync`): told to whoever finds the outbox
    /// locked.
    pub owner: &'static str,
    /// The generation is at least this. Raised by an operator after outbox *and* mark file were
    /// lost or restored together, which nothing local can notice; 1 otherwise.
    pub min_generation: u32,
    /// Fingerprint of the key that record digests are made with; the outbox refuses another one
    /// than it was begun with. Empty: not looked at.
    pub keys_check: String,
    /// Whether the registry sends receipts: a delivered batch then stays until its receipt has
    /// come.
    pub receipts: bool,
    /// How long after its first delivery a batch without a receipt is due again, 1 second to 24
    /// hours; doubles with every delivery up to [`crate::MAX_RESEND_MS`].
    pub resend_after: Duration,
}

impl OutboxOptions {
    /// The usual: at most 1000 events a batch, fewer where fewer fill a padded size, 1 GiB waiting
    /// at most, shuffled, from generation 1; no receipts, which if switched on are waited for one
    /// hour at first.
    #[must_use]
    pub const fn new(seal_to: PublicKey, owner: &'static str) -> Self {
        Self {
            seal_to,
            batch_events: wire::MAX_EVENTS,
            max_bytes: 1 << 30,
            shuffle: true,
            owner,
            min_generation: 1,
            keys_check: String::new(),
            receipts: false,
            resend_after: Duration::from_secs(3600),
        }
    }

    pub(crate) fn check(&self) -> Result<(), OutboxError> {
        if !(1..=wire::MAX_EVENTS).contains(&self.batch_events) {
            return Err(OutboxError::BadOption {
                what: "batch_events",
                allowed: "1 to 1000",
            });
        }
        if self.max_bytes == 0 {
            return Err(OutboxError::BadOption {
                what: "max_bytes",
                allowed: "at least 1",
            });
        }
        if !(1..=MAX_GENERATION).contains(&self.min_generation) {
            return Err(OutboxError::BadOption {
                what: "min_generation",
                allowed: "1 to 2147483647",
            });
        }
        if !(1000..=MAX_RESEND_MS).contains(&self.resend_after_ms()) {
            return Err(OutboxError::BadOption {
                what: "resend_after",
                allowed: "1 second to 24 hours",
            });
        }
        Ok(())
    }

    pub(crate) fn resend_after_ms(&self) -> i64 {
        i64::try_from(self.resend_after.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The last generation there can be: a version has to fit an SQL `BIGINT`.
pub(crate) const MAX_GENERATION: u32 = i32::MAX as u32;

/// When a row last changed, on its source's own scale; `None` where the source does not say.
pub type SourceStamp = Option<i64>;

/// A row of the clinic that became a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// What it says.
    pub draft: Draft,
    /// When the row changed.
    pub stamp: SourceStamp,
}

/// A row of the clinic that could not become an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The clinic's own record id; stays in the dead letters. Cut at 512 characters.
    pub record_id: String,
    /// Why: a code of a closed list.
    pub reason: &'static str,
    /// Which record it would have been.
    pub record: RecordDigest,
    /// When the row changed.
    pub stamp: SourceStamp,
}

/// One page of one feed, ready to be made durable.
#[derive(Debug, Clone)]
pub struct PageCommit {
    /// Name of the source.
    pub source: String,
    /// Name of the feed.
    pub feed: String,
    /// What the page's records say, at most [`crate::MAX_PAGE_DRAFTS`]; of a record that comes
    /// twice the last one counts.
    pub drafts: Vec<Pulled>,
    /// The rows that were refused.
    pub refused: Vec<Refused>,
    /// Record ids of the rows that were *not* refused: their dead letters are closed. Needed only
    /// when [`crate::Outbox::has_dead_letters`] says there are any.
    pub accepted_record_ids: Vec<String>,
    /// Where the next run begins once this page is safe; `None` leaves the cursor as it is.
    pub resume: Option<String>,
    /// The generation when the run that read this page began, looked up before its cursor was. If
    /// it has risen since, the cursor stays forgotten: all before this page is still to be sent
    /// again. `None`: the present one.
    pub read_in: Option<u32>,
    /// Set when the page is a step of a key sweep: what it has seen becomes durable with it.
    pub sweep: Option<SweepStep>,
    /// The present moment.
    pub now: DateTime<Utc>,
}

/// What the outbox knew of a page of keys when it was looked up, for the step that notes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenKeys {
    /// How many keys the page has.
    pub(crate) keys: usize,
    /// The numbers of those records that were known: a record keeps its number.
    pub(crate) record_nos: Vec<i64>,
    /// The highest number then. What was not known, if it is now, has a higher one.
    pub(crate) upto: i64,
}

/// One page of keys of a running sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepStep {
    /// What the page of keys named, all of it: [`crate::SweepLookUp::seen`].
    pub seen: SeenKeys,
    /// The clinic's own ids of those that [`crate::SweepLookUp::unnamed`] asked for.
    pub names: Vec<(RecordDigest, String)>,
    /// Where the keys go on; `None` when all were read.
    pub cursor: Option<String>,
}

/// What a page came to. `new + corrected + withdrawn + resent + unchanged` is the number of its
/// drafts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Committed {
    /// Records never sent before.
    pub new: u64,
    /// Records sent before and now sent with other content.
    pub corrected: u64,
    /// Records taken back.
    pub withdrawn: u64,
    /// Records sent again as they were, because the generation rose.
    pub resent: u64,
    /// Drafts with nothing to tell: sent already, withdrawn already, withdrawals of what was never
    /// sent, and earlier drafts of a record that came twice.
    pub unchanged: u64,
    /// Dead letters opened; rows that were in the dead letters already do not count.
    pub refused_new: u64,
    /// Dead letters closed because their row was accepted.
    pub cleared: u64,
    /// Of the events of a sweep's page, those that the source's pulls had missed.
    pub missed: u64,
    /// Sealed batches added.
    pub batches: u64,
}

impl Committed {
    /// Events that were put into batches.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.new + self.corrected + self.withdrawn + self.resent
    }

    /// What two pages came to together.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            new: self.new + other.new,
            corrected: self.corrected + other.corrected,
            withdrawn: self.withdrawn + other.withdrawn,
            resent: self.resent + other.resent,
            unchanged: self.unchanged + other.unchanged,
            refused_new: self.refused_new + other.refused_new,
            cleared: self.cleared + other.cleared,
            missed: self.missed + other.missed,
            batches: self.batches + other.batches,
        }
    }
}

/// How a run of a feed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome<'a> {
    /// Read to its end.
    Ok,
    /// Ended early. The code is kept if it is 1 to 64 letters, digits, `-`, `_`, `.` or `:`, and is
    /// `other` if not, so that no free text can rest in the file.
    Failed {
        /// A short code.
        code: &'a str,
    },
}
