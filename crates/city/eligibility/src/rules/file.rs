//! The rules as their file writes them, with the position of what is checked afterwards.

use serde::Deserialize;
use toml::Spanned;

use super::model::{RecoveryDate, Route};

/// The whole file of rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RulesFile {
    pub(super) version: u32,
    pub(super) zone: Spanned<String>,
    #[serde(default, rename = "period")]
    pub(super) periods: Vec<PeriodTable>,
}

/// A section `[[period]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeriodTable {
    pub(super) from: Spanned<String>,
    pub(super) accepted_vaccines: Vec<Spanned<String>>,
    pub(super) same_dose_within_days: Spanned<u32>,
    #[serde(default)]
    pub(super) series: Vec<SeriesTable>,
    #[serde(default, rename = "booster")]
    pub(super) boosters: Vec<BoosterTable>,
    pub(super) recovered_and_dose: Option<RecoveredAndDoseTable>,
    pub(super) recovery: Option<RecoveryTable>,
    #[serde(default, rename = "test")]
    pub(super) tests: Vec<TestTable>,
    pub(super) positive_test: Option<Spanned<PositiveTestTable>>,
}

/// A section `[[period.series]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeriesTable {
    pub(super) first: Spanned<Vec<Spanned<String>>>,
    pub(super) second: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) interval_days: Option<Spanned<IntervalTable>>,
    pub(super) second_dose_proves_first: Option<Spanned<bool>>,
    pub(super) waiting_days: Spanned<u32>,
    pub(super) valid: Spanned<ValidTable>,
}

/// A section `[[period.booster]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BoosterTable {
    pub(super) vaccines: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) min_days_after: Spanned<u32>,
    pub(super) waiting_days: Spanned<u32>,
    pub(super) valid: Spanned<ValidTable>,
}

/// The section `[period.recovered_and_dose]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecoveredAndDoseTable {
    pub(super) vaccines: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) interval_days: Option<Spanned<IntervalTable>>,
    pub(super) dose_may_come_first: bool,
    pub(super) waiting_days: Spanned<u32>,
    pub(super) valid: Spanned<ValidTable>,
}

/// The section `[period.recovery]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecoveryTable {
    pub(super) counts_from: RecoveryDate,
    pub(super) waiting_days: Spanned<u32>,
    pub(super) valid: Spanned<ValidTable>,
}

/// A section `[[period.test]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestTable {
    pub(super) codes: Spanned<Vec<Spanned<String>>>,
    pub(super) calendar_days: Spanned<u32>,
}

/// The section `[period.positive_test]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PositiveTestTable {
    pub(super) suspends: Spanned<Vec<Route>>,
    pub(super) days: Option<Spanned<u32>>,
    pub(super) recovery_ends: bool,
    #[serde(default)]
    pub(super) antigen: bool,
}

/// Days between two events: `interval_days = { min = 21, max = 180 }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IntervalTable {
    pub(super) min: Option<Spanned<u32>>,
    pub(super) max: Option<Spanned<u32>>,
}

/// A validity: `valid = { months = 6 }`; one of the keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ValidTable {
    pub(super) months: Option<Spanned<u32>>,
    pub(super) days: Option<Spanned<u32>>,
    pub(super) no_end: Option<bool>,
}
