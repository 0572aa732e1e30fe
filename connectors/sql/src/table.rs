//! The rows of a page in two buffers, however many there are; a row is a view into them.

use std::hash::{Hash, Hasher};
use std::ops::Range;

use az::SaturatingAs;

use crate::value::{Cell, Kind, Value};

/// Rows as the database handed them over. They may be of several widths: one that cannot be read is
/// cut to its keys.
#[derive(Default)]
pub(crate) struct Table {
    bytes: Vec<u8>,
    cells: Vec<StoredCell>,
    /// Ends of the rows among the cells.
    ends: Vec<usize>,
}

/// A cell whose bytes lie in the table's buffer.
#[derive(Clone, Copy)]
struct StoredCell {
    kind: Kind,
    form: Form,
}

#[derive(Clone, Copy)]
enum Form {
    Null,
    Bytes { start: usize, length: u32 },
    Whole(i64),
    Days(i32),
    Micros(i64),
}

/// A row of a table.
#[derive(Clone, Copy)]
pub(crate) struct Row<'t> {
    bytes: &'t [u8],
    cells: &'t [StoredCell],
}

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds a cell to the row that is not ended yet.
    pub(crate) fn push(&mut self, kind: Kind, value: Value<'_>) {
        let form = match value {
            Value::Null => Form::Null,
            Value::Whole(number) => Form::Whole(number),
            Value::Days(days) => Form::Days(days),
            Value::Micros(micros) => Form::Micros(micros),
            Value::Bytes(bytes) => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(bytes);
                // No value is longer than a statement lets it be.
                Form::Bytes {
                    start,
                    length: bytes.len().saturating_as(),
                }
            }
        };
        self.cells.push(StoredCell { kind, form });
    }

    /// Ends the row.
    pub(crate) fn end_row(&mut self) {
        self.ends.push(self.cells.len());
    }

    pub(crate) fn row(&self, index: usize) -> Row<'_> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Row {
            bytes: &self.bytes,
            cells: &self.cells[start..self.ends[index]],
        }
    }

    pub(crate) fn rows(&self) -> impl DoubleEndedIterator<Item = Row<'_>> + ExactSizeIterator {
        (0..self.len()).map(|index| self.row(index))
    }

    pub(crate) fn first(&self) -> Option<Row<'_>> {
        self.rows().next()
    }

    pub(crate) fn last(&self) -> Option<Row<'_>> {
        self.rows().next_back()
    }

    /// Leaves the first rows only.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.cells.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Copy of some of the rows.
    pub(crate) fn part(&self, rows: Range<usize>) -> Self {
        let mut part = Self::default();
        rows.for_each(|index| part.push_row(self.row(index)));
        part
    }

    /// Adds another table's row.
    pub(crate) fn push_row(&mut self, row: Row<'_>) {
        row.cells()
            .for_each(|cell| self.push(cell.kind, cell.value));
        self.end_row();
    }

    /// Adds another table's rows.
    pub(crate) fn append(&mut self, other: &Self) {
        other.rows().for_each(|row| self.push_row(row));
    }
}

impl<'t> Row<'t> {
    /// Number of cells.
    pub(crate) fn width(&self) -> usize {
        self.cells.len()
    }

    pub(crate) fn cell(&self, ordinal: usize) -> Cell<'t> {
        let StoredCell { kind, form } = self.cells[ordinal];
        let value = match form {
            Form::Null => Value::Null,
            Form::Whole(number) => Value::Whole(number),
            Form::Days(days) => Value::Days(days),
            Form::Micros(micros) => Value::Micros(micros),
            Form::Bytes { start, length } => {
                Value::Bytes(&self.bytes[start..start + length as usize])
            }
        };
        Cell { kind, value }
    }

    pub(crate) fn cells(self) -> impl Iterator<Item = Cell<'t>> {
        (0..self.cells.len()).map(move |ordinal| self.cell(ordinal))
    }

    /// True for a row whose first cells are those of the other one.
    pub(crate) fn begins_as(&self, other: Row<'_>) -> bool {
        (0..other.width()).all(|ordinal| self.cell(ordinal) == other.cell(ordinal))
    }

    /// True for a row with the same first cell.
    pub(crate) fn begins_with_id_of(&self, other: Row<'_>) -> bool {
        self.cell(0) == other.cell(0)
    }

    /// True for a row with the same two keys.
    pub(crate) fn has_keys_of(&self, other: Row<'_>) -> bool {
        (0..2).all(|ordinal| self.cell(ordinal) == other.cell(ordinal))
    }
}

impl PartialEq for Row<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cells().eq(other.cells())
    }
}

impl Eq for Row<'_> {}

impl Hash for Row<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.cells().for_each(|cell| cell.hash(state));
    }
}

/// A value of one of the kinds that have a native form, out of its text; other text stays as it is.
#[cfg(feature = "mysql")]
pub(crate) fn of_text(kind: Kind, text: &[u8]) -> Value<'_> {
    let native = match kind {
        Kind::Date => crate::native::read_day(text).map(Value::Days),
        Kind::Timestamp | Kind::TimestampTz => crate::native::read_moment(text).map(Value::Micros),
        _ => None,
    };
    native.unwrap_or(Value::Bytes(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_several_widths_are_cut_off_and_joined() {
        let mut table = Table::default();
        for id in 0..3 {
            table.push(Kind::Integer, Value::Whole(id));
            table.push(Kind::Text, Value::Bytes(format!("row {id}").as_bytes()));
            if id == 1 {
                table.push(Kind::Text, Value::Null);
            }
            table.end_row();
        }
        let widths: Vec<usize> = table.rows().map(|row| row.width()).collect();
        assert_eq!(widths, [2, 3, 2]);
        let mut other = Table::default();
        other.append(&table);
        other.truncate(2);
        other.push_row(table.row(0));
        assert!(
            other.row(2) == table.row(0)
                && other.row(1) == table.row(1)
                && other.row(0) != other.row(1)
        );
        assert!(
            other
                .last()
                .is_some_and(|row| row.has_keys_of(table.row(0)))
        );
        assert_eq!(other.row(1).cell(1).value, Value::Bytes(b"row 1"));
        other.truncate(0);
        assert!(other.is_empty() && other.first().is_none());
    }
}
