//! A SELECT in the making: its tables under short names, its joins and its columns.

use super::names::Name;
use super::references::Reference;
use crate::catalog::{Catalog, RowValue, Table};
use crate::driver::Driver;

/// Words that no table may be called without quotation marks, in one database or the other.
const RESERVED: [&str; 22] = [
    "case",
    "cases",
    "order",
    "user",
    "group",
    "condition",
    "conditions",
    "check",
    "references",
    "table",
    "select",
    "from",
    "where",
    "end",
    "limit",
    "analyze",
    "analyse",
    "result",
    "rank",
    "system",
    "key",
    "values",
];

/// Table of a SELECT.
pub(super) struct Joined {
    /// Place of the table in the catalogue.
    pub table: usize,
    pub alias: String,
    /// Alias of the table that it is joined to, and the reference; none for the first table.
    pub by: Option<(String, Reference)>,
    /// Query between the two, where the reference alone does not join them.
    pub through: Option<Through>,
    /// Condition that joins it, where it is another one than that the columns are equal.
    pub on: Option<String>,
}

/// Query of two columns, `of_row` and `into_row`, over which a table is joined to another.
#[derive(Debug, Clone)]
pub(super) struct Through {
    pub alias: String,
    /// The query in parentheses.
    pub sql: String,
}

/// A SELECT in the making.
pub(super) struct Select<'c> {
    pub catalog: &'c Catalog,
    pub driver: &'c dyn Driver,
    pub tables: Vec<Joined>,
    /// Documented names with their expressions.
    pub columns: Vec<(&'static str, String)>,
    /// Condition on the rows that are read.
    pub filter: Option<String>,
}

impl<'c> Select<'c> {
    pub(super) fn new(catalog: &'c Catalog, driver: &'c dyn Driver, table: usize) -> Self {
        let mut select = Self {
            catalog,
            driver,
            tables: Vec::new(),
            columns: Vec::new(),
            filter: None,
        };
        let alias = select.free_alias(table);
        select.tables.push(Joined {
            table,
            alias,
            by: None,
            through: None,
            on: None,
        });
        select
    }

    /// Short name of the first table.
    pub(super) fn main(&self) -> &str {
        &self.tables[0].alias
    }

