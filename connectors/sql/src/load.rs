//! The first load of a feed: every row once, in the order of `record_id`, and then the position at
//! which runs begin.
//!
//! Runs have to begin at a stamp that no change can come behind which the load has not seen. The
//! newest stamp of the snapshot that the load began with is one: whatever is written later bears a
//! later one, but for the overlap. Where another snapshot was read as well (after a restart, or
//! since the clinic's server does not let one stay open that long), stamps of rows that were read
//! later say nothing of rows that were read before. The newest one that the first snapshot has
//! shown will do, and so will what the clocks showed as the load began, less the widest mistake of
//! a time zone.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clock::Clock as _;
use connector_kit::{Cursor, PageRequest};

use crate::closing::{Lateness, RunStart, WIDEST_ZONE};
use crate::config::ChangeDetection;
use crate::cursor::{self, ChangesPosition, Columns, Load, LoadPosition, LoadedPosition, Position};
use crate::driver::{Failure, LentSession};
use crate::layout::{CHANGED_AT, Layout};
use crate::open_read::Purpose;
use crate::page::Order;
use crate::present::Present;
use crate::settings::FeedSettings;
use crate::source::SqlSource;
use crate::table::Table;
use crate::value::{Cell, Key, Kind, Value};
use crate::whole::{Whole, WholePage};
use crate::{named_ids, pull, stamp};

/// A page of a first load.
pub(crate) struct LoadPage {
    pub layout: Arc<Layout>,
    pub rows: Table,
    /// True where the run goes on behind the page: more rows follow, or changes of rows that an
    /// earlier run, or an earlier snapshot, has read.
    pub goes_on: bool,
    /// Text of the position behind the page: the load's next place, or where runs begin.
    pub resume: Option<Resume>,
}

/// Position behind a page of a first load.
pub(crate) enum Resume {
    Load(LoadPosition),
    Stamps(Position),
    Changes(ChangesPosition),
    Loaded(LoadedPosition),
}

impl Resume {
    /// The position as a cursor.
    pub(crate) fn write(&self) -> Result<Cursor, connector_kit::SourceError> {
        match self {
            Self::Load(position) => cursor::write(position),
            Self::Stamps(position) => cursor::write(position),
            Self::Changes(position) => cursor::write(position),
            Self::Loaded(position) => cursor::write(position),
        }
    }
}

/// Reads the next page of a load, from its beginning where no position is given.
pub(crate) async fn page(
    source: &SqlSource,
    feed: &FeedSettings,
    position: Option<LoadPosition>,
    request: &PageRequest,
) -> Result<LoadPage, Failure> {
    let whole = Whole {
        source,
        feed,
        purpose: Purpose::Load,
        limit: request.limit,
    };
    let after = position
        .as_ref()
        .and_then(|position| position.load.after.as_ref());
    let (mut load, page) = match (whole.take(after), position) {
        (Some(open), Some(position)) => (position.load, whole.page(open).await?),
        (_, position) => open(&whole, position, request).await?,
    };
    source.remember(feed, Columns::of(&page.layout));
    load.add(&page, request.now, source.settings.zone);
    load.after.clone_from(&page.next);
    let columns = Columns::of(&page.layout);
    let has_more = page.next.is_some();
    let is_first = page.is_first;
    let resume = if has_more {
        Some(Resume::Load(LoadPosition { columns, load }))
    } else {
        load.done(source, feed, &page)
    };
    // A run has to bring all that was there as it began. Where the whole load is of one snapshot
    // that is so; rows that were read before may have changed since.
    let has_changes = matches!(resume, Some(Resume::Stamps(_) | Resume::Changes(_)));
    Ok(LoadPage {
        layout: page.layout,
        rows: page.rows,
        goes_on: has_more || (has_changes && !is_first),
        resume,
    })
}

