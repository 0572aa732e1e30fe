//! Status of the outbox as operators see it; all of it serialises for `--json`.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::batches::Backlog;
use crate::classes::WithheldCount;
use crate::corrections::{HeldCorrections, RefusedCorrections};
use crate::dead_letters::Origin;
use crate::feeds::ChangeNotice;
use crate::values::UnknownValueCount;

/// The whole outbox at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Generation that versions are given out in, from 1.
    pub generation: u32,
    /// Time at which the generation last rose, if it ever did.
    pub generation_raised_at: Option<DateTime<Utc>>,
    /// Reason for which the generation rose, in words.
    pub generation_raised_why: Option<String>,
    /// Time at which another gateway was found to run on a copy of this state; this one has
    /// stopped since, until an operator accepts its state.
    pub other_gateway_at: Option<DateTime<Utc>>,
    /// Higher generation that receipts ask for and that has to wait.
    pub raise_waits: Option<RaiseWaits>,
    /// Every feed that was ever pulled, by source and feed.
    pub feeds: Vec<FeedStatus>,
    /// Batches that wait for the broker.
    pub backlog: Backlog,
    /// State of publishing.
    pub publisher: PublisherStatus,
    /// Open dead letters, counted; discarded ones are not.
    pub dead_letters: Vec<DeadLetterCount>,
    /// Values that nobody has mapped and that rows are refused for, counted.
    pub unknown_values: Vec<UnknownValueCount>,
    /// Things sources did that they should not, those that are over included.
    pub surprises: Vec<Surprise>,
    /// Ways to the queue, as the running gateway last saw them change.
    pub links: Vec<Link>,
    /// Pages that wait for an answer of a key service or of the token issuer, as the running gateway
    /// last saw them; ordered by source and feed.
    pub waits: Vec<ServiceWait>,
    /// Receipts that were ignored, by reason.
    pub rejected_receipts: Vec<RejectedReceipts>,
    /// Records from before feeds were remembered that were not read since; no sweep withdraws them.
    pub unplaced_records: u64,
}

impl Status {
    /// Refused corrections of the source that are held, to be permitted as they are shown here.
    #[must_use]
    pub fn held_corrections(&self, source: &str) -> HeldCorrections {
        let feeds = self.feeds.iter().filter(|feed| feed.source == source);
        HeldCorrections::new(
            feeds.map(|feed| (feed.feed.clone(), feed.refused_corrections.held_upto)),
        )
    }
}

/// A raise of the generation that waits: receipts raise it by one, and not again within a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RaiseWaits {
    /// Generation above all that the registry holds and this outbox, as it is now, cannot have
    /// sent. An operator may raise to it at once, by `min_generation`.
    pub needed: u32,
    /// Time from which the next receipt raises the generation by one.
    pub permitted_at: Option<DateTime<Utc>>,
}

/// State of one feed of one source. Totals are since the outbox was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeedStatus {
    /// Name of the source.
    pub source: String,
    /// Name of the feed.
    pub feed: String,
    /// True if reading goes on at a cursor; false if it begins at the beginning.
    pub has_cursor: bool,
    /// Time at which the last page was committed.
    pub pulled_at: Option<DateTime<Utc>>,
    /// Time at which the last run ended.
    pub last_run_at: Option<DateTime<Utc>>,
    /// Time at which the last good run ended.
    pub last_ok_at: Option<DateTime<Utc>>,
    /// Code of the last run's failure; `None` if it was good.
    pub last_error: Option<String>,
    /// Cause of the last run's failure, in the gateway's own words.
    pub last_error_why: Option<String>,
    /// Failed runs since the last good one.
    pub consecutive_failures: u32,
    /// Load from the feed's beginning that has not reached its end; `None` where the feed was read
    /// to its end since.
    pub load: Option<UnfinishedLoad>,
    /// Rows that were read and made durable, by what came of them.
    pub rows: RowCounts,
    /// Records sent for the first time.
    pub new_total: u64,
    /// Records sent with other content.
    pub corrected_total: u64,
    /// Records withdrawn.
    pub withdrawn_total: u64,
    /// Records sent again because the generation rose, or a retry or a repair asked for it.
    pub resent_total: u64,
    /// Rows that had been sent as they are.
    pub unchanged_total: u64,
    /// Rows refused, each once as long as it stays refused.
    pub refused_total: u64,
    /// Records of which an older version was sent, and whose row or event is refused.
    pub refused_corrections: RefusedCorrections,
    /// Records that are withheld, since facts of too few persons leave alike.
    pub withheld: WithheldCount,
    /// What shows the gateway that a row has changed; `None` before a run of this program.
    pub notices: Option<ChangeNotice>,
    /// Time since which every row was read whole, by a load from the beginning or by a content
    /// sweep; `None` before the first since schema 14 of the outbox.
    pub whole_as_of: Option<DateTime<Utc>>,
    /// Time as of which all that had changed at the source was read: the end of the last good run;
    /// where only contents show changes, [`FeedStatus::whole_as_of`].
    pub in_sync_at: Option<DateTime<Utc>>,
    /// True if a repair or a retry waits for a sweep, which follows the next run that reaches the
    /// source.
    pub sweep_owed: bool,
    /// State of the feed's sweeps; `None` before the first one.
    pub sweep: Option<SweepStatus>,
}

/// A load of a feed from its beginning that is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UnfinishedLoad {
    /// True if the feed was never read to its end.
    pub first: bool,
    /// Rows that it has read and made durable so far.
    pub rows: u64,
}

