//! Diagnosis codes: ICD-10 U07.1 and its equivalents.

use std::borrow::Cow;

use super::Meaning;
use super::names::DIAGNOSES;
use super::system::System;
use super::table::{CodeTable, Standards};

/// The table of diagnoses; the only entry of the list is COVID-19 with the virus identified.
pub(crate) fn diagnosis_table() -> CodeTable<()> {
    CodeTable::new(
        DIAGNOSES.iter().map(|(name, ())| (Box::from(*name), ())),
        Standards {
            coded,
            bare,
            phrase: |_| Meaning::Unrecognised,
            broader: |()| None,
            others_beside: true,
        },
    )
}

fn coded(system: System, code: &str) -> Meaning<()> {
    match system {
        System::Icd10 => icd_10(code),
        System::Icd11 => icd_11(code),
        System::Snomed => snomed(code),
        System::Cvx
        | System::Atc
        | System::Loinc
        | System::UnionRegister
        | System::Interpretation => Meaning::Unrecognised,
    }
}

/// Clinics store ICD-10 codes without naming the system; their form is distinctive.
fn bare(code: &str) -> Meaning<()> {
    icd_10(code)
}

/// U07.1 is the disease with the virus identified. Other codes for it (U07.2, the older B34.2 and
/// B97.2, what is left after it) need a decision, wherever in the text they stand. Any other pure
/// code in front is another illness.
fn icd_10(text: &str) -> Meaning<()> {
    let text = latin(text);
    let is_part = |char: char| char.is_whitespace() || matches!(char, ';' | ',');
    let mut tokens = text
        .split(is_part)
        .map(|token| token.trim_matches(BESIDE_A_CODE));
    match tokens.find(|token| !token.is_empty()).unwrap_or_default() {
        "U07.1" | "U071" if !text.contains('?') => Meaning::Is(()),
        _ if OTHER_ICD_10.iter().any(|code| text.contains(code)) => Meaning::Unlisted,
        code if is_icd_10(code) => Meaning::OutOfScope,
        _ => Meaning::Unrecognised,
    }
}

/// Marks around a code: brackets, the dagger and asterisk of ICD-10's double coding, "any
/// subdivision".
const BESIDE_A_CODE: [char; 13] = [
    '.', ':', '-', '+', '*', '†', '(', ')', '[', ']', '"', '«', '»',
];

/// Further codes of ICD-10 that are about COVID-19; with and without the dot.
const OTHER_ICD_10: [&str; 8] = ["U07", "U08", "U09", "U10", "B34.2", "B342", "B97.2", "B972"];

/// A letter, two digits, then a dot and up to four more.
fn is_icd_10(code: &str) -> bool {
    let (category, rest) = code
        .split_once('.')
        .map_or((code, None), |(category, rest)| (category, Some(rest)));
    let of = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
    };
    matches!(category.as_bytes(), [letter, a, b]
        if letter.is_ascii_uppercase() && a.is_ascii_digit() && b.is_ascii_digit())
        && rest.is_none_or(|rest| (1..=4).contains(&rest.len()) && of(rest))
}

/// Upper case, Cyrillic letters as the Latin ones of the same look. `У` becomes `U`: it is typed
/// for `U07.1`, and what `Y` stands for (side effects, external causes) is another matter either
/// way.
fn latin(text: &str) -> Cow<'_, str> {
    if text
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_lowercase())
    {
        return Cow::Borrowed(text);
    }
    let twin = |char: char| match char {
        'А' => 'A',
        'В' => 'B',
        'Е' => 'E',
        'К' => 'K',
        'М' => 'M',
        'Н' => 'H',
        'О' => 'O',
        'Р' => 'P',
        'С' => 'C',
        'Т' => 'T',
        'У' => 'U',
        'Х' => 'X',
        other => other,
    };
    text.chars()
        .flat_map(char::to_uppercase)
        .map(twin)
        .collect()
}

/// RA01.0 is COVID-19 with the virus identified; RA02 and RA03 are what is left after it.
fn icd_11(text: &str) -> Meaning<()> {
    let code = latin(text);
    match code.as_ref() {
        "RA01.0" => Meaning::Is(()),
        _ if ["RA01", "RA02", "RA03"]
            .iter()
            .any(|about| code.contains(about)) =>
        {
            Meaning::Unlisted
        }
        _ if is_icd_11(&code) => Meaning::OutOfScope,
        _ => Meaning::Unrecognised,
    }
}

/// Four letters or digits, the second a letter, then a dot and up to three more. Clusters and
/// addresses are no code.
fn is_icd_11(code: &str) -> bool {
    let (category, rest) = code
        .split_once('.')
        .map_or((code, None), |(category, rest)| (category, Some(rest)));
    let of = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
    };
    category.len() == 4
        && of(category)
        && category.as_bytes()[1].is_ascii_uppercase()
        && rest.is_none_or(|rest| (1..=3).contains(&rest.len()) && of(rest))
}

/// 840539006 is the disease; its forms by organ and stage, and the suspected disease, need a
/// decision.
fn snomed(code: &str) -> Meaning<()> {
    match code {
        "840539006" => Meaning::Is(()),
        "840544004" | "882784691000119100" | "138389411000119105" | "674814021000119106"
        | "189486241000119100" | "880529761000119102" | "1119302008" | "1119303003"
        | "1119304009" | "1240751000000100" | "186747009" => Meaning::Unlisted,
        _ if !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit()) => {
            Meaning::OutOfScope
        }
        _ => Meaning::Unrecognised,
    }
}
