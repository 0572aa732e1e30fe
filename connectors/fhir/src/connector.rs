//! The connector: one page of a feed at a time, from one server page at a time.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::{
    CheckReport, ClinicRecord, Connector, Feed, Page, PageRequest, RecordStatus, SourceError,
};
use url::Url;

use crate::bundle::{self, PatientEntry, Resource, ServerPage};
use crate::config::{FhirConfig, Include};
use crate::cursor::{Position, Run};
use crate::fact::{self, Mapped, resource_type};
use crate::http::{Ask, Http, Refusal};
use crate::identity::IdentifierRules;
use crate::patients::Patients;
use crate::query::{MAX_BATCH, Queries};

/// A FHIR R4 server as a source of clinic records.
pub struct FhirConnector {
    pub(crate) config: FhirConfig,
    pub(crate) http: Http,
    pub(crate) queries: Queries,
    pub(crate) rules: IdentifierRules,
    /// Set once the server has refused `_include`; from then on patients are read in batches.
    include_refused: AtomicBool,
}

/// A server page with the moment the server says it was made.
pub(crate) struct Fetched {
    pub page: ServerPage,
    pub date: Option<DateTime<Utc>>,
}

impl FhirConnector {
    /// Prepares the source; secrets and certificates are read now, relative paths starting from `folder`.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] for anything in the configuration that cannot work, secrets included.
    pub fn new(config: FhirConfig, folder: &Path) -> Result<Self, SourceError> {
        check_bounds(&config)?;
        Ok(Self {
            http: Http::new(&config, folder)?,
            queries: Queries::new(&config)?,
            rules: IdentifierRules::new(&config),
            include_refused: AtomicBool::new(false),
            config,
        })
    }

    async fn read(&self, request: &PageRequest) -> Result<Page, SourceError> {
        let resource = resource_type(request.feed);
        let (mut run, url, fetched) = match request.after.as_ref().map(Position::read).transpose()? {
            Some(Position::Run(run)) if !request.first_of_run => {
                let url = self.at(&run.page)?;
                let fetched = self.fetch(url.clone(), Ask::NextPage, resource, request.now).await?;
                (*run, url, fetched)
            }
            Some(Position::Corrected(pass)) if !request.first_of_run => {
                return self.corrected(request, *pass).await;
            }
            stored => self.start(request, stored).await?,
        };
        let (records, has_more) = self.advance(request, &mut run, &url, fetched).await?;
        let next = if has_more {
            Position::Run(Box::new(run))
        } else if let Some(pass) = self.second_pass(&run, request.now) {
            Position::Corrected(Box::new(pass))
        } else {
            let resume = run.resume(request.now).map(|stamp| Position::Since(stamp).write()).transpose()?;
            return Ok(Page { records, next: None, resume });
        };
        Ok(Page { records, next: Some(next.write()?), resume: None })
    }

    /// Hands over what comes next of a server page, and goes on to the next one; false when there is no more.
    pub(crate) async fn advance(
        &self,
        request: &PageRequest,
        run: &mut Run,
        url: &Url,
        mut fetched: Fetched,
    ) -> Result<(Vec<ClinicRecord>, bool), SourceError> {
        run.arrive(&fetched.page);
        let limit = usize::try_from(request.limit.max(1)).unwrap_or(usize::MAX);
        let until = run.skip.saturating_add(limit).min(fetched.page.matches.len());
        let from = run.skip;
        run.hand_over(&fetched.page, until);
        let records = self.records(request, &mut fetched.page, from..until).await?;
        let has_more = until < fetched.page.matches.len() || self.turn(run, url, &fetched, request.now)?;
        Ok((records, has_more))
    }

    /// Goes on to the page that this one links to, if it does.
    pub(crate) fn turn(
        &self,
        run: &mut Run,
        url: &Url,
        fetched: &Fetched,
        now: DateTime<Utc>,
    ) -> Result<bool, SourceError> {
        let Some(link) = &fetched.page.next else { return Ok(false) };
        let next = self.queries.follow(url, link)?;
        self.check_progress(run, &next)?;
        run.turn(Queries::path(&next), fetched.date.unwrap_or(now));
        Ok(true)
    }

