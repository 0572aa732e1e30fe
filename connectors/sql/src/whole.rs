//! Whole reads: a feed's rows in the order of `record_id`, by one statement that stays open from
//! page to page. Whoever comes with another position, or too late, has it opened again there.
//!
//! A position is the id of the last row that was handed out, and rows whose ids are written alike
//! are handed out together. So a statement that is opened again begins at that id, and leaves out
//! the rows that bear it; a row that a collation does not tell from it may come twice, which does
//! no harm.

use std::sync::Arc;

use az::SaturatingAs;
use clock::Clock as _;

use crate::by_id::with_ids;
use crate::cursor::{Columns, Drift};
use crate::driver::{Failure, LentSession, Limits};
use crate::layout::{CHANGED_AT, Layout};
use crate::open_read::{Open, Purpose, Taken, id};
use crate::page::{Order, Pager, Place, Start, may_equal_others, too_many_equal};
use crate::pull;
use crate::settings::FeedSettings;
use crate::source::SqlSource;
use crate::table::Table;
use crate::value::Key;

/// Fewest rows of a piece: a small table is read at once, and its statement closed.
const LEAST_ROWS: u32 = 1000;

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
        let is_first = open.is_first;
        let zero = open.zero;
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

    /// Reads a page by a statement of its own. Rows that the database holds equal to the id behind
    /// which it begins are no part of what comes "after" it, and may not have been handed out: they
    /// are read by their ids.
    pub(crate) async fn single_page(
        &self,
        mut lent: LentSession<'_>,
        layout: Arc<Layout>,
        after: Option<Key>,
    ) -> Result<WholePage, Failure> {
        let pager = self.pager(&layout);
        let width = self.width(&layout);
        let mut equal = Table::default();
        let whole = &self.source.whole;
        let feed = self.feed.feed;
        if let Some(after) = after.as_ref().filter(|after| !whole.is_end(feed, after)) {
            equal = self.equal_rows(&pager, &mut lent, after, width).await?;
        }
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if equal.len() >= limit {
            return Err(too_many_equal(limit, "record_id"));
        }
        let room = self.limit - equal.len().saturating_as::<u32>();
        let place = |id| Start::After(Place { at: None, id });
        let start = after.map_or(Start::Beginning, place);
        let rows = pull::read_rows(self.feed, &pager, &mut lent, &start, room, width).await?;
        lent.give_back().await?;
        equal.append(&rows.rows);
        let next = rows.next.map(|place| place.id);
        whole.note_end(feed, next.clone());
        Ok(WholePage {
            rows: equal,
            next,
            layout,
            is_first: false,
            zero: None,
        })
    }

    /// The first columns of the rows whose ids the database holds equal to this one, and that are
    /// written otherwise.
    async fn equal_rows(
        &self,
        pager: &Pager<'_>,
        lent: &mut LentSession<'_>,
        after: &Key,
        width: usize,
    ) -> Result<Table, Failure> {
        let mut found = Table::default();
        if after.is_cut() || !may_equal_others(after) {
            return Ok(found);
        }
        let others = pager.ids_equal_to(lent, after).await?;
        if others.is_empty() {
            return Ok(found);
        }
        let rows = with_ids(self.feed, pager, lent, others).await?;
        for row in rows.rows() {
            if id(row)? == *after {
                continue;
            }
            let cells = row.cells().take(width);
            cells.for_each(|cell| found.push(cell.kind, cell.value));
            found.end_row();
        }
        Ok(found)
    }
}
