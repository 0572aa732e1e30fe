//! Names and numbers of countries.
//!
//! `names.txt` beside this file has a line for each country: its three letters, its number (ISO
//! 3166-1, the same as UN M49) and its names in Russian, English and French; a line that begins with
//! a blank goes on with the one before. The names are those of Unicode CLDR 48 (licence Unicode-3.0)
//! and of i18n-iso-countries 7.14 (MIT), and official ones of UN M49 and of the Russian classifier
//! OKSM.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::codes::plain_latin;

/// The table as text.
const TABLE: &str = include_str!("names.txt");

/// Forms of state that stand before many names, folded; the longer ones first where one begins like
/// another. What is left has to be a name by itself.
const FORMS: [&str; 42] = [
    "federaldemocraticrepublicof",
    "federalrepublicof",
    "cooperativerepublicof",
    "islamicrepublicof",
    "republicofthe",
    "republicof",
    "kingdomof",
    "stateof",
    "sultanateof",
    "principalityof",
    "grandduchyof",
    "commonwealthofthe",
    "commonwealthof",
    "unionofthe",
    "independentstateof",
    "the",
    "федеративнаяреспублика",
    "исламскаяреспублика",
    "социалистическаяреспублика",
    "объединеннаяреспублика",
    "республика",
    "королевство",
    "государство",
    "независимоегосударство",
    "княжество",
    "султанат",
    "великоегерцогство",
    "содружество",
    "союз",
    "republiquefederalede",
    "republiquefederaledu",
    "republiqueislamiquede",
    "republiquede",
    "republiquedu",
    "republiquedes",
    "republiqued",
    "royaumede",
    "royaumedu",
    "royaumed",
    "les",
    "la",
    "le",
];

struct Names {
    by_name: HashMap<String, &'static str>,
    by_number: HashMap<&'static str, &'static str>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let mut names = Names {
        by_name: HashMap::new(),
        by_number: HashMap::new(),
    };
    let mut country = "";
    for line in TABLE.lines() {
        let mut listed = line;
        if let Some((code, rest)) = line.split_once(' ').filter(|(code, _)| !code.is_empty()) {
            let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            names.by_number.insert(number, code);
            country = code;
            listed = rest;
        }
        for name in listed.split('|') {
            names.by_name.insert(plain_latin(name), country);
        }
    }
    names
});

/// The country of a number of up to three digits.
pub(super) fn of_number(digits: &str) -> Option<&'static str> {
    NAMES
        .by_number
        .get(format!("{digits:0>3}").as_str())
        .copied()
}

/// The country of a name, with or without the form of the state before it.
pub(super) fn of_name(name: &str) -> Option<&'static str> {
    let name = plain_latin(name);
    let whole = NAMES.by_name.get(&name);
    let without_form = || {
        let rests = FORMS.iter().filter_map(|form| name.strip_prefix(form));
        let mut rests = rests.filter(|rest| !rest.is_empty());
        rests.find_map(|rest| NAMES.by_name.get(rest))
    };
    whole.or_else(without_form).copied()
}
