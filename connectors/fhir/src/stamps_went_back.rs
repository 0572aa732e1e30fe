//! Stamps that went back: the newest record at the server is older than the stored position.
//!
//! A server restored from a backup, or whose clock was set back, gives new records stamps that a
//! search from the stored stamp would not find until its clock has caught up.

use chrono::{DateTime, TimeDelta, Utc};
use connector_kit::SourceError;

use crate::fact::resource_type;
use crate::page_reader::{PageReader, RunStart};
use crate::query::{Queries, Span};
use crate::refusal::Ask;
use crate::search_run::{Reached, SearchRun};
use crate::stamp_mark::StampMark;

/// A run from the newest record there is, where that is older than the stored stamp of `run`,
/// which found nothing.
pub(crate) async fn start_further_back(
    reader: PageReader<'_>,
    run: &SearchRun,
) -> Result<Option<RunStart>, SourceError> {
    let Some(since) = run.since_stamp() else {
        return Ok(None);
    };
    if is_still_there(reader, since).await? {
        return Ok(None);
    }
    let Some(newest) = newest(reader).await?.filter(|newest| *newest < since) else {
        return Ok(None);
    };
    let mark = StampMark::open(newest);
    let from = reader.session.begin_behind(Some(mark));
    let fetched = reader.search(from, None).await?;
    let mut back = SearchRun::new(Some(mark), Queries::path(&fetched.url), run.started);
    back.from = from;
    let patients = run.patients.as_deref().and_then(Reached::mark);
    back.patients = patients.map(|patients| {
        let older = if patients.stamp < newest {
            patients
        } else {
            mark
        };
        Box::new(Reached::Mark(older))
    });
    back.deleted_from = run.deleted_from.map(|from| from.min(newest));
    back.went_back = true;
    Ok(Some(RunStart { run: back, fetched }))
}

/// True if the feed holds a record of the stored stamp or of a later one. A run that begins behind
/// a stamp that has closed finds nothing where all is quiet.
async fn is_still_there(reader: PageReader<'_>, since: DateTime<Utc>) -> Result<bool, SourceError> {
    let PageReader { session, request } = reader;
    let url = session
        .queries
        .search(request.feed, Span::since(Some(since)), 1, false);
    let ask = Ask::Search(resource_type(request.feed));
    let fetched = session.get_page(url, ask, request.now).await?;
    // Some servers compare whole seconds.
    let second = since - TimeDelta::seconds(1);
    Ok(fetched
        .page
        .matches
        .iter()
        .any(|resource| resource.stamp.is_some_and(|stamp| stamp >= second)))
}

/// The newest stamp of a feed; `None` where the feed is empty, or the server cannot tell.
async fn newest(reader: PageReader<'_>) -> Result<Option<DateTime<Utc>>, SourceError> {
    let PageReader { session, request } = reader;
    let resource = resource_type(request.feed);
    let url = session.queries.newest(request.feed);
    let answer = session
        .get_page(url, Ask::Search(resource), request.now)
        .await;
    match answer {
        Ok(fetched) => Ok(fetched
            .page
            .matches
            .iter()
            .filter_map(|resource| resource.stamp)
            .max()),
        Err(refused) if refused.is_of_parameter() => Ok(None),
        Err(refused) => Err(refused.error),
    }
}
