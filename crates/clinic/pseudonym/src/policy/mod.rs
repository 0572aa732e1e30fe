//! The policy compiled: lookup tables and limits, with errors that name what to write instead.

use std::collections::BTreeMap;

use contract::{FactKind, Precision, TestCode, TestResult, Vaccine};

use crate::codes::{
    CodeTable, DoseTable, DoseWord, Folded, KeyFault, Mapped, Meaning, Spelling, counts,
    diagnosis_table, result_table, test_table, vaccine_table,
};
use crate::config::{
    CodesConfig, DatesConfig, IGNORE, IdentifiersConfig, LimitsConfig, NOT_COVID, OmsCheck,
    OnInvalidIdentifier, PolicyConfig, RECOVERY,
};
use crate::identifier::{Countries, CountryMeaning, IdentifierRules, Limits, alpha3};

/// Most entries in one table of code mappings.
pub(crate) const MAX_MAPPINGS: usize = 10_000;

/// Largest number of characters a document number may be allowed.
const MAX_DOCUMENT_LENGTH: usize = 30;

/// A policy ready for use.
pub struct Policy {
    pub(crate) vaccines: CodeTable<Vaccine>,
    pub(crate) tests: CodeTable<TestCode>,
    pub(crate) results: CodeTable<TestResult>,
    pub(crate) diagnoses: CodeTable<()>,
    pub(crate) doses: DoseTable,
    pub(crate) identifiers: IdentifierRules,
    dates: DatesConfig,
}

/// A policy that cannot be; says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A code mapped to a name that is not on the contract's list.
    #[error("codes.{table}: {key:?} is mapped to {name:?}, which is not one of: \
        {allowed}{}", hint(.nearest))]
    UnknownName {
        /// `vaccines`, `tests`, `results`, `diagnoses`, `doses` or `countries`.
        table: &'static str,
        /// The clinic's code, from the configuration.
        key: String,
        /// The name it is mapped to.
        name: String,
        /// The names that are allowed.
        allowed: String,
        /// The one that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A key that can match nothing.
    #[error("codes.{table}: an empty code cannot be mapped; write the clinic's code as the key")]
    EmptyCode {
        /// Name of the table.
        table: &'static str,
    },
    /// A key that cannot be what was meant.
    #[error("codes.{table}: the key {key:?} {why}")]
    Key {
        /// Name of the table.
        table: &'static str,
        /// Key of the configuration.
        key: String,
        /// What is wrong with it, and what to write.
        why: &'static str,
    },
    /// Too many mappings.
    #[error(
        "codes.{table}: more than {MAX_MAPPINGS} codes are mapped; map them in the source's query \
         instead"
    )]
    TooManyCodes {
        /// Name of the table.
        table: &'static str,
    },
    /// Limits that no number can meet.
    #[error(
        "identifiers.{scheme}: lengths must hold 1 <= min_length <= max_length <= \
         {MAX_DOCUMENT_LENGTH}, \
         but are {min_length} and {max_length}"
    )]
    Lengths {
        /// Name of the scheme.
        scheme: &'static str,
        /// The fewest characters, given or by default.
        min_length: usize,
        /// The most characters, given or by default.
        max_length: usize,
    },
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest
        .map(|name| format!("; did you mean {name:?}?"))
        .unwrap_or_default()
}

