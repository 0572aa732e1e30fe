//! Paging by key: one page that never splits a set of equal keys.

mod text;

use crate::driver::{Driver, Failure, LentSession};
use crate::layout::{CHANGED_AT, Layout, RECORD_ID};
use crate::statement::Statement;
use crate::table::{Row, Table};
use crate::value::{Key, Kind};

/// Most rows of a set of equal ones that are looked at; more than any page holds.
const MAX_EQUAL_ROWS: u32 = 20_000;

/// Order in which rows are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By (`changed_at`, `record_id`); rows without a usable stamp have no place in it.
    Stamp,
    /// By `record_id` alone, which no change of a row moves.
    Id,
}

/// The keys of a row.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The row's stamp; none in the order of ids.
    pub at: Option<Key>,
    pub id: Key,
}

/// Beginning of a page.
pub(crate) enum Start {
    /// At the very first row.
    Beginning,
    /// At this stamp (or id, in the order of ids), including it.
    From(Key),
    /// After every row of this stamp.
    AfterStamp(Key),
    /// After the row with these keys.
    After(Place),
}

/// The rows of a page, and where the next one begins. A row that cannot be read is cut to its two
/// keys.
pub(crate) struct Rows {
    pub rows: Table,
    /// Keys of the last row, if another page is to be asked for.
    pub next: Option<Place>,
}

/// Writes statements around one query.
pub(crate) struct Pager<'s> {
    pub driver: &'s dyn Driver,
    pub statement: &'s Statement,
    pub layout: &'s Layout,
    pub order: Order,
    /// Rows with a later stamp are left for another time.
    pub until: Option<Key>,
    /// True where rows without a usable stamp are left out in the order of ids, too.
    pub stamped: bool,
    /// The administrator's query, or as much of it as gives the keys.
    text: &'s str,
}

impl<'s> Pager<'s> {
    pub(crate) fn new(
        driver: &'s dyn Driver,
        statement: &'s Statement,
        layout: &'s Layout,
        order: Order,
    ) -> Self {
        Self {
            driver,
            statement,
            layout,
            order,
            until: None,
            stamped: false,
            text: &statement.text,
        }
    }

    /// Writes statements around another text, whose columns the layout has.
    pub(crate) fn over(mut self, text: &'s str) -> Self {
        self.text = text;
        self
    }

    /// Writes statements around the same query without its columns other than the keys; None where
    /// that may give other rows.
    pub(crate) fn of_keys_alone(&self) -> Option<Self> {
        Some(Self {
            until: self.until.clone(),
            text: self.statement.keys.as_deref()?,
            ..*self
        })
    }

    /// Reads the first `width` columns of one page; one will do in the order of ids. One row more
    /// than `limit` is asked for, to see whether equal keys would be split.
    pub(crate) async fn read_cells(
        &self,
        lent: &mut LentSession<'_>,
        start: &Start,
        limit: u32,
        width: usize,
    ) -> Result<Rows, Failure> {
        let sql = self.cells_page(start, limit + 1, width, false);
        let rows = lent.fetch(&sql, &self.layout.kinds[..width]).await?;
        let key_width = width.min(CHANGED_AT + 1);
        self.ended(lent, rows, limit, key_width).await
    }

    async fn ended(
        &self,
        lent: &mut LentSession<'_>,
        mut rows: Table,
        limit: u32,
        key_width: usize,
    ) -> Result<Rows, Failure> {
        let limit_rows = limit as usize;
        let full = rows.len() >= limit_rows;
        let beyond = if rows.len() > limit_rows {
            rows.last().map(|row| self.place(row)).transpose()?
        } else {
            None
        };
        rows.truncate(limit_rows);
        let mut next = rows
            .last()
            .filter(|_| full)
            .map(|row| self.place(row))
            .transpose()?;
        if let (Some(last), Some(beyond)) = (&next, beyond)
            && may_be_equal(last, &beyond)
        {
            let set = self.same(last, key_width, MAX_EQUAL_ROWS);
            let set = lent.fetch(&set, &self.layout.kinds[..key_width]).await?;
            if !self.is_of_one_pair(&set) {
                self.keep_equals_together(&mut rows, &set, limit)?;
                next = rows.last().map(|row| self.place(row)).transpose()?;
            }
        }
        Ok(Rows { rows, next })
    }

