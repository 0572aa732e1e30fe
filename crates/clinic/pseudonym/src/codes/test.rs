//! Test codes: LOINC.

use contract::TestCode;

use super::Meaning;
use super::names::TESTS;
use super::system::System;
use super::table::{CodeTable, Standards};

/// Further tests for the virus itself, its nucleic acid or its antigen: a person decides which of
/// the contract's codes they count as, or that they are out of scope. Tests for antibodies are
/// not among them.
const OTHER_TESTS: [&str; 54] = [
    "94306-8", "94307-6", "94308-4", "94309-2", "94310-0", "94314-2", "94315-9", "94502-2",
    "94531-1", "94532-9", "94534-5", "94559-2", "94565-9", "94639-2", "94640-0", "94641-8",
    "94647-5", "94660-8", "94746-5", "94756-4", "94757-2", "94758-0", "94760-6", "94765-5",
    "94766-3", "94767-1", "94822-4", "94845-5", "95380-2", "95406-5", "95409-9", "95423-0",
    "95425-5", "95521-1", "95522-9", "95608-6", "95609-4", "95824-9", "96091-4", "96123-5",
    "96448-6", "96763-8", "96765-3", "96797-6", "96829-7", "96957-6", "96958-4", "96986-5",
    "97098-8", "97104-4", "94558-4", "95209-3", "96119-3", "97097-0",
];

/// The table of tests.
pub(crate) fn test_table() -> CodeTable<TestCode> {
    CodeTable::new(
        TESTS.iter().copied(),
        Standards {
            coded,
            bare,
            others_beside: false,
        },
    )
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
        None if OTHER_TESTS.contains(&code) => Meaning::Unlisted,
        None => Meaning::Unrecognised,
    }
}

/// Digits, a hyphen, one check digit.
fn looks_like_loinc(code: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    code.rsplit_once('-')
        .is_some_and(|(number, check)| digits(number) && digits(check) && check.len() == 1)
}
