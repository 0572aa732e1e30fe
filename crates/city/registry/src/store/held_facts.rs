//! Facts of persons as expiry reads them: with what their records link.

use linking::NameSetId;
use sqlx::{ColumnIndex, Decode, Error, FromRow, Row, Type};

use super::rows::{FactRow, set_id};

/// Fact of a person, with the set of names that its record states.
#[derive(Debug, Clone)]
pub(crate) struct HeldFact {
    pub(super) row: FactRow,
    pub(super) set: NameSetId,
    /// Number of stored records that state the set.
    pub(super) set_records: i64,
    /// Number of names of the set.
    pub(super) set_names: i64,
}

impl<'r, R: Row> FromRow<'r, R> for HeldFact
where
    usize: ColumnIndex<R>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i16: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    /// Reads the columns in the order of `held_facts!`.
    fn from_row(row: &'r R) -> Result<Self, Error> {
        Ok(Self {
            row: FactRow::from_row(row)?,
            set: set_id(row.try_get(11)?)?,
            set_records: row.try_get(12)?,
            set_names: row.try_get(13)?,
        })
    }
}
