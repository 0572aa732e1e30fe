//! `page`: what changed in a feed since the stored stamp, one bounded page at a time.

use chrono::{DateTime, Utc};
use connector_kit::{Page, PageRequest, SourceError, SourceSurprise};

use crate::cursor::{read_text, write_text};
use crate::export::run::ExportRun;
use crate::export::step::{self, ExportStep};
use crate::fact::resource_type;
use crate::page_reader::{PageReader, RunStart};
use crate::position::{PullPosition, StoredPosition};
use crate::query::Queries;
use crate::refusal::Ask;
use crate::run_window::RunWindow;
use crate::search_run::{Reached, SearchRun};
use crate::session::{FetchedPage, FhirSession};
use crate::{corrected, stamps_went_back, unstamped, windows};

pub(crate) async fn page(
    session: &FhirSession,
    request: &PageRequest,
) -> Result<Page, SourceError> {
    let reader = PageReader { session, request };
    let position = request.after.as_ref().map(read_text).transpose()?;
    match position {
        Some(PullPosition::Run(mut run)) if !request.first_of_run => {
            let resource = resource_type(request.feed);
            let link = (!run.begins_search).then_some(Ask::NextPage(resource));
            let search = |span| reader.search_url(span);
            let fetched = match reader.next_page(&mut run, resource, search).await {
                // From the same beginning again, and now in windows.
                Err(refused)
                    if link.is_some_and(|link| link.is_expired(&refused))
                        && run.needs_windows() =>
                {
                    let fetched = reader.search(run.from, None).await?;
                    let read_at = fetched.date.unwrap_or(request.now);
                    let from = run.from;
                    run.begin_search(Queries::path(&fetched.url), from, read_at);
                    fetched
                }
                answer => answer?,
            };
            first_pass(reader, *run, fetched).await
        }
        Some(PullPosition::Corrected(pass)) if !request.first_of_run => {
            corrected::page(reader, *pass).await
        }
        Some(PullPosition::Export(run)) => export(reader, *run).await,
        None if request.first_of_run && !session.config.first_load.is_search() => {
            export(reader, ExportRun::default()).await
        }
        stored => {
            let stored = stored.map(StoredPosition::from).unwrap_or_default();
            let start = start(reader, stored).await?;
            first_pass(reader, start.run, start.fetched).await
        }
    }
}

/// A page of a load by export; behind the last one the same run goes on with what has changed since
/// the moment that the export shows.
async fn export(reader: PageReader<'_>, run: ExportRun) -> Result<Page, SourceError> {
    let PageReader { session, request } = reader;
    let stored = if session.config.first_load.is_search() {
        // It was begun under another setting.
        if let Some(job) = &run.job {
            step::give_up(reader, job).await;
        }
        StoredPosition::default()
    } else {
        match step::next(reader, run).await? {
            ExportStep::Page(page) => return Ok(page),
            ExportStep::Done(stored) => stored,
        }
    };
    let request = PageRequest {
        first_of_run: true,
        ..request.clone()
    };
    let reader = PageReader {
        session,
        request: &request,
    };
    let mut start = start(reader, stored).await?;
    // Also where nothing has changed since, the position of the export is behind us.
    start.run.is_stored = true;
    first_pass(reader, start.run, start.fetched).await
}

/// A page of the records that changed.
async fn first_pass(
    reader: PageReader<'_>,
    mut run: SearchRun,
    fetched: FetchedPage,
) -> Result<Page, SourceError> {
    let now = reader.request.now;
    let mut surprise = (run.went_back && run.is_fresh()).then_some(SourceSurprise::StampsWentBack);
    let fetched = windows::narrow(reader, &mut run, fetched).await?;
    let read_at = fetched.date.unwrap_or(now);
    let mut part = reader.hand_over(&mut run, fetched).await?;
    part.has_more = part.has_more || windows::advance(reader, &mut run, read_at);
    if part.has_more {
        let resume = within(&mut run);
        let next = write_text(&PullPosition::Run(Box::new(run)))?;
        return Ok(Page {
            records: part.records,
            next: Some(next),
            resume: resume.as_ref().map(write_text).transpose()?,
            surprise,
        });
    }
    if run.note_older_stamps() {
        surprise = Some(SourceSurprise::StampsWentBack);
    }
    let pass = corrected::pass_behind(reader.session, &run, now);
    let resume = match &pass {
        Some(pass) => pass.resume_without_patients(),
        None => at_end(reader.session, &run, now),
    };
    let next = pass.map(|mut pass| {
        pass.is_stored |= resume.is_some();
        write_text(&PullPosition::Corrected(Box::new(pass)))
    });
    Ok(Page {
        records: part.records,
        next: next.transpose()?,
        resume: resume.as_ref().map(write_text).transpose()?,
        surprise,
    })
}

/// The position to store while a run is under way; `None` where only its end moves the stored one.
fn within(run: &mut SearchRun) -> Option<PullPosition> {
    run.reached()?;
    run.is_stored = true;
    Some(PullPosition::Stored(StoredPosition {
        patients: run.patients.as_deref().cloned(),
        deleted_from: run.deleted_from,
        records: Reached::Partly(Box::new(run.to_store())),
    }))
}

/// The position to store at the end of a run without a second pass; `None` to leave the stored one.
fn at_end(session: &FhirSession, run: &SearchRun, now: DateTime<Utc>) -> Option<PullPosition> {
    let moved = run.resume(now, session.overlap());
    if moved.is_none() && !run.is_stored {
        return None;
    }
    Some(PullPosition::Stored(StoredPosition {
        records: moved.or(run.since).into(),
        patients: run.patients.as_deref().cloned(),
        deleted_from: run.deleted_from,
    }))
}

async fn start(reader: PageReader<'_>, stored: StoredPosition) -> Result<RunStart, SourceError> {
    let request = reader.request;
    let patients = stored.patients.map(Box::new);
    let since = stored.records.mark();
    // A run that broke off goes on, with all that it knows of its pages before.
    if let Reached::Partly(mut run) = stored.records
        && let Some(from) = run.reached()
        && !reader.session.limits.of(request.feed).unstamped.is_known()
    {
        run.window = run.window.map(RunWindow::reopened);
        let fetched = reader.search(Some(from), run.window).await?;
        let read_at = fetched.date.unwrap_or(request.now);
        run.begin_search(Queries::path(&fetched.url), Some(from), read_at);
        run.patients = patients;
        run.deleted_from = stored.deleted_from;
        return Ok(RunStart { run: *run, fetched });
    }
    let mut from = if request.first_of_run {
        reader.session.begin_behind(since)
    } else {
        since.map(|mark| mark.stamp)
    };
    let mut fetched = reader.search(from, None).await?;
    let is_whole = from.is_none() && fetched.page.next.is_none();
    let session = reader.session;
    let are_unstamped =
        unstamped::are_there(session, request.feed, &fetched.page, is_whole, request.now).await;
    if are_unstamped && from.is_some() {
        from = None;
        fetched = reader.search(from, None).await?;
    }
    let started = fetched.date.unwrap_or(request.now);
    let mut run = SearchRun::new(since, Queries::path(&fetched.url), started);
    run.from = from;
    run.unstamped = are_unstamped;
    run.patients = patients;
    run.deleted_from = stored.deleted_from;
    if request.first_of_run
        && fetched.page.matches.is_empty()
        && let Some(start) = stamps_went_back::start_further_back(reader, &run).await?
    {
        return Ok(start);
    }
    Ok(RunStart { run, fetched })
}
