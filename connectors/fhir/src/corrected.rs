//! The second pass of a run: the records of patients that were corrected, which do not change
//! themselves.

use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::{ClinicRecord, Feed, Page, SourceError};
use url::Url;

use crate::bundle::{Resource, ServerPage};
use crate::cursor::write_text;
use crate::deleted;
use crate::fact::{self, resource_type};
use crate::ids::{fitting, is_fhir_id};
use crate::linked;
use crate::page_reader::{HandedOver, PageReader};
use crate::pass_error::{PassError, log_unsupported};
use crate::patients::patient_id;
use crate::position::{CorrectedPass, DeletedPatients, PullPosition};
use crate::query::{Queries, Span};
use crate::search_run::{Reached, SearchRun};
use crate::session::{FetchedPage, FhirSession};
use crate::stamp_mark::StampMark;

/// The pass that follows a run's first pass; `None` where everything has just been read.
pub(crate) fn pass_behind(
    session: &FhirSession,
    run: &SearchRun,
    now: DateTime<Utc>,
) -> Option<CorrectedPass> {
    let since = run.since?;
    let resume = run.resume(now, session.overlap());
    Some(CorrectedPass {
        since,
        resume,
        list: list_of_patients(session, run, resume.filter(|_| run.went_back))?,
        is_listed: false,
        records: None,
        is_stored: run.is_stored,
        linked_taken: 0,
        deleted: DeletedPatients::Due {
            from: run.deleted_from,
        },
        deleted_from: run.deleted_from,
        deleted_from_then: None,
    })
}

/// The list of patients to read: a new one, or the rest of one that broke off. `back`: the mark
/// that the records' stamps went back to.
fn list_of_patients(
    session: &FhirSession,
    run: &SearchRun,
    back: Option<StampMark>,
) -> Option<SearchRun> {
    if let (Some(Reached::Partly(list)), None) = (run.patients.as_deref(), back) {
        let reached = list.reached();
        let from = reached.or_else(|| session.begin_behind(list.since));
        let url = session.queries.changed_patients(from);
        let mut list = (**list).clone();
        list.begin_search(Queries::path(&url), from, run.started);
        return Some(list);
    }
    let stored = run.patients.as_deref().and_then(Reached::mark);
    let mut mark = stored.or(run.since)?;
    if let Some(back) = back.filter(|back| back.stamp < mark.stamp) {
        mark = back;
    }
    let from = session.begin_behind(Some(mark));
    let url = session.queries.changed_patients(from);
    let mut list = SearchRun::new(Some(mark), Queries::path(&url), run.started);
    list.from = from;
    Some(list)
}

