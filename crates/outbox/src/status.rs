//! What an operator can see; all of it serialises for `--json`.

use chrono::{DateTime, Utc};
use serde::Serialize;

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
    /// Open dead letters, counted.
    pub dead_letters: Vec<DeadLetterCount>,
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
}

/// Sealed batches that still have to leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// Batches, leased ones included.
    pub batches: u64,
    /// Of them, those being published.
    pub leased: u64,
    /// Events in them.
    pub events: u64,
    /// Their sealed size in bytes.
    pub bytes: u64,
    /// When the oldest was committed.
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
}

/// Open dead letters of one feed for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetterCount {
    /// Name of the source.
    pub source: String,
    /// Name of the feed.
    pub feed: String,
    /// Why the rows were refused, as a code.
    pub reason: String,
    /// How many rows.
    pub count: u64,
}

/// A row of the clinic that could not become an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Name of the source.
    pub source: String,
    /// Name of the feed.
    pub feed: String,
    /// The clinic's own record id: for the clinic's eyes only.
    pub record_id: String,
    /// Why, as a code.
    pub reason: String,
    /// When it was first refused.
    pub first_seen_at: Option<DateTime<Utc>>,
    /// When it was last refused.
    pub last_seen_at: Option<DateTime<Utc>>,
}
