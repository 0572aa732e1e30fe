//! Statements of whole reads that stay open from page to page, and what they have for a page.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use connector_kit::Feed;
use parking_lot::Mutex;

use crate::driver::{Failure, Piece, Stream};
use crate::layout::{Layout, RECORD_ID};
use crate::page::too_many_equal;
use crate::table::{Row, Table};
use crate::value::Key;

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
    pub open: Mutex<HashMap<Feed, Open>>,
    setbacks: Mutex<HashMap<Feed, Setback>>,
}

/// Rows that made an open statement fail.
#[derive(Default)]
struct Setback {
    /// Pages that are yet to be read by statements of their own.
    left: u32,
    /// Pages that will be, after the next failure.
    next: u32,
    /// Id with which the last of them ended: no row that the database holds equal to it was left.
    end: Option<Key>,
}

/// A statement that stays open.
pub(crate) struct Open {
    pub layout: Arc<Layout>,
    /// The moment by the connector's own clock that the load began with, where this statement is
    /// the first one of it.
    pub zero: Option<i64>,
    /// True where nothing was handed out before this statement was opened.
    pub is_first: bool,
    pub purpose: Purpose,
    pub stream: Stream,
    /// Id of the last row that was handed out.
    pub after: Option<Key>,
    /// The same as the statement was opened.
    pub opened_after: Option<Key>,
    /// True until rows have come that bear another id than `after`.
    pub skips: bool,
    /// Rows that were taken and not yet handed out.
    pub held: Option<Table>,
    pub end: Option<End>,
    /// Reading of the connector's own clock as the last page was handed out.
    pub handed_out: Duration,
}

/// State in which a statement has ended.
pub(crate) enum End {
    Whole,
    Closed,
    Failed(Failure),
}

/// What an open statement has for a page.
pub(crate) enum Taken {
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
    pub(crate) fn takes_single_page(&self, feed: Feed) -> bool {
        let mut setbacks = self.setbacks.lock();
        let setback = setbacks.entry(feed).or_default();
        let takes = setback.left > 0;
        setback.left = setback.left.saturating_sub(1);
        takes
    }

    /// Notes with which id a page ended that was read by a statement of its own.
    pub(crate) fn note_end(&self, feed: Feed, id: Option<Key>) {
        self.setbacks.lock().entry(feed).or_default().end = id;
    }

    /// True where such a page ended with this id.
    pub(crate) fn is_end(&self, feed: Feed, id: &Key) -> bool {
        let setbacks = self.setbacks.lock();
        let end = setbacks.get(&feed).and_then(|setback| setback.end.as_ref());
        end == Some(id)
    }

    pub(crate) fn note_setback(&self, feed: Feed) {
        let mut setbacks = self.setbacks.lock();
        let setback = setbacks.entry(feed).or_default();
        setback.left = setback.next;
        setback.next = (setback.next * 2).clamp(1, MOST_SINGLE_PAGES);
    }
}

pub(crate) fn id(row: Row<'_>) -> Result<Key, Failure> {
    let key = row.cell(RECORD_ID).key();
    key.ok_or_else(|| Failure::retry("a row has no key"))
}

impl Open {
    /// Takes the rows of a page. A set of rows of one id is never split; one that may go on is left
    /// for the next page.
    pub(crate) async fn take(&mut self, limit: u32) -> Result<Taken, Failure> {
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
