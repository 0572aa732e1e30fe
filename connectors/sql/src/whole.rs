//! Whole reads: a feed's rows in the order of `record_id`, by one statement that stays open from
//! page to page. Whoever comes with another position, or too late, has it opened again there.
//!
//! A position is the id of the last row that was handed out, and rows whose ids are written alike
//! are handed out together. So a statement that is opened again begins at that id, and leaves out
//! the rows that bear it; a row that a collation does not tell from it may come twice, which does
//! no harm.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock as _;
use connector_kit::Feed;
use parking_lot::Mutex;

use crate::cursor::{Columns, Drift};
use crate::driver::{Failure, LentSession, Limits, Piece, Stream};
use crate::layout::{CHANGED_AT, Layout, RECORD_ID};
use crate::page::{Order, Pager, Place, Start, too_many_equal};
use crate::pull;
use crate::settings::FeedSettings;
use crate::source::SqlSource;
use crate::table::{Row, Table};
use crate::value::Key;

/// Fewest rows of a piece: a small table is read at once, and its statement closed.
const LEAST_ROWS: u32 = 1000;
/// Most pages that are read by statements of their own after rows have made an open one fail.
const MOST_SINGLE_PAGES: u32 = 64;

/// Reason to read everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A first load: rows that have a usable stamp, where the feed goes by one.
    Load,
    /// Ids and stamps, for a sweep.
    Keys,
    /// Whole rows, for a sweep.
    Contents,
}

/// The open statements of a source, at most one a feed.
#[derive(Default)]
pub(crate) struct WholeReads {
    open: Mutex<HashMap<Feed, Open>>,
    setbacks: Mutex<HashMap<Feed, Setback>>,
}

/// Rows that made an open statement fail.
#[derive(Default, Clone, Copy)]
struct Setback {
    /// Pages that are yet to be read by statements of their own.
    left: u32,
    /// Pages that will be, after the next failure.
    next: u32,
}

/// A statement that stays open.
pub(crate) struct Open {
    pub layout: Arc<Layout>,
    /// The moment by the connector's own clock that the load began with, where this statement is
    /// the first one of it.
    pub zero: Option<i64>,
    /// True where nothing was handed out before this statement was opened.
    pub is_first: bool,
    purpose: Purpose,
    stream: Stream,
    /// Id of the last row that was handed out.
    after: Option<Key>,
    /// The same as the statement was opened.
    opened_after: Option<Key>,
    /// True until rows have come that bear another id than `after`.
    skips: bool,
    /// Rows that were taken and not yet handed out.
    held: Option<Table>,
    end: Option<End>,
    /// Reading of the connector's own clock as the last page was handed out.
    handed_out: Duration,
}

/// State in which a statement has ended.
enum End {
    Whole,
    Closed,
    Failed(Failure),
}

/// A page of a whole read.
pub(crate) struct WholePage {
    pub layout: Arc<Layout>,
    pub rows: Table,
    /// Id of the last row, where there are more.
    pub next: Option<Key>,
    /// True for rows of the snapshot that the read began with.
    pub is_first: bool,
    /// See [`Open::zero`].
    pub zero: Option<i64>,
}

/// What an open statement has for a page.
enum Taken {
    Rows {
        rows: Table,
        more: bool,
    },
    Closed,
    /// Rows of one id that may go on, or a failure at once.
    Stuck(Option<Failure>),
}

impl WholeReads {
    /// Closes the feed's open statement: what it still has may be older than what is read now.
    pub(crate) fn close(&self, feed: Feed) {
        self.open.lock().remove(&feed);
    }

    /// Closes it where it reads whole rows, for a load or a sweep.
    pub(crate) fn close_rows(&self, feed: Feed) {
        let mut open = self.open.lock();
        if open
            .get(&feed)
            .is_some_and(|open| open.purpose != Purpose::Keys)
        {
            open.remove(&feed);
        }
    }

    /// Forgets that rows made a statement fail.
    pub(crate) fn forget_setbacks(&self, feed: Feed) {
        self.setbacks.lock().remove(&feed);
    }

    /// True where the next page is to be read by a statement of its own.
    fn takes_single_page(&self, feed: Feed) -> bool {
        let mut setbacks = self.setbacks.lock();
        let setback = setbacks.entry(feed).or_default();
        let takes = setback.left > 0;
        setback.left = setback.left.saturating_sub(1);
        takes
    }

    fn note_setback(&self, feed: Feed) {
        let mut setbacks = self.setbacks.lock();
        let setback = setbacks.entry(feed).or_default();
        setback.left = setback.next;
        setback.next = (setback.next * 2).clamp(1, MOST_SINGLE_PAGES);
    }
}

