//! Rules that documents with letters share: case, look-alikes, length limits, the country in front.

use super::normal::{NormalForm, is_placeholder, significant};
use super::{IdentifierFault, Issuer};

/// Form of a document's number; a rule of acceptance, never part of the normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Fewest characters.
    pub(crate) min_length: usize,
    /// Most characters.
    pub(crate) max_length: usize,
    /// True: no letters.
    pub(crate) digits_only: bool,
}

/// From this many zeros on, a number without any other digit is no number.
const MIN_ZEROS: usize = 4;

/// Letters that a number may hold after look-alikes have become Latin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Letters {
    Latin,
    /// All but O, which can only be a zero.
    LatinWithoutO,
    LatinOrCyrillic,
}

/// Writes `XXX:`, the issuing country's three letters, and returns these; `default` is used where
/// the source names none.
pub(super) fn push_country(
    issuer: Issuer<'_>,
    default: Option<&'static str>,
    out: &mut NormalForm,
) -> Result<&'static str, IdentifierFault> {
    let three = issuer.resolve(default)?;
    three
        .chars()
        .chain([':'])
        .try_for_each(|char| out.push(char))?;
    Ok(three)
}

/// Writes the number: separators gone, upper case, Cyrillic look-alikes as Latin. Letters before
/// nothing but zeros are no number either.
pub(super) fn push_number(
    text: &str,
    limits: &Limits,
    letters: Letters,
    out: &mut NormalForm,
) -> Result<(), IdentifierFault> {
    push_chars(significant(text)?, limits, letters, out)
}

/// Writes the number's characters; see [`push_number`].
pub(super) fn push_chars(
    chars: impl Iterator<Item = char>,
    limits: &Limits,
    letters: Letters,
    out: &mut NormalForm,
) -> Result<(), IdentifierFault> {
    let mut count = 0;
    let mut zeros = 0;
    let mut other_digits = 0;
    let start = out.as_bytes().len();
    for char in chars {
        let char = match latin_twin(upper(char)) {
            'O' if letters == Letters::LatinWithoutO => '0',
            char => char,
        };
        let fits = match char {
            '0'..='9' => true,
            'A'..='Z' => !limits.digits_only,
            'А'..='Я' | 'Ё' => !limits.digits_only && letters == Letters::LatinOrCyrillic,
            _ => false,
        };
        count += 1;
        if !fits || count > limits.max_length {
            return Err(IdentifierFault::Malformed);
        }
        zeros += usize::from(char == '0');
        other_digits += usize::from(('1'..='9').contains(&char));
        out.push(char)?;
    }
    match count {
        0 => Err(IdentifierFault::Empty),
        _ if count < limits.min_length => Err(IdentifierFault::Malformed),
        _ if is_placeholder(&out.as_bytes()[start..]) => Err(IdentifierFault::Placeholder),
        _ if zeros >= MIN_ZEROS && other_digits == 0 => Err(IdentifierFault::Placeholder),
        _ => Ok(()),
    }
}

/// True when nothing but separators is there.
pub(super) fn is_empty(text: &str) -> bool {
    significant(text).is_ok_and(|mut chars| chars.next().is_none())
}

/// Upper case where that is one letter; other letters are refused later anyway.
pub(super) fn upper(char: char) -> char {
    let mut upper = char.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(only), None) => only,
        _ => char,
    }
}

/// The Latin letter that looks the same as the Cyrillic capital, for the twelve that have one.
pub(super) const fn latin_twin(char: char) -> char {
    match char {
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
        'У' => 'Y',
        'Х' => 'X',
        other => other,
    }
}
