//! Paging by key: the statement around the administrator's query, and one page that never splits a set of equal keys.

use crate::driver::{Driver, Failure, Lease, MAX_VALUE_LENGTH};
use crate::layout::{CHANGED_AT, Layout, RECORD_ID};
use crate::statement::Statement;
use crate::value::{Cell, Key, Kind, Sql};

/// Where a page begins.
pub(crate) enum Start {
    /// At the very first row.
    Beginning,
    /// At this stamp, including it.
    From(Key),
    /// After the row with these keys.
    After(Key, Key),
}

/// The rows of a page, and where the next one begins. A row that cannot be read is cut to its two keys.
pub(crate) struct Rows {
    pub rows: Vec<Vec<Cell>>,
    /// Keys of the last row, if another page is to be asked for.
    pub next: Option<(Key, Key)>,
}

/// Writes statements around one query.
pub(crate) struct Pager<'s> {
    pub driver: &'s dyn Driver,
    pub statement: &'s Statement,
    pub layout: &'s Layout,
}

impl Pager<'_> {
    /// The full name of a selected column.
    pub fn column(&self, ordinal: usize) -> String {
        format!("q.{}", self.driver.quote(&self.layout.names[ordinal]))
    }

    /// The administrator's query as a table `q`. The line ends keep a comment in it from swallowing the rest.
    pub fn source(&self) -> String {
        format!("FROM (\n{}\n) AS q", self.statement.text)
    }

    /// A page in either direction, from `start` on.
    pub fn page(&self, start: &Start, limit: u32, descending: bool) -> Sql {
        let mut sql = self.select(self.layout.names.len());
        self.push_start(&mut sql, start);
        self.push_order(&mut sql, limit, descending);
        sql
    }

    /// The keys alone of a page.
    fn keys_page(&self, start: &Start, limit: u32) -> Sql {
        let mut sql = self.select(2);
        self.push_start(&mut sql, start);
        self.push_order(&mut sql, limit, false);
        sql
    }

    /// The rows from `start` up to the one with these keys, including it and all that are held equal to it.
    pub fn between(&self, start: &Start, (at, id): (&Key, &Key), limit: u32) -> Sql {
        let mut sql = self.select(self.layout.names.len());
        self.push_start(&mut sql, start);
        sql.push(&format!(" AND {} <= ", self.column(CHANGED_AT)));
        self.driver.push_key(&mut sql, at);
        sql.push(" AND NOT (");
        self.push_after(&mut sql, at, id);
        sql.push(")");
        self.push_order(&mut sql, limit, false);
        sql
    }

    /// The keys of the rows that the database holds equal to these.
    pub fn same(&self, at: &Key, id: &Key, limit: u32) -> Sql {
        let mut sql = self.select(2);
        sql.push(" AND ");
        self.push_same(&mut sql, at, id);
        sql.push(&format!(" LIMIT {limit}"));
        sql
    }

    /// Counts the rows that have no place in the order, up to `most`.
    pub fn without_key(&self, most: u32) -> Sql {
        let (at, id) = (self.column(CHANGED_AT), self.column(RECORD_ID));
        let unusable =
            self.driver.usable_stamp(&at).map(|usable| format!(" OR NOT ({usable})")).unwrap_or_default();
        Sql::plain(format!(
            "SELECT CAST(count(*) AS CHAR(20)) FROM (SELECT 1 {} WHERE {at} IS NULL OR {id} IS NULL{unusable} \
             LIMIT {most}) AS n",
            self.source()
        ))
    }

    fn push_start(&self, sql: &mut Sql, start: &Start) {
        match start {
            Start::Beginning => {}
            Start::From(from) => {
                sql.push(&format!(" AND {} >= ", self.column(CHANGED_AT)));
                self.driver.push_key(sql, from);
            }
            Start::After(at, id) => {
                sql.push(" AND ");
                self.push_after(sql, at, id);
            }
        }
    }

    fn push_order(&self, sql: &mut Sql, limit: u32, descending: bool) {
        let (at, id) = (self.column(CHANGED_AT), self.column(RECORD_ID));
        let direction = if descending { " DESC" } else { "" };
        sql.push(&format!(" ORDER BY {at}{direction}, {id}{direction} LIMIT {limit}"));
    }

    fn push_after(&self, sql: &mut Sql, at: &Key, id: &Key) {
        sql.push("(");
        self.driver.push_after(sql, (&self.column(CHANGED_AT), &self.column(RECORD_ID)), at, id);
        sql.push(")");
        if is_cut(id) {
            // The whole id comes after its own beginning.
            sql.push(" AND NOT (");
            self.push_same(sql, at, id);
            sql.push(")");
        }
    }

    fn push_same(&self, sql: &mut Sql, at: &Key, id: &Key) {
        sql.push(&format!("{} = ", self.column(CHANGED_AT)));
        self.driver.push_key(sql, at);
        if is_cut(id) {
            let projected = self.driver.project(&self.column(RECORD_ID), self.layout.kinds[RECORD_ID]);
            let kind = if id.kind == Kind::Bytes { Kind::Bytes } else { Kind::Text };
            sql.push(&format!(" AND {projected} = "));
            self.driver.push_key(sql, &Key { kind, value: id.value.clone() });
        } else {
            sql.push(&format!(" AND {} = ", self.column(RECORD_ID)));
            self.driver.push_key(sql, id);
        }
    }

    fn select(&self, width: usize) -> Sql {
        let columns: Vec<String> = (0..width)
            .map(|ordinal| self.driver.project(&self.column(ordinal), self.layout.kinds[ordinal]))
            .collect();
        let (at, id) = (self.column(CHANGED_AT), self.column(RECORD_ID));
        let usable =
            self.driver.usable_stamp(&at).map(|condition| format!(" AND {condition}")).unwrap_or_default();
        Sql::plain(format!(
            "SELECT {} {} WHERE {at} IS NOT NULL AND {id} IS NOT NULL{usable}",
            columns.join(", "),
            self.source()
        ))
    }

    /// Reads one page. One row more than `limit` is asked for, to see whether equal keys would be split.
    pub async fn read(&self, lease: &mut Lease<'_>, start: &Start, limit: u32) -> Result<Rows, Failure> {
        let rows = lease.fetch(&self.page(start, limit + 1, false), &self.layout.kinds).await?;
        self.ended(lease, rows, limit).await
    }

    /// The keys of the rows [`Self::read`] would return.
    pub async fn read_keys(&self, lease: &mut Lease<'_>, start: &Start, limit: u32) -> Result<Rows, Failure> {
        let rows = lease.fetch(&self.keys_page(start, limit + 1), &self.layout.kinds[..2]).await?;
        self.ended(lease, rows, limit).await
    }

    async fn ended(
        &self,
        lease: &mut Lease<'_>,
        mut rows: Vec<Vec<Cell>>,
        limit: u32,
    ) -> Result<Rows, Failure> {
        let full = rows.len() >= limit as usize;
        let beyond = if rows.len() > limit as usize { rows.pop() } else { None };
        let mut next = rows.last().filter(|_| full).map(|row| keys(row)).transpose()?;
        if let (Some((at, id)), Some(beyond)) = (&next, beyond)
            && may_be_equal(at, id, &keys(&beyond)?)
        {
            self.keep_equals_together(lease, &mut rows, at, id, limit).await?;
            next = rows.last().map(|row| keys(row)).transpose()?;
        }
        Ok(Rows { rows, next })
    }

    /// "After this key" would pass over rows the database holds equal to it: the same id twice, or text ids that its
    /// collation does not tell apart. If the set at the page's end goes on beyond it, the set is left to the next page.
    async fn keep_equals_together(
        &self,
        lease: &mut Lease<'_>,
        rows: &mut Vec<Vec<Cell>>,
        at: &Key,
        id: &Key,
        limit: u32,
    ) -> Result<(), Failure> {
        let set = lease.fetch(&self.same(at, id, limit + 1), &self.layout.kinds[..2]).await?;
        let belongs = |row: &Vec<Cell>| set.iter().any(|same| same[..2] == row[..2]);
        let inside = rows.iter().rev().take_while(|row| belongs(row)).count();
        if inside == set.len() {
            return Ok(());
        }
        rows.truncate(rows.len() - inside);
        if rows.is_empty() {
            return Err(Failure::misconfigured(
                format!("more than {limit} rows have the same changed_at and record_id"),
                "select a record_id that is different for every row; a join may multiply rows",
            ));
        }
        Ok(())
    }
}

/// The keys of a row.
pub(crate) fn keys(row: &[Cell]) -> Result<(Key, Key), Failure> {
    let key = |ordinal: usize| row[ordinal].key().ok_or_else(|| Failure::retry("a row has no key"));
    Ok((key(CHANGED_AT)?, key(RECORD_ID)?))
}

/// True for an id that may be only the beginning of the row's own: as a key it stands for all ids that begin so.
pub(crate) fn is_cut(id: &Key) -> bool {
    id.value.len() >= MAX_VALUE_LENGTH
}

/// False when the database certainly tells two keys apart; of text only the database itself knows.
fn may_be_equal(at: &Key, id: &Key, other: &(Key, Key)) -> bool {
    *at == other.0 && (*id == other.1 || matches!(id.kind, Kind::Text | Kind::FixedText))
}
