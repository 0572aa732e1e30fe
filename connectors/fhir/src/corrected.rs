//! The second pass of a run: the records of patients that were corrected, which do not change
//! themselves.

use std::collections::BTreeSet;

use az::SaturatingAs;
use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::{ClinicRecord, Feed, Page, PageRequest, SourceError};
use url::Url;

use crate::bundle::ServerPage;
use crate::cursor::write_text;
use crate::fact::{self, resource_type};
use crate::page_reader::PageReader;
use crate::patients::{is_fhir_id, patient_id};
use crate::position::{CorrectedPass, PullPosition};
use crate::query::{MAX_CORRECTED, Queries};
use crate::refusal::{Ask, HttpRefusal};
use crate::search_run::SearchRun;
use crate::session::{FetchedPage, FhirSession};

/// Reason why the pass does not go on.
enum PassError {
    /// The server cannot search like this: the run ends without the pass, and the patients' stamp
    /// stays.
    Unsupported(&'static str),
    /// Anything else.
    Failed(SourceError),
}

impl From<SourceError> for PassError {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

impl From<HttpRefusal> for PassError {
    /// A refused search is an unsupported one; wrong credentials and whatever may pass are not.
    fn from(refusal: HttpRefusal) -> Self {
        match refusal.status {
            Some(400 | 403 | 404 | 405 | 422)
                if matches!(refusal.error, SourceError::Misconfigured { .. }) =>
            {
                Self::Unsupported("it refuses the search")
            }
            _ => Self::Failed(refusal.error),
        }
    }
}

/// The pass that follows a run's first pass; `None` where everything has just been read.
pub(crate) fn pass_behind(
    session: &FhirSession,
    run: &SearchRun,
    now: DateTime<Utc>,
) -> Option<CorrectedPass> {
    let since = run.since?;
    let resume = run.resume(now);
    let mut stamp = Some(run.patients.unwrap_or(since));
    if run.went_back && resume.is_some() {
        stamp = stamp.min(resume);
    }
    let url = session.queries.changed_patients(session.overlapped(stamp));
    let list = SearchRun::new(stamp, Queries::path(&url), run.started);
    Some(CorrectedPass {
        since,
        resume,
        list,
        is_listed: false,
        records: None,
    })
}

/// The next page of the pass.
pub(crate) async fn page(
    reader: PageReader<'_>,
    mut pass: CorrectedPass,
) -> Result<Page, SourceError> {
    let request = reader.request;
    let (records, resume) = match step(reader, &mut pass).await {
        Ok(records) if pass.is_listed && pass.records.is_none() => {
            (records, pass.resume(request.now))
        }
        Ok(records) => {
            let without = pass.resume_without_patients();
            match write_text(&PullPosition::Corrected(Box::new(pass))) {
                Ok(next) => {
                    return Ok(Page {
                        records,
                        next: Some(next),
                        resume: None,
                        surprise: None,
                    });
                }
                Err(_) => {
                    log_unsupported(request, "its page links are too long to keep");
                    (records, without)
                }
            }
        }
        Err(PassError::Unsupported(why)) => {
            log_unsupported(request, why);
            (Vec::new(), pass.resume_without_patients())
        }
        Err(PassError::Failed(error)) => return Err(error),
    };
    Ok(Page {
        records,
        next: None,
        resume: resume.as_ref().map(write_text).transpose()?,
        surprise: None,
    })
}

/// Takes patients off the list if there are none at hand, then hands over a part of their records.
async fn step(
    reader: PageReader<'_>,
    pass: &mut CorrectedPass,
) -> Result<Vec<ClinicRecord>, PassError> {
    let PageReader { session, request } = reader;
    let mut run = match pass.records.take() {
        Some(run) => *run,
        None => match take_patients(reader, pass).await? {
            Some(url) => SearchRun::new(None, Queries::path(&url), pass.list.started),
            None => return Ok(Vec::new()),
        },
    };
    run.check_end()?;
    let resource = resource_type(request.feed);
    let url = session.address_of(&run.page)?;
    let ask = ask_for(&run, resource);
    let fetched = session.get_page(url, ask, request.now).await?;
    if let Some(asked) = Queries::named_patients(&fetched.url)
        && has_other_patients(session, request.feed, &fetched.page, &asked)
    {
        return Err(PassError::Unsupported(
            "it ignores the search parameter patient",
        ));
    }
    let part = reader.hand_over(&mut run, fetched).await?;
    pass.records = part.has_more.then(|| Box::new(run));
    Ok(part.records)
}

/// The search for the records of the next few patients on the list; `None` where this page of the
/// list held none.
async fn take_patients(
    reader: PageReader<'_>,
    pass: &mut CorrectedPass,
) -> Result<Option<Url>, PassError> {
    let PageReader { session, request } = reader;
    pass.list.check_end()?;
    let url = session.address_of(&pass.list.page)?;
    let ask = ask_for(&pass.list, "Patient");
    let fetched = session.get_page(url, ask, request.now).await?;
    let list = &mut pass.list;
    list.receive(&fetched.page);
    check_stamps_heeded(session, list, &fetched)?;
    let start = list.skip;
    let until = start.saturating_add(MAX_CORRECTED.saturating_as());
    let until = until.min(fetched.page.matches.len());
    list.note_handed_over(&fetched.page, until);
    // The same patient twice, or one whose id would change the search, is of no use.
    let ids: BTreeSet<String> = fetched.page.matches[start..until]
        .iter()
        .filter_map(|patient| patient.id.clone())
        .filter(|id| is_fhir_id(id))
        .collect();
    let has_more = until < fetched.page.matches.len() || reader.go_on(list, &fetched)?;
    pass.is_listed = !has_more;
    let ids: Vec<String> = ids.into_iter().collect();
    Ok((!ids.is_empty()).then(|| {
        session.queries.of_patients(
            request.feed,
            &ids,
            reader.limit(),
            session.asks_for_includes(),
        )
    }))
}

fn check_stamps_heeded(
    session: &FhirSession,
    list: &SearchRun,
    fetched: &FetchedPage,
) -> Result<(), PassError> {
    // A second of grace: the search was for whole milliseconds, and some servers keep whole
    // seconds.
    let from = session
        .overlapped(list.since)
        .map(|from| from - TimeDelta::seconds(1));
    let is_older = fetched
        .page
        .matches
        .iter()
        .any(|patient| patient.stamp.is_some() && patient.stamp < from);
    if is_older {
        return Err(PassError::Unsupported(
            "it ignores the search parameter _lastUpdated of Patient",
        ));
    }
    Ok(())
}

/// True if a page holds a record of a patient who was not asked for.
pub(crate) fn has_other_patients(
    session: &FhirSession,
    feed: Feed,
    page: &ServerPage,
    asked: &[String],
) -> bool {
    let zone = session.config.time_zone.0;
    page.matches.iter().any(|resource| {
        let mapped = fact::map(feed, resource.json.get(), zone);
        patient_id(&mapped.subject, session.queries.base())
            .is_some_and(|id| !asked.iter().any(|asked| asked == id))
    })
}

fn log_unsupported(request: &PageRequest, why: &str) {
    tracing::warn!(feed = %request.feed, why, "the FHIR server cannot tell of corrected patients");
}

/// The first page of a search is asked for by us, later ones by the server's own links.
fn ask_for(run: &SearchRun, resource: &'static str) -> Ask {
    if run.pages == 1 {
        Ask::Search(resource)
    } else {
        Ask::NextPage(resource)
    }
}
