//! Patients that were deleted, by the history of their type: no search finds them, and no record of
//! theirs changes.

use chrono::{DateTime, TimeDelta, Utc};

use crate::bundle;
use crate::corrected::{PassError, fitting, log_unsupported};
use crate::page_reader::PageReader;
use crate::position::{CorrectedPass, DeletedPatients};
use crate::query::Queries;
use crate::refusal::{Ask, HttpRefusal};

/// Pages of the history read in one pass; it shows its newest versions first.
const MAX_PAGES: u32 = 1000;
/// Time beyond the overlap for which the history is read again, in seconds: the clocks may differ.
const SLACK_SECONDS: i64 = 60;

/// The next few deleted patients; none where this page of the history tells of none, or where there
/// is no history.
pub(crate) async fn take_patients(
    reader: PageReader<'_>,
    pass: &mut CorrectedPass,
) -> Result<Vec<String>, PassError> {
    let session = reader.session;
    let now = reader.request.now;
    let (page, skip, pages) = match &pass.deleted {
        DeletedPatients::Done => return Ok(Vec::new()),
        DeletedPatients::Due { .. } if !session.tells_history(now).await? => {
            pass.deleted = DeletedPatients::Done;
            return Ok(Vec::new());
        }
        DeletedPatients::Due { from } => {
            let begin = session.begin_behind(pass.list.since);
            let url = session.queries.history_of_patients((*from).max(begin));
            (Queries::path(&url).to_owned(), 0, 1)
        }
        DeletedPatients::Page { page, skip, pages } => (page.clone(), *skip, *pages),
    };
    let url = session.address_of(&page)?;
    let reply = match session
        .http
        .get(url.clone(), Ask::NextPage("Patient"), now)
        .await
    {
        Ok(reply) => reply,
        Err(HttpRefusal {
            status: Some(400 | 403 | 404 | 405 | 410 | 422 | 501),
            ..
        }) => {
            log_unsupported(reader.request, "it refuses the history of Patient");
            pass.deleted = DeletedPatients::Done;
            return Ok(Vec::new());
        }
        Err(refused) => return Err(refused.into()),
    };
    let history = bundle::parse_history(&reply.body)?;
    let offered = history.deleted.get(skip..).unwrap_or_default();
    let count = fitting(offered.iter().map(|id| Some(id.as_str())));
    let ids = offered[..count].to_vec();
    if !ids.is_empty() {
        // Only now, so that a quiet clinic's position need not be written after every run.
        note_read(pass, session.overlap(), now);
    }
    pass.deleted = if skip + count < history.deleted.len() {
        DeletedPatients::Page {
            page,
            skip: skip + count,
            pages,
        }
    } else {
        let next = history
            .next
            .map(|link| session.queries.follow(&url, &link))
            .transpose()?;
        match next.as_ref().map(Queries::path) {
            Some(next) if next != page && pages < MAX_PAGES => DeletedPatients::Page {
                page: next.to_owned(),
                skip: 0,
                pages: pages + 1,
            },
            Some(_) => {
                log_unsupported(reader.request, "the history of Patient does not end");
                DeletedPatients::Done
            }
            None => DeletedPatients::Done,
        }
    };
    Ok(ids)
}

/// Notes from which moment the next run has to read the history.
fn note_read(pass: &mut CorrectedPass, overlap: TimeDelta, now: DateTime<Utc>) {
    let read_at = pass.list.started.min(now);
    let from = read_at.checked_sub_signed(overlap + TimeDelta::seconds(SLACK_SECONDS));
    if from > pass.deleted_from {
        pass.deleted_from = from;
        pass.is_stored = true;
    }
}
