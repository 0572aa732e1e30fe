//! Reads the structure of a database with the account that the gateway is to have.

use std::collections::HashMap;

use super::shape;
use super::statements::{self, Statements};
use super::{Catalog, Column, ForeignKey, MAX_COLUMNS, MAX_KEY_PARTS, MAX_TABLES, Shape, Table};
use crate::driver::{Failure, LentSession, Sessions};
use crate::value::{Kind, Sql};

/// Reads all tables that the account sees, and what they hold.
pub(crate) async fn read(sessions: &Sessions) -> Result<Catalog, Failure> {
    let Statements {
        tables,
        columns,
        keys,
    } = statements::of(sessions.driver.kind());
    let mut lent = sessions.lend().await?;
    let tables = texts::<6>(&mut lent, tables).await?;
    let columns = texts::<5>(&mut lent, columns).await?;
    let keys = texts::<8>(&mut lent, keys).await?;
    lent.give_back().await?;
    Ok(Catalog::of(tables, columns, keys))
}

/// Rows of a statement with so many columns of text; NULL is empty.
async fn texts<const N: usize>(
    lent: &mut LentSession<'_>,
    sql: String,
) -> Result<Vec<[String; N]>, Failure> {
    let rows = lent.fetch(&Sql::plain(sql), &[Kind::Text; N]).await?;
    let text = |bytes: Option<std::borrow::Cow<'_, [u8]>>| {
        bytes.map_or_else(String::new, |bytes| {
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let row = rows
        .rows()
        .map(|row| std::array::from_fn(|cell| text(row.cell(cell).bytes())));
    Ok(row.collect())
}

/// Places of the tables by schema and name.
type Places = HashMap<(String, String), usize>;

impl Catalog {
    fn of(
        mut tables: Vec<[String; 6]>,
        mut columns: Vec<[String; 5]>,
        mut keys: Vec<[String; 8]>,
    ) -> Self {
        let is_cut =
            tables.len() > MAX_TABLES || columns.len() > MAX_COLUMNS || keys.len() > MAX_KEY_PARTS;
        tables.truncate(MAX_TABLES);
        columns.truncate(MAX_COLUMNS);
        keys.truncate(MAX_KEY_PARTS);
        let mut catalog = Self {
            tables: tables.into_iter().map(table).collect(),
            is_cut,
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
                    name,
                    shape: Shape::of(&type_name),
                    is_instant: shape::is_instant(&type_name),
                    is_nullable: nullable == "yes",
                    json: None,
                });
            }
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
                "index" if goes_on => {
                    if let Some(index) = self.tables[place].indexes.last_mut() {
                        index.push(column);
                    }
                }
                "index" => self.tables[place].indexes.push(vec![column]),
                _ => {
                    let Some(other) = places.get(&(of_schema, of_table)).copied() else {
                        last = None;
                        continue;
                    };
                    let part = ForeignKey {
                        columns: vec![column],
                        table: other,
                        to: vec![of_column],
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
        let catalog = Catalog::of(tables, columns, keys);
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
            (0..number).map(named).collect()
        };
        let at_most = Catalog::of(tables(MAX_TABLES), vec![], vec![]);
        assert_eq!((at_most.tables.len(), at_most.is_cut), (MAX_TABLES, false));
        let more = Catalog::of(tables(MAX_TABLES + 1), vec![], vec![]);
        assert_eq!((more.tables.len(), more.is_cut), (MAX_TABLES, true));
    }
}
