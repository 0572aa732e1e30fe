//! Windows of time in a run on a server that does not sort: without an order there is no stamp to
//! go on from, so the run reads windows that fit on one page, one behind the other.

use chrono::{DateTime, Utc};
use connector_kit::SourceError;

use crate::bundle::ServerPage;
use crate::page_reader::PageReader;
use crate::query::Queries;
use crate::run_window::RunWindow;
use crate::search_run::SearchRun;
use crate::session::FetchedPage;

/// Searches for a window that fits on a page, before the rest is left to the next call.
const MAX_SEARCHES: u32 = 50;
/// Width of the window behind one without a beginning, in seconds.
const FIRST_WIDTH: i64 = 3600;

/// The page to hand over in place of one that shows that the server does not sort: the page of a
/// window that is small enough.
pub(crate) async fn narrow(
    reader: PageReader<'_>,
    run: &mut SearchRun,
    mut fetched: FetchedPage,
) -> Result<FetchedPage, SourceError> {
    for _ in 0..MAX_SEARCHES {
        let Some(to) = smaller(run, &fetched.page) else {
            return Ok(fetched);
        };
        let had_window = run.window.is_some();
        let width = run.from.map_or(FIRST_WIDTH, |from| to - from.timestamp());
        run.window = Some(RunWindow {
            to: Some(to),
            width,
        });
        let at = fetched.date.unwrap_or(reader.request.now);
        let narrower = reader.search(run.from, run.window).await?;
        if is_outside(run, &narrower.page) {
            if had_window {
                return Err(SourceError::retry(
                    "the FHIR server answers a search by _lastUpdated with records of another time",
                ));
            }
            run.window = None;
            run.undivided = true;
            return Ok(fetched);
        }
        run.begin_search(Queries::path(&narrower.url), run.from, at);
        fetched = narrower;
    }
    Ok(fetched)
}

/// Goes on to the window behind the present one; returns false where there is none.
pub(crate) fn advance(reader: PageReader<'_>, run: &mut SearchRun, now: DateTime<Utc>) -> bool {
    let Some(window) = run.window else {
        return false;
    };
    let Some(end) = window.end() else {
        return false;
    };
    let width = window.width.saturating_mul(2).max(1);
    let to = end.timestamp().saturating_add(width);
    let to = (to < now.timestamp()).then_some(to);
    let next = RunWindow { to, width };
    run.window = Some(next);
    let url = reader.search_url(Some(end), Some(next));
    run.begin_search(Queries::path(&url), Some(end), now);
    true
}

/// An earlier end for the search whose first page this is, where it is needed and possible: the
/// second in the middle of the page's.
fn smaller(run: &SearchRun, page: &ServerPage) -> Option<i64> {
    let is_divisible = run.begins_search && run.skip == 0 && !run.undivided && !run.unstamped;
    if !is_divisible || page.next.is_none() {
        return None;
    }
    let stamps: Option<Vec<_>> = page.matches.iter().map(|resource| resource.stamp).collect();
    let stamps = stamps?;
    if run.window.is_none() && stamps.is_sorted() {
        return None;
    }
    let mut seconds: Vec<i64> = stamps.iter().map(DateTime::timestamp).collect();
    seconds.sort_unstable();
    let from = run.from.map(|from| from.timestamp());
    let to = run.window.and_then(|window| window.to);
    let fits = |end: &i64| from.is_none_or(|from| *end > from) && to.is_none_or(|to| *end < to);
    let middle = seconds.get(seconds.len() / 2).copied();
    let least = from.map(|from| from + 1);
    [middle, least].into_iter().flatten().find(fits)
}

/// True if a page holds a resource from outside its window, give or take a second: the server does
/// not heed `_lastUpdated`.
fn is_outside(run: &SearchRun, page: &ServerPage) -> bool {
    let from = run.from.map(|from| from.timestamp());
    let to = run.window.and_then(|window| window.to);
    page.matches.iter().any(|resource| {
        let Some(second) = resource.stamp.map(|stamp| stamp.timestamp()) else {
            return true;
        };
        from.is_some_and(|from| second < from - 1) || to.is_some_and(|to| second > to + 1)
    })
}
