//! Tables that parts without sizes of clinic hand over as text.

use crate::results::TextTable;

/// A row: its name, and its cell of one column.
pub(crate) type ColumnRow<T> = (&'static str, fn(&T) -> String);

/// A table with a column for each of these.
pub(crate) fn columns<T>(
    head: impl Iterator<Item = String>,
    rows: &[ColumnRow<T>],
    of: &[&T],
) -> TextTable {
    let row = |(name, cell): &ColumnRow<T>| {
        std::iter::once((*name).to_owned())
            .chain(of.iter().map(|one| cell(one)))
            .collect()
    };
    TextTable {
        head: std::iter::once(String::new()).chain(head).collect(),
        rows: rows.iter().map(row).collect(),
    }
}
