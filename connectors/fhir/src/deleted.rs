//! Patients that were deleted, by the history of their type: no search finds them, and no record of
//! theirs changes.

use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::SourceError;
use url::Url;

use crate::bundle;
use crate::ids::fitting;
use crate::linked;
use crate::links::LinkTarget;
use crate::page_reader::PageReader;
use crate::pass_error::{PassError, log_unsupported};
use crate::position::{CorrectedPass, DeletedPatients, HistoryPlace};
use crate::query::Queries;
use crate::refusal::{Ask, HttpRefusal};
use crate::stamp_mark::CLOCK_SLACK;

/// Pages of the history read in one pass; it shows its newest versions first.
const MAX_PAGES: u32 = 1000;

/// The next few deleted patients; none where this page of the history tells of none, or where there
/// is no history.
pub(crate) async fn take_patients(
    reader: PageReader<'_>,
    pass: &mut CorrectedPass,
) -> Result<Vec<String>, PassError> {
    let session = reader.session;
    let now = reader.request.now;
    let Some(place) = place(reader, pass).await? else {
        pass.deleted = DeletedPatients::Done;
        return Ok(Vec::new());
    };
    let url = session.address_of(&place.page)?;
    let ask = Ask::NextPage("Patient");
    let reply = match session.http.get(url.clone(), ask, now).await {
        Ok(reply) => reply,
        Err(HttpRefusal {
            status: Some(400 | 403 | 404 | 405 | 410 | 422 | 501),
            ..
        }) => {
            log_unsupported(reader.request, "it refuses the history of Patient");
            pass.deleted = DeletedPatients::Done;
            // The link to a later page may have expired: the next run reads all of them again.
            pass.deleted_from_then = None;
            return Ok(Vec::new());
        }
        Err(refused) => return Err(refused.into()),
    };
    let history = bundle::parse_history(&reply.body, "Patient")?;
    let offered = history.deleted.get(place.skip..).unwrap_or_default();
    let mut count = fitting(offered.iter().map(|id| Some(id.as_str())));
    let mut ids = with_linked(reader, &offered[..count]).await?;
    if count > 1 && fitting(ids.iter().map(|id| Some(id.as_str()))) < ids.len() {
        count = 1;
        ids = with_linked(reader, &offered[..count]).await?;
    }
    ids.truncate(fitting(ids.iter().map(|id| Some(id.as_str()))).max(1));
    if !ids.is_empty() {
        // Only now, so that a quiet clinic's position need not be written after every run.
        note_read(pass, session.overlap(), now);
    }
    pass.deleted = if place.skip + count < history.deleted.len() {
        let skip = place.skip + count;
        DeletedPatients::Page(HistoryPlace { skip, ..place })
    } else {
        behind(reader, &place, &url, history.next)?
    };
    Ok(ids)
}

/// Patients that were deleted, in front of those that are linked to them: these have lost whom they
/// were merged into.
async fn with_linked(
    reader: PageReader<'_>,
    deleted: &[String],
) -> Result<Vec<String>, SourceError> {
    let changed: Vec<_> = deleted.iter().map(|id| (id.clone(), None)).collect();
    let mut others = linked::brought_along(reader.session, &changed, reader.request.now).await?;
    others.retain(|id| !deleted.contains(id));
    Ok(deleted.iter().cloned().chain(others).collect())
}

/// The place in the history at which the pass stands; `None` where there is nothing to read.
async fn place(
    reader: PageReader<'_>,
    pass: &CorrectedPass,
) -> Result<Option<HistoryPlace>, PassError> {
    let session = reader.session;
    Ok(match &pass.deleted {
        DeletedPatients::Done => None,
        DeletedPatients::Page(place) => Some(place.clone()),
        DeletedPatients::Due { from } => {
            if !session.tells_history(reader.request.now).await? {
                return Ok(None);
            }
            let begin = session.begin_behind(pass.list.since);
            let url = session.queries.history_of_patients((*from).max(begin));
            Some(HistoryPlace {
                page: Queries::path(&url).to_owned(),
                skip: 0,
                pages: 1,
            })
        }
    })
}

/// The place behind a page of the history.
fn behind(
    reader: PageReader<'_>,
    place: &HistoryPlace,
    url: &Url,
    next: Option<String>,
) -> Result<DeletedPatients, PassError> {
    let Some(link) = next else {
        return Ok(DeletedPatients::Done);
    };
    let next = reader.session.follow(url, &link, LinkTarget::NextPage)?;
    let page = Queries::path(&next);
    if page == place.page || place.pages >= MAX_PAGES {
        log_unsupported(reader.request, "the history of Patient does not end");
        return Ok(DeletedPatients::Done);
    }
    Ok(DeletedPatients::Page(HistoryPlace {
        page: page.to_owned(),
        skip: 0,
        pages: place.pages + 1,
    }))
}

/// Notes from which moment the next run has to read the history, once this pass is done.
fn note_read(pass: &mut CorrectedPass, overlap: TimeDelta, now: DateTime<Utc>) {
    let read_at = pass.list.started.min(now);
    let from = read_at.checked_sub_signed(overlap + CLOCK_SLACK);
    if from > pass.deleted_from {
        pass.deleted_from_then = from;
    }
}