/// Begins to read behind a position, or at the very beginning.
async fn open(
    whole: &Whole<'_>,
    position: Option<LoadPosition>,
    request: &PageRequest,
) -> Result<(Load, WholePage), Failure> {
    let Whole { source, feed, .. } = *whole;
    let clocks = source.clocks(request.now).await;
    let mut lent = source.sessions.lend().await?;
    let layout = source.layout(feed, &mut lent).await?;
    let mut known = None;
    if let Some(position) = position
        && pull::has_columns(source, feed, &layout, &position.columns)?
    {
        known = Some(position.load).filter(|load| load.after.is_some());
    }
    let is_first = known.is_none();
    let mut zero = None;
    let load = match known {
        Some(load) => load,
        None => {
            source.whole.forget_setbacks(feed.feed);
            let driver = source.sessions.driver.as_ref();
            let present = clocks.ask(driver, &mut lent).await?;
            zero = present.zero;
            begin(source, feed, &layout, &mut lent, present, request.now).await?
        }
    };
    let after = load.after.clone();
    let page = if whole.takes_single_page() {
        whole.single_page(lent, layout, after).await?
    } else {
        let mut open = whole.open(lent, layout, after).await?;
        open.is_first = is_first;
        open.zero = zero;
        whole.page(open).await?
    };
    Ok((load, page))
}

/// Notes what has to be known of a source before its rows are read.
async fn begin(
    source: &SqlSource,
    feed: &FeedSettings,
    layout: &Layout,
    lent: &mut LentSession<'_>,
    present: Present,
    now: DateTime<Utc>,
) -> Result<Load, Failure> {
    let mut load = Load {
        begun: present.begun,
        ..Load::default()
    };
    if feed.detection == ChangeDetection::SeveralStamps {
        load.noted = note(source, feed, layout, lent, present, now).await?;
    }
    Ok(load)
}

