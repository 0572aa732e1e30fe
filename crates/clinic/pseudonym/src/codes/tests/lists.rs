//! The built-in lists do not contradict each other.

use std::collections::{HashMap, HashSet};

use super::super::cvx::CVX as OF_CVX;
use super::super::names::{DIAGNOSES, LOOKED_FOR, TESTS, results};
use super::super::vaccine::names;
use super::super::vaccine_codes::{
    EU, ICD_11 as OF_ICD_11, ICD_11_GROUPS, SNOMED as OF_SNOMED, SNOMED_GROUPS,
};
use super::super::vaccine_names::{ALONE, BESIDE, UNITS};
use super::*;

fn assert_folded_once<T>(names: impl IntoIterator<Item = (&'static str, T)>) {
    let mut seen = HashSet::new();
    for (name, _) in names {
        assert_eq!(Folded::new(name).unwrap().as_str(), name);
        assert!(seen.insert(name), "{name} is listed twice");
    }
}

#[test]
fn built_in_names_are_folded_and_listed_once() {
    assert_folded_once(names().chain(ALONE.iter().copied()));
    assert_folded_once(TESTS.iter().copied());
    assert_folded_once(results());
    assert_folded_once(DIAGNOSES.iter().copied());
    assert_folded_once(BESIDE.iter().map(|word| (*word, ())));
    assert_folded_once(LOOKED_FOR.iter().map(|word| (*word, ())));
}

#[test]
fn every_code_of_a_vaccine_stands_once_in_its_list() {
    let mut seen = HashSet::new();
    let snomed = OF_SNOMED
        .iter()
        .flat_map(|(_, codes)| codes.iter().copied());
    let codes = snomed
        .chain(SNOMED_GROUPS.iter().copied())
        .chain(ICD_11_GROUPS.iter().copied())
        .chain(OF_ICD_11.iter().map(|(code, _)| *code))
        .chain(EU.iter().map(|(code, _)| *code))
        .chain(OF_CVX.iter().map(|(code, ..)| *code));
    for code in codes {
        assert!(seen.insert(code), "{code} is listed twice");
    }
}

/// The check digit of SNOMED CT (Verhoeff), which a code with a typing error fails.
fn has_right_check_digit(code: &str) -> bool {
    const STEPS: [[usize; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    // The multiplication of the dihedral group of a pentagon.
    let times = |one: usize, other: usize| match (one < 5, other < 5) {
        (true, true) => (one + other) % 5,
        (true, false) => (one + other) % 5 + 5,
        (false, true) => (5 + one - other) % 5 + 5,
        (false, false) => (5 + one - other) % 5,
    };
    let digits = code.bytes().rev().map(|byte| usize::from(byte - b'0'));
    let check = digits
        .enumerate()
        .fold(0, |check, (at, digit)| times(check, STEPS[at % 8][digit]));
    check == 0
}

#[test]
fn codes_of_snomed_have_their_check_digit() {
    assert!(has_right_check_digit("840539006"));
    assert!(!has_right_check_digit("840539007"));
    let products = OF_SNOMED
        .iter()
        .flat_map(|(_, codes)| codes.iter().copied());
    for code in products.chain(SNOMED_GROUPS.iter().copied()) {
        assert!(has_right_check_digit(code), "{code}");
    }
}

#[test]
fn descriptions_of_cvx_name_one_vaccine_each_and_no_two_alike() {
    let mut seen: HashMap<String, Vaccine> = HashMap::new();
    for (code, meaning, descriptions) in OF_CVX {
        for text in descriptions.iter().copied() {
            let Meaning::Is(vaccine) = *meaning else {
                panic!("{code} is a group and has a name");
            };
            let folded = Folded::new(text).unwrap().as_str().to_owned();
            let before = seen.insert(folded, vaccine);
            assert_eq!(before.unwrap_or(vaccine), vaccine, "{code}");
            assert_eq!(
                super::vaccine(&[coded(CVX, code), Coding::local(text)]),
                Ok(vaccine)
            );
        }
    }
    // The two that differ in a word.
    for text in [
        "COVID-19, mRNA, LNP-S, bivalent booster, PF, 10 mcg/0.2 mL",
        "COVID-19, mRNA, LNP-S, bivalent booster, PF, 10 mcg/0.2 mL dose",
    ] {
        assert_eq!(vaccine(&[Coding::local(text)]), Err(Unresolved::Unknown));
    }
}

#[test]
fn a_contract_code_of_cvx_is_the_same_vaccine_in_the_clinics_list() {
    for vaccine in Vaccine::ALL {
        let entry = OF_CVX
            .iter()
            .find(|(code, ..)| Some(*code) == vaccine.cvx());
        if let Some((_, Meaning::Is(listed), _)) = entry {
            assert_eq!(*listed, vaccine);
        }
    }
}

/// Words that turn a name round or choose between two.
const TURNING: [&str; 20] = [
    "не",
    "нет",
    "без",
    "или",
    "либо",
    "отказ",
    "отказался",
    "противопоказана",
    "медотвод",
    "кроме",
    "not",
    "no",
    "non",
    "or",
    "without",
    "refused",
    "declined",
    "nicht",
    "kein",
    "sauf",
];

#[test]
fn no_word_beside_a_name_turns_it_round() {
    for word in TURNING {
        assert!(!BESIDE.contains(&word) && !UNITS.contains(&word), "{word}");
        assert!(!LOOKED_FOR.contains(&word), "{word}");
        let text = format!("{word} Спутник V");
        assert_eq!(
            vaccine(&[Coding::local(&text)]),
            Err(Unresolved::Unknown),
            "{text}"
        );
        let text = format!("{word} ПЦР на COVID-19");
        let test = test_table().resolve(&[Coding::local(&text)]);
        assert_eq!(test, Err(Unresolved::Unknown), "{text}");
    }
}
