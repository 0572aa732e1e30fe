//! A residence permit: the country that gave it, Russia where none is named, and the number.

use super::document::{Letters, Limits, is_empty, push_chars, push_country, push_number};
use super::normal::NormalForm;
use super::spelled::{Spelled, digit};
use super::{IdentifierFault, Issuer, Soundness};

/// Digits of a Russian permit's series.
const SERIES_DIGITS: usize = 2;
/// Digits of a Russian permit's number.
const NUMBER_DIGITS: usize = 7;

/// `XXX:NUMBER`; Russian numbers are a series of two digits and seven more.
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
    match spelled.as_ref().and_then(russian) {
        Some(digits) => push_chars(digits, limits, letters, out)?,
        None => push_number(text, limits, letters, out)?,
    }
    Ok(Soundness::Sound)
}

/// Digits of a Russian permit; `None` if it is no number of that form.
fn russian(spelled: &Spelled) -> Option<impl Iterator<Item = char>> {
    let (series, number) = spelled.split_number(NUMBER_DIGITS)?;
    let chars = series.iter().chain(number);
    let all_digits = chars.clone().all(|char| digit(*char).is_some());
    (series.len() == SERIES_DIGITS && all_digits).then(|| chars.filter_map(|char| digit(*char)))
}