/// Positions in the change queries at their newest stamps.
async fn note(
    source: &SqlSource,
    feed: &FeedSettings,
    layout: &Layout,
    lent: &mut LentSession<'_>,
    present: Present,
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, Position>, Failure> {
    let settings = &source.settings;
    let run = RunStart {
        begun: present.begun,
        zero: present.zero,
        ..RunStart::default()
    };
    let mut noted = BTreeMap::new();
    for change in &feed.changes {
        let keys = source
            .layout(change, lent)
            .await
            .map_err(|failure| failure.of_change(change))?;
        named_ids::ensure_fit(change, &keys, layout)?;
        let mut pager = source.pager(change, &keys, Order::Stamp);
        let mut newest = pager.newest(lent).await?;
        // Rows stamped later than now come again with every run, until their time has come.
        let bound = newest
            .as_ref()
            .and_then(|at| stamp::not_after(at, now, settings.zone));
        if bound != newest {
            let like = newest.as_ref();
            pager.until =
                like.and_then(|at| stamp::present(now, at.kind, &at.value, settings.zone));
            newest = pager.newest(lent).await?;
        }
        let is_past = |at: &Key| stamp::not_after(at, now, settings.zone).as_ref() == Some(at);
        let Some(at) = newest.filter(is_past) else {
            continue;
        };
        let lateness = run.lateness(&at, run.seen(source.clock.elapsed()), settings);
        let name = change.change.clone().unwrap_or_default();
        noted.insert(name, ended(&keys, at, &lateness));
    }
    Ok(noted)
}

/// Position at the end of a run.
fn ended(layout: &Layout, at: Key, lateness: &Lateness) -> Position {
    let mut position = Position::new(layout, at);
    match lateness {
        Lateness::Closed => position.closed = Some(position.at.clone()),
        Lateness::Open(seen) => position.seen = *seen,
    }
    position
}

impl Load {
    /// Takes note of a page's stamps.
    fn add(&mut self, page: &WholePage, now: DateTime<Utc>, zone: Tz) {
        if !page.layout.has_stamp {
            return;
        }
        let is_past = |at: &Key| stamp::not_after(at, now, zone).as_ref() == Some(at);
        let heads = newest_rows(&page.rows);
        let heads: Vec<Key> = heads.into_iter().filter_map(|cell| cell.key()).collect();
        if heads.iter().all(is_past) {
            heads.into_iter().for_each(|at| self.note(at, zone));
        } else {
            let stamps = page
                .rows
                .rows()
                .filter_map(|row| row.cell(CHANGED_AT).key());
            stamps.filter(is_past).for_each(|at| self.note(at, zone));
        }
        if page.is_first {
            self.newest.clone_from(&self.latest);
        }
    }

    fn note(&mut self, at: Key, zone: Tz) {
        if self
            .latest
            .as_ref()
            .is_none_or(|latest| comes_after(&at, latest, zone))
        {
            self.latest = Some(at);
        }
    }

    /// The position at which runs begin, now that everything is read.
    fn done(self, source: &SqlSource, feed: &FeedSettings, page: &WholePage) -> Option<Resume> {
        let columns = Columns::of(&page.layout);
        match feed.detection {
            ChangeDetection::Content => {
                let loaded = true;
                return Some(Resume::Loaded(LoadedPosition { columns, loaded }));
            }
            ChangeDetection::SeveralStamps => {
                return Some(Resume::Changes(ChangesPosition {
                    columns,
                    changes: self.noted,
                    run: None,
                }));
            }
            ChangeDetection::Stamp => {}
        }
        let settings = &source.settings;
        let Some(at) = self.first_stamp(settings.zone) else {
            // What was read says nothing of where to begin: everything is read again.
            let load = Load::default();
            return Some(Resume::Load(LoadPosition { columns, load }))
                .filter(|_| !(page.is_first && page.rows.is_empty()));
        };
        let run = RunStart {
            begun: self.begun,
            zero: page.zero.filter(|_| page.is_first),
            ..RunStart::default()
        };
        let lateness = run.lateness(&at, run.seen(source.clock.elapsed()), settings);
        Some(Resume::Stamps(ended(&page.layout, at, &lateness)))
    }

    /// The latest stamp behind which no change can have come that the load has not seen.
    fn first_stamp(&self, zone: Tz) -> Option<Key> {
        let latest = self.latest.as_ref()?;
        let by_clock = || {
            // A number may be no time at all.
            let begun = self.begun.filter(|_| latest.kind != Kind::Integer)?;
            let moment = DateTime::from_timestamp(begun - WIDEST_ZONE, 0)?;
            let bound = stamp::present(moment, latest.kind, &latest.value, zone)?;
            Some(if comes_after(latest, &bound, zone) {
                bound
            } else {
                latest.clone()
            })
        };
        match (self.newest.clone(), by_clock()) {
            (Some(newest), Some(bound)) if comes_after(&bound, &newest, zone) => Some(bound),
            (None, bound) => bound,
            (newest, _) => newest,
        }
    }
}

/// True where a stamp comes after another: in time, or, of SQLite's text and numbers, in the
/// database's order.
fn comes_after(at: &Key, other: &Key, zone: Tz) -> bool {
    if at.kind == other.kind {
        stamp::is_before_in(other, at, zone)
    } else {
        at.kind == Kind::Text
    }
}

/// The newest stamps of a page, one of each form in which they are written: within a form numbers
/// and bytes tell the order, so that few of them have to be read.
fn newest_rows(rows: &Table) -> Vec<Cell<'_>> {
    let mut heads: Vec<(Form, Cell<'_>)> = Vec::new();
    for row in rows.rows() {
        let cell = row.cell(CHANGED_AT);
        let form = Form::of(cell);
        let head = heads
            .iter_mut()
            .find(|(known, _)| *known == form && form != Form::Other);
        match head {
            Some((_, head)) if is_later(cell, *head) => *head = cell,
            Some(_) => {}
            None => heads.push((form, cell)),
        }
    }
    heads.into_iter().map(|(_, cell)| cell).collect()
}

/// Way in which a stamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Number(Kind),
    /// Text of this length, with this byte between day and time, in UTC or in no zone.
    Text {
        length: usize,
        between: u8,
        is_utc: bool,
    },
    /// Text that nothing is known of.
    Other,
}

impl Form {
    fn of(cell: Cell<'_>) -> Self {
        let text = match cell.value {
            Value::Bytes(text) if cell.kind == Kind::Text => text,
            Value::Days(_) | Value::Micros(_) | Value::Whole(_) => return Self::Number(cell.kind),
            _ => return Self::Other,
        };
        let is_utc = text.ends_with(b"Z");
        let time = text
            .get(11..text.len() - usize::from(is_utc))
            .unwrap_or_default();
        let is_plain = text.len() >= 10
            && time
                .iter()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
        if !is_plain {
            return Self::Other;
        }
        Self::Text {
            length: text.len(),
            between: text.get(10).copied().unwrap_or_default(),
            is_utc,
        }
    }
}

/// True where a stamp is later than another one of the same form.
fn is_later(cell: Cell<'_>, other: Cell<'_>) -> bool {
    match (cell.value, other.value) {
        (Value::Bytes(one), Value::Bytes(other)) => one > other,
        _ => stamp::number_of(cell) > stamp::number_of(other),
    }
}
