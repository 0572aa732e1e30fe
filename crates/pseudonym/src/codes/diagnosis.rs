//! Diagnosis codes: ICD-10 U07.1 and its equivalents.

use super::Meaning;
use super::names::DIAGNOSES;
use super::system::System;
use super::table::{CodeTable, Standards};

/// The table of diagnoses; the only entry of the list is COVID-19 with the virus identified.
pub(crate) fn diagnosis_table() -> CodeTable<()> {
    CodeTable::new(DIAGNOSES.iter().copied(), Standards { coded, bare })
}

fn coded(system: System, code: &str) -> Meaning<()> {
    match system {
        System::Icd10 => icd_10(code),
        System::Icd11 => icd_11(code),
        System::Snomed => snomed(code),
        System::Cvx | System::Atc | System::Loinc | System::Interpretation => Meaning::Unrecognised,
    }
}

/// Clinics store ICD-10 codes without naming the system; their form is distinctive.
fn bare(code: &str) -> Meaning<()> {
    icd_10(code)
}

/// U07.1; U07.2 (virus not identified), the older B34.2 and bare U07 need a decision; all else is another illness.
fn icd_10(code: &str) -> Meaning<()> {
    let bytes = code.as_bytes();
    let well_formed = matches!(bytes, [letter, a, b, rest @ ..]
        if letter.is_ascii_uppercase() && a.is_ascii_digit() && b.is_ascii_digit()
            && (rest.is_empty() || (rest[0] == b'.' && rest.len() > 1)));
    match code {
        "U07.1" | "U071" => Meaning::Is(()),
        "U07" | "U07.2" | "U072" | "B34.2" | "B97.2" => Meaning::Unlisted,
        _ if well_formed => Meaning::OutOfScope,
        _ => Meaning::Unrecognised,
    }
}

/// RA01.0 is COVID-19 with the virus identified.
fn icd_11(code: &str) -> Meaning<()> {
    match code {
        "RA01.0" => Meaning::Is(()),
        _ if code.starts_with("RA01") => Meaning::Unlisted,
        "" => Meaning::Unrecognised,
        _ => Meaning::OutOfScope,
    }
}

/// 840539006 is the disease; its forms by organ, and the suspected disease, need a decision.
fn snomed(code: &str) -> Meaning<()> {
    match code {
        "840539006" => Meaning::Is(()),
        "840544004" | "882784691000119100" | "138389411000119105" | "674814021000119106"
        | "189486241000119100" => Meaning::Unlisted,
        _ if !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit()) => Meaning::OutOfScope,
        _ => Meaning::Unrecognised,
    }
}
