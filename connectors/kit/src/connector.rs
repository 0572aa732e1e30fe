//! The trait that a connector implements, and its requests and answers.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{CheckReport, ClinicRecord, Cursor, Feed, SAMPLE_RECORDS, SampledRecord, SourceError};

/// Most ids in one [`Connector::fetch`].
pub const MAX_FETCH_IDS: usize = 500;

/// Refuses more ids than one [`Connector::fetch`] may have.
///
/// # Errors
/// [`SourceError::Misconfigured`] for more than [`MAX_FETCH_IDS`].
pub fn verify_fetch_count(ids: &[String]) -> Result<(), SourceError> {
    if ids.len() <= MAX_FETCH_IDS {
        return Ok(());
    }
    Err(SourceError::misconfigured(
        format!("{} records were asked for at once", ids.len()),
        format!("ask for at most {MAX_FETCH_IDS}"),
    ))
}

/// Request for a page of records.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// Feed to read.
    pub feed: Feed,
    /// Position to go on from; `None` is the very beginning.
    pub after: Option<Cursor>,
    /// True for the first page of a run: `after` is then a stored cursor, and the connector looks
    /// back over its overlap window, so that rows committed late are not missed.
    pub first_of_run: bool,
    /// True for a run that a hint of [`Connector::changed`] began: its first page looks back over
    /// the short overlap of hints only, and the caller does not store what it says under
    /// [`Page::resume`], so that a scheduled run still goes over everything with the whole overlap.
    pub hinted: bool,
    /// At most this many records in the page.
    pub limit: u32,
    /// The present moment, for stamps that lie in the future.
    pub now: DateTime<Utc>,
}

impl PageRequest {
    /// Request for the first records of a feed, outside of any run.
    #[must_use]
    pub const fn first_records(feed: Feed, limit: u32, now: DateTime<Utc>) -> Self {
        Self {
            feed,
            after: None,
            first_of_run: false,
            hinted: false,
            limit,
            now,
        }
    }
}

/// A bounded page of a feed.
#[derive(Debug)]
pub struct Page {
    /// The records, at most the requested number.
    pub records: Vec<ClinicRecord>,
    /// Position at which the next page of this run begins; `None` when the feed is exhausted for
    /// now.
    pub next: Option<Cursor>,
    /// Position to store once this page is safe: the next *run* starts here. `None` leaves the
    /// stored cursor as it is. Never past a record that was not handed over, and never in the
    /// future.
    pub resume: Option<Cursor>,
    /// Behaviour of the source that it should not show, if it showed any.
    pub surprise: Option<SourceSurprise>,
}

/// Behaviour that a source should not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceSurprise {
    /// The newest stamp at the source lies before the stored cursor: a restored backup, or a clock
    /// that was set back. The gateway answers it with a key sweep.
    StampsWentBack,
    /// Rows bear the same id: they are one record, of which the row that is read last counts.
    IdsRepeat,
}

impl SourceSurprise {
    /// Code in `status`, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StampsWentBack => "stamps-went-back",
            Self::IdsRepeat => "ids-repeat",
        }
    }
}

/// Request for a page of keys.
#[derive(Debug, Clone)]
pub struct KeysRequest {
    /// Feed to read.
    pub feed: Feed,
    /// Position to go on from; `None` is the very beginning. A cursor of [`Connector::keys`], never
    /// one of [`Connector::page`].
    pub after: Option<Cursor>,
    /// At most this many keys in the page.
    pub limit: u32,
    /// The present moment.
    pub now: DateTime<Utc>,
}

/// Id of a row, and the stamp of its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordKey {
    /// The clinic's own id of the record, as in [`ClinicRecord::record_id`].
    pub record_id: String,
    /// Stamp of the last change, as in [`ClinicRecord::stamp`].
    pub stamp: Option<i64>,
}

/// A bounded page of keys.
#[derive(Debug)]
pub struct KeysPage {
    /// The keys, at most the requested number.
    pub keys: Vec<RecordKey>,
    /// Position at which the next page begins; `None` when all keys were listed.
    pub next: Option<Cursor>,
    /// Behaviour of the source that it should not show, if it showed any.
    pub surprise: Option<SourceSurprise>,
}

/// What a sweep of a feed reads, to find rows that changed without a pull's noticing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepReads {
    /// Ids and stamps ([`Connector::keys`]): a row that changes gets another stamp.
    Stamps,
    /// Whole rows ([`Connector::contents`]): no stamp tells that a row has changed.
    Contents,
}

