//! Rows that the store reads, and the values behind them.

use contract::{Fact, FactKind, PartialDate, TestCode, TestResult, Vaccine};
use linking::{CityPseudonym, StoredVersion, SubjectId};
use sqlx::{ColumnIndex, Decode, Error, FromRow, Row, Type};

use super::columns::{kind, pseudonym, undecodable};

/// Row of a fact, with the subject of its person.
#[derive(Debug, Clone, Default)]
pub(crate) struct FactRow {
    pub record: [u8; 32],
    pub version: i64,
    pub kind: String,
    pub vaccine: Option<String>,
    pub dose_number: Option<i16>,
    pub series_doses: Option<i16>,
    pub test: Option<String>,
    pub result: Option<String>,
    pub began_on: Option<String>,
    pub occurred_on: Option<String>,
    pub subject: Option<SubjectId>,
}

impl<'r, R: Row> FromRow<'r, R> for FactRow
where
    usize: ColumnIndex<R>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i16: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    /// Reads the columns in the order of `select_facts!`.
    fn from_row(row: &'r R) -> Result<Self, Error> {
        Ok(Self {
            record: digest(&row.try_get::<Vec<u8>, _>(0)?)?,
            version: row.try_get(1)?,
            kind: row.try_get(2)?,
            vaccine: row.try_get(3)?,
            dose_number: row.try_get(4)?,
            series_doses: row.try_get(5)?,
            test: row.try_get(6)?,
            result: row.try_get(7)?,
            began_on: row.try_get(8)?,
            occurred_on: row.try_get(9)?,
            subject: row.try_get(10)?,
        })
    }
}

impl FactRow {
    /// Kind of the fact; `None` when it is none that this program knows.
    pub(crate) fn kind(&self) -> Option<FactKind> {
        kind(&self.kind)
    }

    /// Fact of this kind behind the columns; `None` when a column holds what this program never
    /// writes.
    pub(crate) fn fact(&self, kind: FactKind) -> Option<Fact> {
        let date = |text: &Option<String>| {
            text.as_deref()
                .and_then(|text| text.parse::<PartialDate>().ok())
        };
        let small = |number: Option<i16>| number.map(u8::try_from).transpose().ok();
        let occurred_on = date(&self.occurred_on)?;
        Some(match kind {
            FactKind::Vaccination => {
                let name = self.vaccine.as_deref()?;
                Fact::Vaccination {
                    vaccine: Vaccine::ALL
                        .into_iter()
                        .find(|vaccine| vaccine.as_str() == name)?,
                    dose_number: small(self.dose_number)?,
                    series_doses: small(self.series_doses)?,
                    occurred_on,
                }
            }
            FactKind::Test => {
                let test = self.test.as_deref()?;
                let result = self.result.as_deref()?;
                Fact::Test {
                    test: TestCode::ALL
                        .into_iter()
                        .find(|code| code.loinc() == test)?,
                    result: TestResult::ALL
                        .into_iter()
                        .find(|code| code.as_str() == result)?,
                    occurred_on,
                }
            }
            FactKind::Recovery => Fact::Recovery {
                began_on: match &self.began_on {
                    Some(_) => Some(date(&self.began_on)?),
                    None => None,
                },
                occurred_on,
            },
        })
    }
}

/// Columns of a pseudonym and its subject: value, scheme, suite, epoch, subject.
pub(super) type PseudonymColumns = (Vec<u8>, String, String, i32, i64);

/// Pseudonym behind its columns, with its subject.
pub(super) fn subject_pseudonym(
    columns: PseudonymColumns,
) -> Result<(SubjectId, CityPseudonym), Error> {
    let (value, scheme, suite, epoch, subject) = columns;
    let pseudonym = pseudonym(&value, &scheme, &suite, epoch);
    Ok((subject, pseudonym.ok_or_else(|| undecodable("pseudonym"))?))
}

/// Columns of a stored version: record, version, kind, status, content.
pub(super) type VersionColumns = (Vec<u8>, i64, String, String, Option<Vec<u8>>);

/// Stored version behind its columns, with its record.
pub(super) fn record_version(columns: VersionColumns) -> Result<([u8; 32], StoredVersion), Error> {
    let (record, version, kind_name, status, content) = columns;
    let content = content.map(<[u8; 16]>::try_from).transpose();
    let stored = StoredVersion {
        version,
        kind: kind(&kind_name).ok_or_else(|| undecodable("kind"))?,
        withdrawn: status == "withdrawn",
        content: content.map_err(|_| undecodable("content"))?,
    };
    Ok((digest(&record)?, stored))
}

/// Columns of a pseudonym's value and its subject.
pub(super) type SubjectColumns = (Vec<u8>, i64);

/// Value of a pseudonym behind its columns, with its subject.
pub(super) fn value_subject(columns: SubjectColumns) -> Result<([u8; 32], SubjectId), Error> {
    let (value, subject) = columns;
    Ok((digest(&value)?, subject))
}

fn digest(bytes: &[u8]) -> Result<[u8; 32], Error> {
    bytes.try_into().map_err(|_| undecodable("digest"))
}
