//! Worked cases as their file writes them.

use serde::Deserialize;
use toml::Spanned;

/// The whole file of worked cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CasesFile {
    #[serde(default, rename = "case")]
    pub(super) cases: Vec<CaseTable>,
}

/// A section `[[case]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseTable {
    pub(super) name: Spanned<String>,
    pub(super) at: Spanned<String>,
    pub(super) zone: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) in_doubt: bool,
    #[serde(default)]
    pub(super) facts: Vec<Spanned<FactTable>>,
    pub(super) covered: Vec<Spanned<CoveredTable>>,
    #[serde(default)]
    pub(super) reasons: Vec<Spanned<String>>,
}

/// Days that are covered, both ends included.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CoveredTable {
    pub(super) first: Spanned<String>,
    pub(super) last: Option<Spanned<String>>,
}

/// A fact; which keys it has depends on its kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FactTable {
    pub(super) kind: FactWord,
    pub(super) on: Spanned<String>,
    pub(super) vaccine: Option<Spanned<String>>,
    pub(super) dose: Option<Spanned<u8>>,
    pub(super) of: Option<Spanned<u8>>,
    pub(super) test: Option<Spanned<String>>,
    pub(super) result: Option<Spanned<String>>,
    pub(super) began: Option<Spanned<String>>,
}

/// Kind of a fact, as the file names it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FactWord {
    Vaccination,
    Test,
    Recovery,
}
