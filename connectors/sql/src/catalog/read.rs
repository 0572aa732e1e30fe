//! Reads the structure of a database with the account that the gateway is to have.

use std::collections::HashMap;

use super::shape;
use super::statements::{self, Statements};
use super::{Catalog, Column, ForeignKey, MAX_COLUMNS, MAX_KEY_PARTS, MAX_TABLES, Shape, Table};
use crate::driver::{Failure, LentSession, Sessions};
use crate::value::Sql;

/// Rows that tell of tables, columns and keys.
#[derive(Default)]
struct Rows {
    tables: Vec<[String; 6]>,
    columns: Vec<[String; 5]>,
    keys: Vec<[String; 8]>,
}

/// Reads all tables that the account sees, and what they hold. What is broken in somebody else's
/// schema, or one view over a table that is gone, leaves the rest to be read.
///
/// # Errors
/// Where nothing of it can be read.
pub(crate) async fn read(sessions: &Sessions) -> Result<Catalog, Failure> {
    let mut lent = sessions.lend().await?;
    match rows(&mut lent, statements::of(sessions.driver.kind(), None)).await {
        Ok(rows) => {
            lent.give_back().await?;
            Ok(Catalog::of(rows, Vec::new()))
        }
        Err(failure) => {
            drop(lent);
            in_parts(sessions, failure).await
        }
    }
}

/// Reads each schema by itself, or each table of a file, after the whole could not be read.
async fn in_parts(sessions: &Sessions, failure: Failure) -> Result<Catalog, Failure> {
    let kind = sessions.driver.kind();
    let mut lent = sessions.lend().await?;
    let parts = lent.texts(&Sql::plain(statements::parts(kind))).await?;
    let mut all = Rows::default();
    let mut unread = Vec::new();
    for part in &parts {
        match rows(&mut lent, statements::of(kind, Some(part))).await {
            Ok(mut rows) => {
                all.tables.append(&mut rows.tables);
                all.columns.append(&mut rows.columns);
                all.keys.append(&mut rows.keys);
            }
            Err(failure) => {
                unread.push((part.clone(), failure.words(None).0));
                drop(lent);
                lent = sessions.lend().await?;
            }
        }
    }
    if unread.len() == parts.len() {
        return Err(failure);
    }
    lent.give_back().await?;
    Ok(Catalog::of(all, unread))
}

async fn rows(lent: &mut LentSession<'_>, statements: Statements) -> Result<Rows, Failure> {
    Ok(Rows {
        tables: lent.text_rows(&Sql::plain(statements.tables)).await?,
        columns: lent.text_rows(&Sql::plain(statements.columns)).await?,
        keys: lent.text_rows(&Sql::plain(statements.keys)).await?,
    })
}

/// Places of the tables by schema and name.
type Places = HashMap<(String, String), usize>;

impl Catalog {
    fn of(rows: Rows, unread: Vec<(String, String)>) -> Self {
        let Rows {
            mut tables,
            mut columns,
            mut keys,
        } = rows;
        let is_cut =
            tables.len() > MAX_TABLES || columns.len() > MAX_COLUMNS || keys.len() > MAX_KEY_PARTS;
        tables.truncate(MAX_TABLES);
        columns.truncate(MAX_COLUMNS);
        keys.truncate(MAX_KEY_PARTS);
        let mut catalog = Self {
            tables: tables.into_iter().map(table).collect(),
            is_cut,
            unread,
        };
        let places: Places = catalog
            .tables
            .iter()
            .enumerate()
            .map(|(place, table)| ((table.schema.clone(), table.name.clone()), place))
            .collect();
        for [schema, table, name, type_name, nullable] in columns {
            if let Some(place) = places.get(&(schema, table)) {
                catalog.tables[*place].columns.push(Column {
                    plain: name.clone(),
                    name,
                    shape: Shape::of(&type_name),
                    is_instant: shape::is_instant(&type_name),
                    is_nullable: nullable == "yes",
                    json: None,
                    row: None,
                });
            }
        }
        for table in &mut catalog.tables {
            without_prefix(&mut table.columns);
        }
        catalog.add_keys(keys, &places);
        catalog
    }

    /// Adds keys and indexes; parts of one follow each other.
    fn add_keys(&mut self, parts: Vec<[String; 8]>, places: &Places) {
        let mut last = None;
        for [
            schema,
            table,
            kind,
            name,
            column,
            of_schema,
            of_table,
            of_column,
        ] in parts
        {
            let Some(place) = places.get(&(schema, table)).copied() else {
                continue;
            };
            let this = Some((place, kind.clone(), name));
            let goes_on = last == this;
            last = this;
            match kind.as_str() {
                "primary" => self.tables[place].primary_key.push(column),
                "index" | "unique" => {
                    let is_unique = kind == "unique";
                    self.tables[place].add_index(&column, goes_on, is_unique);
                }
                _ => {
                    let Some(other) = places.get(&(of_schema, of_table)).copied() else {
                        last = None;
                        continue;
                    };
                    let part = ForeignKey {
                        columns: vec![column],
                        table: other,
                        to: vec![of_column],
                        is_owner: false,
                    };
                    self.add_reference(place, goes_on, part);
                }
            }
        }
        self.name_primary_keys();
    }

