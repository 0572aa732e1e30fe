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

/// The rows of a page, and where the next one begins.
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
        let (at, id) = (self.column(CHANGED_AT), self.column(RECORD_ID));
        let mut sql = self.select(0..self.layout.names.len());
        match start {
            Start::Beginning => {}
            Start::From(from) => {
                sql.push(&format!(" AND {at} >= "));
                self.driver.push_key(&mut sql, from);
            }
            Start::After(last_at, last_id) => {
                sql.push(" AND ");
                self.driver.push_after(&mut sql, (&at, &id), last_at, last_id);
            }
        }
        let direction = if descending { " DESC" } else { "" };
        sql.push(&format!(" ORDER BY {at}{direction}, {id}{direction} LIMIT {limit}"));
        sql
    }

    /// The keys of the rows that the database holds equal to these.
    fn same(&self, at: &Key, id: &Key, limit: u32) -> Sql {
        let mut sql = self.select(0..2);
        sql.push(&format!(" AND {} = ", self.column(CHANGED_AT)));
        self.driver.push_key(&mut sql, at);
        sql.push(&format!(" AND {} = ", self.column(RECORD_ID)));
        self.driver.push_key(&mut sql, id);
        sql.push(&format!(" LIMIT {limit}"));
        sql
    }

    fn select(&self, ordinals: std::ops::Range<usize>) -> Sql {
        let columns: Vec<String> = ordinals
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
        let mut rows = lease.fetch(&self.page(start, limit + 1, false), &self.layout.kinds).await?;
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
    let (at, id) = (key(CHANGED_AT)?, key(RECORD_ID)?);
    if id.value.len() >= MAX_VALUE_LENGTH || at.value.len() >= MAX_VALUE_LENGTH {
        return Err(Failure::misconfigured(
            format!("a record_id or changed_at is {MAX_VALUE_LENGTH} bytes or longer"),
            "select a shorter record_id, such as the table's primary key",
        ));
    }
    Ok((at, id))
}

/// False when the database certainly tells two keys apart; of text only the database itself knows.
fn may_be_equal(at: &Key, id: &Key, other: &(Key, Key)) -> bool {
    *at == other.0 && (*id == other.1 || matches!(id.kind, Kind::Text | Kind::FixedText))
}