/// What shows a pull of a feed that a row has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeNotice {
    /// One change stamp of the row.
    Stamp,
    /// Change stamps of several tables.
    SeveralStamps,
    /// Lengths and times of the files that hold all rows, which are read whole once one differs.
    Files,
    /// None: only a content sweep finds what has changed.
    Contents,
}

/// A bounded page of whole rows.
#[derive(Debug)]
pub struct ContentsPage {
    /// The rows, at most the requested number.
    pub records: Vec<ClinicRecord>,
    /// Position at which the next page begins; `None` when all rows were read.
    pub next: Option<Cursor>,
    /// Behaviour of the source that it should not show, if it showed any.
    pub surprise: Option<SourceSurprise>,
}

/// A source of clinic records: read-only, incremental, bounded.
///
/// Contract: `docs/connectors.md`, which every connector's tests check with `conformance`.
#[async_trait]
pub trait Connector: Send + Sync {
    /// The kind of source, as configuration names it (`postgres`, `sqlite`, `fhir` …).
    fn kind(&self) -> &'static str;

    /// The feeds this source is configured for, in pulling order.
    fn feeds(&self) -> Vec<Feed>;

    /// Looks at everything that can be wrong with the source and says it in words, without changing
    /// anything.
    async fn check(&self, now: DateTime<Utc>) -> CheckReport;

    /// Fetches one page.
    ///
    /// # Errors
    /// See [`SourceError`]: worth another try later, or in need of a person.
    async fn page(&self, request: PageRequest) -> Result<Page, SourceError>;

    /// Lists the ids and stamps of every row, in an order that a change of other rows does not
    /// disturb: a row that is there from the first page to the last is in at least one of them. For
    /// a sweep, which withdraws what no page names.
    ///
    /// # Errors
    /// Fails as [`Connector::page`] does.
    async fn keys(&self, request: KeysRequest) -> Result<KeysPage, SourceError>;

    /// What a sweep of this feed has to read.
    fn sweep_reads(&self, _feed: Feed) -> SweepReads {
        SweepReads::Stamps
    }

    /// What shows a pull of this feed that a row has changed, for `status`.
    fn notices(&self, feed: Feed) -> ChangeNotice {
        match self.sweep_reads(feed) {
            SweepReads::Stamps => ChangeNotice::Stamp,
            SweepReads::Contents => ChangeNotice::Contents,
        }
    }

    /// Reads every row whole, in an order as that of [`Connector::keys`]: a row that is there from
    /// the first page to the last is in at least one of them. For a sweep that compares contents.
    /// No row is older than what [`Connector::page`] or [`Connector::fetch`] of the feed gave before
    /// this call; a page may be asked for again.
    ///
    /// # Errors
    /// Fails as [`Connector::page`] does.
    async fn contents(&self, request: KeysRequest) -> Result<ContentsPage, SourceError> {
        let feed = request.feed;
        let now = request.now;
        let page = self.keys(request).await?;
        let ids: Vec<String> = page.keys.into_iter().map(|key| key.record_id).collect();
        let mut records = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MAX_FETCH_IDS) {
            records.extend(self.fetch(feed, ids, now).await?);
        }
        Ok(ContentsPage {
            records,
            next: page.next,
            surprise: page.surprise,
        })
    }

    /// The rows with these ids, at most [`MAX_FETCH_IDS`], as they are now; those that are gone are
    /// left out.
    ///
    /// # Errors
    /// Fails as [`Connector::page`] does.
    async fn fetch(
        &self,
        feed: Feed,
        ids: &[String],
        now: DateTime<Utc>,
    ) -> Result<Vec<ClinicRecord>, SourceError>;

    /// Reads a sample for `check`: [`SAMPLE_RECORDS`] of the first records of a feed and as many of
    /// the newest, each once. A connector that cannot ask for the newest gives the first ones only.
    ///
    /// # Errors
    /// Fails as [`Connector::page`] does.
    async fn sample(
        &self,
        feed: Feed,
        now: DateTime<Utc>,
    ) -> Result<Vec<SampledRecord>, SourceError> {
        let page = self
            .page(PageRequest::first_records(feed, SAMPLE_RECORDS, now))
            .await?;
        Ok(page.records.into_iter().map(SampledRecord::from).collect())
    }

    /// Waits until the source says that something may have changed: a hint, never a promise, and
    /// pending for ever where a source cannot say so. Cancel-safe: a hint that nobody waited for is
    /// given to the next caller.
    ///
    /// # Errors
    /// Fails as [`Connector::page`] does; a source that cannot hint now is no failure.
    async fn changed(&self) -> Result<(), SourceError> {
        std::future::pending().await
    }
}