    /// The address kept in a cursor.
    pub(crate) fn at(&self, path: &str) -> Result<Url, SourceError> {
        self.queries.at_path(path).ok_or_else(|| {
            SourceError::retry("the position in this run is damaged; the next run starts again")
        })
    }

    /// The first server page of a run. A server that refuses `_include` is asked again without.
    async fn start(
        &self,
        request: &PageRequest,
        stored: Option<Position>,
    ) -> Result<(Run, Url, Fetched), SourceError> {
        let (since, patients) = match stored {
            None => (None, None),
            Some(Position::Since(stamp)) => (Some(stamp), None),
            Some(Position::Both { records, patients }) => (Some(records), Some(patients)),
            Some(Position::Run(run)) => (run.since, run.patients),
            Some(Position::Corrected(pass)) => (Some(pass.since), pass.list.since),
        };
        let from = if request.first_of_run { self.overlapped(since) } else { since };
        let (url, fetched) = self.first_page(request.feed, from, request.limit.max(1), request.now).await?;
        let started = fetched.date.unwrap_or(request.now);
        let mut run = Run::new(since, Queries::path(&url), started);
        run.patients = patients;
        Ok((run, url, fetched))
    }

    /// A stamp less the overlap.
    pub(crate) fn overlapped(&self, stamp: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        stamp.and_then(|stamp| {
            stamp.checked_sub_signed(TimeDelta::seconds(self.config.overlap_seconds.into()))
        })
    }

    pub(crate) async fn first_page(
        &self,
        feed: Feed,
        from: Option<DateTime<Utc>>,
        count: u32,
        now: DateTime<Utc>,
    ) -> Result<(Url, Fetched), SourceError> {
        let resource = resource_type(feed);
        let url = self.queries.search(feed, from, count, self.asks_for_includes());
        let refused = match self.fetch(url.clone(), Ask::Search(resource), resource, now).await {
            Ok(fetched) => return Ok((url, fetched)),
            Err(refused) => refused,
        };
        let may_be_the_include = self.config.include == Include::Auto && self.asks_for_includes();
        if !may_be_the_include || !matches!(refused.status, Some(400 | 422)) {
            return Err(refused.error);
        }
        let url = self.queries.search(feed, from, count, false);
        let fetched = match self.fetch(url.clone(), Ask::Search(resource), resource, now).await {
            Ok(fetched) => fetched,
            Err(again) => return Err(again.error),
        };
        tracing::info!("the FHIR server refuses _include; patients are read in batches");
        self.include_refused.store(true, Ordering::Relaxed);
        Ok((url, fetched))
    }

    pub(crate) fn asks_for_includes(&self) -> bool {
        match self.config.include {
            Include::Auto => !self.include_refused.load(Ordering::Relaxed),
            Include::Include => true,
            Include::BatchedReads => false,
        }
    }

    pub(crate) async fn fetch(
        &self,
        url: Url,
        ask: Ask,
        resource: &str,
        now: DateTime<Utc>,
    ) -> Result<Fetched, Refusal> {
        let reply = self.http.get(url, ask, now).await?;
        Ok(Fetched { page: bundle::parse(&reply.body, resource)?, date: reply.date })
    }

    fn check_progress(&self, run: &Run, next: &Url) -> Result<(), SourceError> {
        if Queries::path(next) == run.page {
            return Err(SourceError::misconfigured(
                "the FHIR server's link to the next page leads to the same page again",
                "have the server's paging mended",
            ));
        }
        if run.pages >= self.config.max_pages {
            return Err(SourceError::misconfigured(
                format!("the FHIR server's pages do not end: {} read in one run", run.pages),
                "raise max_pages if the clinic really holds that many",
            ));
        }
        Ok(())
    }

