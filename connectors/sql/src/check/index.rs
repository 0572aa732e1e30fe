//! Advice on an index: a statement that can be typed, or the reason why none is given.

use super::look::Look;
use crate::driver::{Described, Failure, Origin};
use crate::layout::{CHANGED_AT, Layout, RECORD_ID};
use crate::page::Order;
use crate::settings::FeedSettings;
use crate::value::{Kind, Sql};

/// The columns that rows are ordered by, and where the query has them from.
pub(super) struct Keys {
    merges_rows: bool,
    changed_at: Key,
    record_id: Key,
}

/// Column that rows are ordered by.
struct Key {
    /// Documented name.
    name: &'static str,
    origin: Option<Place>,
}

/// Column of a table or view that a query hands on unchanged.
pub(super) struct Place {
    origin: Origin,
    /// `table`, `view`, or `long` for a column that cannot be indexed as a whole.
    pub kind: String,
    /// Names as they are typed.
    pub table: String,
    pub column: String,
}

impl Keys {
    /// Looks where the query has its keys from.
    pub(super) async fn find(
        look: &Look<'_>,
        feed: &FeedSettings,
        layout: &Layout,
        described: &[Described],
    ) -> Result<Self, Failure> {
        let place = async |ordinal: usize| {
            let name = &layout.names[ordinal];
            let mut columns = described.iter();
            let column = columns.find(|column| column.name == *name);
            match column.and_then(|column| column.origin.as_ref()) {
                Some(origin) => Place::find(look, feed, origin).await,
                None => Ok(None),
            }
        };
        Ok(Self {
            merges_rows: feed.statement.merges_rows,
            changed_at: Key {
                name: "changed_at",
                origin: place(CHANGED_AT).await?,
            },
            record_id: Key {
                name: "record_id",
                origin: place(RECORD_ID).await?,
            },
        })
    }

    /// The table's column that `changed_at` is, unchanged, and whether an index begins with it;
    /// `None` where it is made by an expression, or of a view.
    pub(super) async fn stamp_index(
        &self,
        look: &Look<'_>,
    ) -> Result<Option<(String, String, bool)>, Failure> {
        let place = self.changed_at.origin.as_ref();
        let Some(place) = place.filter(|place| place.kind == "table") else {
            return Ok(None);
        };
        let found = look.driver().index_sql(std::slice::from_ref(&place.origin));
        let has_index = !look.texts(&Sql::plain(found)).await?.is_empty();
        Ok(Some((place.table.clone(), place.column.clone(), has_index)))
    }

    /// Says what to do about pages in this order, for which the database sorts many rows.
    pub(super) async fn advice(&self, look: &Look<'_>, order: Order) -> Result<String, Failure> {
        let keys: &[&Key] = match order {
            Order::Stamp => &[&self.changed_at, &self.record_id],
            Order::Id => &[&self.record_id],
        };
        let places = match self.places(look, keys) {
            Ok(places) => places,
            Err(advice) => return Ok(advice),
        };
        let columns: Vec<&str> = places.iter().map(|place| place.column.as_str()).collect();
        let columns = columns.join(", ");
        let table = &places[0].table;
        let origins: Vec<Origin> = places.iter().map(|place| place.origin.clone()).collect();
        let found = look.driver().index_sql(&origins);
        if !look.texts(&Sql::plain(found)).await?.is_empty() {
            return Ok(no_index(
                &format!("{table} has one that begins with ({columns})"),
                "a join or a condition of the query, or old statistics (ANALYZE), may keep the \
                 database from using it",
            ));
        }
        if let Some(long) = places.iter().find(|place| place.kind == "long") {
            return Ok(no_index(
                &format!("{} is of a type that is indexed in part only", long.column),
                "make it a VARCHAR first",
            ));
        }
        let name = index_name(&format!("{table} {columns}"));
        Ok(format!("CREATE INDEX {name} ON {table} ({columns})"))
    }

    /// The columns that an index would be made on, or why there can be none.
    fn places<'k>(&self, look: &Look<'_>, keys: &[&'k Key]) -> Result<Vec<&'k Place>, String> {
        if self.merges_rows {
            return Err(no_index(
                "the query makes rows of several others (DISTINCT, GROUP BY, UNION, LIMIT or a \
                 window), and all of them before it can order them",
                "write it without that, if the clinic has a table with a row for each fact",
            ));
        }
        let mut places: Vec<&Place> = Vec::new();
        for Key { name, origin } in keys {
            let Some(place) = origin else {
                return Err(no_index(
                    &format!("{name} is made by an expression"),
                    match look.driver().kind() {
                        "mysql" => {
                            "select a column as it stands; of an expression over one table a \
                             generated column can be made, and indexed"
                        }
                        _ => {
                            "select a column as it stands, or index that very expression, if it is \
                             over one table"
                        }
                    },
                ));
            };
            if place.kind == "view" {
                return Err(no_index(
                    &format!("{name} is {} of the view {}", place.column, place.table),
                    "the index belongs on the tables that the view reads, if its columns are \
                     columns of one of them",
                ));
            }
            match places.first() {
                Some(first) if first.table != place.table => {
                    return Err(no_index(
                        &format!(
                            "changed_at is of {}, {name} of {}, and no index lies over two tables",
                            first.table, place.table
                        ),
                        "select both from one table, if it has them",
                    ));
                }
                _ => places.push(place),
            }
        }
        Ok(places)
    }
}

impl Place {
    /// Looks where a column is of; `None` where the catalogue does not have it.
    pub(super) async fn find(
        look: &Look<'_>,
        feed: &FeedSettings,
        origin: &Origin,
    ) -> Result<Option<Self>, Failure> {
        let sql = look.driver().origin_sql(origin, &feed.statement.text);
        let mut lent = look.source.sessions.lend().await?;
        let rows = lent.fetch(&Sql::plain(sql), &[Kind::Text; 3]).await?;
        lent.give_back().await?;
        Ok(rows.first().map(|row| {
            let text = |ordinal: usize| {
                let bytes = row.cell(ordinal).bytes().unwrap_or_default();
                String::from_utf8_lossy(&bytes).into_owned()
            };
            Self {
                origin: origin.clone(),
                kind: text(0),
                table: text(1),
                column: text(2),
            }
        }))
    }
}

/// Beginning of an advice that names no index.
pub(super) const NO_INDEX: &str = "no index can be named";

fn no_index(why: &str, what: &str) -> String {
    format!("{NO_INDEX}: {why}; {what}")
}

/// A name that needs no quotation marks, of what is indexed.
pub(super) fn index_name(of: &str) -> String {
    const MAX_CHARS: usize = 60;
    let words = of.split(|char: char| !(char.is_alphanumeric() || char == '_'));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let name: String = words
        .join("_")
        .to_lowercase()
        .chars()
        .take(MAX_CHARS)
        .collect();
    if name.starts_with(|char: char| char.is_ascii_digit()) {
        format!("i_{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_has_a_name_that_can_be_typed() {
        assert_eq!(index_name("doses changed, id"), "doses_changed_id");
        assert_eq!(
            index_name("mis.\"Доза\" \"изменено\", ид"),
            "mis_доза_изменено_ид"
        );
        assert_eq!(index_name("2021 doses, id"), "i_2021_doses_id");
        assert_eq!(index_name(&"x".repeat(100)).len(), 60);
    }
}
