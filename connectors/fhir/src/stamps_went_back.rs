//! Stamps that went back: the newest record at the server is older than the stored position.
//!
//! A server restored from a backup, or whose clock was set back, gives new records stamps that a
//! search from the stored stamp would not find until its clock has caught up.

use chrono::{DateTime, Utc};
use connector_kit::SourceError;

use crate::fact::resource_type;
use crate::page_reader::{PageReader, RunStart};
use crate::query::Queries;
use crate::refusal::Ask;
use crate::search_run::SearchRun;

/// A run from the newest record there is, where that is older than the stored stamp of `run`,
/// which found nothing.
pub(crate) async fn start_further_back(
    reader: PageReader<'_>,
    run: &SearchRun,
) -> Result<Option<RunStart>, SourceError> {
    let Some(since) = run.since else {
        return Ok(None);
    };
    let Some(newest) = newest(reader).await?.filter(|newest| *newest < since) else {
        return Ok(None);
    };
    let from = reader.session.overlapped(Some(newest));
    let fetched = reader.first_page(from).await?;
    let mut back = SearchRun::new(Some(newest), Queries::path(&fetched.url), run.started);
    back.patients = run.patients.map(|stamp| stamp.min(newest));
    back.went_back = true;
    Ok(Some(RunStart { run: back, fetched }))
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
        Err(refused) if matches!(refused.status, Some(400 | 422)) => Ok(None),
        Err(refused) => Err(refused.error),
    }
}