    async fn records(
        &self,
        request: &PageRequest,
        page: &mut ServerPage,
        range: std::ops::Range<usize>,
    ) -> Result<Vec<ClinicRecord>, SourceError> {
        let zone = self.config.time_zone.0;
        let taken: Vec<(&Resource, Mapped)> = page.matches[range]
            .iter()
            .map(|resource| (resource, fact::map(request.feed, resource.json.get(), zone)))
            .collect();
        let mut patients = Patients::default();
        for entry in std::mem::take(&mut page.patients) {
            patients.insert(entry, &self.rules, request.now);
        }
        if self.config.include != Include::Include {
            let mut ids = BTreeSet::new();
            for (_, mapped) in &taken {
                patients.missing(&mapped.subject, self.queries.base(), &mut ids);
            }
            for entry in self.read_patients(ids, request.now).await? {
                patients.insert(entry, &self.rules, request.now);
            }
        }
        let context = (&self.rules, self.queries.base(), request.now);
        let record = |(resource, mapped): (&Resource, Mapped)| ClinicRecord {
            record_id: resource.record_id.clone(),
            // Without an id of its own it cannot be told from others later on.
            status: resource.id.as_ref().map_or(RecordStatus::Unknown, |_| mapped.status),
            person: patients.person(&mapped.subject, &mapped.contained, context),
            fact: mapped.fact,
        };
        Ok(taken.into_iter().map(record).collect())
    }

    /// Reads patients by their ids. A server that splits even such an answer is followed for as many pages as ids.
    pub(crate) async fn read_patients(
        &self,
        ids: BTreeSet<String>,
        now: DateTime<Utc>,
    ) -> Result<Vec<PatientEntry>, SourceError> {
        let ids: Vec<String> = ids.into_iter().collect();
        let mut found = Vec::new();
        for batch in ids.chunks(MAX_BATCH) {
            let mut next = Some(self.queries.patients(batch));
            let mut ask = Ask::Search("Patient");
            for _ in 0..=batch.len() {
                let Some(url) = next.take() else { break };
                let fetched = self.fetch(url.clone(), ask, "Patient", now).await?;
                next =
                    fetched.page.next.as_deref().map(|link| self.queries.follow(&url, link)).transpose()?;
                ask = Ask::NextPage;
                found.extend(fetched.page.matches.into_iter().map(PatientEntry::from));
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl Connector for FhirConnector {
    fn kind(&self) -> &'static str {
        "fhir"
    }

    fn feeds(&self) -> Vec<Feed> {
        Feed::ALL
            .into_iter()
            .filter(|feed| self.config.feeds.iter().any(|name| Feed::from(*name) == *feed))
            .collect()
    }

    async fn check(&self, now: DateTime<Utc>) -> CheckReport {
        crate::check::run(self, now).await
    }

    async fn page(&self, request: PageRequest) -> Result<Page, SourceError> {
        self.read(&request).await
    }
}

impl From<Refusal> for SourceError {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

/// What the types of the configuration cannot say.
fn check_bounds(config: &FhirConfig) -> Result<(), SourceError> {
    let is_local = match config.base_url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if config.base_url.scheme() == "http" && !is_local && !config.allow_plain_http {
        return Err(SourceError::misconfigured(
            "base_url is plain http to another machine: records and passwords would travel readable",
            "use https, or set allow_plain_http = true where the way there is protected otherwise",
        ));
    }
    let bounds = [
        ("overlap_seconds", config.overlap_seconds, 0, 7 * 24 * 3600),
        ("request_timeout_seconds", config.request_timeout_seconds, 1, 3600),
        ("connect_timeout_seconds", config.connect_timeout_seconds, 1, 600),
        ("max_body_bytes", config.max_body_bytes, 64 * 1024, 256 * 1024 * 1024),
        ("max_pages", config.max_pages, 1, u32::MAX),
    ];
    for (name, value, least, most) in bounds {
        if !(least..=most).contains(&value) {
            return Err(SourceError::misconfigured(
                format!("{name} is {value}"),
                format!("write a number from {least} to {most}"),
            ));
        }
    }
    let empty = |what: &str, help: &str| Err(SourceError::misconfigured(format!("{what} is empty"), help));
    let reads = |feed| config.feeds.iter().any(|name| Feed::from(*name) == feed);
    if config.feeds.is_empty() {
        return empty("feeds", "name at least one of vaccinations, tests, recoveries, or leave the line out");
    }
    if reads(Feed::Tests) && config.test_codes.is_empty() {
        return empty("test_codes", "name the tests' codes, or leave tests out of feeds");
    }
    if reads(Feed::Recoveries) && config.diagnosis_codes.is_empty() {
        return empty("diagnosis_codes", "name the diagnoses' codes, or leave recoveries out of feeds");
    }
    Ok(())
}
