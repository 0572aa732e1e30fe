//! Windows of time in a run on a server that does not sort, or does not show that it does: without
//! an order there is no stamp to go on from, so the run reads windows that fit on one page, one
//! behind the other.

use chrono::{DateTime, Utc};
use connector_kit::SourceError;

use crate::bundle::ServerPage;
use crate::page_reader::PageReader;
use crate::query::{Queries, Span};
use crate::run_window::RunWindow;
use crate::search_run::SearchRun;
use crate::session::FetchedPage;

/// Searches for a window that fits on a page, before the rest is left to the next call.
const MAX_SEARCHES: u32 = 50;
/// Width of the window behind one without a beginning, in seconds.
const FIRST_WIDTH: i64 = 3600;

/// The page to hand over in place of one that does not show that the server sorts: the page of a
/// window that is small enough.
pub(crate) async fn narrow(
    reader: PageReader<'_>,
    run: &mut SearchRun,
    mut fetched: FetchedPage,
) -> Result<FetchedPage, SourceError> {
    for _ in 0..MAX_SEARCHES {
        let Some(window) = smaller(run, &fetched.page) else {
            return Ok(fetched);
        };
        let had_window = run.window.is_some();
        run.window = Some(window);
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
    let url = reader.search_url(Span::of_window(Some(end), Some(next)));
    run.begin_search(Queries::path(&url), Some(end), now);
    true
}

/// A smaller window for the search whose first page this is, where it is needed and possible: up
/// to the second in the middle of the page's.
fn smaller(run: &SearchRun, page: &ServerPage) -> Option<RunWindow> {
    let is_divisible = run.begins_search && run.skip == 0 && !run.undivided && !run.unstamped;
    if !is_divisible || page.next.is_none() {
        return None;
    }
    let stamps: Option<Vec<_>> = page.matches.iter().map(|resource| resource.stamp).collect();
    let stamps = stamps?;
    if run.window.is_none() && stamps.is_sorted() && run.may_be_sorted(page) {
        return None;
    }
    let mut seconds: Vec<i64> = stamps.iter().map(DateTime::timestamp).collect();
    seconds.sort_unstable();
    let from = run.from.map(|from| from.timestamp());
    let to = run.window.and_then(|window| window.to);
    let step = run.window.map_or(FIRST_WIDTH, |window| window.width);
    let fits = |end: &i64| from.is_none_or(|from| *end > from) && to.is_none_or(|to| *end < to);
    let middle = seconds.get(seconds.len() / 2).copied();
    // A page of the newest ones does not show how far back the others lie.
    let is_newest_first = stamps.is_sorted_by(|earlier, later| earlier >= later);
    let before = seconds.first().filter(|_| is_newest_first);
    let before = before.map(|earliest| before_newest(*earliest, from, step));
    let least = from.map(|from| from + 1);
    let end = [before, middle, least].into_iter().flatten().find(fits)?;
    let width = match from {
        Some(from) => end - from,
        None if is_newest_first => step.saturating_mul(2),
        None => FIRST_WIDTH,
    };
    Some(RunWindow {
        to: Some(end),
        width,
    })
}

/// An end before the earliest of the newest records: in the middle of the time before them, or,
/// where that has no beginning, further back with every step.
fn before_newest(earliest: i64, from: Option<i64>, step: i64) -> i64 {
    match from {
        Some(from) => from + (earliest - from) / 2,
        None => earliest.saturating_sub(step).max(0),
    }
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
