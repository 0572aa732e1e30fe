//! What clinics write where a person has no such identifier: words, and numbers that are certainly
//! none.

use connector_kit::IdentifierKind;

use super::normal::significant;
use crate::codes::Folded;

/// Words for "none", folded.
const WORDS: &[&str] = &[
    "нет",
    "нету",
    "нетданных",
    "нетдокумента",
    "нетномера",
    "неимеет",
    "неимеется",
    "неуказан",
    "неуказана",
    "неуказано",
    "неуказаны",
    "незаполнен",
    "незаполнено",
    "неизвестен",
    "неизвестна",
    "неизвестно",
    "неопределен",
    "неопределено",
    "непредоставлен",
    "непредъявлен",
    "отсутствует",
    "отсутствуют",
    "безномера",
    "бездокумента",
    "бездокументов",
    "бн",
    "na",
    "nan",
    "nil",
    "no",
    "none",
    "nonumber",
    "null",
    "notavailable",
    "notapplicable",
    "notknown",
    "notspecified",
    "unknown",
    "unspecified",
    "undefined",
    "missing",
    "aucun",
    "aucune",
    "inconnu",
    "nonrenseigne",
    "nonrenseigné",
];

/// Fewest digits that count up, from 0 or from 1, and are no number.
const MIN_RUN: u32 = 6;

/// Fewest nines that are no number.
const MIN_NINES: u32 = 4;

/// Digits of a SNILS before its control number.
const SNILS_DIGITS: usize = 9;

/// Returns whether the text says that there is no such identifier: a word for "none", or a number
/// that is nothing but zeros, nothing but nines, or counts up from 0 or 1.
pub(super) fn is_absent(kind: IdentifierKind, text: &str) -> bool {
    is_word(text) || is_no_number(kind, text)
}

fn is_word(text: &str) -> bool {
    let has_letter = text.chars().any(char::is_alphabetic);
    has_letter && Folded::new(text).is_some_and(|word| WORDS.contains(&word.as_str()))
}

fn is_no_number(kind: IdentifierKind, text: &str) -> bool {
    let Ok(chars) = significant(text) else {
        return false;
    };
    let counted = match kind {
        IdentifierKind::Snils => SNILS_DIGITS,
        _ => usize::MAX,
    };
    let mut digits = chars
        .filter(|char| !matches!(char, '.' | '/'))
        .take(counted);
    let Some(first) = digits.next().and_then(|char| char.to_digit(10)) else {
        return false;
    };
    let mut count: u32 = 1;
    let mut repeats = true;
    let mut counts_up = first <= 1;
    for (char, place) in digits.zip(1_u32..) {
        let Some(digit) = char.to_digit(10) else {
            return false;
        };
        repeats &= digit == first;
        counts_up &= digit == (first + place) % 10;
        if !repeats && !counts_up {
            return false;
        }
        count += 1;
    }
    match first {
        0 if repeats => true,
        9 if repeats => count >= MIN_NINES,
        _ => counts_up && count >= MIN_RUN,
    }
}
