//! The buffer a normal form is built in, and what counts as a separator.

use zeroize::{Zeroize, Zeroizing};

use super::IdentifierFault;

/// Longest normal form, in bytes.
const MAX_BYTES: usize = 64;

/// Longest identifier text looked at, in bytes, separators included.
const MAX_TEXT_BYTES: usize = 256;

/// A normal form under construction: fixed size, never on the heap, wiped when dropped.
pub(crate) struct NormalForm {
    bytes: Zeroizing<[u8; MAX_BYTES]>,
    len: usize,
}

impl NormalForm {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Zeroizing::new([0; MAX_BYTES]),
            len: 0,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.zeroize();
        self.len = 0;
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The number in it, without the country.
    pub(super) fn number(&self) -> &str {
        let text = std::str::from_utf8(self.as_bytes()).expect("only whole characters are pushed");
        text.split_once(':').map_or(text, |(_, number)| number)
    }

    pub(super) fn push(&mut self, char: char) -> Result<(), IdentifierFault> {
        if char.is_ascii() {
            *self
                .bytes
                .get_mut(self.len)
                .ok_or(IdentifierFault::Malformed)? = char as u8;
            self.len += 1;
            return Ok(());
        }
        let end = self.len + char.len_utf8();
        char.encode_utf8(
            self.bytes
                .get_mut(self.len..end)
                .ok_or(IdentifierFault::Malformed)?,
        );
        self.len = end;
        Ok(())
    }

    /// Takes exactly `count` ASCII digits out of `text`; see [`is_placeholder`].
    pub(super) fn push_digits(&mut self, text: &str, count: usize) -> Result<(), IdentifierFault> {
        for char in significant(text)? {
            if self.len == count || !char.is_ascii_digit() {
                return Err(IdentifierFault::Malformed);
            }
            self.push(char)?;
        }
        match self.as_bytes() {
            [] => Err(IdentifierFault::Empty),
            digits if digits.len() != count => Err(IdentifierFault::Malformed),
            digits if is_placeholder(digits) => Err(IdentifierFault::Placeholder),
            _ => Ok(()),
        }
    }

    /// The values of the digits, where there are nothing but digits.
    pub(super) fn digit_values(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.as_bytes().iter().map(|byte| u32::from(byte - b'0'))
    }
}

/// Whether a number is what people type where there is none: one character repeated, or digits that
/// run up or down (9 and 0 are neighbours). Such a number would make one person of all who share
/// it.
pub(super) fn is_placeholder(number: &[u8]) -> bool {
    let steps = |step: u8| {
        number.windows(2).all(|pair| {
            pair.iter().all(u8::is_ascii_digit) && (pair[0] - b'0' + step) % 10 == pair[1] - b'0'
        })
    };
    let is_repeated = std::str::from_utf8(number).is_ok_and(|text| {
        text.chars()
            .zip(text.chars().skip(1))
            .all(|(one, next)| one == next)
    });
    is_repeated || steps(1) || steps(9)
}

/// The characters that count: full-width forms as their ASCII twins, separators left out.
pub(super) fn significant(text: &str) -> Result<impl Iterator<Item = char>, IdentifierFault> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(IdentifierFault::Malformed);
    }
    Ok(text
        .chars()
        .map(narrow)
        .filter(|char| char.is_ascii_alphanumeric() || !is_separator(*char)))
}

/// Full-width ASCII (U+FF01 to U+FF5E), which input methods and OCR produce, as plain ASCII.
fn narrow(char: char) -> char {
    match u32::from(char) {
        code @ 0xFF01..=0xFF5E => char::from_u32(code - 0xFEE0).unwrap_or(char),
        _ => char,
    }
}

/// White space of every kind, zero-width marks, hyphens and dashes, and the numero sign.
const fn is_separator(char: char) -> bool {
    char.is_whitespace()
        || matches!(char,
            '-' | '\u{02D7}' | '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}'
            | '\u{2E3A}' | '\u{2E3B}'
            | '\u{FE58}' | '\u{FE63}' | '№'
            | '\u{00AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}')
}

/// Whether the digits, check digit last, pass HL7 Mod 10, which is the Luhn sum.
pub(super) fn passes_mod_10(form: &NormalForm) -> bool {
    let sum: u32 = form
        .digit_values()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            if place % 2 == 1 {
                digit * 2 / 10 + digit * 2 % 10
            } else {
                digit
            }
        })
        .sum();
    sum.is_multiple_of(10)
}
