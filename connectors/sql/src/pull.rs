//! A page of a run, in the order of the stamps: its beginning, its rows, and stamps that went back.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use clock::Clock as _;
use connector_kit::{PageRequest, SourceSurprise};

use crate::closing::{Lateness, RunStart};
use crate::cursor::{self, Columns, Drift, Position};
use crate::driver::{Failure, LentSession};
use crate::forms::{NUMBERS, OTHER_TEXT};
use crate::layout::{CHANGED_AT, Layout};
use crate::page::{Order, Pager, Place, Rows, Start};
use crate::present::Clocks;
use crate::settings::{FeedSettings, SqlSettings};
use crate::source::{SqlSource, gone, log_unreadable};
use crate::table::Row;
use crate::value::Key;
use crate::{salvage, stamp};

/// Time by which the source's clock may be ahead of ours without its stamps' being from the future.
pub(crate) const CLOCKS_APART: TimeDelta = TimeDelta::minutes(5);

/// Rows of a page, with the end of their run and any surprise.
pub(crate) struct Pull {
    pub rows: Rows,
    /// Stamp at which the run ends.
    pub until: Option<Key>,
    /// The run's beginning.
    pub run: RunStart,
    /// Second by which the rows were read, where the run knows the time.
    pub seen: Option<i64>,
    /// Stamp of the row behind which the page begins, where it begins behind one.
    pub behind: Option<Key>,
    pub surprise: Option<SourceSurprise>,
}

/// Reads the page asked for; `None` where the feed starts over. A run begins with a look at the
/// columns; its other pages trust it until one of them shows otherwise.
pub(crate) async fn read(
    source: &SqlSource,
    feed: &FeedSettings,
    request: &PageRequest,
) -> Result<(Arc<Layout>, Option<Pull>), Failure> {
    let clocks = source.clocks(request.now).await;
    let mut lent = source.sessions.lend().await?;
    let mut known = source.known_layout(feed).filter(|_| !request.first_of_run);
    loop {
        let is_known = known.is_some();
        let layout = match known.take() {
            Some(layout) => layout,
            None => source.layout(feed, &mut lent).await?,
        };
        match Pull::read(source, feed, &layout, &mut lent, request, &clocks).await {
            Err(failure) if is_known && failure.may_be_of_columns() => lent.recover().await?,
            pull => {
                let pull = pull?;
                lent.give_back().await?;
                return Ok((layout, pull));
            }
        }
    }
}

impl Pull {
    /// Position at which the next run begins once these rows are safe: the last stamp that can be
    /// read and is not of the future. Rows stamped later than now come again with every run, until
    /// their time has come.
    pub(crate) fn resume(
        &self,
        layout: &Layout,
        settings: &SqlSettings,
        now: DateTime<Utc>,
    ) -> Option<Position> {
        let is_past = |key: &Key| stamp::not_after(key, now, settings.zone).as_ref() == Some(key);
        let rows = self.rows.rows.rows().rev();
        let mut stamps = rows.filter_map(|row| row.cell(CHANGED_AT).key());
        // The last page of a run may be empty, which shows that the one before it was the last.
        let behind = self.behind.clone().filter(|_| self.rows.next.is_none());
        let at = stamps.find(is_past).or(behind.filter(is_past))?;
        let lateness = self.run.lateness(&at, self.seen, settings);
        let mut position = Position::new(layout, at);
        position.closed.clone_from(&self.run.closed);
        match (lateness, &self.rows.next) {
            (Lateness::Open(seen), _) => position.seen = seen,
            (Lateness::Closed, None) => position.closed = Some(position.at.clone()),
            (Lateness::Closed, Some(last)) if last.at.as_ref() == Some(&position.at) => {
                position.id = Some(last.id.clone());
            }
            (Lateness::Closed, Some(_)) => {}
        }
        Some(position)
    }

    /// Position at which the run's next page begins.
    pub(crate) fn next(&self, layout: &Layout) -> Option<Position> {
        let place = self.rows.next.as_ref()?;
        let mut position = Position::new(layout, place.at.clone()?);
        position.id = Some(place.id.clone());
        position.until.clone_from(&self.until);
        position.run = Some(self.run.clone());
        Some(position)
    }

