//! Tables of a clinic's database, as far as the account sees them: their columns, keys and indexes.
//! Structure only; no row is read here.

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
}

/// Table or view.
#[derive(Debug, Default)]
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
}

/// Column of a table.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub name: String,
    pub shape: Shape,
    /// True for an instant: a moment that the database keeps with its zone.
    pub is_instant: bool,
    pub is_nullable: bool,
    /// Where it stands, if it is no column of its own but a value in one of JSON.
    pub json: Option<JsonValue>,
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

/// Reference of columns to those of another table.
#[derive(Debug, Clone)]
pub(crate) struct ForeignKey {
    pub columns: Vec<String>,
    /// Place of the other table in the catalogue.
    pub table: usize,
    pub to: Vec<String>,
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
