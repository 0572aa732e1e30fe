//! The second pass of a run: the records of patients that were corrected, which do not change
//! themselves.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::{ClinicRecord, Feed, Page, PageRequest, SourceError};
use url::Url;

use crate::bundle::ServerPage;
use crate::connector::{Fetched, FhirConnector, check_end};
use crate::cursor::{Corrected, Position, Run};
use crate::fact::{self, resource_type};
use crate::http::{Ask, Refusal};
use crate::patients::{is_fhir_id, patient_id};
use crate::query::{MAX_CORRECTED, Queries};

/// Why the pass does not go on.
pub(crate) enum Stop {
    /// The server cannot search like this: the run ends without, and the patients' stamp stays.
    Unsupported(&'static str),
    /// Anything else.
    Failed(SourceError),
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

/// A refused search is an unsupported one; wrong credentials and whatever may pass are not.
fn refused(refusal: Refusal) -> Stop {
    match refusal.status {
        Some(400 | 403 | 404 | 405 | 422)
            if matches!(refusal.error, SourceError::Misconfigured { .. }) =>
        {
            Stop::Unsupported("it refuses the search")
        }
        _ => Stop::Failed(refusal.error),
    }
}

impl FhirConnector {
    /// The pass that follows a run's first; none where everything has just been read.
    pub(crate) fn second_pass(&self, run: &Run, now: DateTime<Utc>) -> Option<Corrected> {
        let since = run.since?;
        let resume = run.resume(now);
        let mut stamp = Some(run.patients.unwrap_or(since));
        if run.went_back && resume.is_some() {
            stamp = stamp.min(resume);
        }
        let url = self.queries.changed_patients(self.overlapped(stamp));
        let list = Run::new(stamp, Queries::path(&url), run.started);
        Some(Corrected {
            since,
            resume,
            list,
            is_listed: false,
            records: None,
        })
    }

    /// One page of the pass.
    pub(crate) async fn corrected(
        &self,
        request: &PageRequest,
        mut pass: Corrected,
    ) -> Result<Page, SourceError> {
        let (records, resume) = match self.step(request, &mut pass).await {
            Ok(records) if pass.is_listed && pass.records.is_none() => {
                (records, pass.resume(request.now))
            }
            Ok(records) => {
                let without = pass.resume_without_patients();
                match Position::Corrected(Box::new(pass)).write() {
                    Ok(next) => {
                        return Ok(Page {
                            records,
                            next: Some(next),
                            resume: None,
                            surprise: None,
                        });
                    }
                    Err(_) => (
                        records,
                        unsupported(request, "its page links are too long to keep", without),
                    ),
                }
            }
            Err(Stop::Unsupported(why)) => (
                Vec::new(),
                unsupported(request, why, pass.resume_without_patients()),
            ),
            Err(Stop::Failed(error)) => return Err(error),
        };
        let resume = resume.map(|position| position.write()).transpose()?;
        Ok(Page {
            records,
            next: None,
            resume,
            surprise: None,
        })
    }

    /// Takes patients off the list if there are none at hand, then hands over a page of their
    /// records.
    async fn step(
        &self,
        request: &PageRequest,
        pass: &mut Corrected,
    ) -> Result<Vec<ClinicRecord>, Stop> {
        let mut run = match pass.records.take() {
            Some(run) => *run,
            None => match self.take_patients(request, pass).await? {
                Some(url) => Run::new(None, Queries::path(&url), pass.list.started),
                None => return Ok(Vec::new()),
            },
        };
        check_end(&run)?;
        let resource = resource_type(request.feed);
        let url = self.at(&run.page)?;
        let ask = ask(&run, resource);
        let fetched = self
            .get_page(url.clone(), ask, resource, request.now)
            .await
            .map_err(refused)?;
        if let Some(asked) = Queries::named_patients(&url)
            && self.has_strangers(request.feed, &fetched.page, &asked)
        {
            return Err(Stop::Unsupported("it ignores the search parameter patient"));
        }
        let (records, has_more) = self.advance(request, &mut run, &url, fetched).await?;
        pass.records = has_more.then(|| Box::new(run));
        Ok(records)
    }

    /// The search for the records of the next few patients on the list; `None` where this page of
    /// it held none.
    async fn take_patients(
        &self,
        request: &PageRequest,
        pass: &mut Corrected,
    ) -> Result<Option<Url>, Stop> {
        check_end(&pass.list)?;
        let url = self.at(&pass.list.page)?;
        let asked = self
            .get_page(
                url.clone(),
                ask(&pass.list, "Patient"),
                "Patient",
                request.now,
            )
            .await;
        let fetched = asked.map_err(refused)?;
        let list = &mut pass.list;
        list.arrive(&fetched.page);
        // A second of grace: the search was for whole milliseconds, and some servers keep whole
        // seconds.
        let from = self
            .overlapped(list.since)
            .map(|from| from - TimeDelta::seconds(1));
        if fetched
            .page
            .matches
            .iter()
            .any(|patient| patient.stamp.is_some() && patient.stamp < from)
        {
            return Err(Stop::Unsupported(
                "it ignores the search parameter _lastUpdated of Patient",
            ));
        }
        let start = list.skip;
        let until = (start + MAX_CORRECTED as usize).min(fetched.page.matches.len());
        list.hand_over(&fetched.page, until);
        let taken = fetched.page.matches[start..until].iter();
        // The same patient twice, or one whose id would change the search, is of no use.
        let ids: BTreeSet<String> = taken
            .filter_map(|patient| patient.id.clone())
            .filter(|id| is_fhir_id(id))
            .collect();
        pass.is_listed = !self.goes_on(list, until, &url, &fetched, request.now)?;
        let ids: Vec<String> = ids.into_iter().collect();
        let count = request.limit.max(1);
        Ok((!ids.is_empty()).then(|| {
            self.queries
                .of_patients(request.feed, &ids, count, self.asks_for_includes())
        }))
    }

    fn goes_on(
        &self,
        list: &mut Run,
        until: usize,
        url: &Url,
        fetched: &Fetched,
        now: DateTime<Utc>,
    ) -> Result<bool, SourceError> {
        Ok(until < fetched.page.matches.len() || self.turn(list, url, fetched, now)?)
    }

    /// Whether the answer holds a record of a patient who was not asked for.
    pub(crate) fn has_strangers(&self, feed: Feed, page: &ServerPage, asked: &[String]) -> bool {
        let zone = self.config.time_zone.0;
        page.matches.iter().any(|resource| {
            let mapped = fact::map(feed, resource.json.get(), zone);
            patient_id(&mapped.subject, self.queries.base())
                .is_some_and(|id| !asked.iter().any(|asked| asked == id))
        })
    }
}

/// The run ends here, and says so; `resume` is what is stored all the same.
fn unsupported(request: &PageRequest, why: &str, resume: Option<Position>) -> Option<Position> {
    tracing::warn!(feed = %request.feed, why, "the FHIR server cannot tell of corrected patients");
    resume
}

/// The first page of a search is asked for by us, later ones by the server's own links.
fn ask(run: &Run, resource: &'static str) -> Ask {
    if run.pages == 1 {
        Ask::Search(resource)
    } else {
        Ask::NextPage
    }
}
