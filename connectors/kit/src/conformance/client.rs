//! A gateway in small: asks a connector for runs, sweeps and single rows, with bounded patience.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::subject::{Row, Subject, now};
use super::violation::{Violation, ensure};
use crate::{
    CheckReport, ClinicFact, ClinicRecord, Connector, Cursor, Feed, Field, KeysPage, KeysRequest,
    Page, PageRequest, RecordKey, RecordStatus, SourceError, SourceSurprise,
};

/// Feed that the checks read.
pub(super) const FEED: Feed = Feed::Vaccinations;
/// Most pages of a run or a sweep over the few rows of a check.
const MAX_PAGES: usize = 300;
/// Most times that a page is asked for where the timeouts are short.
const MAX_TRIES: usize = 10;

/// A connector to a subject.
pub(super) struct Client {
    connector: Box<dyn Connector>,
    patience: Duration,
}

/// Everything that one run handed over.
#[derive(Default)]
pub(super) struct Run {
    pub records: Vec<ClinicRecord>,
    /// Every cursor that came with a page.
    pub cursors: Vec<Cursor>,
    /// Cursor that a gateway would have stored at the end.
    pub stored: Option<Cursor>,
    pub surprises: Vec<SourceSurprise>,
    /// Failure that ended the run, if one did.
    pub failure: Option<SourceError>,
}

/// Everything that one sweep listed.
#[derive(Default)]
pub(super) struct Sweep {
    pub keys: Vec<RecordKey>,
    pub cursors: Vec<Cursor>,
    /// Failure that ended the sweep, if one did.
    pub failure: Option<SourceError>,
}

impl Run {
    pub(super) fn ids(&self) -> BTreeSet<String> {
        let ids = self.records.iter().map(|record| record.record_id.clone());
        ids.collect()
    }
}

impl Sweep {
    pub(super) fn ids(&self) -> BTreeSet<String> {
        self.keys.iter().map(|key| key.record_id.clone()).collect()
    }
}

impl Client {
    pub(super) async fn new(subject: &dyn Subject) -> Self {
        Self {
            connector: subject.connector().await,
            patience: subject.patience(),
        }
    }

    /// Waits for an answer as long as the subject says that it may take.
    async fn wait<T>(&self, what: &str, answer: impl Future<Output = T>) -> Result<T, Violation> {
        let answer = tokio::time::timeout(self.patience, answer).await;
        answer.map_err(|_| Violation::new(format!("`{what}` took longer than every timeout")))
    }

    /// Asks for a page; the inner error is the connector's.
    pub(super) async fn try_page(
        &self,
        request: &PageRequest,
    ) -> Result<Result<Page, SourceError>, Violation> {
        let answer = self.connector.page(request.clone());
        let answer = self.wait("page", answer).await?;
        if let Ok(page) = &answer {
            ensure!(
                page.records.len() <= request.limit as usize,
                "a page of {} records where at most {} were asked for",
                page.records.len(),
                request.limit
            );
            ensure!(
                page.next.is_none() || page.next != request.after || request.first_of_run,
                "the run stands still: the next page begins where this one began"
            );
        }
        Ok(answer)
    }

    pub(super) async fn page(&self, request: &PageRequest) -> Result<Page, Violation> {
        Ok(self.try_page(request).await??)
    }

    /// Asks for a page until it comes, as a gateway does: a source that works may be too slow for
    /// timeouts that were shortened.
    pub(super) async fn page_in_the_end(&self, request: &PageRequest) -> Result<Page, Violation> {
        for _ in 1..MAX_TRIES {
            match self.try_page(request).await? {
                Err(SourceError::Retry { .. }) => {}
                answer => return Ok(answer?),
            }
        }
        self.page(request).await
    }

    /// Asks for a page of keys; the inner error is the connector's.
    pub(super) async fn try_keys(
        &self,
        request: &KeysRequest,
    ) -> Result<Result<KeysPage, SourceError>, Violation> {
        let answer = self.connector.keys(request.clone());
        let answer = self.wait("keys", answer).await?;
        if let Ok(page) = &answer {
            ensure!(
                page.keys.len() <= request.limit as usize,
                "a page of {} keys where at most {} were asked for",
                page.keys.len(),
                request.limit
            );
        }
        Ok(answer)
    }

    /// Asks for the rows with these ids; the inner error is the connector's.
    pub(super) async fn try_fetch(
        &self,
        ids: &[String],
    ) -> Result<Result<Vec<ClinicRecord>, SourceError>, Violation> {
        self.wait("fetch", self.connector.fetch(FEED, ids, now()))
            .await
    }

    pub(super) async fn fetch(&self, ids: &[String]) -> Result<Vec<ClinicRecord>, Violation> {
        Ok(self.try_fetch(ids).await??)
    }

    pub(super) async fn check(&self) -> Result<CheckReport, Violation> {
        self.wait("check", self.connector.check(now())).await
    }