    fn add_reference(&mut self, place: usize, goes_on: bool, part: ForeignKey) {
        let known = &mut self.tables[place].foreign_keys;
        match known.last_mut().filter(|_| goes_on) {
            Some(key) => {
                key.columns.extend(part.columns);
                key.to.extend(part.to);
            }
            None => known.push(part),
        }
    }

    /// Names the columns of references that name none: they are those of the primary key.
    fn name_primary_keys(&mut self) {
        let keys: Vec<Vec<String>> = self
            .tables
            .iter()
            .map(|table| table.primary_key.clone())
            .collect();
        for table in &mut self.tables {
            for key in &mut table.foreign_keys {
                if key.to.iter().any(String::is_empty) {
                    key.to.clone_from(&keys[key.table]);
                }
            }
            table
                .foreign_keys
                .retain(|key| key.to.len() == key.columns.len());
        }
    }
}

impl Table {
    /// Adds a column to its last index, or begins another one.
    fn add_index(&mut self, column: &str, goes_on: bool, is_unique: bool) {
        let all = [
            Some(&mut self.indexes),
            is_unique.then_some(&mut self.unique),
        ];
        for indexes in all.into_iter().flatten() {
            match indexes.last_mut().filter(|_| goes_on) {
                Some(index) => index.push(column.to_owned()),
                None => indexes.push(vec![column.to_owned()]),
            }
        }
    }
}

/// Takes the letters that most columns of a table begin with (`PAV_DATE`, `PAV_PAT_ID`) off their
/// plain names.
fn without_prefix(columns: &mut [Column]) {
    const MIN_COLUMNS: usize = 4;
    const LENGTHS: std::ops::RangeInclusive<usize> = 2..=5;
    let Some((prefix, _)) = columns.first().and_then(|one| one.name.split_once('_')) else {
        return;
    };
    let prefix = format!("{prefix}_");
    let is_shared = |one: &Column| one.name.len() > prefix.len() && one.name.starts_with(&prefix);
    let shared = columns.iter().filter(|one| is_shared(one)).count();
    // A few columns of a later version may have another beginning, or none.
    let are_most = shared >= MIN_COLUMNS && shared * 5 >= columns.len() * 4;
    if are_most && LENGTHS.contains(&(prefix.len() - 1)) {
        for column in columns.iter_mut().filter(|one| is_shared(one)) {
            column.plain = column.name[prefix.len()..].to_owned();
        }
    }
}

fn table([schema, name, kind, rows, readable, in_path]: [String; 6]) -> Table {
    Table {
        schema,
        name,
        is_view: kind == "view",
        rows: rows.parse().ok(),
        is_readable: readable == "yes",
        is_in_path: in_path == "yes",
        ..Table::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<const N: usize>(cells: [&str; N]) -> [String; N] {
        cells.map(str::to_owned)
    }

    #[test]
    fn keys_of_several_columns_are_put_together() {
        let tables = vec![
            row(["s", "a", "table", "7", "yes", "yes"]),
            row(["s", "b", "view", "", "no", "no"]),
        ];
        let columns = vec![row(["s", "a", "x", "int", "no"])];
        let keys = vec![
            row(["s", "a", "foreign", "f", "x", "s", "b", "u"]),
            row(["s", "a", "foreign", "f", "y", "s", "b", "v"]),
            row(["s", "a", "index", "i", "x", "", "", ""]),
            row(["s", "a", "index", "j", "y", "", "", ""]),
            row(["s", "a", "index", "j", "x", "", "", ""]),
            row(["s", "a", "primary", "p", "x", "", "", ""]),
            row(["s", "gone", "primary", "p", "x", "", "", ""]),
        ];
        let catalog = Catalog::of(
            Rows {
                tables,
                columns,
                keys,
            },
            vec![],
        );
        assert!(!catalog.is_cut);
        let table = &catalog.tables[0];
        assert_eq!(table.rows, Some(7));
        assert_eq!(table.single_key(), Some("x"));
        assert_eq!(table.indexes, [vec!["x"], vec!["y", "x"]]);
        assert_eq!(table.foreign_keys[0].columns, ["x", "y"]);
        assert_eq!(table.foreign_keys[0].to, ["u", "v"]);
        assert!(table.has_index_on("y") && !table.has_index_on("z"));
        assert_eq!(catalog.tables[1].shown(), "s.b");
    }

    #[test]
    fn more_tables_than_are_looked_at_are_left_out_and_told() {
        let tables = |number: usize| {
            let named =
                |at: usize| ["", &at.to_string(), "table", "", "yes", "yes"].map(str::to_owned);
            Rows {
                tables: (0..number).map(named).collect(),
                ..Rows::default()
            }
        };
        let at_most = Catalog::of(tables(MAX_TABLES), vec![]);
        assert_eq!((at_most.tables.len(), at_most.is_cut), (MAX_TABLES, false));
        let more = Catalog::of(tables(MAX_TABLES + 1), vec![]);
        assert_eq!((more.tables.len(), more.is_cut), (MAX_TABLES, true));
    }
}
