//! The names by which files call vaccines, tests and results.

use contract::{TestCode, TestResult, Vaccine};

/// Vaccine of a name such as `sputnik-v`.
pub(crate) fn vaccine(name: &str) -> Option<Vaccine> {
    Vaccine::ALL
        .into_iter()
        .find(|vaccine| vaccine.as_str() == name)
}

/// Test of a LOINC code such as `94500-6`.
pub(crate) fn test(loinc: &str) -> Option<TestCode> {
    TestCode::ALL.into_iter().find(|test| test.loinc() == loinc)
}

/// Result of a name such as `not-detected`.
pub(crate) fn result(name: &str) -> Option<TestResult> {
    TestResult::ALL
        .into_iter()
        .find(|result| result.as_str() == name)
}

/// Names of all vaccines, for the help of an error.
pub(crate) fn all_vaccines() -> String {
    Vaccine::ALL.map(Vaccine::as_str).join(", ")
}

/// Codes of all tests, for the help of an error.
pub(crate) fn all_tests() -> String {
    TestCode::ALL.map(TestCode::loinc).join(", ")
}

/// Names of all results, for the help of an error.
pub(crate) fn all_results() -> String {
    TestResult::ALL.map(TestResult::as_str).join(", ")
}
