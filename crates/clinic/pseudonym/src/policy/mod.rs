//! The policy compiled: lookup tables and limits, with errors that name what to write instead.

use std::collections::BTreeMap;

use contract::{FactKind, Precision, TestCode, TestResult, Vaccine};

use crate::codes::{
    CodeTable, Folded, Meaning, diagnosis_table, result_table, test_table, vaccine_table,
};
use crate::config::{
    CodesConfig, DatesConfig, IdentifiersConfig, LimitsConfig, NOT_COVID, OmsCheck, PolicyConfig,
    RECOVERY,
};
use crate::identifier::{IdentifierRules, Limits};

/// Most entries in one table of code mappings.
const MAX_MAPPINGS: usize = 10_000;

/// Largest number of characters a document number may be allowed.
const MAX_DOCUMENT_LENGTH: usize = 30;

/// A policy ready for use.
pub struct Policy {
    pub(crate) vaccines: CodeTable<Vaccine>,
    pub(crate) tests: CodeTable<TestCode>,
    pub(crate) results: CodeTable<TestResult>,
    pub(crate) diagnoses: CodeTable<()>,
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
        /// `vaccines`, `tests`, `results` or `diagnoses`.
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
        } = &config.codes;
        Ok(Self {
            vaccines: configured(
                "vaccines",
                vaccine_table(),
                of_vaccines,
                &[
                    named(&Vaccine::ALL, Vaccine::as_str),
                    vec![(NOT_COVID, Meaning::OutOfScope)],
                ],
            )?,
            tests: configured(
                "tests",
                test_table(),
                of_tests,
                &[
                    named(&TestCode::ALL, TestCode::loinc),
                    vec![(NOT_COVID, Meaning::OutOfScope)],
                ],
            )?,
            results: configured(
                "results",
                result_table(),
                of_results,
                &[named(&TestResult::ALL, TestResult::as_str)],
            )?,
            diagnoses: configured(
                "diagnoses",
                diagnosis_table(),
                of_diagnoses,
                &[vec![
                    (RECOVERY, Meaning::Is(())),
                    (NOT_COVID, Meaning::OutOfScope),
                ]],
            )?,
            identifiers: identifier_rules(&config.identifiers)?,
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

/// Adds a configuration's mappings to a table; names are compared as they are, but guessed at when
/// they differ.
fn configured<T: Copy + PartialEq>(
    table: &'static str,
    mut codes: CodeTable<T>,
    mappings: &BTreeMap<String, String>,
    allowed: &[Names<T>],
) -> Result<CodeTable<T>, PolicyError> {
    if mappings.len() > MAX_MAPPINGS {
        return Err(PolicyError::TooManyCodes { table });
    }
    let allowed = allowed.concat();
    let mut entries = Vec::with_capacity(mappings.len());
    for (key, name) in mappings {
        if key.trim().is_empty() {
            return Err(PolicyError::EmptyCode { table });
        }
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
    codes.configure(entries);
    Ok(codes)
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
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, listed)| listed)
}

fn identifier_rules(config: &IdentifiersConfig) -> Result<IdentifierRules, PolicyError> {
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
