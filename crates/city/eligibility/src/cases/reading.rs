//! Reading of worked cases.

use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use contract::{Fact, PartialDate};
use settings::SettingsError;
use toml::Spanned;

use super::file::{CaseTable, CasesFile, CoveredTable, FactTable, FactWord};
use crate::day_ranges::Interval;
use crate::names;
use crate::reason::Reason;
use crate::rules::FilePosition;

/// Highest number of a dose.
const MAX_DOSE: u8 = 9;

/// Worked cases of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cases {
    pub(super) cases: Vec<Case>,
}

/// A person, a moment, and the answer that is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) at: DateTime<Utc>,
    /// Zone instead of that of the rules.
    pub(super) zone: Option<Tz>,
    pub(super) in_doubt: bool,
    pub(super) facts: Vec<Fact>,
    pub(super) covered: Vec<Interval>,
    pub(super) reasons: Vec<Reason>,
}

impl Cases {
    /// Reads worked cases from TOML text; `path` is only named in errors.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`], with the position and what to change.
    pub fn parse(text: &str, path: &Path) -> Result<Self, SettingsError> {
        let file: CasesFile = settings::parse(text, path)?;
        if file.cases.is_empty() {
            let help = "add a section [[case]] with a name, facts and the right answer";
            return Err(settings::mistake(path, "there is no case", help));
        }
        let position = FilePosition { text, path };
        let mut cases: Vec<Case> = Vec::with_capacity(file.cases.len());
        for table in &file.cases {
            let case = read_case(&position, table)?;
            if cases.iter().any(|before| before.name == case.name) {
                let what = "another case has this name";
                return Err(position.mistake(&table.name.span(), what, "give it its own name"));
            }
            cases.push(case);
        }
        Ok(Self { cases })
    }

    /// Number of the cases.
    #[must_use]
    pub fn count(&self) -> usize {
        self.cases.len()
    }
}

fn read_case(position: &FilePosition<'_>, table: &CaseTable) -> Result<Case, SettingsError> {
    let at = DateTime::parse_from_rfc3339(table.at.get_ref()).map_err(|_| {
        let what = format!("`{}` is not a date and time", table.at.get_ref());
        let help = "write it as \"2021-11-01T12:00:00+03:00\"";
        position.mistake(&table.at.span(), what, help)
    })?;
    // Names are printed to a terminal.
    if table.name.get_ref().chars().any(char::is_control) {
        let help = "write it in one line, without control characters";
        let what = "the name has control characters";
        return Err(position.mistake(&table.name.span(), what, help));
    }
    let zone = table.zone.as_ref().map(|zone| {
        zone.get_ref().parse::<Tz>().map_err(|_| {
            let what = format!("no time zone is called `{}`", zone.get_ref());
            let help = "write a name of the IANA list, such as \"Europe/Moscow\"";
            position.mistake(&zone.span(), what, help)
        })
    });
    let facts = table.facts.iter().map(|fact| read_fact(position, fact));
    let covered = table
        .covered
        .iter()
        .map(|interval| read_interval(position, interval));
    let reasons = table.reasons.iter().map(|code| read_reason(position, code));
    Ok(Case {
        name: table.name.get_ref().clone(),
        at: at.to_utc(),
        zone: zone.transpose()?,
        in_doubt: table.in_doubt,
        facts: facts.collect::<Result<_, _>>()?,
        covered: covered.collect::<Result<_, _>>()?,
        reasons: reasons.collect::<Result<_, _>>()?,
    })
}

fn read_interval(
    position: &FilePosition<'_>,
    table: &Spanned<CoveredTable>,
) -> Result<Interval, SettingsError> {
    let written = table.get_ref();
    let from = read_day(position, &written.first)?;
    let last = written.last.as_ref();
    let last = last.map(|last| read_day(position, last)).transpose()?;
    if last.is_some_and(|last| last < from) {
        let what = "the last day lies before the first";
        return Err(position.mistake(&table.span(), what, "exchange the two"));
    }
    Ok(Interval {
        from,
        until: last.and_then(|last| last.succ_opt()),
    })
}

fn read_day(
    position: &FilePosition<'_>,
    day: &Spanned<String>,
) -> Result<NaiveDate, SettingsError> {
    NaiveDate::parse_from_str(day.get_ref(), "%Y-%m-%d").map_err(|_| {
        let what = format!("`{}` is not a date", day.get_ref());
        position.mistake(&day.span(), what, "write it as \"2021-06-28\"")
    })
}

