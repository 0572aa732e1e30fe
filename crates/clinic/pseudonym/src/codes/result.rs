//! Result codes: SNOMED CT, LOINC answers, HL7 interpretations.

use contract::TestResult;

use super::Meaning;
use super::names::RESULTS;
use super::system::System;
use super::table::{CodeTable, Standards};

/// The table of results.
pub(crate) fn result_table() -> CodeTable<TestResult> {
    CodeTable::new(
        RESULTS.iter().copied(),
        Standards {
            coded,
            bare,
            others_beside: false,
        },
    )
}

fn coded(system: System, code: &str) -> Meaning<TestResult> {
    let result = match system {
        System::Snomed => match code {
            "260373001" | "10828004" => TestResult::Detected,
            "260415000" | "260385009" => TestResult::NotDetected,
            "419984006" | "82334004" | "42425007" => TestResult::Inconclusive,
            _ => return Meaning::Unrecognised,
        },
        System::Loinc => match code {
            "LA11882-0" | "LA6576-8" => TestResult::Detected,
            "LA11883-8" | "LA6577-6" => TestResult::NotDetected,
            "LA9663-1" | "LA11884-6" => TestResult::Inconclusive,
            _ => return Meaning::Unrecognised,
        },
        System::Interpretation => match code {
            "POS" | "DET" => TestResult::Detected,
            "NEG" | "ND" => TestResult::NotDetected,
            "IND" | "E" => TestResult::Inconclusive,
            _ => return Meaning::Unrecognised,
        },
        System::Cvx | System::Atc | System::Icd10 | System::Icd11 => return Meaning::Unrecognised,
    };
    Meaning::Is(result)
}

/// A SNOMED CT or LOINC answer code is distinctive enough to be known without its system; "E" is
/// not.
fn bare(code: &str) -> Meaning<TestResult> {
    match coded(System::Snomed, code) {
        Meaning::Unrecognised => coded(System::Loinc, code),
        meaning => meaning,
    }
}