    /// Reads the page asked for in a transaction that is under way.
    pub(crate) async fn read(
        source: &SqlSource,
        feed: &FeedSettings,
        layout: &Layout,
        lent: &mut LentSession<'_>,
        request: &PageRequest,
        clocks: &Clocks<'_>,
    ) -> Result<Option<Self>, Failure> {
        let mut pager = source.pager(feed, layout, Order::Stamp);
        let position = position(source, feed, layout, request)?;
        if position.is_none() && request.after.is_some() {
            return Ok(None);
        }
        let mut run = run_start(source, lent, position.as_ref(), clocks).await?;
        pager.until = position
            .as_ref()
            .and_then(|position| position.until.clone());
        let looks_back = LookBack::of(source, request);
        let mut start = start(position.as_ref(), &looks_back);
        if let Some(wider) =
            wider(source, feed, &pager, lent, position.as_ref(), &looks_back).await?
        {
            start = Start::From(wider);
        }
        let mut behind = stamp_before(&start);
        let width = layout.names.len();
        let mut rows = read_rows(feed, &pager, lent, &start, request.limit, width).await?;
        let mut surprise = None;
        // What a hint began stores nothing: the next scheduled run looks, and says it once.
        if request.first_of_run
            && !request.hinted
            && let Some(Position { at: stored, .. }) = &position
            && let Some(newest) =
                went_back(source, &mut pager, lent, stored, &rows, request).await?
        {
            surprise = Some(SourceSurprise::StampsWentBack);
            behind = None;
            run = RunStart {
                begun: run.begun,
                zero: run.zero,
                ..RunStart::default()
            };
            let start = looks_back.start_at(&newest, stored);
            rows = read_rows(feed, &pager, lent, &start, request.limit, width).await?;
        }
        let mut until = pager.until.take();
        if until.is_none() && rows.next.is_some() {
            until = pager.newest(lent).await?;
        }
        source.remember(feed, Columns::of(layout));
        Ok(Some(Self {
            rows,
            until,
            seen: run.seen(source.clock.elapsed()),
            run,
            behind,
            surprise,
        }))
    }
}

/// Beginning of the request's run. The source is asked for its time unless nothing is open: an
/// unchanged source costs no statement more.
async fn run_start(
    source: &SqlSource,
    lent: &mut LentSession<'_>,
    position: Option<&Position>,
    clocks: &Clocks<'_>,
) -> Result<RunStart, Failure> {
    if let Some(run) = position.and_then(|position| position.run.clone()) {
        return Ok(run);
    }
    let mut run = position.map_or_else(RunStart::default, Position::begin);
    if !position.is_some_and(Position::is_closed) {
        let driver = source.sessions.driver.as_ref();
        let present = clocks.ask(driver, lent).await?;
        run.begun = present.begun;
        run.zero = present.zero;
    }
    Ok(run)
}

/// The position of the request; None where reading begins, or has to begin again, at the first row.
fn position(
    source: &SqlSource,
    feed: &FeedSettings,
    layout: &Layout,
    request: &PageRequest,
) -> Result<Option<Position>, Failure> {
    let Some(cursor) = &request.after else {
        return Ok(None);
    };
    let Some(position) = cursor::read::<Position>(cursor) else {
        log_not_understood(feed);
        return Ok(None);
    };
    let goes_on = has_columns(source, feed, layout, &position.columns)?;
    Ok(Some(position).filter(|_| goes_on))
}

/// Logs that a feed starts over for its cursor.
pub(crate) fn log_not_understood(feed: &FeedSettings) {
    let name = feed.feed.as_str();
    let why = "the stored cursor is not one of this version, or of this way of noticing changes; \
        the feed starts over";
    tracing::warn!(event = "cursor-not-understood", feed = name, "{why}");
}

/// True where the query still has these columns; false, which is logged, where the feed has to
/// start over.
///
/// # Errors
/// A column that is gone.
pub(crate) fn has_columns(
    source: &SqlSource,
    feed: &FeedSettings,
    layout: &Layout,
    columns: &Columns,
) -> Result<bool, Failure> {
    match columns.drift(layout) {
        Drift::None => Ok(true),
        Drift::Gone(column) => {
            source.remember(feed, columns.clone());
            Err(gone(&column))
        }
        Drift::Changed(columns) => {
            let name = feed.feed.as_str();
            let columns = columns.join(", ");
            let why = "columns are new or of another type, so rows may mean something else; the \
                feed starts over";
            tracing::warn!(event = "columns-changed", feed = name, columns, "{why}");
            Ok(false)
        }
    }
}

/// Look back of a run from the stamp where an earlier one ended.
struct LookBack {
    seconds: u32,
    now: DateTime<Utc>,
    zone: Tz,
}

impl LookBack {
    const fn of(source: &SqlSource, request: &PageRequest) -> Self {
        let settings = &source.settings;
        Self {
            seconds: if request.hinted {
                settings.listen_overlap_seconds
            } else {
                settings.overlap_seconds
            },
            now: request.now,
            zone: settings.zone,
        }
    }

    fn from(&self, at: &Key) -> Option<Key> {
        stamp::earlier(at, self.seconds, self.now, self.zone)
    }

    /// Start where the newest stamp went back behind the stored one. What was written since lies
    /// before the stored place: the run, and with it the next one, goes back.
    fn start_at(&self, newest: &Key, stored: &Key) -> Start {
        let same_kind = newest.kind == stored.kind;
        let bound = self.from(newest).filter(|_| same_kind);
        bound.map_or(Start::Beginning, Start::From)
    }
}

