//! Tables of a clinic's database, as far as the account sees them: their columns, keys and indexes.
//! Structure only; no row is read here.

mod path;
mod read;
mod shape;
mod statements;

pub(crate) use read::read;
pub(crate) use shape::Shape;

/// Most tables that are looked at.
pub(crate) const MAX_TABLES: usize = 5_000;
/// Most columns of all tables that are looked at.
pub(crate) const MAX_COLUMNS: usize = 60_000;
/// Most parts of keys and indexes that are looked at.
const MAX_KEY_PARTS: usize = 60_000;

/// Structure of a database.
#[derive(Default)]
pub(crate) struct Catalog {
    pub tables: Vec<Table>,
    /// True where there are more tables, columns or keys than are looked at.
    pub is_cut: bool,
    /// Schemas, or tables of a file, whose structure the database does not show: something in them
    /// is broken. With what it says, in our words.
    pub unread: Vec<(String, String)>,
}

/// Table or view.
#[derive(Debug, Default, Clone)]
pub(crate) struct Table {
    pub schema: String,
    pub name: String,
    pub is_view: bool,
    /// Number of rows as the database estimates it; `None` where it does not.
    pub rows: Option<u64>,
    /// False where the account may not read it.
    pub is_readable: bool,
    /// True where its name needs no schema before it.
    pub is_in_path: bool,
    pub columns: Vec<Column>,
    /// Columns of the primary key, in its order.
    pub primary_key: Vec<String>,
    pub foreign_keys: Vec<ForeignKey>,
    /// Columns of each index that covers all rows, in its order; an expression is empty.
    pub indexes: Vec<Vec<String>>,
    /// Columns of those of the indexes that let no two rows have the same.
    pub unique: Vec<Vec<String>>,
}

/// Column of a table.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub name: String,
    /// Its name without the letters that all columns of the table begin with.
    pub plain: String,
    pub shape: Shape,
    /// True for an instant: a moment that the database keeps with its zone.
    pub is_instant: bool,
    pub is_nullable: bool,
    /// Where it stands, if it is no column of its own but a value in one of JSON.
    pub json: Option<JsonValue>,
    /// Where it stands, if it is no column of its own but a value in a row of another table.
    pub row: Option<RowValue>,
}

/// Value in a column of JSON.
#[derive(Debug, Clone)]
pub(crate) struct JsonValue {
    /// The column of JSON.
    pub column: String,
    pub key: String,
    /// True where the key's object has the value under `value`.
    pub is_nested: bool,
}

/// Value in a row of another table, which has a row for each key.
#[derive(Debug, Clone)]
pub(crate) struct RowValue {
    /// Place of the other table in the catalogue.
    pub table: usize,
    /// Its column that refers to this table, and what it refers to.
    pub by: String,
    pub to: String,
    /// Its column with the key, and the key.
    pub key_column: String,
    pub key: String,
    /// Its column with the value.
    pub value: String,
    /// Further condition on the row, `y`: that it was not taken back.
    pub holds: String,
}

/// Reference of columns to those of another table.
#[derive(Debug, Clone)]
pub(crate) struct ForeignKey {
    pub columns: Vec<String>,
    /// Place of the other table in the catalogue.
    pub table: usize,
    pub to: Vec<String>,
    /// True where the row is part of what it refers to.
    pub is_owner: bool,
}

impl Catalog {
    /// The table that a query names so, with its schema or without.
    pub(crate) fn named(&self, written: &str) -> Option<&Table> {
        let plain = |part: &str| part.trim_matches(['"', '`', '[', ']', ' ']).to_owned();
        let parts: Vec<String> = written.split('.').map(plain).collect();
        let [.., name] = parts.as_slice() else {
            return None;
        };
        let schema = parts.len().checked_sub(2).map(|place| &parts[place]);
        let is_there = |table: &&Table| match schema {
            Some(schema) => table.schema.is_empty() || table.schema.eq_ignore_ascii_case(schema),
            None => table.is_in_path,
        };
        let same = |table: &&Table| table.name.to_lowercase() == name.to_lowercase();
        let mut found = self.tables.iter().filter(same).filter(is_there);
        let first = found.next()?;
        // Names that capital letters alone tell apart are not told apart here.
        found.next().is_none().then_some(first)
    }

    /// True where declared references join two columns, each given with the name of its table: the
    /// values of both are of one kind.
    pub(crate) fn are_joined(&self, one: [&str; 2], other: [&str; 2]) -> bool {
        let joins = self.tables.iter().flat_map(|table| {
            table.foreign_keys.iter().flat_map(move |key| {
                let parts = key.columns.iter().zip(&key.to);
                let to = &self.tables[key.table];
                parts.map(move |(from, of)| [(table, from), (to, of)])
            })
        });
        let joins: Vec<_> = joins.collect();
        let [one_table, one_column] = one;
        let [other_table, other_column] = other;
        let tables = self.named(one_table).zip(self.named(other_table));
        let Some((one_table, other_table)) = tables else {
            return false;
        };
        let other = (other_table, other_column);
        let same = |left: (&Table, &str), right: (&Table, &str)| {
            std::ptr::eq(left.0, right.0) && left.1.eq_ignore_ascii_case(right.1)
        };
        let mut reached = vec![(one_table, one_column)];
        let mut at = 0;
        while let Some(place) = reached.get(at).copied() {
            if same(place, other) {
                return true;
            }
            at += 1;
            for [from, to] in &joins {
                let from = (from.0, from.1.as_str());
                let to = (to.0, to.1.as_str());
                for (here, there) in [(from, to), (to, from)] {
                    if same(here, place) && !reached.iter().any(|known| same(*known, there)) {
                        reached.push(there);
                    }
                }
            }
        }
        false
    }
}

impl Table {
    /// Column of this name, exactly as it is written.
    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The only column of the primary key; `None` without one, or where it has several.
    pub(crate) fn single_key(&self) -> Option<&str> {
        match self.primary_key.as_slice() {
            [column] => Some(column),
            _ => None,
        }
    }

    /// True where an index or the primary key begins with this column.
    pub(crate) fn has_index_on(&self, column: &str) -> bool {
        let begins = |columns: &Vec<String>| columns.first().is_some_and(|first| first == column);
        begins(&self.primary_key) || self.indexes.iter().any(begins)
    }

    /// Name with its schema where it needs one; for a person to read.
    pub(crate) fn shown(&self) -> String {
        if self.is_in_path || self.schema.is_empty() {
            self.name.clone()
        } else {
            format!("{}.{}", self.schema, self.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_joined_by_references_in_either_direction() {
        let table = |name: &str, foreign_keys| Table {
            name: name.to_owned(),
            is_in_path: true,
            foreign_keys,
            ..Table::default()
        };
        let reference = |column: &str, table| ForeignKey {
            columns: vec![column.to_owned()],
            table,
            to: vec!["id".to_owned()],
            is_owner: false,
        };
        let catalog = Catalog {
            tables: vec![
                table("entity", vec![]),
                table("Dose", vec![reference("id", 0), reference("patient", 2)]),
                table("patient", vec![reference("id", 0)]),
                table("note", vec![reference("dose", 1)]),
            ],
            is_cut: false,
            unread: vec![],
        };
        assert!(catalog.are_joined(["note", "dose"], ["\"Dose\"", "id"]));
        assert!(catalog.are_joined(["patient", "id"], ["note", "dose"]));
        assert!(!catalog.are_joined(["note", "id"], ["dose", "id"]));
        assert!(!catalog.are_joined(["gone", "id"], ["dose", "id"]));
    }
}