fn read_reason(
    position: &FilePosition<'_>,
    code: &Spanned<String>,
) -> Result<Reason, SettingsError> {
    let found = Reason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == code.get_ref());
    found.ok_or_else(|| {
        let what = format!("no reason is called `{}`", code.get_ref());
        let known = Reason::ALL.map(Reason::as_str).join(", ");
        position.mistake(&code.span(), what, format!("the reasons are {known}"))
    })
}

fn read_fact(
    position: &FilePosition<'_>,
    table: &Spanned<FactTable>,
) -> Result<Fact, SettingsError> {
    let fact = table.get_ref();
    refuse_stray_keys(position, fact)?;
    let at = table.span();
    let missing = |key: &str| {
        let help = format!("add {key} = ... to the fact");
        position.mistake(&at, format!("the fact lacks `{key}`"), help)
    };
    let occurred_on = read_partial(position, &fact.on)?;
    match fact.kind {
        FactWord::Vaccination => {
            let vaccine = fact.vaccine.as_ref().ok_or_else(|| missing("vaccine"))?;
            Ok(Fact::Vaccination {
                vaccine: read_name(position, vaccine, names::vaccine, names::all_vaccines)?,
                dose_number: read_dose(position, fact.dose.as_ref())?,
                series_doses: read_dose(position, fact.of.as_ref())?,
                occurred_on,
            })
        }
        FactWord::Test => {
            let test = fact.test.as_ref().ok_or_else(|| missing("test"))?;
            let result = fact.result.as_ref().ok_or_else(|| missing("result"))?;
            Ok(Fact::Test {
                test: read_name(position, test, names::test, names::all_tests)?,
                result: read_name(position, result, names::result, names::all_results)?,
                occurred_on,
            })
        }
        FactWord::Recovery => {
            let began = fact.began.as_ref();
            let began = began.map(|began| read_partial(position, began));
            Ok(Fact::Recovery {
                began_on: began.transpose()?,
                occurred_on,
            })
        }
    }
}

/// Refuses keys that belong to another kind of fact.
fn refuse_stray_keys(position: &FilePosition<'_>, fact: &FactTable) -> Result<(), SettingsError> {
    let vaccination = [
        fact.vaccine.as_ref().map(Spanned::span),
        fact.dose.as_ref().map(Spanned::span),
        fact.of.as_ref().map(Spanned::span),
    ];
    let test = [
        fact.test.as_ref().map(Spanned::span),
        fact.result.as_ref().map(Spanned::span),
    ];
    let recovery = [fact.began.as_ref().map(Spanned::span)];
    let groups = match fact.kind {
        FactWord::Vaccination => [&test[..], &recovery[..]],
        FactWord::Test => [&vaccination[..], &recovery[..]],
        FactWord::Recovery => [&vaccination[..], &test[..]],
    };
    match groups.into_iter().flatten().flatten().next() {
        None => Ok(()),
        Some(at) => Err(position.mistake(
            at,
            "a fact of this kind has no such key",
            "remove it, or change the fact's kind",
        )),
    }
}

fn read_name<T>(
    position: &FilePosition<'_>,
    name: &Spanned<String>,
    find: fn(&str) -> Option<T>,
    all: fn() -> String,
) -> Result<T, SettingsError> {
    find(name.get_ref()).ok_or_else(|| {
        let what = format!("`{}` is not known", name.get_ref());
        position.mistake(&name.span(), what, format!("write one of {}", all()))
    })
}

fn read_dose(
    position: &FilePosition<'_>,
    dose: Option<&Spanned<u8>>,
) -> Result<Option<u8>, SettingsError> {
    match dose {
        Some(dose) if !(1..=MAX_DOSE).contains(dose.get_ref()) => {
            let what = "this is not the number of a dose";
            let help = format!("write a number from 1 to {MAX_DOSE}");
            Err(position.mistake(&dose.span(), what, help))
        }
        dose => Ok(dose.map(|dose| *dose.get_ref())),
    }
}

fn read_partial(
    position: &FilePosition<'_>,
    date: &Spanned<String>,
) -> Result<PartialDate, SettingsError> {
    date.get_ref().parse().map_err(|_| {
        let what = format!("`{}` is not a date", date.get_ref());
        let help = "write a day \"2021-06-28\", a month \"2021-06\" or a year \"2021\"";
        position.mistake(&date.span(), what, help)
    })
}
