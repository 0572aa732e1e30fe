//! A source that a test controls: its rows, and the ways in which it misbehaves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use connector_kit::{
    CheckReport, ClinicDate, ClinicFact, ClinicRecord, Coding, Connector, ContentsPage, Cursor,
    Feed, Field, Identifier, IdentifierKind, KeysPage, KeysRequest, Page, PageRequest, Person,
    RecordKey, RecordStatus, SourceError, SweepReads,
};
use parking_lot::{Mutex, MutexGuard};

/// A source's rows with their stamps, by id, and the ways in which it misbehaves.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub rows: Mutex<BTreeMap<u32, i64>>,
    /// True while the source is away.
    pub away: AtomicBool,
    /// Feeds beside the vaccinations.
    pub other_feeds: Mutex<Vec<Feed>>,
    /// Feeds that are broken while the others are not, each with its failure.
    pub broken: Mutex<Vec<(Feed, SourceError)>>,
    /// Feeds whose pages were asked for, in turn.
    pub asked_feeds: Mutex<Vec<Feed>>,
    /// Rows that lists of keys leave out.
    pub unlisted: Mutex<BTreeSet<u32>>,
    /// Rows for which a question by id fails.
    pub unanswered: Mutex<BTreeSet<u32>>,
    /// True for a source that goes away when it is asked by id.
    pub leaves_when_asked: AtomicBool,
    /// Ids that were asked for, question by question.
    pub asked_ids: Mutex<Vec<Vec<String>>>,
    /// True while the source hands out the same pages again and again.
    pub endless: AtomicBool,
    /// Number of pages asked for.
    pub asked: AtomicU64,
    /// Limit of the last page.
    pub limit: AtomicU32,
    /// Least limit of a page: one that is smaller is refused.
    pub least_limit: AtomicU32,
    /// Notified to make the source hint.
    pub hints: tokio::sync::Notify,
    /// Number of pages asked for after a hint.
    pub hinted: AtomicU64,
    /// True for a source whose sweeps read whole rows.
    pub reads_contents: AtomicBool,
    /// True for a source whose rows have no stamps.
    pub unstamped: AtomicBool,
    /// Dose numbers of rows that have another than the first.
    pub doses: Mutex<BTreeMap<u32, u32>>,
    /// Days of June 2021 of rows that have another than the tenth.
    pub days: Mutex<BTreeMap<u32, u32>>,
    /// Rows that cannot be sent as they are now.
    pub unsendable: Mutex<BTreeSet<u32>>,
    /// Ids behind which pages of whole rows were asked for, in turn; 0 for the first page.
    pub contents_asked: Mutex<Vec<u32>>,
    /// Held by a test that lets no page of whole rows through.
    pub contents_gate: tokio::sync::RwLock<()>,
    /// What happens at each page of whole rows, with its number from 1.
    pub at_contents: AtContents,
}

/// What a test does while its source is asked for a page of whole rows.
#[derive(Default)]
pub(crate) struct AtContents(Mutex<Option<PageStep>>);

/// Step of a test, with the number of the page.
type PageStep = Box<dyn FnMut(usize) + Send>;

impl AtContents {
    /// Sets what happens.
    pub(crate) fn set(&self, what: impl FnMut(usize) + Send + 'static) {
        *self.0.lock() = Some(Box::new(what));
    }

    fn happen(&self, page: usize) {
        if let Some(what) = self.0.lock().as_mut() {
            what(page);
        }
    }
}

impl std::fmt::Debug for AtContents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AtContents")
    }
}

impl Rows {
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, i64>> {
        self.rows.lock()
    }

    /// Takes the list of feeds whose pages were asked for since the last call.
    pub(crate) fn take_asked(&self) -> Vec<Feed> {
        std::mem::take(&mut self.asked_feeds.lock())
    }

    /// Takes the ids behind which pages of whole rows were asked for since the last call.
    pub(crate) fn take_contents_asked(&self) -> Vec<u32> {
        std::mem::take(&mut self.contents_asked.lock())
    }

    fn stamp(&self, stamp: i64) -> Option<i64> {
        (!self.unstamped.load(Ordering::Relaxed)).then_some(stamp)
    }

