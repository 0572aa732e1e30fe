//! Rows that the store reads, and the values behind them.

use contract::{Fact, FactKind, PartialDate, TestCode, TestResult, Vaccine};
use linking::{CityPseudonym, Decision, NameSetId, StoredRecord, StoredVersion, SubjectId};
use sqlx::{ColumnIndex, Decode, Error, FromRow, Row, Type};

use super::columns::{kind, pseudonym, undecodable};
use super::old_facts::OldFact;
use super::person_statements::{NameRow, NameValue, SetRow};

/// Row of a fact, with the subject of its person.
#[derive(Debug, Clone)]
pub(crate) struct FactRow {
    pub record: StoredRecord,
    pub version: i64,
    pub says: FactColumns,
    pub subject: Option<SubjectId>,
}

/// Columns that say what a fact is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FactColumns {
    pub kind: String,
    pub vaccine: Option<String>,
    pub dose_number: Option<i16>,
    pub series_doses: Option<i16>,
    pub test: Option<String>,
    pub result: Option<String>,
    pub began_on: Option<String>,
    pub occurred_on: Option<String>,
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
            says: FactColumns::read(row, 2)?.ok_or_else(|| undecodable("kind"))?,
            subject: row.try_get(10)?,
        })
    }
}

impl FactColumns {
    /// Reads the columns in the order of `fact_columns!`, from the column `first` on; `None` where
    /// the row has no fact.
    pub(super) fn read<'r, R: Row>(row: &'r R, first: usize) -> Result<Option<Self>, Error>
    where
        usize: ColumnIndex<R>,
        String: Decode<'r, R::Database> + Type<R::Database>,
        i16: Decode<'r, R::Database> + Type<R::Database>,
    {
        let Some(kind) = row.try_get(first)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            kind,
            vaccine: row.try_get(first + 1)?,
            dose_number: row.try_get(first + 2)?,
            series_doses: row.try_get(first + 3)?,
            test: row.try_get(first + 4)?,
            result: row.try_get(first + 5)?,
            began_on: row.try_get(first + 6)?,
            occurred_on: row.try_get(first + 7)?,
        }))
    }

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

/// Columns of a stored version: record, version, kind, status, content, owner, name set,
/// whether it is purged, whether it has expired.
pub(super) type VersionColumns = (
    Vec<u8>,
    i64,
    String,
    String,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    bool,
    bool,
);

/// Stored version behind its columns, with its record.
pub(super) fn record_version(
    columns: VersionColumns,
) -> Result<(StoredRecord, StoredVersion), Error> {
    let (record, version, kind_name, status, content, owner, name_set, purged, expired) = columns;
    let half = |bytes: Option<Vec<u8>>, what| {
        let half = bytes.map(<[u8; 16]>::try_from).transpose();
        half.map_err(|_| undecodable(what))
    };
    let stored = StoredVersion {
        version,
        kind: kind(&kind_name).ok_or_else(|| undecodable("kind"))?,
        withdrawn: status == "withdrawn",
        content: half(content, "content")?,
        owner: half(owner, "owner")?,
        name_set: half(name_set, "name set")?.map(NameSetId),
        purged,
        expired,
    };
    Ok((digest(&record)?, stored))
}

/// Columns of a name: value, scheme, suite, epoch, subject, apart.
pub(super) type NameColumns = (Vec<u8>, String, String, i32, i64, bool);

/// Stored name behind its columns.
pub(super) fn name_row(columns: NameColumns) -> Result<NameRow, Error> {
    let (value, scheme, suite, epoch, subject, apart) = columns;
    let (subject, name) = subject_pseudonym((value, scheme, suite, epoch, subject))?;
    Ok(NameRow {
        name,
        subject,
        apart,
    })
}

/// Columns of a name set: id, number of records, names.
pub(super) type SetColumns = (Vec<u8>, i64, Vec<u8>);

