//! A birth certificate: the country that gave it, Russia where none is named, series and number.

use super::document::{Letters, Limits, is_empty, push_chars, push_country, push_number};
use super::normal::NormalForm;
use super::spelled::{Spelled, cyrillic_letter, digit, roman};
use super::{IdentifierFault, Issuer, Soundness};

/// Digits of a Russian certificate's number.
const NUMBER_DIGITS: usize = 6;
/// Letters behind the Roman numeral of a Russian series.
const SERIES_LETTERS: usize = 2;
/// Longest Roman numeral of a Russian series: XXXVIII.
const MAX_ROMAN: usize = 7;

/// `XXX:SERIESNUMBER`; Russian series are a Roman numeral and two Cyrillic letters.
pub(super) fn normalise(
    text: &str,
    country: Issuer<'_>,
    limits: &Limits,
    out: &mut NormalForm,
) -> Result<Soundness, IdentifierFault> {
    if is_empty(text) {
        return Err(IdentifierFault::Empty);
    }
    let is_russian = push_country(country, Some("RUS"), out)? == "RUS";
    let spelled = Spelled::new(text).filter(|_| is_russian);
    let letters = Letters::LatinOrCyrillic;
    match spelled.as_ref().and_then(Russian::read) {
        Some(certificate) => push_chars(certificate.chars(), limits, letters, out)?,
        None => push_number(text, limits, letters, out)?,
    }
    Ok(Soundness::Sound)
}

/// Parts of a Russian certificate's series and number.
struct Russian<'a> {
    roman: &'a [char],
    letters: &'a [char],
    number: &'a [char],
}

impl<'a> Russian<'a> {
    /// Reads the parts; `None` if it is no series and number of that form, or if a look-alike where
    /// the two meet leaves open which of them it belongs to.
    fn read(spelled: &'a Spelled) -> Option<Self> {
        let this = Self::read_with(spelled, NUMBER_DIGITS)?;
        let may_end_sooner = this.letters.last().is_some_and(char::is_ascii_digit);
        let may_begin_later = !this.number.first().is_some_and(char::is_ascii_digit);
        let is_other = |other| Self::read_with(spelled, other).is_some();
        let is_open = may_end_sooner && is_other(NUMBER_DIGITS + 1)
            || may_begin_later && is_other(NUMBER_DIGITS - 1);
        (!is_open).then_some(this)
    }

    /// Reads the parts, with so many digits in the number.
    fn read_with(spelled: &'a Spelled, digits: usize) -> Option<Self> {
        let (series, number) = spelled.split_number(digits)?;
        let place = series.len().checked_sub(SERIES_LETTERS)?;
        let (roman, letters) = series.split_at_checked(place)?;
        // Nothing but digits is some other number.
        let is_series = !series.iter().all(char::is_ascii_digit);
        let this = Self {
            roman,
            letters,
            number,
        };
        let roman_length = this.roman_text().map(str::len).sum::<usize>();
        let all_parts = roman.iter().all(|char| self::roman(*char).is_some())
            && letters.iter().all(|char| cyrillic_letter(*char).is_some())
            && number.iter().all(|char| digit(*char).is_some());
        (is_series && all_parts && (1..=MAX_ROMAN).contains(&roman_length)).then_some(this)
    }

    fn roman_text(&self) -> impl Iterator<Item = &'static str> {
        self.roman.iter().filter_map(|char| roman(*char))
    }

    /// Characters that every spelling has in common.
    fn chars(&self) -> impl Iterator<Item = char> {
        let letters = self
            .letters
            .iter()
            .filter_map(|char| cyrillic_letter(*char));
        let number = self.number.iter().filter_map(|char| digit(*char));
        self.roman_text()
            .flat_map(str::chars)
            .chain(letters)
            .chain(number)
    }
}