    /// Makes the record of a row as it is now.
    fn record(&self, feed: Feed, id: u32, stamp: i64) -> ClinicRecord {
        let mut record = record_of(feed, id, stamp);
        record.stamp = self.stamp(stamp);
        if let ClinicFact::Vaccination { vaccine, .. } = &mut record.fact
            && self.unsendable.lock().contains(&id)
        {
            *vaccine = vec![Coding::local(UNKNOWN)];
        }
        if let ClinicFact::Vaccination { occurred_on, .. } = &mut record.fact
            && let Some(day) = self.days.lock().get(&id)
        {
            let day = chrono::NaiveDate::from_ymd_opt(2021, 6, *day).expect("a day");
            *occurred_on = Field::Value(ClinicDate::Day(day));
        }
        if let ClinicFact::Vaccination { dose_number, .. } = &mut record.fact
            && let Some(dose) = self.doses.lock().get(&id)
        {
            *dose_number = Field::Value((*dose).into());
        }
        record
    }

    fn works(&self, feed: Feed) -> Result<(), SourceError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(SourceError::retry("the source is away"));
        }
        let broken = self.broken.lock();
        let failure = broken.iter().find(|(broken, _)| *broken == feed);
        failure.map_or(Ok(()), |(_, failure)| Err(failure.clone()))
    }

    fn page_of(&self, after: Option<&Cursor>, limit: u32) -> (Vec<(u32, i64)>, Option<Cursor>) {
        let from = after.map_or(0, |cursor| cursor.as_str().parse().expect("our own cursor"));
        let limit = usize::try_from(limit).expect("small");
        let page: Vec<_> = self
            .lock()
            .range(from..)
            .take(limit)
            .map(|(id, stamp)| (*id, *stamp))
            .collect();
        let next = page
            .last()
            .map(|(id, _)| id + 1)
            .filter(|_| page.len() == limit);
        let next = if self.endless.load(Ordering::Relaxed) {
            Some(from.max(1) % 3 + 1)
        } else {
            next
        };
        (
            page,
            next.map(|next| Cursor::new(next.to_string()).expect("short")),
        )
    }
}

/// Code of a vaccine that nobody knows.
const UNKNOWN: &str = "неизвестная";

/// Id of a row whose vaccine is unknown, so that its record cannot be sent.
pub(crate) const UNSENDABLE: u32 = 999_999;

/// Id of a row whose fact lies in the future until 2021-07-10.
pub(crate) const IN_JULY: u32 = 888_888;

/// Makes the record of one vaccination of a person of its own.
pub(crate) fn record(id: u32, stamp: i64) -> ClinicRecord {
    ClinicRecord {
        record_id: id.to_string(),
        status: RecordStatus::Final,
        unmapped_status: None,
        person: Person {
            identifiers: vec![Identifier {
                kind: IdentifierKind::PassportForeign,
                value: format!("YA{}", 4_417_000 + id).into(),
                country: Some("IT".into()),
            }],
            unreadable: false,
        },
        fact: ClinicFact::Vaccination {
            vaccine: vec![Coding::local(if id == UNSENDABLE {
                UNKNOWN
            } else {
                "sputnik-v"
            })],
            dose_number: Field::Value(1.into()),
            series_doses: Field::Missing,
            occurred_on: Field::Value(ClinicDate::Day(if id == IN_JULY {
                chrono::NaiveDate::from_ymd_opt(2021, 7, 10).expect("a day")
            } else {
                chrono::NaiveDate::from_ymd_opt(2021, 6, 10).expect("a day")
            })),
        },
        stamp: Some(stamp),
    }
}

/// Makes the record of a person of its own in a feed.
fn record_of(feed: Feed, id: u32, stamp: i64) -> ClinicRecord {
    let day = chrono::NaiveDate::from_ymd_opt(2021, 6, 10).expect("a day");
    let occurred_on = Field::Value(ClinicDate::Day(day));
    let record = record(id, stamp);
    let fact = match feed {
        Feed::Vaccinations => return record,
        Feed::Tests => ClinicFact::Test {
            test: vec![Coding::local("pcrcovid19")],
            result: vec![Coding::local("negative")],
            occurred_on,
        },
        Feed::Recoveries => ClinicFact::Recovery {
            diagnosis: vec![Coding::local("U07.1")],
            began_on: Field::Missing,
            occurred_on,
        },
    };
    ClinicRecord { fact, ..record }
}

/// Connector that reads [`Rows`].
pub(crate) struct RowsConnector(pub Arc<Rows>);