    /// True for rows of a change query that all name one record at one time: any of them says what
    /// the others do, so that a page may end among them.
    fn is_of_one_pair(&self, set: &Table) -> bool {
        let keys = CHANGED_AT + 1;
        self.layout.names.len() == keys
            && set.len() < MAX_EQUAL_ROWS as usize
            && set.first().is_some_and(|first| {
                first.width() == keys && set.rows().all(|row| row.begins_as(first))
            })
    }

    /// "After this key" would pass over rows the database holds equal to it: the same id twice, or
    /// text ids that its collation does not tell apart. If the set at the page's end goes on beyond
    /// it, the set is left to the next page.
    fn keep_equals_together(
        &self,
        rows: &mut Table,
        set: &Table,
        limit: u32,
    ) -> Result<(), Failure> {
        let belongs = |row: &Row<'_>| set.rows().any(|same| row.begins_as(same));
        let inside = rows.rows().rev().take_while(belongs).count();
        if inside == set.len() {
            return Ok(());
        }
        rows.truncate(rows.len() - inside);
        // Of a set that is not whole it is not known which of the rows belong to it.
        if rows.is_empty() || set.len() == MAX_EQUAL_ROWS as usize {
            let keys = if self.order == Order::Stamp {
                "changed_at and record_id"
            } else {
                "record_id"
            };
            return Err(too_many_equal(limit as usize, keys));
        }
        Ok(())
    }

    /// The keys of a row.
    pub(crate) fn place(&self, row: Row<'_>) -> Result<Place, Failure> {
        let key = |ordinal: usize| {
            row.cell(ordinal)
                .key()
                .ok_or_else(|| Failure::retry("a row has no key"))
        };
        let at = if self.order == Order::Stamp {
            Some(key(CHANGED_AT)?)
        } else {
            None
        };
        Ok(Place {
            at,
            id: key(RECORD_ID)?,
        })
    }

    /// The ids that the database holds equal to this one, and that are written otherwise.
    pub(crate) async fn ids_equal_to(
        &self,
        lent: &mut LentSession<'_>,
        id: &Key,
    ) -> Result<Vec<Key>, Failure> {
        let place = Place {
            at: None,
            id: id.clone(),
        };
        let by = self.of_keys_alone();
        let by = by.as_ref().unwrap_or(self);
        let width = RECORD_ID + 1;
        let sql = by.same(&place, width, MAX_EQUAL_ROWS);
        let rows = lent.fetch(&sql, &self.layout.kinds[..width]).await?;
        let mut others: Vec<Key> = Vec::new();
        for key in rows.rows().filter_map(|row| row.cell(RECORD_ID).key()) {
            if key != *id && !others.contains(&key) {
                others.push(key);
            }
        }
        Ok(others)
    }

    /// The newest usable stamp there is.
    pub(crate) async fn newest(&self, lent: &mut LentSession<'_>) -> Result<Option<Key>, Failure> {
        let kinds = &self.layout.kinds[..=CHANGED_AT];
        let rows = match (
            lent.fetch(&self.newest_keys(), kinds).await,
            self.of_keys_alone(),
        ) {
            (Err(failure), Some(alone)) if failure.may_be_of_rows() => {
                lent.recover().await?;
                lent.fetch(&alone.newest_keys(), kinds).await?
            }
            (rows, _) => rows?,
        };
        Ok(rows.first().and_then(|row| row.cell(CHANGED_AT).key()))
    }
}

/// Failure of a page that is too small for a set of rows with equal keys.
pub(crate) fn too_many_equal(limit: usize, keys: &str) -> Failure {
    Failure::misconfigured(
        format!("more than {limit} rows have the same {keys}"),
        "select a record_id that is different for every row; a join may multiply rows",
    )
}

/// Returns false when the database certainly tells two keys apart; of text only the database itself
/// knows, and numbers may be written in several ways (1.0 and 1.00).
fn may_be_equal(one: &Place, other: &Place) -> bool {
    let loose = may_equal_others;
    one.at == other.at && (one.id == other.id || loose(&one.id) || loose(&other.id))
}

/// True for an id that the database may hold equal to one that is written otherwise.
pub(crate) fn may_equal_others(id: &Key) -> bool {
    matches!(
        id.kind,
        Kind::Text | Kind::FixedText | Kind::Decimal | Kind::Float
    )
}