/// Stored name set behind its columns.
pub(super) fn set_row(columns: SetColumns) -> Result<SetRow, Error> {
    let (id, records, names) = columns;
    let (values, rest) = names.as_chunks();
    if !rest.is_empty() || values.is_empty() {
        return Err(undecodable("name set"));
    }
    Ok(SetRow {
        id: set_id(id)?,
        records,
        names: values.to_vec(),
    })
}

/// Columns of a link: name, name set.
pub(super) type LinkColumns = (Vec<u8>, Vec<u8>);

/// Stored link behind its columns.
pub(super) fn link_row(columns: LinkColumns) -> Result<(NameValue, NameSetId), Error> {
    let (name, set) = columns;
    Ok((digest(&name)?, set_id(set)?))
}

/// Columns of a decision: one name, and the other where they are together.
pub(super) type DecisionColumns = (Vec<u8>, Option<Vec<u8>>);

/// Decision of an operator behind its columns.
pub(super) fn decision_row(columns: DecisionColumns) -> Result<Decision, Error> {
    let (one, other) = columns;
    let one = digest(&one)?;
    Ok(match other {
        None => Decision::Alone(one),
        Some(other) => Decision::Together(one, digest(&other)?),
    })
}

/// Name about which records disagree, or on which a limit weighs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContestRow {
    /// Pseudonym under the second layer.
    pub name: CityPseudonym,
    /// Word for the kind of the disagreement.
    pub kind: String,
    /// Time at which it was first seen, as RFC 3339 has it.
    pub first_seen_at: String,
}

/// Columns of a contest: value, scheme, suite, epoch, kind, time.
pub(super) type ContestColumns = (Vec<u8>, String, String, i32, String, String);

/// Contest behind its columns.
pub(super) fn contest_row(columns: ContestColumns) -> Result<ContestRow, Error> {
    let (value, scheme, suite, epoch, kind, first_seen_at) = columns;
    let name = pseudonym(&value, &scheme, &suite, epoch);
    Ok(ContestRow {
        name: name.ok_or_else(|| undecodable("pseudonym"))?,
        kind,
        first_seen_at,
    })
}

/// Action of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionRow {
    /// Time, as RFC 3339 has it.
    pub done_at: String,
    /// Word for the action.
    pub action: String,
    /// Name it was about.
    pub one: NameValue,
    /// Second name, where two were joined.
    pub other: Option<NameValue>,
}

/// Columns of an action: time, action, one name, the other.
pub(super) type ActionColumns = (String, String, Vec<u8>, Option<Vec<u8>>);

/// Action of an operator behind its columns.
pub(super) fn action_row(columns: ActionColumns) -> Result<ActionRow, Error> {
    let (done_at, action, one, other) = columns;
    Ok(ActionRow {
        done_at,
        action,
        one: digest(&one)?,
        other: other.map(|other| digest(&other)).transpose()?,
    })
}

/// Columns of a fact from before links: record, strongest name.
pub(super) type OldFactColumns = (Vec<u8>, Option<Vec<u8>>);

/// Fact from before links behind its columns.
pub(super) fn old_fact(columns: OldFactColumns) -> Result<OldFact, Error> {
    let (record, name) = columns;
    Ok(OldFact {
        record: digest(&record)?,
        name: name.map(|name| digest(&name)).transpose()?,
    })
}

pub(super) fn set_id(bytes: Vec<u8>) -> Result<NameSetId, Error> {
    let id = bytes.try_into().map_err(|_| undecodable("name set"))?;
    Ok(NameSetId(id))
}

/// Columns of a pseudonym's value and its subject.
pub(super) type SubjectColumns = (Vec<u8>, i64);

/// Value of a pseudonym behind its columns, with its subject.
pub(super) fn value_subject(columns: SubjectColumns) -> Result<([u8; 32], SubjectId), Error> {
    let (value, subject) = columns;
    Ok((digest(&value)?, subject))
}

/// Digest behind its column.
pub(super) fn digest(bytes: &[u8]) -> Result<[u8; 32], Error> {
    bytes.try_into().map_err(|_| undecodable("digest"))
}