/// Rows of a feed that were read and made durable, since schema 11 of the outbox; a row counts each
/// time it is read. `read` is the sum of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RowCounts {
    /// Rows read, by pulls, by sweeps that read a row again, and by retries.
    pub read: u64,
    /// Rows that were put into batches: new, corrected, withdrawn, or sent again.
    pub sent: u64,
    /// Rows that had been sent as they are.
    pub unchanged: u64,
    /// Rows that are no facts: about something else than COVID-19, or not done, such as an
    /// appointment.
    pub no_fact: u64,
    /// Rows that were refused.
    pub refused: u64,
    /// Rows that no version is left for.
    pub parked: u64,
    /// Rows that were withheld, since facts of too few persons leave alike.
    pub withheld: u64,
}

/// Result of a sweep that came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastSweep {
    /// True if it read whole rows; false if it read ids and stamps.
    pub contents: bool,
    /// Time at which it began.
    pub begun_at: Option<DateTime<Utc>>,
    /// Keys or rows that the source had, as the last look over them counted.
    pub seen: u64,
    /// Rows that were read whole.
    pub rows_read: u64,
    /// Rows that were new or changed without a pull's noticing, and were sent.
    pub changed: u64,
    /// Records withdrawn because no key named them.
    pub withdrawn: u64,
}

/// The sweeps of one feed. Totals are since the outbox was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SweepStatus {
    /// Time at which the last sweep ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Pass of the sweep that runs, 1 or 2.
    pub pass: Option<u8>,
    /// True if the sweep that runs, or ran last, reads whole rows; false if ids and stamps.
    pub contents: bool,
    /// Time at which the sweep that runs, or ran last, began.
    pub begun_at: Option<DateTime<Utc>>,
    /// Keys or rows seen in the running pass, or in the last one.
    pub seen: u64,
    /// Rows read whole by the sweep that runs, or ran last.
    pub rows_read: u64,
    /// Result of the last sweep that ended; `None` before the first one, or where it ended before
    /// schema 14 of the outbox.
    pub last: Option<LastSweep>,
    /// Number of records the last sweep would have withdrawn but for the safety catch.
    pub held: Option<u64>,
    /// Number of records that the feed had then.
    pub held_of: Option<u64>,
    /// Number of withdrawals that an operator has permitted to the next sweep.
    pub permitted: u64,
    /// Records withdrawn because no key named them.
    pub withdrawn_total: u64,
    /// Events that only a sweep has found.
    pub missed_total: u64,
}

/// Something a source should not do, and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Surprise {
    /// Name of the source.
    pub source: String,
    /// Name of the feed.
    pub feed: String,
    /// Code of the surprise.
    pub code: String,
    /// Number of times.
    pub count: u64,
    /// Time of the first one.
    pub first_seen_at: Option<DateTime<Utc>>,
    /// Time of the last one.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// Time at which a later sweep, or for pages without end a later run, ended well; `None` while
    /// it has not.
    pub mended_at: Option<DateTime<Utc>>,
}

/// A way to the queue: `queue`, on which batches leave, or `receipts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Name of the way.
    pub name: String,
    /// Code of its state.
    pub state: String,
    /// Time at which it came to be so.
    pub since: Option<DateTime<Utc>>,
    /// Cause, in the gateway's own words.
    pub why: Option<String>,
}

/// Wait of a feed's page for an answer of a key service or of the token issuer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ServiceWait {
    /// Name of the source.
    pub source: String,
    /// Name of the feed.
    pub feed: String,
    /// Service that has not answered, as sentences name it.
    pub service: String,
    /// Time at which the wait began.
    pub since: Option<DateTime<Utc>>,
}

/// Receipts that were ignored for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectedReceipts {
    /// Code of the reason.
    pub reason: String,
    /// Number of messages.
    pub count: u64,
    /// Time of the first one.
    pub first_seen_at: Option<DateTime<Utc>>,
    /// Time of the last one.
    pub last_seen_at: Option<DateTime<Utc>>,
}

/// State of publishing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublisherStatus {
    /// Batches the broker took, ever.
    pub delivered_batches: u64,
    /// Events in those batches.
    pub delivered_events: u64,
    /// Time at which the broker last took a batch.
    pub last_delivered_at: Option<DateTime<Utc>>,
    /// Time at which a batch last failed.
    pub last_failed_at: Option<DateTime<Utc>>,
    /// Code of the last failure; `None` after a delivery.
    pub last_error: Option<String>,
    /// Failures since the last delivery, in batches.
    pub consecutive_failures: u64,
    /// Events the registry has, by its receipts.
    pub accepted_events: u64,
    /// Events the registry refused, by its receipts, or dropped for a higher version that was never
    /// given out here.
    pub refused_events: u64,
    /// Time at which a receipt last came.
    pub last_receipt_at: Option<DateTime<Utc>>,
    /// Code of the reason for which the registry could not read the latest of its unreadable
    /// batches.
    pub unreadable: Option<String>,
}

/// Open dead letters of one feed for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetterCount {
    /// Name of the source.
    pub source: String,
    /// Name of the feed.
    pub feed: String,
    /// Origin of the refusals.
    pub origin: Origin,
    /// Reason for which the rows were refused, as a code.
    pub reason: String,
    /// Number of rows, listed or not.
    pub count: u64,
    /// Number of rows among them that are not listed, since the list of the feed is full.
    pub unlisted: u64,
}
