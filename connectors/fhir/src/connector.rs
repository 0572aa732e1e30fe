//! The connector: one page of a feed at a time, from one server page at a time.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::{
    CheckReport, ClinicRecord, Connector, Feed, KeysPage, KeysRequest, Page, PageRequest,
    RecordStatus, SourceError, SourceSurprise,
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
    pub(crate) learned: Learned,
}

/// What the server turned out not to do; it is not asked again until the gateway starts anew.
#[derive(Default)]
pub(crate) struct Learned {
    /// It refuses `_include`: patients are read in batches.
    pub include_refused: AtomicBool,
    /// It refuses `_elements`, or `_id` in `_sort`: keys are asked for without.
    pub keys_are_plain: AtomicBool,
    /// It cannot search for several ids at once: one search an id.
    pub ids_one_by_one: AtomicBool,
    /// It cannot search for ids: every record is read by its address.
    pub ids_by_address: AtomicBool,
}

/// A server page with the moment the server says it was made.
pub(crate) struct Fetched {
    pub page: ServerPage,
    pub date: Option<DateTime<Utc>>,
}

impl FhirConnector {
    /// Prepares the source; secrets and certificates are read now, relative paths starting from
    /// `folder`.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] for anything in the configuration that cannot work, secrets
    /// included.
    pub fn new(config: FhirConfig, folder: &Path) -> Result<Self, SourceError> {
        check_bounds(&config)?;
        Ok(Self {
            http: Http::new(&config, folder)?,
            queries: Queries::new(&config)?,
            rules: IdentifierRules::new(&config),
            learned: Learned::default(),
            config,
        })
    }

    async fn read(&self, request: &PageRequest) -> Result<Page, SourceError> {
        let resource = resource_type(request.feed);
        let (mut run, url, fetched) =
            match request.after.as_ref().map(Position::read).transpose()? {
                Some(Position::Run(run)) if !request.first_of_run => {
                    check_end(&run)?;
                    let url = self.at(&run.page)?;
                    let fetched = self
                        .get_page(url.clone(), Ask::NextPage, resource, request.now)
                        .await?;
                    (*run, url, fetched)
                }
                Some(Position::Corrected(pass)) if !request.first_of_run => {
                    return self.corrected(request, *pass).await;
                }
                stored => self.start(request, stored).await?,
            };
        let mut surprise =
            (run.went_back && run.is_fresh()).then_some(SourceSurprise::StampsWentBack);
        let (records, has_more) = self.advance(request, &mut run, &url, fetched).await?;
        if !has_more && run.look_back() {
            surprise = Some(SourceSurprise::StampsWentBack);
        }
        let next = if has_more {
            Position::Run(Box::new(run))
        } else if let Some(pass) = self.second_pass(&run, request.now) {
            Position::Corrected(Box::new(pass))
        } else {
            let resume = run
                .resume(request.now)
                .map(|stamp| Position::Since(stamp).write())
                .transpose()?;
            return Ok(Page {
                records,
                next: None,
                resume,
                surprise,
            });
        };
        Ok(Page {
            records,
            next: Some(next.write()?),
            resume: None,
            surprise,
        })
    }

    /// Hands over what comes next of a server page, and goes on to the next one; false when there
    /// is no more.
    pub(crate) async fn advance(
        &self,
        request: &PageRequest,
        run: &mut Run,
        url: &Url,
        mut fetched: Fetched,
    ) -> Result<(Vec<ClinicRecord>, bool), SourceError> {
        run.arrive(&fetched.page);
        let limit = usize::try_from(request.limit.max(1)).unwrap_or(usize::MAX);
        let until = run
            .skip
            .saturating_add(limit)
            .min(fetched.page.matches.len());
        let from = run.skip;
        run.hand_over(&fetched.page, until);
        let records = self
            .records(
                (request.feed, request.now),
                &mut fetched.page,
                from..until,
                self.config.include != Include::Include,
            )
            .await?;
        let has_more =
            until < fetched.page.matches.len() || self.turn(run, url, &fetched, request.now)?;
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
        let Some(link) = &fetched.page.next else {
            return Ok(false);
        };
        let next = self.queries.follow(url, link)?;
        run.watch(&fetched.page, Queries::path(&next), self.config.max_pages);
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
        let from = if request.first_of_run {
            self.overlapped(since)
        } else {
            since
        };
        let (url, fetched) = self
            .first_page(request.feed, from, request.limit.max(1), request.now)
            .await?;
        let started = fetched.date.unwrap_or(request.now);
        let mut run = Run::new(since, Queries::path(&url), started);
        run.patients = patients;
        if request.first_of_run
            && fetched.page.matches.is_empty()
            && let Some(started) = self.start_further_back(request, &run).await?
        {
            return Ok(started);
        }
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
        let url = self
            .queries
            .search(feed, from, count, self.asks_for_includes());
        let refused = match self
            .get_page(url.clone(), Ask::Search(resource), resource, now)
            .await
        {
            Ok(fetched) => return Ok((url, fetched)),
            Err(refused) => refused,
        };
        let may_be_the_include = self.config.include == Include::Auto && self.asks_for_includes();
        if !may_be_the_include || !matches!(refused.status, Some(400 | 422)) {
            return Err(refused.error);
        }
        let url = self.queries.search(feed, from, count, false);
        let fetched = match self
            .get_page(url.clone(), Ask::Search(resource), resource, now)
            .await
        {
            Ok(fetched) => fetched,
            Err(again) => return Err(again.error),
        };
        tracing::info!("the FHIR server refuses _include; patients are read in batches");
        self.learned.include_refused.store(true, Ordering::Relaxed);
        Ok((url, fetched))
    }

