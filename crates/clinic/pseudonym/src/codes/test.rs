//! Tests by code (LOINC) and by name.

use contract::TestCode;

use super::Meaning;
use super::names::TESTS;
use super::system::System;
use super::table::{CodeTable, Standards};
use super::test_words::phrase;

/// Tests of LOINC that come to an entry of the contract's list (loinc.org, "SARS-CoV-2 and
/// COVID-19"): the RNA of the virus as a whole, and its antigen.
pub(super) const LOINC: &[(&str, TestCode)] = &[
    ("94500-6", TestCode::RnaRespiratory),
    // A panel whose result is that of the whole.
    ("94531-1", TestCode::RnaRespiratory),
    // In the nose; by another method of amplification.
    ("95406-5", TestCode::RnaRespiratory),
    ("95608-6", TestCode::RnaRespiratory),
    ("94759-8", TestCode::RnaNasopharynx),
    ("94565-9", TestCode::RnaNasopharynx),
    ("94309-2", TestCode::Rna),
    ("94306-8", TestCode::Rna),
    // In saliva; in an oropharyngeal wash.
    ("94845-5", TestCode::Rna),
    ("96797-6", TestCode::Rna),
    ("94316-7", TestCode::NGene),
    ("94533-7", TestCode::NGeneRespiratory),
    ("96119-3", TestCode::Antigen),
    ("94558-4", TestCode::AntigenRapid),
    ("97097-0", TestCode::AntigenRapid),
    // Of both SARS viruses, by the tests for SARS-CoV-2.
    ("95209-3", TestCode::AntigenRapid),
];

/// Further tests for the virus itself: a person decides which of the contract's codes they count
/// as, or that they are out of scope. They are for one gene (a gene that is not found is no
/// negative test), for several viruses, or in blood. Tests for antibodies are not among them.
pub(super) const OTHER_TESTS: [&str; 43] = [
    "94307-6", "94308-4", "94310-0", "94314-2", "94315-9", "94502-2", "94532-9", "94534-5",
    "94559-2", "94639-2", "94640-0", "94641-8", "94647-5", "94660-8", "94746-5", "94756-4",
    "94757-2", "94758-0", "94760-6", "94765-5", "94766-3", "94767-1", "94822-4", "95380-2",
    "95409-9", "95423-0", "95425-5", "95521-1", "95522-9", "95609-4", "95824-9", "96091-4",
    "96123-5", "96448-6", "96763-8", "96765-3", "96829-7", "96957-6", "96958-4", "96986-5",
    "97098-8", "97104-4", "95424-8",
];

/// Tests for antibodies against the virus: none of ours. Any other code is none either where its
/// field names LOINC.
pub(super) const ANTIBODY_TESTS: [&str; 21] = [
    "94505-5", "94506-3", "94507-1", "94508-9", "94547-7", "94562-6", "94563-4", "94564-2",
    "94661-6", "94720-0", "94761-4", "94762-2", "94768-9", "94769-7", "95125-1", "95410-7",
    "95411-5", "95416-4", "95427-1", "95429-7", "95825-6",
];

/// The table of tests.
pub(crate) fn test_table() -> CodeTable<TestCode> {
    CodeTable::new(
        TESTS.iter().map(|(name, test)| (Box::from(*name), *test)),
        Standards {
            coded,
            bare,
            phrase,
            broader: TestCode::broader,
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
    match LOINC.iter().find(|(listed, _)| *listed == code) {
        Some((_, test)) => Meaning::Is(*test),
        None if OTHER_TESTS.contains(&code) => Meaning::Unlisted,
        None if ANTIBODY_TESTS.contains(&code) => Meaning::OutOfScope,
        None => Meaning::Unrecognised,
    }
}

/// Digits, a hyphen, one check digit.
fn looks_like_loinc(code: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    code.rsplit_once('-')
        .is_some_and(|(number, check)| digits(number) && digits(check) && check.len() == 1)
}
