//! Paging by key: the statement around the administrator's query, and one page that never splits a
//! set of equal keys.

use crate::driver::{Driver, Failure, KeyColumns, LentSession};
use crate::layout::{CHANGED_AT, Layout, RECORD_ID};
use crate::statement::Statement;
use crate::table::{Row, Table};
use crate::value::{Key, Kind, Sql};

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
#[derive(Clone)]
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
            text: &statement.text,
        }
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

    /// The full name of a selected column.
    pub(crate) fn column(&self, ordinal: usize) -> String {
        format!("q.{}", self.driver.quote(&self.layout.names[ordinal]))
    }

    /// The administrator's query as a table `q`. The line ends keep a comment in it from swallowing
    /// the rest.
    pub(crate) fn source(&self) -> String {
        format!("FROM (\n{}\n) AS q", self.text)
    }

    /// A statement for a page in either direction, from `start` on.
    pub(crate) fn page(&self, start: &Start, limit: u32, descending: bool) -> Sql {
        self.cells_page(start, limit, self.layout.names.len(), descending)
    }

    /// The keys alone of a page.
    pub(crate) fn keys_page(&self, start: &Start, limit: u32, descending: bool) -> Sql {
        self.cells_page(start, limit, CHANGED_AT + 1, descending)
    }

    /// The first `width` columns of a page.
    pub(crate) fn cells_page(
        &self,
        start: &Start,
        limit: u32,
        width: usize,
        descending: bool,
    ) -> Sql {
        let mut sql = self.select(width);
        self.push_start(&mut sql, start);
        self.push_order(&mut sql, limit, descending);
        sql
    }

    /// Rows with any of these ids: the first `width` columns.
    pub(crate) fn with_ids(&self, ids: &[Key], width: usize, limit: u32) -> Sql {
        let mut sql = self.select(width);
        sql.push(" AND ");
        self.push_among(&mut sql, ids);
        sql.push(&format!(" LIMIT {limit}"));
        sql
    }

    /// Asks for a row in a way that no row fulfils, which the database finds out row by row.
    pub(crate) fn nothing(&self, id: &Key) -> Sql {
        let mut sql = self.select(self.layout.names.len());
        sql.push(" AND ");
        self.push_among(&mut sql, std::slice::from_ref(id));
        sql.push(" AND NOT (");
        self.push_among(&mut sql, std::slice::from_ref(id));
        sql.push(") LIMIT 1");
        sql
    }

    /// The rows from `start` up to the one with these keys, including it and all that are held
    /// equal to it: the first `width` columns.
    pub(crate) fn between(&self, start: &Start, last: &Place, width: usize, limit: u32) -> Sql {
        let mut sql = self.select(width);
        self.push_start(&mut sql, start);
        if let Some(at) = &last.at {
            sql.push(&format!(" AND {} <= ", self.column(CHANGED_AT)));
            self.driver.push_key(&mut sql, at);
        }
        sql.push(" AND NOT (");
        self.push_after(&mut sql, last);
        sql.push(")");
        self.push_order(&mut sql, limit, false);
        sql
    }

    /// The first `width` columns of the rows whose keys the database holds equal to these.
    pub(crate) fn same(&self, place: &Place, width: usize, limit: u32) -> Sql {
        let mut sql = self.select(width);
        sql.push(" AND ");
        self.push_same(&mut sql, place);
        sql.push(&format!(" LIMIT {limit}"));
        sql
    }

    /// Counts the rows that have no place in the order, up to `most`.
    pub(crate) fn without_key(&self, most: u32) -> Sql {
        let at = self.column(CHANGED_AT);
        let id = self.column(RECORD_ID);
        let conditions = [self.driver.usable_stamp(&at), self.driver.dated_stamp(&at)];
        let unusable: String = conditions
            .into_iter()
            .flatten()
            .map(|usable| format!(" OR NOT ({usable})"))
            .collect();
        let source = self.source();
        // One after the other, since no database serves `OR` by two indexes of which one is not
        // there.
        Sql::plain(format!(
            "SELECT CAST(count(*) AS CHAR(20)) FROM (SELECT 1 FROM (SELECT 1 {source} WHERE {at} \
             IS NULL{unusable} LIMIT {most}) AS s \
             UNION ALL SELECT 1 FROM (SELECT 1 {source} WHERE {id} IS NULL AND {at} IS NOT NULL \
             LIMIT {most}) AS i \
             LIMIT {most}) AS n"
        ))
    }

    fn push_start(&self, sql: &mut Sql, start: &Start) {
        match start {
            Start::Beginning => {}
            Start::From(from) => {
                let first = if self.order == Order::Stamp {
                    CHANGED_AT
                } else {
                    RECORD_ID
                };
                sql.push(&format!(" AND {} >= ", self.column(first)));
                self.driver.push_key(sql, from);
            }
            Start::AfterStamp(stamp) => {
                sql.push(&format!(" AND {} > ", self.column(CHANGED_AT)));
                self.driver.push_key(sql, stamp);
            }
            Start::After(place) => {
                sql.push(" AND ");
                self.push_after(sql, place);
            }
        }
    }

    fn push_order(&self, sql: &mut Sql, limit: u32, descending: bool) {
        let at = self.column(CHANGED_AT);
        let id = self.column(RECORD_ID);
        let direction = if descending { " DESC" } else { "" };
        let first = if self.order == Order::Stamp {
            format!("{at}{direction}, ")
        } else {
            String::new()
        };
        sql.push(&format!(" ORDER BY {first}{id}{direction} LIMIT {limit}"));
    }

    fn push_after(&self, sql: &mut Sql, place: &Place) {
        let columns = KeyColumns {
            at: self.column(CHANGED_AT),
            id: self.column(RECORD_ID),
        };
        sql.push("(");
        if let Some(at) = &place.at {
            self.driver.push_after(sql, &columns, at, &place.id);
        } else {
            sql.push(&format!("{} > ", columns.id));
            self.driver.push_key(sql, &place.id);
        }
        sql.push(")");
        if place.id.is_cut() {
            // The whole id comes after its own beginning.
            sql.push(" AND NOT (");
            self.push_same(sql, place);
            sql.push(")");
        }
    }

    fn push_same(&self, sql: &mut Sql, place: &Place) {
        let Place { at, id } = place;
        if let Some(at) = at {
            sql.push(&format!("{} = ", self.column(CHANGED_AT)));
            self.driver.push_key(sql, at);
            sql.push(" AND ");
        }
        if id.is_cut() {
            let projected = self
                .driver
                .project(&self.column(RECORD_ID), self.layout.kinds[RECORD_ID]);
            let kind = if id.kind == Kind::Bytes {
                Kind::Bytes
            } else {
                Kind::Text
            };
            sql.push(&format!("{projected} = "));
            self.driver.push_key(
                sql,
                &Key {
                    kind,
                    value: id.value.clone(),
                },
            );
        } else {
            sql.push(&format!("{} = ", self.column(RECORD_ID)));
            self.driver.push_key(sql, id);
        }
    }

    fn push_among(&self, sql: &mut Sql, ids: &[Key]) {
        sql.push(&format!("{} IN (", self.column(RECORD_ID)));
        for (index, id) in ids.iter().enumerate() {
            sql.push(if index == 0 { "" } else { ", " });
            self.driver.push_key(sql, id);
        }
        sql.push(")");
    }

    fn select(&self, width: usize) -> Sql {
        let witnesses = (0..width).filter_map(|ordinal| {
            self.driver
                .witness(&self.column(ordinal), self.layout.kinds[ordinal])
        });
        let columns: Vec<String> = (0..width)
            .map(|ordinal| {
                self.driver
                    .select(&self.column(ordinal), self.layout.kinds[ordinal])
            })
            .chain(witnesses)
            .collect();
        let at = self.column(CHANGED_AT);
        let id = self.column(RECORD_ID);
        let mut sql = Sql::plain(format!(
            "SELECT {} {} WHERE {id} IS NOT NULL",
            columns.join(", "),
            self.source()
        ));
        sql.is_typed = true;
        if self.order == Order::Stamp {
            sql.push(&format!(" AND {at} IS NOT NULL"));
            if let Some(usable) = self.driver.usable_stamp(&at) {
                sql.push(&format!(" AND {usable}"));
            }
        }
        if let Some(until) = &self.until {
            sql.push(&format!(" AND {at} <= "));
            self.driver.push_key(&mut sql, until);
        }
        sql
    }

    /// Reads one page. One row more than `limit` is asked for, to see whether equal keys would be
    /// split.
    pub(crate) async fn read(
        &self,
        lent: &mut LentSession<'_>,
        start: &Start,
        limit: u32,
    ) -> Result<Rows, Failure> {
        let width = self.layout.names.len();
        self.read_cells(lent, start, limit, width).await
    }

    /// The first `width` columns of the rows [`Self::read`] would return; one will do in the order
    /// of ids.
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
            self.keep_equals_together(&mut rows, &set, limit)?;
            next = rows.last().map(|row| self.place(row)).transpose()?;
        }
        Ok(Rows { rows, next })
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
            return Err(Failure::misconfigured(
                format!("more than {limit} rows have the same {keys}"),
                "select a record_id that is different for every row; a join may multiply rows",
            ));
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

    /// The newest usable stamp there is.
    pub(crate) async fn newest(&self, lent: &mut LentSession<'_>) -> Result<Option<Key>, Failure> {
        let newest = |pager: &Self| pager.keys_page(&Start::Beginning, 1, true);
        let kinds = &self.layout.kinds[..=CHANGED_AT];
        let rows = match (lent.fetch(&newest(self), kinds).await, self.of_keys_alone()) {
            (Err(failure), Some(alone)) if failure.may_be_of_rows() => {
                lent.recover().await?;
                lent.fetch(&newest(&alone), kinds).await?
            }
            (rows, _) => rows?,
        };
        Ok(rows.first().and_then(|row| row.cell(CHANGED_AT).key()))
    }
}

/// Returns false when the database certainly tells two keys apart; of text only the database itself
/// knows, and numbers may be written in several ways (1.0 and 1.00).
fn may_be_equal(one: &Place, other: &Place) -> bool {
    let loose = |id: &Key| {
        matches!(
            id.kind,
            Kind::Text | Kind::FixedText | Kind::Decimal | Kind::Float
        )
    };
    one.at == other.at && (one.id == other.id || loose(&one.id) || loose(&other.id))
}
