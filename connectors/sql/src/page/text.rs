//! Text of the statements around the administrator's query.

use super::{Order, Pager, Place, Start};
use crate::driver::KeyColumns;
use crate::layout::{CHANGED_AT, RECORD_ID};
use crate::value::{Key, Kind, Sql};

impl Pager<'_> {
    /// The full name of a selected column.
    pub(crate) fn column(&self, ordinal: usize) -> String {
        if ordinal == CHANGED_AT && !self.layout.has_stamp {
            return self.driver.no_stamp().to_owned();
        }
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

    /// The keys of a row with the newest stamp. Which of several it is does not matter, and an
    /// index on the stamp alone serves it, whatever is joined.
    pub(super) fn newest_keys(&self) -> Sql {
        let mut sql = self.select(CHANGED_AT + 1);
        let at = self.column(CHANGED_AT);
        sql.push(&format!(" ORDER BY {at} DESC LIMIT 1"));
        sql
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
        self.push_order(&mut sql, Some(limit), descending);
        sql
    }

    /// The first `width` columns of all rows from `start` on.
    pub(crate) fn all(&self, start: &Start, width: usize) -> Sql {
        let mut sql = self.select(width);
        self.push_start(&mut sql, start);
        self.push_order(&mut sql, None, false);
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
        self.push_order(&mut sql, Some(limit), false);
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
        let unusable = self.unusable();
        let source = self.source();
        // One after the other, since no database serves `OR` by two indexes of which one is not
        // there.
        Sql::plain(format!(
            "SELECT CAST(count(*) AS CHAR(20)) FROM (SELECT 1 FROM (SELECT 1 {source} WHERE \
             {unusable} LIMIT {most}) AS s \
             UNION ALL SELECT 1 FROM (SELECT 1 {source} WHERE {id} IS NULL AND {at} IS NOT NULL \
             LIMIT {most}) AS i \
             LIMIT {most}) AS n"
        ))
    }

    /// Counts the rows that name a record and have no place in the order of stamps, up to `most`.
    pub(crate) fn without_stamp(&self, most: u32) -> Sql {
        let id = self.column(RECORD_ID);
        let unusable = self.unusable();
        let source = self.source();
        Sql::plain(format!(
            "SELECT CAST(count(*) AS CHAR(20)) FROM (SELECT 1 {source} WHERE {id} IS NOT NULL AND \
             ({unusable}) LIMIT {most}) AS n"
        ))
    }

    /// Counts those of these rows whose record has no stamp in any of these other queries either.
    pub(crate) fn without_stamp_anywhere(&self, others: &[&str]) -> Sql {
        let id = self.column(RECORD_ID);
        let unusable = self.unusable();
        let source = self.source();
        let named_elsewhere: String = others
            .iter()
            .map(|other| {
                format!(
                    " AND NOT EXISTS (SELECT 1 FROM (\n{other}\n) AS o WHERE o.record_id = {id} AND \
                     o.changed_at IS NOT NULL)"
                )
            })
            .collect();
        Sql::plain(format!(
            "SELECT CAST(count(*) AS CHAR(20)) {source} WHERE {id} IS NOT NULL AND \
             ({unusable}){named_elsewhere}"
        ))
    }

    /// Condition of a row without a stamp that has a place in the order of time.
    fn unusable(&self) -> String {
        let at = self.column(CHANGED_AT);
        let conditions = [self.driver.usable_stamp(&at), self.driver.dated_stamp(&at)];
        let others = conditions.into_iter().flatten();
        let others = others.map(|usable| format!(" OR NOT ({usable})"));
        format!("{at} IS NULL{}", others.collect::<String>())
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

    fn push_order(&self, sql: &mut Sql, limit: Option<u32>, descending: bool) {
        let at = self.column(CHANGED_AT);
        let id = self.column(RECORD_ID);
        let direction = if descending { " DESC" } else { "" };
        let first = if self.order == Order::Stamp {
            format!("{at}{direction}, ")
        } else {
            String::new()
        };
        sql.push(&format!(" ORDER BY {first}{id}{direction}"));
        if let Some(limit) = limit {
            sql.push(&format!(" LIMIT {limit}"));
        }
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
        if self.order == Order::Stamp || self.stamped {
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
}