/// A whole read of one feed.
pub(crate) struct Whole<'s> {
    pub source: &'s SqlSource,
    pub feed: &'s FeedSettings,
    pub purpose: Purpose,
    /// Most rows of a page.
    pub limit: u32,
}

impl<'s> Whole<'s> {
    /// The open statement that goes on behind this id, if there is one; any other is closed.
    pub(crate) fn take(&self, after: Option<&Key>) -> Option<Open> {
        let open = self.source.whole.open.lock().remove(&self.feed.feed)?;
        let now = self.source.clock.elapsed();
        let is_fresh = now.saturating_sub(open.handed_out) <= self.source.settings.max_untaken();
        let fits = open.purpose == self.purpose && after.is_some() && open.after.as_ref() == after;
        (fits && is_fresh).then_some(open)
    }

    /// True where rows have made statements fail of late: this page is better read by one of its
    /// own.
    pub(crate) fn takes_single_page(&self) -> bool {
        self.source.whole.takes_single_page(self.feed.feed)
    }

    fn pager<'l>(&'l self, layout: &'l Layout) -> Pager<'l> {
        let mut pager = self.source.pager(self.feed, layout, Order::Id);
        pager.stamped = self.purpose == Purpose::Load && layout.has_stamp;
        pager
    }

    fn width(&self, layout: &Layout) -> usize {
        match self.purpose {
            Purpose::Keys => CHANGED_AT + 1,
            Purpose::Load | Purpose::Contents => layout.names.len(),
        }
    }

    /// Opens the statement behind this id.
    pub(crate) async fn open(
        &self,
        lent: LentSession<'_>,
        layout: Arc<Layout>,
        after: Option<Key>,
    ) -> Result<Open, Failure> {
        let settings = &self.source.settings;
        let limits = Limits {
            rows: self.limit.max(LEAST_ROWS) as usize,
            whole: settings.max_read,
            untaken: settings.max_untaken(),
        };
        let start = after.clone().map_or(Start::Beginning, Start::From);
        let width = self.width(&layout);
        let sql = self.pager(&layout).all(&start, width);
        let stream = lent.stream(sql, &layout.kinds[..width], limits).await?;
        Ok(Open {
            layout,
            zero: None,
            is_first: false,
            purpose: self.purpose,
            stream,
            skips: after.is_some(),
            opened_after: after.clone(),
            after,
            held: None,
            end: None,
            handed_out: self.source.clock.elapsed(),
        })
    }

    /// The next page of an open statement. One that was closed is opened again; where a row makes
    /// it fail the page is read by a statement of its own, which tells the row apart.
    pub(crate) async fn page(&self, mut open: Open) -> Result<WholePage, Failure> {
        loop {
            match open.take(self.limit).await? {
                Taken::Rows { rows, more } => return self.hand_out(open, rows, more),
                Taken::Stuck(Some(failure)) if !failure.may_be_of_rows() => return Err(failure),
                Taken::Stuck(_) => {
                    self.source.whole.note_setback(self.feed.feed);
                    let Open {
                        layout,
                        after,
                        is_first,
                        zero,
                        ..
                    } = open;
                    let lent = self.source.sessions.lend().await?;
                    let is_first = is_first && after.is_none();
                    let page = self.single_page(lent, layout, after).await?;
                    return Ok(WholePage {
                        is_first,
                        zero,
                        ..page
                    });
                }
                Taken::Closed => {
                    let mut lent = self.source.sessions.lend().await?;
                    let layout = self.source.layout(self.feed, &mut lent).await?;
                    if Columns::of(&open.layout).drift(&layout) != Drift::None {
                        return Err(Failure::other_columns());
                    }
                    let zero = open.zero;
                    let again = self.open(lent, layout, open.after.take()).await?;
                    open = Open { zero, ..again };
                }
            }
        }
    }

    fn hand_out(&self, mut open: Open, rows: Table, more: bool) -> Result<WholePage, Failure> {
        let layout = Arc::clone(&open.layout);
        let (is_first, zero) = (open.is_first, open.zero);
        let next = if more {
            rows.last().map(id).transpose()?
        } else {
            None
        };
        if let Some(next) = &next {
            open.after = Some(next.clone());
            open.handed_out = self.source.clock.elapsed();
            self.source.whole.open.lock().insert(self.feed.feed, open);
        }
        Ok(WholePage {
            layout,
            rows,
            next,
            is_first,
            zero,
        })
    }