impl Policy {
    /// Compiles a configuration.
    ///
    /// # Errors
    /// [`PolicyError`]: what is misconfigured, and what is allowed.
    pub fn new(config: &PolicyConfig) -> Result<Self, PolicyError> {
        let CodesConfig {
            vaccines: of_vaccines,
            tests: of_tests,
            results: of_results,
            diagnoses: of_diagnoses,
            doses: of_doses,
            countries: of_countries,
        } = &config.codes;
        Ok(Self {
            vaccines: configured(
                "vaccines",
                vaccine_table(),
                of_vaccines,
                &[named(&Vaccine::ALL, Vaccine::as_str), out_of_scope()],
            )?,
            tests: configured(
                "tests",
                test_table(),
                of_tests,
                &[named(&TestCode::ALL, TestCode::loinc), out_of_scope()],
            )?,
            results: configured(
                "results",
                result_table(),
                of_results,
                &[
                    named(&TestResult::ALL, TestResult::as_str),
                    vec![(IGNORE, Meaning::OutOfScope)],
                ],
            )?,
            diagnoses: configured(
                "diagnoses",
                diagnosis_table(),
                of_diagnoses,
                &[vec![(RECOVERY, Meaning::Is(()))], out_of_scope()],
            )?,
            doses: doses(of_doses)?,
            identifiers: identifier_rules(&config.identifiers, of_countries)?,
            dates: config.dates,
        })
    }

    /// The most exact form in which dates of this kind of fact leave.
    pub(crate) fn precision(&self, kind: FactKind) -> Precision {
        match kind {
            FactKind::Vaccination => self.dates.vaccinations,
            FactKind::Test => self.dates.tests,
            FactKind::Recovery => self.dates.recoveries,
        }
        .into()
    }
}

/// Names that a configuration may use, with what they mean.
type Names<T> = Vec<(&'static str, Meaning<T>)>;

fn named<T: Copy>(items: &[T], name: fn(T) -> &'static str) -> Names<T> {
    items
        .iter()
        .map(|item| (name(*item), Meaning::Is(*item)))
        .collect()
}

/// Words for what is none of our business.
fn out_of_scope<T>() -> Names<T> {
    vec![
        (IGNORE, Meaning::OutOfScope),
        (NOT_COVID, Meaning::OutOfScope),
    ]
}

/// Checks the number of a table's mappings.
fn bounded(table: &'static str, mappings: &BTreeMap<String, String>) -> Result<(), PolicyError> {
    if mappings.len() > MAX_MAPPINGS {
        return Err(PolicyError::TooManyCodes { table });
    }
    Ok(())
}

/// The error for a key, in words.
fn key_error(table: &'static str, key: String, fault: KeyFault) -> PolicyError {
    let why = match fault {
        KeyFault::Empty => return PolicyError::EmptyCode { table },
        KeyFault::StarInside => {
            "has a * that is neither its beginning nor its end: write \\* for the character itself"
        }
        KeyFault::OnlyStar => "can have no effect: a pattern needs letters or digits besides its *",
        KeyFault::TooLong => "can have no effect: values are cut at 1024 characters",
        KeyFault::Repeated => {
            "can have no effect: another key matches the same words and is mapped to something \
             else; remove one of them"
        }
        KeyFault::NoCode => "can have no effect: no code stands after its |",
        KeyFault::TooManyPatterns => {
            "is one pattern too many: a table has at most 500 keys with a *; write the words \
             themselves"
        }
    };
    PolicyError::Key { table, key, why }
}

/// Adds a configuration's mappings to a table; names are compared as they are, but guessed at when
/// they differ.
fn configured<T: Copy + PartialEq>(
    table: &'static str,
    mut codes: CodeTable<T>,
    mappings: &BTreeMap<String, String>,
    allowed: &[Names<T>],
) -> Result<CodeTable<T>, PolicyError> {
    bounded(table, mappings)?;
    let allowed = allowed.concat();
    let mut entries = Vec::with_capacity(mappings.len());
    for (key, name) in mappings {
        let Some((_, meaning)) = allowed.iter().find(|(listed, _)| listed == name) else {
            let names: Vec<&'static str> = allowed.iter().map(|(listed, _)| *listed).collect();
            return Err(PolicyError::UnknownName {
                table,
                key: key.clone(),
                name: name.clone(),
                allowed: names.join(", "),
                nearest: nearest(name, &names),
            });
        };
        entries.push((key.as_str(), *meaning));
    }
    codes
        .configure(entries)
        .map_err(|(key, fault)| key_error(table, key, fault))?;
    Ok(codes)
}

fn doses(mappings: &BTreeMap<String, String>) -> Result<DoseTable, PolicyError> {
    let table = "doses";
    let allowed = "1 to 9, two of them such as \"2/2\", ignore";
    let entries = read_entries(table, mappings, allowed, |value| match value {
        IGNORE => Some(DoseWord::NoNumber),
        value => counts(value).map(DoseWord::Counts),
    })?;
    DoseTable::new(entries).map_err(|(key, fault)| key_error(table, key, fault))
}

fn countries(mappings: &BTreeMap<String, String>) -> Result<Countries, PolicyError> {
    let table = "countries";
    let allowed = "codes of ISO 3166-1 such as DE or DEU, of ICAO such as XXA, ignore";
    let entries = read_entries(table, mappings, allowed, |value| match value {
        IGNORE => Some(CountryMeaning::Ignored),
        value => alpha3(value).map(CountryMeaning::Is),
    })?;
    Mapped::of(Spelling::Folded, entries).map_err(|(key, fault)| key_error(table, key, fault))
}

/// Keys of a table with the meanings of their targets, which `meaning` reads.
fn read_entries<'a, M>(
    table: &'static str,
    mappings: &'a BTreeMap<String, String>,
    allowed: &str,
    meaning: impl Fn(&str) -> Option<M>,
) -> Result<Vec<(&'a str, M)>, PolicyError> {
    bounded(table, mappings)?;
    let read = |(key, target): (&'a String, &'a String)| {
        let meaning = meaning(target).ok_or_else(|| unknown_name(table, key, target, allowed))?;
        Ok((key.as_str(), meaning))
    };
    mappings.iter().map(read).collect()
}