    /// A run until its end or its first failure.
    pub(super) async fn try_run(
        &self,
        stored: Option<Cursor>,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Run, Violation> {
        let mut run = Run {
            stored: stored.clone(),
            ..Run::default()
        };
        let mut request = PageRequest {
            after: stored,
            now,
            ..first_page(limit)
        };
        for _ in 0..MAX_PAGES {
            let page = match self.try_page(&request).await? {
                Ok(page) => page,
                Err(failure) => {
                    run.failure = Some(failure);
                    return Ok(run);
                }
            };
            run.add(page, &mut request);
            if request.after.is_none() {
                return Ok(run);
            }
        }
        Err(Violation::new(format!(
            "the run does not end within {MAX_PAGES} pages"
        )))
    }

    /// A run that has to end well.
    pub(super) async fn run_at(
        &self,
        stored: Option<Cursor>,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Run, Violation> {
        let mut run = self.try_run(stored, limit, now).await?;
        match run.failure.take() {
            Some(failure) => Err(failure.into()),
            None => Ok(run),
        }
    }

    pub(super) async fn run(&self, stored: Option<Cursor>, limit: u32) -> Result<Run, Violation> {
        self.run_at(stored, limit, now()).await
    }

    /// A sweep until its end or its first failure.
    pub(super) async fn try_sweep(&self, limit: u32) -> Result<Sweep, Violation> {
        let mut sweep = Sweep::default();
        let mut request = first_keys(limit);
        for _ in 0..MAX_PAGES {
            match self.try_keys(&request).await? {
                Ok(page) => sweep.add(page, &mut request),
                Err(failure) => {
                    sweep.failure = Some(failure);
                    return Ok(sweep);
                }
            }
            if request.after.is_none() {
                return Ok(sweep);
            }
        }
        Err(Violation::new(format!(
            "the sweep does not end within {MAX_PAGES} pages"
        )))
    }

    /// A sweep that has to end well.
    pub(super) async fn sweep(&self, limit: u32) -> Result<Sweep, Violation> {
        let mut sweep = self.try_sweep(limit).await?;
        match sweep.failure.take() {
            Some(failure) => Err(failure.into()),
            None => Ok(sweep),
        }
    }
}

impl Run {
    /// Keeps a page and moves the request to the next one; its `after` is `None` at the end.
    pub(super) fn add(&mut self, page: Page, request: &mut PageRequest) {
        self.records.extend(page.records);
        self.surprises.extend(page.surprise);
        self.cursors.extend(page.next.clone());
        self.cursors.extend(page.resume.clone());
        self.stored = page.resume.or(self.stored.take());
        request.after = page.next;
        request.first_of_run = false;
    }
}

impl Sweep {
    /// Keeps a page and moves the request to the next one; its `after` is `None` at the end.
    pub(super) fn add(&mut self, page: KeysPage, request: &mut KeysRequest) {
        self.keys.extend(page.keys);
        self.cursors.extend(page.next.clone());
        request.after = page.next;
    }
}

/// The first page of a run from the very beginning.
pub(super) fn first_page(limit: u32) -> PageRequest {
    PageRequest {
        feed: FEED,
        after: None,
        first_of_run: true,
        hinted: false,
        limit,
        now: now(),
    }
}

/// The first keys of a sweep.
pub(super) fn first_keys(limit: u32) -> KeysRequest {
    KeysRequest {
        feed: FEED,
        after: None,
        limit,
        now: now(),
    }
}

/// A good row.
pub(super) fn row(name: &str, stamp: DateTime<Utc>) -> Row {
    Row {
        name: name.to_owned(),
        stamp,
        unreadable: false,
    }
}

/// Rows `r-000`, `r-001` …, each `apart` later than the one before, from nine days ago on.
pub(super) fn rows(count: i32, apart: TimeDelta) -> Vec<Row> {
    let first = now() - TimeDelta::days(9);
    (0..count)
        .map(|number| row(&format!("r-{number:03}"), first + apart * number))
        .collect()
}

/// The record ids of rows.
pub(super) fn ids_of(subject: &dyn Subject, rows: &[Row]) -> BTreeSet<String> {
    rows.iter()
        .map(|row| subject.record_id(&row.name))
        .collect()
}

/// True for a record that `pseudonym` will refuse: it was handed over as unusable.
pub(super) fn is_unusable(record: &ClinicRecord) -> bool {
    let ClinicFact::Vaccination { occurred_on, .. } = &record.fact else {
        return true;
    };
    matches!(
        record.status,
        RecordStatus::Unknown | RecordStatus::Unreadable | RecordStatus::PersonHidden
    ) || record.person.unreadable
        || matches!(occurred_on, Field::Invalid(_))
}

/// Fails, naming a few, when expected ids are missing.
pub(super) fn ensure_all(
    expected: &BTreeSet<String>,
    found: &BTreeSet<String>,
    when: &str,
) -> Result<(), Violation> {
    let missing: Vec<_> = expected.difference(found).take(5).collect();
    ensure!(missing.is_empty(), "{when}: missing {missing:?}");
    Ok(())
}

/// Fails unless exactly the expected ids were found.
pub(super) fn ensure_exactly(
    expected: &BTreeSet<String>,
    found: &BTreeSet<String>,
    when: &str,
) -> Result<(), Violation> {
    ensure_all(expected, found, when)?;
    let strange: Vec<_> = found.difference(expected).take(5).collect();
    ensure!(strange.is_empty(), "{when}: not in the source: {strange:?}");
    Ok(())
}