    /// Reads a page by a statement of its own.
    pub(crate) async fn single_page(
        &self,
        mut lent: LentSession<'_>,
        layout: Arc<Layout>,
        after: Option<Key>,
    ) -> Result<WholePage, Failure> {
        let place = |id| Start::After(Place { at: None, id });
        let start = after.map_or(Start::Beginning, place);
        let pager = self.pager(&layout);
        let width = self.width(&layout);
        let rows = pull::read_rows(self.feed, &pager, &mut lent, &start, self.limit, width).await?;
        lent.give_back().await?;
        Ok(WholePage {
            rows: rows.rows,
            next: rows.next.map(|place| place.id),
            layout,
            is_first: false,
            zero: None,
        })
    }
}

fn id(row: Row<'_>) -> Result<Key, Failure> {
    let key = row.cell(RECORD_ID).key();
    key.ok_or_else(|| Failure::retry("a row has no key"))
}

impl Open {
    /// Takes the rows of a page. A set of rows of one id is never split; one that may go on is left
    /// for the next page.
    async fn take(&mut self, limit: u32) -> Result<Taken, Failure> {
        let limit = limit as usize;
        let mut page = Table::default();
        // A page that is half full will do: topping it up copies all that follows.
        while (page.is_empty() || page.len() * 2 < limit) && self.fill().await? {
            let Some(held) = self.held.take() else { break };
            if page.is_empty() && held.len() <= limit {
                page = held;
                continue;
            }
            let room = (limit - page.len()).min(held.len());
            page.append(&held.part(0..room));
            self.hold(held.part(room..held.len()));
        }
        let more = self.fill().await?;
        let first = self.held.as_ref().and_then(Table::first);
        let goes_on = match (&self.end, first, page.last()) {
            (Some(End::Whole), None, _) => {
                return Ok(Taken::Rows {
                    rows: page,
                    more: false,
                });
            }
            (_, _, None) => return Ok(self.without_rows()),
            (_, Some(first), Some(last)) => first.begins_with_id_of(last),
            (_, None, Some(_)) => true,
        };
        if goes_on {
            let rest = self.cut_last_set(&mut page);
            if page.is_empty() {
                return if more {
                    Err(too_many_equal(limit, "record_id"))
                } else {
                    Ok(self.without_rows())
                };
            }
            self.hold(rest);
        }
        Ok(Taken::Rows {
            rows: page,
            more: true,
        })
    }

    /// What there is to do where no row can be handed out.
    fn without_rows(&mut self) -> Taken {
        match self.end.take() {
            Some(End::Failed(failure)) => Taken::Stuck(Some(failure)),
            // Opened again it might come no farther: its time was up, or rows of one id go on.
            _ if self.after == self.opened_after => Taken::Stuck(None),
            _ => Taken::Closed,
        }
    }

    /// Takes the last row, and those before it that bear the same id, off a page. Rows that nobody
    /// knows the rest of are read again.
    fn cut_last_set(&self, page: &mut Table) -> Table {
        let Some(last) = page.last() else {
            return Table::default();
        };
        let set = page
            .rows()
            .rev()
            .take_while(|row| row.begins_with_id_of(last))
            .count();
        let keep = page.len() - set;
        let rest = page.part(keep..page.len());
        page.truncate(keep);
        rest
    }

    /// Puts rows before those that are held.
    fn hold(&mut self, mut rows: Table) {
        if let Some(held) = self.held.take() {
            rows.append(&held);
        }
        self.held = Some(rows).filter(|rows| !rows.is_empty());
    }

    /// Waits until rows are held; returns false where none come any more.
    async fn fill(&mut self) -> Result<bool, Failure> {
        while self.held.is_none() && self.end.is_none() {
            match self.stream.next().await {
                Some(Piece::Rows(rows)) => {
                    let rows = self.without_handed_out(rows)?;
                    self.hold(rows);
                }
                Some(Piece::End) => self.end = Some(End::Whole),
                Some(Piece::Failed(failure)) => self.end = Some(End::Failed(failure)),
                None => self.end = Some(End::Closed),
            }
        }
        Ok(self.held.is_some())
    }

    /// Leaves out the rows that bear the id behind which the statement was opened: they are among
    /// the first, those that the database holds equal to it.
    fn without_handed_out(&mut self, rows: Table) -> Result<Table, Failure> {
        let Some(after) = self.after.as_ref().filter(|_| self.skips) else {
            return Ok(rows);
        };
        let mut kept = Table::default();
        for row in rows.rows() {
            if id(row)? != *after {
                kept.push_row(row);
            }
        }
        self.skips = kept.is_empty();
        Ok(kept)
    }
}
