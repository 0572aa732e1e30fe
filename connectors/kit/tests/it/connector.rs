//! A connector to the source in memory: right, or with one mistake.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use connector_kit::conformance::{Hostility, SNILS};
use connector_kit::{
    CheckReport, ClinicFact, ClinicRecord, Coding, Connector, Cursor, Feed, Field, FieldFault,
    Identifier, IdentifierKind, KeysPage, KeysRequest, Page, PageRequest, Person, RecordKey,
    RecordStatus, SourceError, SourceSurprise,
};

use crate::source::{Answer, Fault, Given, Order, Place, Source};

const TIMEOUT: Duration = Duration::from_millis(40);
const OVERLAP_MICROS: i64 = 300_000_000;
const MAX_PAGES: usize = 100;
const MAX_CODE_CHARS: usize = 1024;
/// The machine's clock, for the connector that looks at it: later than the checks take place.
const MACHINE_CLOCK_MICROS: i64 = 1_790_000_000_000_000;

/// The ways in which the connector can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    Writes,
    SaysNothingOfWriteAccess,
    PageOfOneMore,
    HandsOverWhatItIsGiven,
    DropsWhatIsOverTheLimit,
    EmptyTheSecondTime,
    SkipsTheLastPage,
    PagesByStampAlone,
    PagesByOffset,
    FollowsWhatIsWritten,
    ResumesAtTheNewest,
    ResumesInTheFuture,
    LooksAtTheMachinesClock,
    ForgetsTheOverlap,
    FailsForABadRow,
    DropsABadRow,
    IdentityInCursors,
    ReadsNames,
    QuotesTheSource,
    EmptyPageForASourceAway,
    CallsAwayMisconfigured,
    CallsRefusedRetry,
    HasNoTimeout,
    KeepsHugeValues,
    TakesTruncatedForWhole,
    TrustsPages,
    CountsNoPages,
    StopsAtTheFirstFault,
    KeysSkipTheLastPage,
    KeysByOffset,
    KeysOnlyOnce,
    KeysInWholeSeconds,
    FetchDropsABadRow,
    FetchFailsForWhatIsGone,
    FetchIgnoresIds,
    IgnoresStampsThatWentBack,
    StaysAheadOfStampsThatWentBack,
}

use Mistake as M;

/// Position in a listing: place, number of rows and pages read, and the stamp where a run ends.
#[derive(Debug, Default, Clone)]
struct Position {
    place: Option<Place>,
    rows: usize,
    pages: usize,
    until: Option<i64>,
}

pub(crate) struct MemoryConnector {
    source: Source,
    mistake: Option<Mistake>,
    /// Cursors that were asked for before.
    asked: Mutex<BTreeSet<String>>,
}

impl MemoryConnector {
    pub(crate) fn new(source: Source, mistake: Option<Mistake>) -> Self {
        Self {
            source,
            mistake,
            asked: Mutex::default(),
        }
    }

