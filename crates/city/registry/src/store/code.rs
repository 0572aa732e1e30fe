//! Facts and pseudonyms as columns, and back.

use chrono::NaiveDate;
use contract::{Fact, FactKind, PartialDate, TestCode, TestResult, Vaccine};

use super::RawFact;
use crate::second_layer::CityPseudonym;

/// The medical columns of a fact; all empty for a withdrawn one.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct FactColumns {
    pub vaccine: Option<&'static str>,
    pub dose_number: Option<i16>,
    pub series_doses: Option<i16>,
    pub test: Option<&'static str>,
    pub result: Option<&'static str>,
    pub began_on: Option<String>,
    pub occurred_on: Option<String>,
    pub occurred_earliest: Option<NaiveDate>,
}

/// A fact as columns.
pub(crate) fn columns(fact: Option<&Fact>) -> FactColumns {
    let dated = |date: &PartialDate| FactColumns {
        occurred_on: Some(date.to_string()),
        occurred_earliest: Some(date.earliest()),
        ..FactColumns::default()
    };
    match fact {
        None => FactColumns::default(),
        Some(Fact::Vaccination {
            vaccine,
            dose_number,
            series_doses,
            occurred_on,
        }) => FactColumns {
            vaccine: Some(vaccine.as_str()),
            dose_number: dose_number.map(i16::from),
            series_doses: series_doses.map(i16::from),
            ..dated(occurred_on)
        },
        Some(Fact::Test {
            test,
            result,
            occurred_on,
        }) => FactColumns {
            test: Some(test.loinc()),
            result: Some(result.as_str()),
            ..dated(occurred_on)
        },
        Some(Fact::Recovery {
            began_on,
            occurred_on,
        }) => FactColumns {
            began_on: began_on.map(|date| date.to_string()),
            ..dated(occurred_on)
        },
    }
}

/// The kind behind its name.
pub(crate) fn kind(name: &str) -> Option<FactKind> {
    FactKind::ALL.into_iter().find(|kind| kind.as_str() == name)
}

/// The fact behind its columns; `None` when a column holds what this program never writes.
pub(crate) fn fact(kind: FactKind, raw: &RawFact) -> Option<Fact> {
    let date = |text: &Option<String>| {
        text.as_deref()
            .and_then(|text| text.parse::<PartialDate>().ok())
    };
    let small = |number: Option<i16>| number.map(u8::try_from).transpose().ok();
    let occurred_on = date(&raw.occurred_on)?;
    Some(match kind {
        FactKind::Vaccination => {
            let name = raw.vaccine.as_deref()?;
            Fact::Vaccination {
                vaccine: Vaccine::ALL
                    .into_iter()
                    .find(|vaccine| vaccine.as_str() == name)?,
                dose_number: small(raw.dose_number)?,
                series_doses: small(raw.series_doses)?,
                occurred_on,
            }
        }
        FactKind::Test => {
            let test = raw.test.as_deref()?;
            let result = raw.result.as_deref()?;
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
            began_on: match &raw.began_on {
                Some(_) => Some(date(&raw.began_on)?),
                None => None,
            },
            occurred_on,
        },
    })
}

/// The pseudonym behind its columns.
pub(crate) fn pseudonym(
    value: &[u8],
    scheme: &str,
    suite: &str,
    epoch: i32,
) -> Option<CityPseudonym> {
    Some(CityPseudonym {
        scheme: scheme.parse().ok()?,
        suite: suite.parse().ok()?,
        epoch: epoch.try_into().ok()?,
        value: value.try_into().ok()?,
    })
}

/// A driver's error for a row that this program did not write.
pub(crate) fn strange(what: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(format!("a strange {what}").into())
}
