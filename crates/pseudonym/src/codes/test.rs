//! Test codes: LOINC.

use contract::TestCode;

use super::Meaning;
use super::names::TESTS;
use super::system::System;
use super::table::{CodeTable, Standards};

/// Other nucleic acid tests for the virus: a person decides which of the contract's codes they count as.
const OTHER_RNA_TESTS: [&str; 17] = [
    "94306-8", "94309-2", "94314-2", "94315-9", "94531-1", "94534-5", "94565-9", "94640-0", "94746-5",
    "94757-2", "94845-5", "95406-5", "95409-9", "95425-5", "95608-6", "95609-4", "96986-5",
];

/// The table of tests.
pub(crate) fn test_table() -> CodeTable<TestCode> {
    CodeTable::new(TESTS.iter().copied(), Standards { coded, bare })
}

fn coded(system: System, code: &str) -> Meaning<TestCode> {
    match (system, bare(code)) {
        (System::Loinc, Meaning::Unrecognised) if looks_like_loinc(code) => Meaning::OutOfScope,
        (System::Loinc, meaning) => meaning,
        _ => Meaning::Unrecognised,
    }
}

/// A LOINC code is distinctive enough to be known without its system.
fn bare(code: &str) -> Meaning<TestCode> {
    match TestCode::ALL.into_iter().find(|test| test.loinc() == code) {
        Some(test) => Meaning::Is(test),
        None if OTHER_RNA_TESTS.contains(&code) => Meaning::Unlisted,
        None => Meaning::Unrecognised,
    }
}

/// Digits, a hyphen, one check digit.
fn looks_like_loinc(code: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    code.rsplit_once('-').is_some_and(|(number, check)| digits(number) && digits(check) && check.len() == 1)
}