    pub(crate) fn asks_for_includes(&self) -> bool {
        match self.config.include {
            Include::Auto => !self.learned.include_refused.load(Ordering::Relaxed),
            Include::Include => true,
            Include::BatchedReads => false,
        }
    }

    pub(crate) async fn get_page(
        &self,
        url: Url,
        ask: Ask,
        resource: &str,
        now: DateTime<Utc>,
    ) -> Result<Fetched, Refusal> {
        let reply = self.http.get(url, ask, now).await?;
        Ok(Fetched {
            page: bundle::parse(&reply.body, resource)?,
            date: reply.date,
        })
    }

    pub(crate) async fn records(
        &self,
        (feed, now): (Feed, DateTime<Utc>),
        page: &mut ServerPage,
        range: std::ops::Range<usize>,
        reads_patients: bool,
    ) -> Result<Vec<ClinicRecord>, SourceError> {
        let zone = self.config.time_zone.0;
        let taken: Vec<(&Resource, Mapped)> = page.matches[range]
            .iter()
            .map(|resource| (resource, fact::map(feed, resource.json.get(), zone)))
            .collect();
        let mut patients = Patients::default();
        for entry in std::mem::take(&mut page.patients) {
            patients.insert(entry, &self.rules, now);
        }
        if reads_patients {
            let mut ids = BTreeSet::new();
            for (_, mapped) in &taken {
                patients.missing(&mapped.subject, self.queries.base(), &mut ids);
            }
            for entry in self.read_patients(ids, now).await? {
                patients.insert(entry, &self.rules, now);
            }
        }
        let context = (&self.rules, self.queries.base(), now);
        let record = |(resource, mapped): (&Resource, Mapped)| ClinicRecord {
            record_id: resource.record_id.clone(),
            // Without an id of its own it cannot be told from others later on.
            status: resource
                .id
                .as_ref()
                .map_or(RecordStatus::Unknown, |_| mapped.status),
            person: patients.person(&mapped.subject, &mapped.contained, context),
            fact: mapped.fact,
            stamp: resource.stamp_micros(),
        };
        Ok(taken.into_iter().map(record).collect())
    }

    /// Reads patients by their ids. A server that splits even such an answer is followed for as
    /// many pages as ids.
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
                let fetched = self.get_page(url.clone(), ask, "Patient", now).await?;
                next = fetched
                    .page
                    .next
                    .as_deref()
                    .map(|link| self.queries.follow(&url, link))
                    .transpose()?;
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
            .filter(|feed| {
                self.config
                    .feeds
                    .iter()
                    .any(|name| Feed::from(*name) == *feed)
            })
            .collect()
    }

    async fn check(&self, now: DateTime<Utc>) -> CheckReport {
        crate::check::run(self, now).await
    }

    async fn page(&self, request: PageRequest) -> Result<Page, SourceError> {
        self.read(&request).await
    }

    async fn keys(&self, request: KeysRequest) -> Result<KeysPage, SourceError> {
        self.list_keys(&request).await
    }

    async fn fetch(
        &self,
        feed: Feed,
        ids: &[String],
        now: DateTime<Utc>,
    ) -> Result<Vec<ClinicRecord>, SourceError> {
        self.fetch_by_id(feed, ids, now).await
    }
}

impl From<Refusal> for SourceError {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

/// Pages that do not end are followed no further; the stored stamp stays.
pub(crate) fn check_end(run: &Run) -> Result<(), SourceError> {
    run.endless
        .map_or(Ok(()), |endless| Err(endless.error(run.pages - 1)))
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
            "base_url is plain http to another machine: records and passwords would travel \
             readable",
            "use https, or set allow_plain_http = true where the way there is protected otherwise",
        ));
    }
    let bounds = [
        ("overlap_seconds", config.overlap_seconds, 0, 7 * 24 * 3600),
        (
            "request_timeout_seconds",
            config.request_timeout_seconds,
            1,
            3600,
        ),
        (
            "connect_timeout_seconds",
            config.connect_timeout_seconds,
            1,
            600,
        ),
        (
            "max_body_bytes",
            config.max_body_bytes,
            64 * 1024,
            256 * 1024 * 1024,
        ),
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
    let empty =
        |what: &str, help: &str| Err(SourceError::misconfigured(format!("{what} is empty"), help));
    let reads = |feed| config.feeds.iter().any(|name| Feed::from(*name) == feed);
    if config.feeds.is_empty() {
        return empty(
            "feeds",
            "name at least one of vaccinations, tests, recoveries, or leave the line out",
        );
    }
    if reads(Feed::Tests) && config.test_codes.is_empty() {
        return empty(
            "test_codes",
            "name the tests' codes, or leave tests out of feeds",
        );
    }
    if reads(Feed::Recoveries) && config.diagnosis_codes.is_empty() {
        return empty(
            "diagnosis_codes",
            "name the diagnoses' codes, or leave recoveries out of feeds",
        );
    }
    Ok(())
}
