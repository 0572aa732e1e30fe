//! Results by code (SNOMED CT, LOINC answers, HL7 interpretations), word and sign.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use contract::TestResult;

use super::Meaning;
use super::fold::Words;
use super::names::{LOOKED_FOR, NO_RESULT, results};
use super::system::System;
use super::table::{CodeTable, Standards};

/// Most words that are read as one word of what was looked for ("SARS-CoV-2").
const MAX_WORDS_AS_ONE: usize = 3;

/// Signs that cannot mean anything else. A minus alone may stand for "no entry", and 0 and 1 for
/// either: those are for configuration.
pub(super) const SIGNS: [(&str, TestResult); 9] = [
    ("+", TestResult::Detected),
    ("++", TestResult::Detected),
    ("+++", TestResult::Detected),
    ("++++", TestResult::Detected),
    ("(+)", TestResult::Detected),
    ("(-)", TestResult::NotDetected),
    ("+/-", TestResult::Inconclusive),
    ("(+/-)", TestResult::Inconclusive),
    ("\u{b1}", TestResult::Inconclusive),
];

static RESULTS: LazyLock<HashMap<&'static str, TestResult>> = LazyLock::new(|| results().collect());

static NO_RESULTS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| NO_RESULT.iter().copied().collect());

static SUBJECTS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| LOOKED_FOR.iter().copied().collect());

/// Most words of the number of a cycle threshold: "23,4".
const MAX_THRESHOLD_WORDS: usize = 2;

/// The table of results.
pub(crate) fn result_table() -> CodeTable<TestResult> {
    let own = TestResult::ALL.map(|result| (result.as_str().replace('-', ""), result));
    let names = results()
        .map(|(word, result)| (word.into(), result))
        .chain(own.into_iter().map(|(word, result)| (word.into(), result)));
    CodeTable::new(
        names,
        Standards {
            coded,
            bare,
            phrase,
            broader: |_| None,
            others_beside: false,
        },
    )
}

fn coded(system: System, code: &str) -> Meaning<TestResult> {
    let result = match system {
        System::Snomed => match code {
            "260373001" | "10828004" | "11214006" => TestResult::Detected,
            "260415000" | "260385009" | "131194007" => TestResult::NotDetected,
            "419984006" | "82334004" | "42425007" | "455371000124106" | "125154007" => {
                TestResult::Inconclusive
            }
            _ => return Meaning::Unrecognised,
        },
        System::Loinc => match code {
            "LA11882-0" | "LA6576-8" => TestResult::Detected,
            "LA11883-8" | "LA6577-6" => TestResult::NotDetected,
            "LA9663-1" | "LA11884-6" | "LA11885-3" | "LA13548-5" => TestResult::Inconclusive,
            _ => return Meaning::Unrecognised,
        },
        System::Interpretation => match code {
            "POS" | "DET" => TestResult::Detected,
            "NEG" | "ND" => TestResult::NotDetected,
            "IND" | "E" => TestResult::Inconclusive,
            _ => return Meaning::Unrecognised,
        },
        System::Cvx | System::Atc | System::Icd10 | System::Icd11 | System::UnionRegister => {
            return Meaning::Unrecognised;
        }
    };
    Meaning::Is(result)
}

/// A SNOMED CT or LOINC answer code is distinctive enough to be known without its system; "E" is
/// not. So are some signs.
fn bare(code: &str) -> Meaning<TestResult> {
    if let Some((_, result)) = SIGNS.iter().find(|(sign, _)| *sign == code) {
        return Meaning::Is(*result);
    }
    match coded(System::Snomed, code) {
        Meaning::Unrecognised => coded(System::Loinc, code),
        meaning => meaning,
    }
}

/// A result with what was looked for before it or after it: "РНК SARS-CoV-2 не обнаружена". What is
/// left must be a word for a result as it stands, negation and all: nothing is taken out of its
/// middle.
fn phrase(text: &str) -> Meaning<TestResult> {
    let Some(words) = Words::new(text) else {
        return Meaning::Unrecognised;
    };
    let subject = |word: &str| SUBJECTS.contains(word).then_some(());
    let mut from = 0;
    while let Some(((), next)) = words.longest(from, MAX_WORDS_AS_ONE, subject) {
        from = next;
    }
    let mut to = before_cycle_threshold(&words);
    while let Some(before) = (from..to)
        .skip_while(|begin| to - begin > MAX_WORDS_AS_ONE)
        .find(|begin| SUBJECTS.contains(words.joined(*begin, to)))
    {
        to = before;
    }
    let word = words.joined(from, to);
    match RESULTS.get(word) {
        Some(result) => Meaning::Is(*result),
        None if NO_RESULTS.contains(word) => Meaning::OutOfScope,
        None => Meaning::Unrecognised,
    }
}

/// Number of words before a PCR's cycle threshold at the end, where there is one: "POS (Ct 23.4)".
/// A threshold alone is no result.
fn before_cycle_threshold(words: &Words) -> usize {
    let word = |at: usize| words.joined(at, at + 1);
    let is_number = |at: usize| word(at).bytes().all(|byte| byte.is_ascii_digit());
    let numbers = (1..words.len())
        .rev()
        .take_while(|at| is_number(*at))
        .count();
    let first_number = words.len() - numbers;
    let named = first_number.checked_sub(1).map(word);
    match named {
        Some("ct" | "ст" | "cq") if (1..=MAX_THRESHOLD_WORDS).contains(&numbers) => {
            first_number - 1
        }
        _ => words.len(),
    }
}
