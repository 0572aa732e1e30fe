//! First stage: fetches a feed's pages from the source, one after the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use connector_kit::{ClinicRecord, MAX_FETCH_IDS, Page, PageRequest, SourceError, SourceSurprise};
use fault::Point;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::feed_run::FeedRun;
use super::outcome::{PullError, RunEnd};
use crate::endless::Endless;
use crate::sources::Source;

/// Fetches every page from `request` on, until the feed is exhausted or the run is stopped.
pub(super) async fn fetch_pages(
    run: &FeedRun<'_>,
    mut request: PageRequest,
    pages: mpsc::Sender<Page>,
) -> Result<RunEnd, PullError> {
    let mut endless = Endless::default();
    loop {
        let page = tokio::select! {
            biased;
            () = run.stop.cancelled() => return Ok(RunEnd::Stopped),
            page = fetch_page(run.source, request.clone()) => page?,
        };
        fault::check::<SourceError>(Point::PullFetched)?;
        run.counters
            .pulled
            .fetch_add(page.records.len() as u64, Ordering::Relaxed);
        if let Some(surprise) = page.surprise {
            handle_surprise(run, surprise).await;
        }
        let next = page.next.clone();
        if pages.send(page).await.is_err() {
            // The stage behind has failed; its own error is the one to report.
            return Ok(RunEnd::Stopped);
        }
        let Some(next) = next else {
            return Ok(RunEnd::Complete);
        };
        endless.advance(&next)?;
        request.after = Some(next);
        request.first_of_run = false;
    }
}

/// Fetches one page in a task of its own: decoding a page takes long, and the many short steps of
/// another page's commit would stand still meanwhile. Dropped, it ends the task.
async fn fetch_page(source: &Source, request: PageRequest) -> Result<Page, PullError> {
    let connector = Arc::clone(&source.connector);
    let fetching = async move { connector.page(request).await };
    let fetching = tokio::spawn(fetching.in_current_span());
    Ok(AbortOnDropHandle::new(fetching)
        .await
        .map_err(|_| PullError::Internal)??)
}

async fn handle_surprise(run: &FeedRun<'_>, surprise: SourceSurprise) {
    run.note_surprise(surprise.as_str(), 1).await;
    match surprise {
        SourceSurprise::StampsWentBack => run.source.request_sweep(),
        SourceSurprise::IdsRepeat => {}
    }
}

/// Fetches the rows with these ids as they are now, however many ids there are; rows that are gone
/// are left out.
pub(crate) async fn fetch_by_id(
    run: &FeedRun<'_>,
    ids: &[String],
) -> Result<Vec<ClinicRecord>, PullError> {
    let mut records = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(MAX_FETCH_IDS) {
        let now = run.gateway.clock.now();
        records.extend(run.source.connector.fetch(run.feed, chunk, now).await?);
    }
    Ok(records)
}