fn start(position: Option<&Position>, looks_back: &LookBack) -> Start {
    let Some(position) = position else {
        return Start::Beginning;
    };
    let at = position.at.clone();
    if let Some(id) = &position.id {
        let id = id.clone();
        return Start::After(Place { at: Some(at), id });
    }
    let is_before = |one: &Key, other: &Key| stamp::is_before_in(one, other, looks_back.zone);
    match (looks_back.from(&at), &position.closed) {
        (Some(bound), Some(closed)) if is_before(closed, &bound) => Start::From(bound),
        (_, Some(closed)) => Start::AfterStamp(closed.clone()),
        (Some(bound), None) => Start::From(bound),
        (None, None) => Start::Beginning,
    }
}

/// Stamp of the row behind which a page begins, where it begins behind one.
fn stamp_before(start: &Start) -> Option<Key> {
    match start {
        Start::After(place) => place.at.clone(),
        Start::Beginning | Start::From(_) | Start::AfterStamp(_) => None,
    }
}

/// An earlier bound, where stamps are text (SQLite) and those shortly before this one are written
/// in other ways: they may be as late as those behind it, and yet sort before. Fails where other
/// stamps are numbers, which have no place among text.
async fn wider(
    source: &SqlSource,
    feed: &FeedSettings,
    pager: &Pager<'_>,
    lent: &mut LentSession<'_>,
    position: Option<&Position>,
    looks_back: &LookBack,
) -> Result<Option<Key>, Failure> {
    let Some(Position { at, .. }) = position.filter(|position| position.id.is_none()) else {
        return Ok(None);
    };
    let Some(bound) = looks_back.from(at) else {
        return Ok(None);
    };
    let Some(widest) = stamp::widest(&bound) else {
        return Ok(None);
    };
    let Some(sql) = pager.other_forms(at, &widest, &bound) else {
        return Ok(None);
    };
    let found = match lent.texts(&sql).await {
        // A row that makes the query fail says nothing of stamps; the wider bound is never wrong.
        Err(failure) if failure.may_be_of_rows() => {
            lent.recover().await?;
            vec![OTHER_TEXT.to_owned()]
        }
        found => found?,
    };
    let is_mixed = found.iter().any(|mixed| mixed == OTHER_TEXT);
    if found.iter().any(|mixed| mixed == NUMBERS) {
        return Err(Failure::misconfigured(
            "changed_at is text in some rows and a number in others, which have no common order",
            "select it in one form, such as strftime('%Y-%m-%d %H:%M:%f', …) AS changed_at",
        ));
    }
    if is_mixed && source.is_news(feed.feed) {
        tracing::warn!(
            event = "stamps-in-several-forms",
            feed = feed.feed.as_str(),
            "changed_at is written in several ways, whose order is not that of time; two days are \
             read again with every run; see `check`"
        );
    }
    Ok(is_mixed.then_some(widest))
}

/// The newest stamp up to the present moment, where it lies before the one stored at the end of an
/// earlier run, or is of another kind (SQLite), which sorts before it whatever the time.
async fn went_back(
    source: &SqlSource,
    pager: &mut Pager<'_>,
    lent: &mut LentSession<'_>,
    stored: &Key,
    rows: &Rows,
    request: &PageRequest,
) -> Result<Option<Key>, Failure> {
    let zone = source.settings.zone;
    // Rows from the future are always there, and say nothing. A clock that is a little ahead is no
    // future.
    let soon = request.now + CLOCKS_APART;
    let is_past = |at: &Key| stamp::not_after(at, soon, zone).as_ref() == Some(at);
    let reached = |row: Row<'_>| {
        let at = row.cell(CHANGED_AT).key().filter(is_past);
        at.is_some_and(|at| at.kind == stored.kind && !stamp::is_before(&at, stored))
    };
    // The newest come last.
    if rows.rows.rows().rev().any(reached) {
        return Ok(None);
    }
    pager.until = stamp::present(soon, stored.kind, &stored.value, zone);
    let newest = pager.newest(lent).await?;
    pager.until = None;
    Ok(newest
        .filter(|newest| newest.kind != stored.kind || stamp::is_before_in(newest, stored, zone)))
}

/// The first `width` columns of a page's rows; those the database cannot hand over are cut to their
/// keys, without a stamp where that fails, too.
pub(crate) async fn read_rows(
    feed: &FeedSettings,
    pager: &Pager<'_>,
    lent: &mut LentSession<'_>,
    start: &Start,
    limit: u32,
    width: usize,
) -> Result<Rows, Failure> {
    match pager.read_cells(lent, start, limit, width).await {
        Err(failure) if failure.may_be_of_rows() => {
            let (reason, _) = failure.words(Some(&feed.statement));
            let found = salvage::page(pager, lent, start, limit, width, failure).await?;
            log_unreadable(feed, found.refused, &reason);
            Ok(found.rows)
        }
        rows => rows,
    }
}