/// The next page of the pass.
pub(crate) async fn page(
    reader: PageReader<'_>,
    mut pass: CorrectedPass,
) -> Result<Page, SourceError> {
    let request = reader.request;
    let overlap = reader.session.overlap();
    let (records, resume) = match step(reader, &mut pass).await {
        Ok(records) if pass.is_done() => (records, pass.resume(request.now, overlap)),
        Ok(records) => {
            let without = pass.resume_without_patients();
            // A position counts only behind the records of every patient before it.
            let within = pass.records.is_none().then(|| pass.resume_within());
            let within = within.flatten();
            pass.is_stored |= within.is_some();
            match write_text(&PullPosition::Corrected(Box::new(pass))) {
                Ok(next) => {
                    return Ok(Page {
                        records,
                        next: Some(next),
                        resume: within.as_ref().map(write_text).transpose()?,
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

/// Takes patients off the list, or deleted ones off the history, if there are none at hand, then
/// hands over a part of their records.
async fn step(
    reader: PageReader<'_>,
    pass: &mut CorrectedPass,
) -> Result<Vec<ClinicRecord>, PassError> {
    let mut run = match pass.records.take() {
        Some(run) => *run,
        None => {
            let ids = if pass.is_listed {
                deleted::take_patients(reader, pass).await?
            } else {
                take_patients(reader, pass).await?
            };
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            let url = records_of(reader, &ids, Span::default());
            let mut run = SearchRun::new(None, Queries::path(&url), pass.list.started);
            run.asked_for = ids;
            run
        }
    };
    let part = match read_records(reader, &mut run).await {
        // The sweep finds them as well.
        Err(PassError::Unsupported(why)) if pass.is_listed => {
            log_unsupported(reader.request, why);
            pass.deleted = DeletedPatients::Done;
            return Ok(Vec::new());
        }
        part => part?,
    };
    pass.records = part.has_more.then(|| Box::new(run));
    Ok(part.records)
}

/// Reads a part of the records of patients.
async fn read_records(
    reader: PageReader<'_>,
    run: &mut SearchRun,
) -> Result<HandedOver, PassError> {
    let PageReader { session, request } = reader;
    let asked = run.asked_for.clone();
    let search = |span| records_of(reader, &asked, span);
    let fetched = reader
        .next_page(run, resource_type(request.feed), search)
        .await?;
    if run.begins_search && has_other_patients(session, request.feed, &fetched.page, &asked) {
        return Err(PassError::Unsupported(
            "it ignores the search parameter patient",
        ));
    }
    Ok(reader.hand_over(run, fetched).await?)
}

fn records_of(reader: PageReader<'_>, ids: &[String], span: Span) -> Url {
    let PageReader { session, request } = reader;
    let includes = session.asks_for_includes();
    session
        .queries
        .of_patients(request.feed, ids, span, reader.limit(), includes)
}

/// The next few patients on the list; none where this page of the list held none.
async fn take_patients(
    reader: PageReader<'_>,
    pass: &mut CorrectedPass,
) -> Result<Vec<String>, PassError> {
    let session = reader.session;
    let list = &mut pass.list;
    let search = |span: Span| session.queries.changed_patients(span.from);
    let fetched = reader.next_page(list, "Patient", search).await?;
    list.receive(&fetched.page);
    check_stamps_heeded(session, list, &fetched)?;
    let start = list.skip;
    let matches = &fetched.page.matches;
    let offered = matches.get(start..).unwrap_or_default();
    let ids = offered.iter().map(|patient| patient.id.as_deref());
    let mut until = start + fitting(ids);
    let mut all = with_linked(reader, &matches[start..until]).await?;
    if until > start + 1 && count_fitting(&all) < all.len() {
        until = start + 1;
        all = with_linked(reader, &matches[start..until]).await?;
    }
    // One patient alone may bring more others than fit: these are taken in parts.
    let rest: Vec<String> = all.into_iter().skip(pass.linked_taken).collect();
    let taken = count_fitting(&rest);
    if taken < rest.len() {
        pass.linked_taken += taken;
        return Ok(rest.into_iter().take(taken).collect());
    }
    pass.linked_taken = 0;
    let list = &mut pass.list;
    list.note_handed_over(&fetched.page, until, session.overlap());
    let has_more = until < fetched.page.matches.len() || reader.go_on(list, &fetched)?;
    pass.is_listed = !has_more;
    Ok(rest)
}

/// The ids of patients on the list, with those of the patients who are linked to them, sorted.
/// The same patient twice, or one whose id would change the search, is of no use.
async fn with_linked(
    reader: PageReader<'_>,
    patients: &[Resource],
) -> Result<Vec<String>, SourceError> {
    let changed: Vec<_> = patients
        .iter()
        .filter_map(|patient| Some((patient.id.clone()?, Some(patient.json.get()))))
        .filter(|(id, _)| is_fhir_id(id))
        .collect();
    let all = linked::brought_along(reader.session, &changed, reader.request.now).await?;
    Ok(all.into_iter().collect())
}

fn count_fitting(ids: &[String]) -> usize {
    fitting(ids.iter().map(|id| Some(id.as_str())))
}

fn check_stamps_heeded(
    session: &FhirSession,
    list: &SearchRun,
    fetched: &FetchedPage,
) -> Result<(), PassError> {
    // A second of grace: the search was for whole milliseconds, and some servers keep whole
    // seconds.
    let from = session
        .begin_behind(list.since)
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
    let rules = session.mapping_rules();
    let addresses = session.addresses();
    page.matches.iter().any(|resource| {
        let mapped = fact::map(feed, resource.json.get(), rules);
        patient_id(&mapped.subject, &addresses)
            .is_some_and(|id| !asked.iter().any(|asked| asked == id))
    })
}