    fn errs(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// Waits for the source no longer than the timeout.
    async fn answered<T>(
        &self,
        answer: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, SourceError> {
        let answer = if self.errs(M::HasNoTimeout) {
            answer.await
        } else {
            let answer = tokio::time::timeout(TIMEOUT, answer).await;
            answer.map_err(|_| SourceError::retry("the source does not answer"))?
        };
        answer.map_err(|fault| match fault {
            Fault::Away if self.errs(M::CallsAwayMisconfigured) => {
                SourceError::misconfigured("the source is away", "start it")
            }
            Fault::Refused if self.errs(M::CallsRefusedRetry) => SourceError::retry("refused"),
            Fault::Internal(text) if self.errs(M::QuotesTheSource) => SourceError::retry(text),
            Fault::Away => SourceError::retry("the source is away"),
            Fault::Refused => SourceError::misconfigured("access is refused", "grant it"),
            Fault::Internal(_) => SourceError::retry("the source fails"),
        })
    }

    fn counts_no_pages(&self) -> bool {
        self.errs(M::CountsNoPages) || self.errs(M::TrustsPages)
    }

    fn pages_by_offset(&self, order: Order) -> bool {
        match order {
            Order::Stamp => self.errs(M::PagesByOffset),
            Order::Id => self.errs(M::KeysByOffset),
        }
    }

    /// The next rows of a listing, and the position behind them; `None` at its end.
    async fn list(
        &self,
        order: Order,
        position: &Position,
        limit: usize,
    ) -> Result<(Vec<Given>, Option<Position>), SourceError> {
        let by_offset = self.pages_by_offset(order);
        let asked = if by_offset {
            position.rows + limit
        } else {
            limit
        };
        let after = position.place.as_ref();
        let answer = self.answered(self.source.list(order, after, asked)).await;
        let answer = match answer {
            Err(SourceError::Retry { .. }) if self.errs(M::EmptyPageForASourceAway) => {
                return Ok((Vec::new(), None));
            }
            answer => answer?,
        };
        let mut rows = self.whole(answer)?;
        if by_offset {
            rows.drain(..position.rows.min(rows.len()));
        }
        let in_order = rows
            .first()
            .is_none_or(|first| after.is_none_or(|after| first.place(order) > *after))
            && rows.is_sorted_by_key(|row| row.place(order));
        if !in_order && !by_offset && !self.errs(M::TrustsPages) {
            let help = "give pages that follow one another";
            return Err(SourceError::misconfigured("the same rows come again", help));
        }
        let given = rows.len();
        if !self.errs(M::HandsOverWhatItIsGiven) && !self.errs(M::DropsWhatIsOverTheLimit) {
            rows.truncate(limit);
        }
        let next = self.next(order, position, &rows, given >= limit)?;
        if self.errs(M::DropsWhatIsOverTheLimit) {
            rows.truncate(limit);
        }
        Ok((rows, next))
    }

    fn whole(&self, answer: Answer) -> Result<Vec<Given>, SourceError> {
        if answer.whole || self.errs(M::TakesTruncatedForWhole) {
            return Ok(answer.rows);
        }
        Err(SourceError::retry("the answer broke off"))
    }

    fn next(
        &self,
        order: Order,
        position: &Position,
        rows: &[Given],
        more: bool,
    ) -> Result<Option<Position>, SourceError> {
        let Some(last) = rows.last().filter(|_| more) else {
            return Ok(None);
        };
        let mut place = last.place(order);
        let by_offset = self.pages_by_offset(order);
        let skips = match order {
            Order::Stamp => self.errs(M::SkipsTheLastPage),
            Order::Id => self.errs(M::KeysSkipTheLastPage),
        };
        if skips && self.source.count_after(order, &place) < rows.len() {
            return Ok(None);
        }
        if order == Order::Stamp && self.errs(M::PagesByStampAlone) {
            place.1 = "\u{10ffff}".to_owned();
        }
        if by_offset {
            place = position.place.clone().unwrap_or_default();
        }
        if position.pages >= MAX_PAGES && !self.counts_no_pages() {
            let help = "make the pages end";
            return Err(SourceError::misconfigured("the pages do not end", help));
        }
        Ok(Some(Position {
            place: Some(place),
            rows: position.rows + rows.len(),
            pages: position.pages + 1,
            until: position.until,
        }))
    }

    /// The position at which a page begins, and the surprise if stamps went back.
    fn begin(&self, request: &PageRequest, now: i64) -> (Position, Option<SourceSurprise>) {
        let Some(cursor) = &request.after else {
            return (Position::default(), None);
        };
        let mut position = read(cursor);
        if !request.first_of_run {
            return (position, None);
        }
        let stored = position.place.map_or(0, |(stamp, _)| stamp);
        let newest = self.source.newest(now).filter(|newest| *newest < stored);
        let newest = newest.filter(|_| !self.errs(M::IgnoresStampsThatWentBack));
        let overlap = if self.errs(M::ForgetsTheOverlap) {
            0
        } else {
            OVERLAP_MICROS
        };
        let stays = self.errs(M::StaysAheadOfStampsThatWentBack);
        let begin = newest.filter(|_| !stays).unwrap_or(stored) - overlap;
        position.place = Some((begin, String::new()));
        (position, newest.map(|_| SourceSurprise::StampsWentBack))
    }

    /// The cursor to store behind these rows.
    fn resume(&self, rows: &[Given], now: i64) -> Option<Cursor> {
        let last = if self.errs(M::ResumesAtTheNewest) {
            self.source.newest(now)?
        } else {
            rows.last()?.stamp
        };
        let last = if self.errs(M::ResumesInTheFuture) {
            last
        } else {
            last.min(now)
        };
        self.write(&Position {
            place: Some((last, String::new())),
            ..Position::default()
        })
    }

    fn write(&self, position: &Position) -> Option<Cursor> {
        let (stamp, id) = position.place.clone()?;
        let until = position
            .until
            .map_or(String::new(), |until| until.to_string());
        let planted = if self.errs(M::IdentityInCursors) {
            SNILS
        } else {
            ""
        };
        let counts = format!("{}|{}", position.rows, position.pages);
        Cursor::new(format!("{stamp}|{counts}|{until}|{planted}|{id}"))
    }

    fn record(&self, row: &Given) -> ClinicRecord {
        let value = if self.errs(M::ReadsNames) {
            format!("{} {}", row.name, row.snils)
        } else {
            row.snils.to_owned()
        };
        let bounded = if self.errs(M::KeepsHugeValues) {
            usize::MAX
        } else {
            MAX_CODE_CHARS
        };
        ClinicRecord {
            record_id: row.id.clone(),
            status: RecordStatus::Final,
            unmapped_status: None,
            person: Person {
                identifiers: vec![Identifier {
                    kind: IdentifierKind::Snils,
                    value: value.into(),
                    country: None,
                }],
                unreadable: false,
            },
            fact: ClinicFact::Vaccination {
                vaccine: vec![Coding::local(
                    row.code.chars().take(bounded).collect::<String>(),
                )],
                dose_number: Field::Missing,
                series_doses: Field::Missing,
                occurred_on: if row.readable {
                    Field::Missing
                } else {
                    Field::Invalid(FieldFault::NotADate)
                },
            },
            stamp: Some(row.stamp),
        }
    }
}

/// Reads what [`MemoryConnector::write`] has written.
fn read(cursor: &Cursor) -> Position {
    let parts: Vec<&str> = cursor.as_str().splitn(6, '|').collect();
    Position {
        place: Some((parts[0].parse().unwrap(), parts[5].to_owned())),
        rows: parts[1].parse().unwrap(),
        pages: parts[2].parse().unwrap(),
        until: parts[3].parse().ok(),
    }
}

#[async_trait]
impl Connector for MemoryConnector {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn feeds(&self) -> Vec<Feed> {
        vec![Feed::Vaccinations]
    }

    async fn check(&self, _now: DateTime<Utc>) -> CheckReport {
        let mut report = CheckReport::default();
        match self.answered(self.source.accept()).await {
            Ok(()) => report.good("the source answers"),
            Err(failure) => report.error(failure.to_string(), "see the source"),
        }
        if self.source.has(Hostility::WriteAccess) && !self.errs(M::SaysNothingOfWriteAccess) {
            report.warn("the account may write", "let it read only");
        }
        if self.source.state().misconfigured {
            report.error("no column vaccine_kode", "write vaccine_code");
            if !self.errs(M::StopsAtTheFirstFault) {
                report.error("no column occured_on", "write occurred_on");
            }
        }
        report
    }

    async fn page(&self, request: PageRequest) -> Result<Page, SourceError> {
        let now = if self.errs(M::LooksAtTheMachinesClock) {
            MACHINE_CLOCK_MICROS
        } else {
            request.now.timestamp_micros()
        };
        if self.errs(M::Writes) {
            self.source.state().writes += 1;
        }
        let (mut position, surprise) = self.begin(&request, now);
        if request.first_of_run {
            position.until = self.source.newest(i64::MAX);
        }
        let more = usize::from(self.errs(M::PageOfOneMore));
        let limit = (request.limit as usize).saturating_add(more);
        let (mut rows, mut next) = self.list(Order::Stamp, &position, limit).await?;
        if let Some(until) = position
            .until
            .filter(|_| !self.errs(M::FollowsWhatIsWritten))
        {
            let read = rows.len();
            rows.retain(|row| row.stamp <= until);
            next = next.filter(|_| rows.len() == read);
        }
        let asked = request.after.as_ref().map_or("", Cursor::as_str).to_owned();
        let again = !self.asked.lock().unwrap().insert(asked);
        if again && self.errs(M::EmptyTheSecondTime) {
            rows.clear();
        }
        if self.errs(M::FailsForABadRow) && rows.iter().any(|row| !row.readable) {
            return Err(SourceError::retry("a row cannot be read"));
        }
        let resume = self.resume(&rows, now);
        rows.retain(|row| row.readable || !self.errs(M::DropsABadRow));
        Ok(Page {
            records: rows.iter().map(|row| self.record(row)).collect(),
            next: next.and_then(|next| self.write(&next)),
            resume,
            surprise,
        })
    }

    async fn keys(&self, request: KeysRequest) -> Result<KeysPage, SourceError> {
        let position = request.after.as_ref().map(read).unwrap_or_default();
        let known = request.after.is_none() || !self.asked.lock().unwrap().is_empty();
        self.asked.lock().unwrap().insert("keys".to_owned());
        if self.errs(M::KeysOnlyOnce) && !known {
            return Ok(KeysPage {
                keys: Vec::new(),
                next: None,
                surprise: None,
            });
        }
        let (rows, next) = self
            .list(Order::Id, &position, request.limit as usize)
            .await?;
        let unit = if self.errs(M::KeysInWholeSeconds) {
            1_000_000
        } else {
            1
        };
        let keys = rows.into_iter().map(|row| RecordKey {
            record_id: row.id,
            stamp: Some(row.stamp / unit),
        });
        Ok(KeysPage {
            keys: keys.collect(),
            next: next.and_then(|next| self.write(&next)),
            surprise: None,
        })
    }

    async fn fetch(
        &self,
        _feed: Feed,
        ids: &[String],
        _now: DateTime<Utc>,
    ) -> Result<Vec<ClinicRecord>, SourceError> {
        let answer = if self.errs(M::FetchIgnoresIds) {
            self.answered(self.source.list(Order::Id, None, 100))
                .await?
        } else {
            self.answered(self.source.with_ids(ids)).await?
        };
        let mut rows = self.whole(answer)?;
        rows.retain(|row| row.readable || !self.errs(M::FetchDropsABadRow));
        if rows.len() < ids.len() && self.errs(M::FetchFailsForWhatIsGone) {
            return Err(SourceError::retry("a row is gone"));
        }
        Ok(rows.iter().map(|row| self.record(row)).collect())
    }
}
