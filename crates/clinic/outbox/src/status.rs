//! What an operator can see; all of it serialises for `--json`.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::Origin;

/// The whole outbox at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The generation versions are given out in, from 1.
    pub generation: u32,
    /// When the generation last rose, if it ever did.
    pub generation_raised_at: Option<DateTime<Utc>>,
    /// Why it rose, in words.
    pub generation_raised_why: Option<String>,
    /// Every feed that was ever pulled, by source and feed.
    pub feeds: Vec<FeedStatus>,
    /// What waits for the broker.
    pub backlog: Backlog,
    /// How publishing goes.
    pub publisher: PublisherStatus,
    /// Open dead letters, counted; discarded ones are not.
    pub dead_letters: Vec<DeadLetterCount>,
    /// What sources did that they should not.
    pub surprises: Vec<Surprise>,
    /// Records from before feeds were remembered that were not read since; no sweep withdraws them.
    pub unplaced_records: u64,
}

/// One feed of one source. Totals are since the outbox was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FeedStatus {
    /// Name of the source.
    pub source: String,
    /// Name of the feed.
    pub feed: String,
    /// Whether reading goes on somewhere; false means it begins at the beginning.
    pub has_cursor: bool,
    /// When the last page was committed.
    pub pulled_at: Option<DateTime<Utc>>,
    /// When the last run ended.
    pub last_run_at: Option<DateTime<Utc>>,
    /// When the last good run ended.
    pub last_ok_at: Option<DateTime<Utc>>,
    /// Code of the last run's failure; `None` if it was good.
    pub last_error: Option<String>,
    /// Failed runs since the last good one.
    pub consecutive_failures: u32,
    /// Records sent for the first time.
    pub new_total: u64,
    /// Records sent with other content.
    pub corrected_total: u64,
    /// Records taken back.
    pub withdrawn_total: u64,
    /// Records sent again because the generation rose.
    pub resent_total: u64,
    /// Drafts with nothing to tell.
    pub unchanged_total: u64,
    /// Dead letters ever opened.
    pub refused_total: u64,
    /// How its key sweeps fare; `None` before the first one.
    pub sweep: Option<SweepStatus>,
}

/// The key sweeps of one feed. Totals are since the outbox was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SweepStatus {
    /// When the last one ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// The pass of the one that runs, 1 or 2.
    pub pass: Option<u8>,
    /// Keys seen in the running pass, or in the last one.
    pub seen: u64,
    /// How many records the last sweep would have withdrawn but for the safety catch.
    pub held: Option<u64>,
    /// Of how many.
    pub held_of: Option<u64>,
    /// How many withdrawals an operator has permitted to the next sweep.
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
    /// What, as a code.
    pub code: String,
    /// How often.
    pub count: u64,
    /// When for the first time.
    pub first_seen_at: Option<DateTime<Utc>>,
    /// When for the last time.
    pub last_seen_at: Option<DateTime<Utc>>,
}

/// Sealed batches that still have to leave, and those that wait for their receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// Batches that have to leave, leased ones included.
    pub batches: u64,
    /// Of them, those being published.
    pub leased: u64,
    /// Events in them.
    pub events: u64,
    /// Sealed bytes kept, those waiting for receipts included: what counts towards the limit.
    pub bytes: u64,
    /// Batches the broker has whose receipts have not come.
    pub awaiting_receipt_batches: u64,
    /// Batches the registry could not read.
    pub unreadable_batches: u64,
    /// When the oldest that has to leave was committed.
    pub oldest_at: Option<DateTime<Utc>>,
}

/// How publishing goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublisherStatus {
    /// Batches the broker took, ever.
    pub delivered_batches: u64,
    /// Events in them.
    pub delivered_events: u64,
    /// When it last took one.
    pub last_delivered_at: Option<DateTime<Utc>>,
    /// When a batch last failed.
    pub last_failed_at: Option<DateTime<Utc>>,
    /// Code of the last failure; `None` after a delivery.
    pub last_error: Option<String>,
    /// Failures since the last delivery, in batches.
    pub consecutive_failures: u64,
    /// Events the registry has, by its receipts.
    pub accepted_events: u64,
    /// Events the registry refused, by its receipts.
    pub refused_events: u64,
    /// When a receipt last came.
    pub last_receipt_at: Option<DateTime<Utc>>,
    /// Why the registry could not read the latest of the batches it could not read, as a code.
    pub unreadable: Option<String>,
}

/// Open dead letters of one feed for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetterCount {
    /// Name of the source.
    pub source: String,
    /// Name of the feed.
    pub feed: String,
    /// Who refused.
    pub origin: Origin,
    /// Why the rows were refused, as a code.
    pub reason: String,
    /// How many rows.
    pub count: u64,
}
