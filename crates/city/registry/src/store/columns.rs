//! Conversion of facts and pseudonyms to columns, and back.

use super::person_statements::NameValue;
use chrono::NaiveDate;
use contract::{Fact, FactKind, PartialDate};
use linking::{CityPseudonym, ContestKind, Decision, IncomingEvent};

/// Medical columns of a fact; all empty for a withdrawn one.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct MedicalColumns {
    pub vaccine: Option<&'static str>,
    pub dose_number: Option<i16>,
    pub series_doses: Option<i16>,
    pub test: Option<&'static str>,
    pub result: Option<&'static str>,
    pub began_on: Option<String>,
    pub occurred_on: Option<String>,
    pub occurred_earliest: Option<NaiveDate>,
}

/// Word for the status column.
pub(super) fn status(event: &IncomingEvent) -> &'static str {
    if event.asserted.is_none() {
        "withdrawn"
    } else {
        "asserted"
    }
}

/// Digest of the content; `None` where nothing of it is to be kept.
pub(super) fn content(event: &IncomingEvent) -> Option<[u8; 16]> {
    (!event.is_tombstone()).then_some(event.content)
}

/// Medical columns of a fact; `None` for a withdrawn one.
pub(super) fn columns(fact: Option<&Fact>) -> MedicalColumns {
    let dated = |date: &PartialDate| MedicalColumns {
        occurred_on: Some(date.to_string()),
        occurred_earliest: Some(date.earliest()),
        ..MedicalColumns::default()
    };
    match fact {
        None => MedicalColumns::default(),
        Some(Fact::Vaccination {
            vaccine,
            dose_number,
            series_doses,
            occurred_on,
        }) => MedicalColumns {
            vaccine: Some(vaccine.as_str()),
            dose_number: dose_number.map(i16::from),
            series_doses: series_doses.map(i16::from),
            ..dated(occurred_on)
        },
        Some(Fact::Test {
            test,
            result,
            occurred_on,
        }) => MedicalColumns {
            test: Some(test.loinc()),
            result: Some(result.as_str()),
            ..dated(occurred_on)
        },
        Some(Fact::Recovery {
            began_on,
            occurred_on,
        }) => MedicalColumns {
            began_on: began_on.map(|date| date.to_string()),
            ..dated(occurred_on)
        },
    }
}

/// Word for the kind of a contest.
pub(super) const fn contest_kind(kind: ContestKind) -> &'static str {
    match kind {
        ContestKind::Tie => "tie",
        ContestKind::Minority => "minority",
        ContestKind::TooLarge => "too-large",
        ContestKind::OneRecord => "one-record",
    }
}

/// Columns of a decision: the smaller of two names comes first.
pub(super) fn decision_columns(decision: Decision) -> (NameValue, Option<NameValue>) {
    match decision {
        Decision::Alone(name) => (name, None),
        Decision::Together(one, other) => (one.min(other), Some(one.max(other))),
    }
}

/// Word for what an operator did.
pub(super) const fn action(decision: Decision, holds: bool) -> &'static str {
    match (decision, holds) {
        (Decision::Alone(_), true) => "split",
        (Decision::Alone(_), false) => "split-undone",
        (Decision::Together(..), true) => "join",
        (Decision::Together(..), false) => "join-undone",
    }
}

/// Kind of fact behind its name.
pub(super) fn kind(name: &str) -> Option<FactKind> {
    FactKind::ALL.into_iter().find(|kind| kind.as_str() == name)
}

/// Pseudonym behind its columns; `None` when a column holds what this program never writes.
pub(super) fn pseudonym(
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

/// Error of the driver's kind, for a row that this program did not write.
pub(super) fn undecodable(what: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(format!("a strange {what}").into())
}