#[async_trait]
impl Connector for RowsConnector {
    fn kind(&self) -> &'static str {
        "test"
    }

    fn feeds(&self) -> Vec<Feed> {
        let others = self.0.other_feeds.lock();
        std::iter::once(Feed::Vaccinations)
            .chain(others.iter().copied())
            .collect()
    }

    async fn check(&self, _now: DateTime<Utc>) -> CheckReport {
        CheckReport::default()
    }

    async fn page(&self, request: PageRequest) -> Result<Page, SourceError> {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        self.0.limit.store(request.limit, Ordering::Relaxed);
        self.0
            .hinted
            .fetch_add(u64::from(request.hinted), Ordering::Relaxed);
        self.0.asked_feeds.lock().push(request.feed);
        self.0.works(request.feed)?;
        if request.limit < self.0.least_limit.load(Ordering::Relaxed) {
            return Err(SourceError::misconfigured(
                "too many rows are equal",
                "part them",
            ));
        }
        let (rows, next) = self.0.page_of(request.after.as_ref(), request.limit);
        // Ids rise: the next run begins behind the last row.
        let resume = rows
            .last()
            .and_then(|(id, _)| Cursor::new((id + 1).to_string()));
        let records = rows
            .into_iter()
            .map(|(id, stamp)| self.0.record(request.feed, id, stamp))
            .collect();
        Ok(Page {
            records,
            next,
            resume,
            surprise: None,
        })
    }

    async fn keys(&self, request: KeysRequest) -> Result<KeysPage, SourceError> {
        self.0.works(request.feed)?;
        let (rows, next) = self.0.page_of(request.after.as_ref(), request.limit);
        let unlisted = self.0.unlisted.lock();
        let listed = rows.into_iter().filter(|(id, _)| !unlisted.contains(id));
        let keys = listed.map(|(id, stamp)| RecordKey {
            record_id: id.to_string(),
            stamp: self.0.stamp(stamp),
        });
        Ok(KeysPage {
            keys: keys.collect(),
            next,
            surprise: None,
        })
    }

    fn sweep_reads(&self, _feed: Feed) -> SweepReads {
        if self.0.reads_contents.load(Ordering::Relaxed) {
            SweepReads::Contents
        } else {
            SweepReads::Stamps
        }
    }

    async fn contents(&self, request: KeysRequest) -> Result<ContentsPage, SourceError> {
        let after = request.after.as_ref();
        let number = {
            let mut asked = self.0.contents_asked.lock();
            asked.push(after.map_or(0, |after| after.as_str().parse().expect("our own cursor")));
            asked.len()
        };
        self.0.limit.store(request.limit, Ordering::Relaxed);
        self.0.at_contents.happen(number);
        drop(self.0.contents_gate.read().await);
        self.0.works(request.feed)?;
        let (rows, next) = self.0.page_of(after, request.limit);
        let unlisted = self.0.unlisted.lock();
        let listed = rows.into_iter().filter(|(id, _)| !unlisted.contains(id));
        let records = listed.map(|(id, stamp)| self.0.record(request.feed, id, stamp));
        Ok(ContentsPage {
            records: records.collect(),
            next,
            surprise: None,
        })
    }

    async fn fetch(
        &self,
        feed: Feed,
        ids: &[String],
        _now: DateTime<Utc>,
    ) -> Result<Vec<ClinicRecord>, SourceError> {
        self.0.asked_ids.lock().push(ids.to_vec());
        if self.0.leaves_when_asked.load(Ordering::Relaxed) {
            self.0.away.store(true, Ordering::Relaxed);
        }
        self.0.works(feed)?;
        let unanswered = self.0.unanswered.lock();
        let mut asked = ids.iter().filter_map(|id| id.parse().ok());
        if asked.any(|id: u32| unanswered.contains(&id)) {
            return Err(SourceError::retry("a row cannot be looked for"));
        }
        let rows = self.rows_with(ids);
        Ok(rows
            .into_iter()
            .map(|(id, stamp)| self.0.record(feed, id, stamp))
            .collect())
    }

    async fn changed(&self) -> Result<(), SourceError> {
        self.0.hints.notified().await;
        if self.0.away.load(Ordering::Relaxed) {
            Err(SourceError::retry("the source is away"))
        } else {
            Ok(())
        }
    }
}

impl RowsConnector {
    fn rows_with(&self, ids: &[String]) -> Vec<(u32, i64)> {
        let rows = self.0.lock();
        ids.iter()
            .filter_map(|id| id.parse().ok())
            .filter_map(|id| Some((id, *rows.get(&id)?)))
            .collect()
    }
}