fn unknown_name(table: &'static str, key: &str, name: &str, allowed: &str) -> PolicyError {
    PolicyError::UnknownName {
        table,
        key: key.to_owned(),
        name: name.to_owned(),
        allowed: allowed.to_owned(),
        nearest: None,
    }
}

/// The listed name that was probably meant, if one is near.
fn nearest(name: &str, listed: &[&'static str]) -> Option<&'static str> {
    let folded = Folded::new(name)?;
    listed
        .iter()
        .map(|listed| {
            (
                strsim::normalized_damerau_levenshtein(folded.as_str(), &listed.replace('-', "")),
                *listed,
            )
        })
        .filter(|(likeness, _)| *likeness >= 0.6)
        // Of several that are as near the one that is listed first.
        .rev()
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, listed)| listed)
}

fn identifier_rules(
    config: &IdentifiersConfig,
    of_countries: &BTreeMap<String, String>,
) -> Result<IdentifierRules, PolicyError> {
    let lettered = |min_length| Limits {
        min_length,
        max_length: 20,
        digits_only: false,
    };
    let ehic = Limits {
        min_length: 20,
        max_length: 20,
        digits_only: true,
    };
    Ok(IdentifierRules {
        oms_refuse: config.oms_check == OmsCheck::Refuse,
        drop_invalid: config.on_invalid_identifier == OnInvalidIdentifier::Drop,
        countries: countries(of_countries)?,
        national_id: limits("national_id", &config.national_id, lettered(4))?,
        passport_foreign: limits("passport_foreign", &config.passport_foreign, lettered(4))?,
        ehic: limits("ehic", &config.ehic, ehic)?,
        residence_permit: limits("residence_permit", &config.residence_permit, lettered(4))?,
        birth_certificate: limits("birth_certificate", &config.birth_certificate, lettered(5))?,
    })
}

fn limits(
    scheme: &'static str,
    config: &LimitsConfig,
    defaults: Limits,
) -> Result<Limits, PolicyError> {
    let limits = config.over(defaults);
    let Limits {
        min_length,
        max_length,
        ..
    } = limits;
    if 1 <= min_length && min_length <= max_length && max_length <= MAX_DOCUMENT_LENGTH {
        Ok(limits)
    } else {
        Err(PolicyError::Lengths {
            scheme,
            min_length,
            max_length,
        })
    }
}

#[cfg(test)]
mod tests;
