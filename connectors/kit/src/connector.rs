//! The trait a connector implements: say what you feed, check yourself, fetch one bounded page.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{CheckReport, ClinicRecord, Cursor, Feed, SourceError};

/// What to fetch next.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// Which feed.
    pub feed: Feed,
    /// Where to go on; `None` is the very beginning.
    pub after: Option<Cursor>,
    /// True for the first page of a run: `after` is then a stored cursor, and the connector looks back over its
    /// overlap window, so that rows committed late are not missed.
    pub first_of_run: bool,
    /// At most this many records in the page.
    pub limit: u32,
    /// The present moment, for stamps that lie in the future.
    pub now: DateTime<Utc>,
}

/// One bounded page of a feed.
#[derive(Debug)]
pub struct Page {
    /// The records, at most the requested number.
    pub records: Vec<ClinicRecord>,
    /// Where the next page of this run begins; `None` when the feed is exhausted for now.
    pub next: Option<Cursor>,
    /// What to store once this page is safe: the next *run* starts here. `None` leaves the stored cursor as it is.
    /// Never past a record that was not handed over, and never in the future.
    pub resume: Option<Cursor>,
}

/// A source of clinic records: read-only, incremental, bounded.
///
/// Contract, checked by tests for every connector: pages of one run never skip a record; a record changed after a
/// run is in the next one; a page never exceeds its limit; the same request may be repeated.
#[async_trait]
pub trait Connector: Send + Sync {
    /// The kind of source, as configuration names it (`postgres`, `sqlite`, `fhir` …).
    fn kind(&self) -> &'static str;

    /// The feeds this source is configured for, in pulling order.
    fn feeds(&self) -> Vec<Feed>;

    /// Looks at everything that can be wrong with the source and says it in words, without changing anything.
    async fn check(&self, now: DateTime<Utc>) -> CheckReport;

    /// Fetches one page.
    ///
    /// # Errors
    /// See [`SourceError`]: worth another try later, or in need of a person.
    async fn page(&self, request: PageRequest) -> Result<Page, SourceError>;
}
