//! Vaccines by code (CVX, ATC, Union Register, ICD-11, SNOMED CT) and by name.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use contract::Vaccine;

use super::cvx::{CVX, LAST_KNOWN_CVX};
use super::fold::{Folded, Words};
use super::mention::mentions_covid;
use super::system::System;
use super::table::{CodeTable, Standards};
use super::vaccine_codes::{EU, EU_NAMES, ICD_11, ICD_11_GROUPS, SNOMED, SNOMED_GROUPS};
use super::vaccine_names::{ALONE, BESIDE, DESCRIPTIONS, MAKERS, PLAIN, UNITS, VACCINES, YOUNG};
use super::{Meaning, narrower};

/// Most words of one name ("Covid-19 adsorvida inativada", "Johnson and Johnson").
const MAX_NAME_WORDS: usize = 6;

/// Names that are looked for among other words.
static NAMES: LazyLock<HashMap<&'static str, Vaccine>> = LazyLock::new(|| {
    let names = names().chain(ALONE.iter().copied());
    names
        .filter(|(name, _)| !DESCRIPTIONS.contains(name))
        .collect()
});

static BESIDE_NAMES: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| BESIDE.iter().copied().collect());

/// Products in SNOMED CT, by code.
static SNOMED_PRODUCTS: LazyLock<HashMap<&'static str, Vaccine>> = LazyLock::new(|| {
    let of = |(vaccine, codes): &'static (Vaccine, &'static [&'static str])| {
        codes.iter().map(|code| (*code, *vaccine))
    };
    SNOMED.iter().flat_map(of).collect()
});

/// Trade names, common names, development codes and the contract's own names, folded.
pub(super) fn names() -> impl Iterator<Item = (&'static str, Vaccine)> {
    VACCINES.iter().chain(EU_NAMES).copied()
}

/// The table of vaccines.
pub(crate) fn vaccine_table() -> CodeTable<Vaccine> {
    let own = Vaccine::ALL.map(|vaccine| (vaccine.as_str(), vaccine));
    let of_cvx = CVX.iter().flat_map(|(_, meaning, descriptions)| {
        let is = match meaning {
            Meaning::Is(vaccine) => Some(*vaccine),
            _ => None,
        };
        descriptions
            .iter()
            .filter_map(move |text| is.map(|vaccine| (*text, vaccine)))
    });
    let written = own.into_iter().chain(of_cvx).filter_map(|(text, vaccine)| {
        let folded = Folded::new(text)?;
        Some((Box::from(folded.as_str()), vaccine))
    });
    let names = names()
        .chain(ALONE.iter().copied())
        .map(|(name, vaccine)| (Box::from(name), vaccine));
    CodeTable::new(
        names.chain(written),
        Standards {
            coded,
            bare,
            phrase,
            broader: Vaccine::broader,
            others_beside: false,
        },
    )
}

fn coded(system: System, code: &str) -> Meaning<Vaccine> {
    match system {
        System::Cvx => cvx(code),
        System::Atc => atc(code),
        System::Icd11 => icd_11(code),
        System::Snomed => snomed(code),
        System::UnionRegister => match union_register(code) {
            Meaning::Unrecognised => phrase(code),
            meaning => meaning,
        },
        System::Loinc | System::Icd10 | System::Interpretation => Meaning::Unrecognised,
    }
}

/// Without a system only codes that cannot be mistaken for a clinic's own numbering count.
fn bare(code: &str) -> Meaning<Vaccine> {
    [icd_11, union_register, snomed]
        .into_iter()
        .map(|list| list(code))
        .find(|meaning| *meaning != Meaning::Unrecognised)
        .unwrap_or(Meaning::Unrecognised)
}

/// CVX as published by the CDC: each product with its doses for children and its adapted versions.
fn cvx(code: &str) -> Meaning<Vaccine> {
    if let Some((_, meaning, _)) = CVX.iter().find(|(listed, ..)| *listed == code) {
        return *meaning;
    }
    let is_number = code.bytes().all(|byte| byte.is_ascii_digit());
    match code.parse::<u16>().ok().filter(|_| is_number) {
        // Whatever else is in the block for vaccines not used in the United States.
        Some(500..=599) => Meaning::Unlisted,
        // "No vaccine administered": nothing to report on, nothing to map.
        Some(998 | 1..=LAST_KNOWN_CVX) => Meaning::OutOfScope,
        _ => Meaning::Unrecognised,
    }
}

