//! Person behind the names that were given, as one statement reads it.

use sqlx::{ColumnIndex, Decode, Error, FromRow, Row, Type};

use super::columns::undecodable;
use super::rows::FactColumns;

/// Person behind names, as far as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AskedPerson {
    /// Place of the first of the names that is stored; `None` where none is.
    pub first_stored: Option<usize>,
    /// True where the names lead to several subjects, or where it is open whose one of the names
    /// is, be it given or another one of the subject.
    pub in_doubt: bool,
    /// Asserted facts, of one subject.
    pub facts: Vec<FactColumns>,
}

/// Row of the statement: what is known of the person, or a fact, or both.
pub(super) struct AskedRow {
    person: Option<bool>,
    first_stored: Option<i32>,
    fact: Option<FactColumns>,
}

impl<'r, R: Row> FromRow<'r, R> for AskedRow
where
    usize: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    i16: Decode<'r, R::Database> + Type<R::Database>,
    i32: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, Error> {
        Ok(Self {
            person: row.try_get(0)?,
            first_stored: row.try_get(1)?,
            fact: FactColumns::read(row, 2)?,
        })
    }
}

impl AskedPerson {
    /// Puts the rows of the statement together. At least one of them says whether there is doubt.
    pub(super) fn of_rows(rows: Vec<AskedRow>) -> Result<Self, Error> {
        let about = rows
            .iter()
            .find_map(|row| Some((row.person?, row.first_stored)));
        let (in_doubt, first_stored) = about.ok_or_else(|| undecodable("person"))?;
        let place = first_stored.map(usize::try_from).transpose();
        Ok(Self {
            first_stored: place.map_err(|_| undecodable("place"))?,
            in_doubt,
            facts: rows.into_iter().filter_map(|row| row.fact).collect(),
        })
    }
}