    pub(super) fn table_of(&self, alias: &str) -> &'c Table {
        &self.catalog.tables[self.place_of(alias)]
    }

    pub(super) fn place_of(&self, alias: &str) -> usize {
        let found = self.tables.iter().find(|joined| joined.alias == alias);
        found.expect("aliases come from this list").table
    }

    /// Joins a table over a query; returns its short name.
    pub(super) fn join_through(&mut self, from: &str, by: &Reference, through: Through) -> String {
        let alias = self.join(from, by);
        if let Some(joined) = self.tables.iter_mut().find(|one| one.alias == alias) {
            joined.through = Some(through);
        }
        alias
    }

    /// Joins a table, unless it is joined so already; returns its short name.
    pub(super) fn join(&mut self, from: &str, by: &Reference) -> String {
        let is_same = |joined: &&Joined| {
            joined
                .by
                .as_ref()
                .is_some_and(|(other, known)| other == from && known == by)
        };
        if let Some(joined) = self.tables.iter().find(is_same) {
            return joined.alias.clone();
        }
        let alias = self.free_alias(by.to);
        self.tables.push(Joined {
            table: by.to,
            alias: alias.clone(),
            by: Some((from.to_owned(), by.clone())),
            through: None,
            on: None,
        });
        alias
    }

    /// A name that no table here has: the first letter of the table's, with a number if needed.
    pub(super) fn free_alias(&self, table: usize) -> String {
        let name = Name::new(&self.catalog.tables[table].name).joined;
        let letter = name.chars().find(char::is_ascii_lowercase).unwrap_or('t');
        self.free_name(&letter.to_string())
    }

    /// A name that no table here has: this one, with a number if needed.
    pub(super) fn free_name(&self, letter: &str) -> String {
        let is_free = |alias: &String| {
            self.tables.iter().all(|joined| {
                let through = joined.through.as_ref();
                joined.alias != *alias && through.is_none_or(|one| one.alias != *alias)
            })
        };
        let numbered = (1..).map(|number| match number {
            1 => letter.to_owned(),
            number => format!("{letter}{number}"),
        });
        numbered.into_iter().find(is_free).unwrap_or_default()
    }

    /// A table's name as it is typed.
    pub(super) fn typed_table(&self, table: usize) -> String {
        let table = &self.catalog.tables[table];
        let name = self.typed(&table.name);
        if table.is_in_path || table.schema.is_empty() {
            name
        } else {
            format!("{}.{name}", self.typed(&table.schema))
        }
    }

    /// A name as it is typed: in quotation marks where it needs them.
    pub(super) fn typed(&self, name: &str) -> String {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins_well = name
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_digit());
        let any_case = !self.driver.syntax().lowers_names();
        let is_plain = |byte: u8| plain(byte) || (any_case && byte.is_ascii_uppercase());
        let is_reserved = RESERVED.contains(&name.to_ascii_lowercase().as_str());
        if begins_well && name.bytes().all(is_plain) && !is_reserved {
            name.to_owned()
        } else {
            self.driver.quote(name)
        }
    }

    /// A column of a table, as it is typed; of a value in JSON or in a row of another table the
    /// expression for it.
    pub(super) fn column(&self, alias: &str, name: &str) -> String {
        let joined = self.tables.iter().find(|joined| joined.alias == alias);
        let column = joined.and_then(|joined| self.catalog.tables[joined.table].column(name));
        if let Some(row) = column.and_then(|column| column.row.as_ref()) {
            return self.row_value(alias, row);
        }
        match column.and_then(|column| column.json.as_ref()) {
            None => format!("{alias}.{}", self.typed(name)),
            Some(json) => {
                let document = format!("{alias}.{}", self.typed(&json.column));
                let key = literal(&json.key);
                if json.is_nested {
                    format!("{document} -> {key} ->> 'value'")
                } else {
                    format!("{document} ->> {key}")
                }
            }
        }
    }

    /// The expression for a value in a row of another table; of several rows for one key the least.
    pub(super) fn row_value(&self, alias: &str, row: &RowValue) -> String {
        format!(
            "(SELECT MIN(y.{}) FROM {} AS y WHERE y.{} = {alias}.{} AND y.{} = {}{})",
            self.typed(&row.value),
            self.typed_table(row.table),
            self.typed(&row.by),
            self.typed(&row.to),
            self.typed(&row.key_column),
            literal(&row.key),
            row.holds
        )
    }

    /// Text that several expressions make, one behind the other.
    pub(super) fn concatenated(&self, parts: &[String]) -> String {
        self.driver.syntax().concatenated(parts)
    }

    /// The table and what is joined to it.
    pub(super) fn from(&self) -> String {
        let first = &self.tables[0];
        let mut text = format!("FROM {} AS {}", self.typed_table(first.table), first.alias);
        for joined in &self.tables[1..] {
            if let Some((from, by)) = &joined.by {
                let kind = if by.is_optional || !by.is_declared || self.is_left(from) {
                    "LEFT JOIN"
                } else {
                    "JOIN"
                };
                let table = self.typed_table(joined.table);
                let alias = &joined.alias;
                if let Some(through) = &joined.through {
                    let [before, behind] = self.sides(from, by, alias, through);
                    text += &format!(
                        "\n{kind} {} AS {} ON {before}\n{kind} {table} AS {alias} ON {behind}",
                        through.sql, through.alias
                    );
                    continue;
                }
                let condition = joined.on.clone();
                let condition = condition.unwrap_or_else(|| self.condition(from, by, alias));
                text += &format!("\n{kind} {table} AS {alias} ON {condition}");
            }
        }
        text
    }

    /// Condition that joins a table.
    pub(super) fn condition(&self, from: &str, by: &Reference, alias: &str) -> String {
        let pairs = by.columns.iter().zip(&by.to_columns);
        let each = pairs.map(|(column, to)| {
            format!("{} = {}", self.column(alias, to), self.column(from, column))
        });
        each.collect::<Vec<_>>().join(" AND ")
    }

    /// Conditions that join the query between two tables to either.
    fn sides(&self, from: &str, by: &Reference, alias: &str, through: &Through) -> [String; 2] {
        let first = |columns: &[String]| columns.first().cloned().unwrap_or_default();
        [
            format!(
                "{}.of_row = {}",
                through.alias,
                self.column(from, &first(&by.columns))
            ),
            format!(
                "{} = {}.into_row",
                self.column(alias, &first(&by.to_columns)),
                through.alias
            ),
        ]
    }

    /// The join of the table that a joined one is joined to, from the joined one back.
    pub(super) fn back(&self, own: &str, parent: &str, by: &Reference) -> String {
        let table = self.typed_table(self.place_of(parent));
        let joined = self.tables.iter().find(|joined| joined.alias == own);
        if let Some(through) = joined.and_then(|joined| joined.through.as_ref()) {
            let [before, behind] = self.sides(parent, by, own, through);
            return format!(
                " JOIN {} AS {} ON {behind} JOIN {table} AS {parent} ON {before}",
                through.sql, through.alias
            );
        }
        format!(
            " JOIN {table} AS {parent} ON {}",
            self.condition(parent, by, own)
        )
    }

    /// True for a table that may have no row here.
    fn is_left(&self, alias: &str) -> bool {
        let joined = self.tables.iter().find(|joined| joined.alias == alias);
        joined
            .and_then(|joined| joined.by.as_ref())
            .is_some_and(|(from, by)| by.is_optional || !by.is_declared || self.is_left(from))
    }

    /// The whole SELECT, with aliases one below the other.
    pub(super) fn text(&self) -> String {
        let longest = self
            .columns
            .iter()
            .map(|(_, expression)| expression.chars().count());
        let width = longest.filter(|width| *width <= 40).max().unwrap_or(0);
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|(name, expression)| format!("{expression:<width$} AS {name}"))
            .collect();
        let filter = self.filter.as_ref();
        let filter = filter.map_or_else(String::new, |filter| format!("\nWHERE {filter}"));
        format!(
            "SELECT {}\n{}{filter}",
            columns.join(",\n       "),
            self.from()
        )
    }
}

/// Text as a literal of SQL; only for words without a backslash.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