/// ATC names the technology, never the product.
fn atc(code: &str) -> Meaning<Vaccine> {
    let well_formed = code.len() >= 3 && code.is_ascii() && code.as_bytes()[0].is_ascii_uppercase();
    match code {
        // J07, J07B: too coarse to say; J07BX is "other viral vaccines".
        "J07" | "J07B" | "J07BX" => Meaning::Unrecognised,
        _ if code.starts_with("J07BN") || code == "J07BX03" => Meaning::Unlisted,
        _ if well_formed => Meaning::OutOfScope,
        _ => Meaning::Unrecognised,
    }
}

/// Numbers of the Union Register, with the number of a presentation or without.
fn union_register(code: &str) -> Meaning<Vaccine> {
    let is_of = |number: &str| {
        let rest = code.get(number.len()..);
        code.get(..number.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(number))
            && rest.is_some_and(is_presentation)
    };
    match EU.iter().find(|(number, _)| is_of(number)) {
        Some((_, vaccine)) => Meaning::Is(*vaccine),
        None => Meaning::Unrecognised,
    }
}

/// Nothing, or a slash and three digits.
fn is_presentation(rest: &str) -> bool {
    let digits = rest.strip_prefix('/');
    rest.is_empty()
        || digits.is_some_and(|digits| {
            digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
}

/// WHO's ICD-11 extension codes for COVID-19 vaccines.
fn icd_11(code: &str) -> Meaning<Vaccine> {
    match ICD_11.iter().find(|(listed, _)| *listed == code) {
        Some((_, vaccine)) => Meaning::Is(*vaccine),
        None if ICD_11_GROUPS.contains(&code) => Meaning::Unlisted,
        None => Meaning::Unrecognised,
    }
}

/// Products of SNOMED CT's national editions, and its groups of vaccines against COVID-19; any
/// other code says nothing.
fn snomed(code: &str) -> Meaning<Vaccine> {
    match SNOMED_PRODUCTS.get(code) {
        Some(vaccine) => Meaning::Is(*vaccine),
        None if SNOMED_GROUPS.contains(&code) => Meaning::Unlisted,
        None => Meaning::Unrecognised,
    }
}

/// Names among other words: "Гам-КОВИД-Вак (Спутник V), компонент II". The longest name counts
/// ("ЭпиВакКорона-Н" is not "ЭпиВакКорона"), all words must be known, and two vaccines contradict.
fn phrase(text: &str) -> Meaning<Vaccine> {
    let Some(words) = Words::new(text) else {
        return Meaning::Unrecognised;
    };
    let mut found: Option<Vaccine> = None;
    let mut alone = None;
    let mut only_makers = true;
    let mut only_plain = true;
    let mut for_the_young = false;
    let mut at = 0;
    while at < words.len() {
        let name = words.longest(at, MAX_NAME_WORDS, |name| NAMES.get(name).copied());
        let Some((vaccine, next)) = name else {
            let word = words.joined(at, at + 1);
            let before = at.checked_sub(1).map(|before| words.joined(before, at));
            if !may_stand_beside(word) && !is_unit_after(before, word) {
                return Meaning::Unrecognised;
            }
            let rest = word.trim_start_matches(|char: char| char.is_ascii_digit());
            only_plain &= rest.is_empty() || PLAIN.contains(&word) || UNITS.contains(&rest);
            for_the_young |= YOUNG.contains(&word);
            at += 1;
            continue;
        };
        let name = words.joined(at, next);
        only_makers &= MAKERS.contains(&name);
        if ALONE.iter().any(|(listed, _)| *listed == name) {
            alone = Some(vaccine);
        } else {
            let before = found.unwrap_or(vaccine);
            match narrower(before, vaccine, Vaccine::broader) {
                Some(both) => found = Some(both),
                None => return Meaning::Ambiguous,
            }
        }
        at = next;
    }
    match found.or(alone) {
        // An influenza vaccine of the same maker would be described so.
        Some(_) if only_makers && !only_plain && !mentions_covid(text) => Meaning::Unrecognised,
        // What is given to the young has a name of its own, which somebody left out.
        Some(Vaccine::SputnikV) if for_the_young => Meaning::Unlisted,
        Some(vaccine) => Meaning::Is(vaccine),
        None => Meaning::Unrecognised,
    }
}

/// Returns whether a word is the unit of the number before it: "1-я", "2-nd".
fn is_unit_after(before: Option<&str>, word: &str) -> bool {
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    before.is_some_and(is_number) && UNITS.contains(&word)
}

/// Words of [`BESIDE`], numbers, and numbers with a unit.
fn may_stand_beside(word: &str) -> bool {
    let rest = word.trim_start_matches(|char: char| char.is_ascii_digit());
    let is_amount = rest.len() < word.len() && (rest.is_empty() || UNITS.contains(&rest));
    is_amount || BESIDE_NAMES.contains(word)
}
