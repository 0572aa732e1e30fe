//! `page`: what changed in a feed since the stored stamp, one bounded page at a time.

use chrono::{DateTime, Utc};
use connector_kit::{Page, PageRequest, SourceError, SourceSurprise};

use crate::corrected;
use crate::cursor::{read_text, write_text};
use crate::fact::resource_type;
use crate::page_reader::{PageReader, RunStart};
use crate::position::PullPosition;
use crate::query::Queries;
use crate::refusal::Ask;
use crate::search_run::SearchRun;
use crate::session::{FetchedPage, FhirSession};
use crate::stamps_went_back;

pub(crate) async fn page(
    session: &FhirSession,
    request: &PageRequest,
) -> Result<Page, SourceError> {
    let reader = PageReader { session, request };
    let position = request.after.as_ref().map(read_text).transpose()?;
    match position {
        Some(PullPosition::Run(run)) if !request.first_of_run => {
            let fetched = next_page(reader, &run).await?;
            first_pass(reader, *run, fetched).await
        }
        Some(PullPosition::Corrected(pass)) if !request.first_of_run => {
            corrected::page(reader, *pass).await
        }
        stored => {
            let start = start(reader, stored).await?;
            first_pass(reader, start.run, start.fetched).await
        }
    }
}

/// The server page at which a run stands.
async fn next_page(reader: PageReader<'_>, run: &SearchRun) -> Result<FetchedPage, SourceError> {
    run.check_end()?;
    let session = reader.session;
    let url = session.address_of(&run.page)?;
    let resource = resource_type(reader.request.feed);
    Ok(session
        .get_page(url, Ask::NextPage(resource), reader.request.now)
        .await?)
}

/// A page of the records that changed.
async fn first_pass(
    reader: PageReader<'_>,
    mut run: SearchRun,
    fetched: FetchedPage,
) -> Result<Page, SourceError> {
    let now = reader.request.now;
    let mut surprise = (run.went_back && run.is_fresh()).then_some(SourceSurprise::StampsWentBack);
    let part = reader.hand_over(&mut run, fetched).await?;
    if !part.has_more && run.note_older_stamps() {
        surprise = Some(SourceSurprise::StampsWentBack);
    }
    let next = if part.has_more {
        PullPosition::Run(Box::new(run))
    } else if let Some(pass) = corrected::pass_behind(reader.session, &run, now) {
        PullPosition::Corrected(Box::new(pass))
    } else {
        let resume = run.resume(now).map(PullPosition::Since);
        return Ok(Page {
            records: part.records,
            next: None,
            resume: resume.as_ref().map(write_text).transpose()?,
            surprise,
        });
    };
    Ok(Page {
        records: part.records,
        next: Some(write_text(&next)?),
        resume: None,
        surprise,
    })
}

/// Stored stamps of the records and of the patients, `None` before the first run.
struct StoredStamps {
    records: Option<DateTime<Utc>>,
    patients: Option<DateTime<Utc>>,
}

impl From<Option<PullPosition>> for StoredStamps {
    fn from(stored: Option<PullPosition>) -> Self {
        let (records, patients) = match stored {
            None => (None, None),
            Some(PullPosition::Since(stamp)) => (Some(stamp), None),
            Some(PullPosition::Both { records, patients }) => (Some(records), Some(patients)),
            Some(PullPosition::Run(run)) => (run.since, run.patients),
            Some(PullPosition::Corrected(pass)) => (Some(pass.since), pass.list.since),
        };
        Self { records, patients }
    }
}

async fn start(
    reader: PageReader<'_>,
    stored: Option<PullPosition>,
) -> Result<RunStart, SourceError> {
    let request = reader.request;
    let stamps = StoredStamps::from(stored);
    let from = if request.first_of_run {
        reader.session.overlapped(stamps.records)
    } else {
        stamps.records
    };
    let fetched = reader.first_page(from).await?;
    let started = fetched.date.unwrap_or(request.now);
    let mut run = SearchRun::new(stamps.records, Queries::path(&fetched.url), started);
    run.patients = stamps.patients;
    if request.first_of_run
        && fetched.page.matches.is_empty()
        && let Some(start) = stamps_went_back::start_further_back(reader, &run).await?
    {
        return Ok(start);
    }
    Ok(RunStart { run, fetched })
}
