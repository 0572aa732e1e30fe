//! A foreign passport: the issuing country and the number, since numbers repeat between countries.

use super::document::{Letters, Limits, is_empty, push_country, push_number};
use super::normal::NormalForm;
use super::{IdentifierFault, Issuer, Soundness};

/// `XXX:NUMBER`; the country is required.
///
/// German numbers are of digits and the letters CFGHJKLMNPRTVWXYZ, so that an O in one is a zero.
/// Other countries do not tell the two apart by the form of the number.
pub(super) fn normalise(
    text: &str,
    country: Issuer<'_>,
    limits: &Limits,
    out: &mut NormalForm,
) -> Result<Soundness, IdentifierFault> {
    if is_empty(text) {
        return Err(IdentifierFault::Empty);
    }
    let letters = match push_country(country, None, out)? {
        "DEU" => Letters::LatinWithoutO,
        _ => Letters::Latin,
    };
    push_number(text, limits, letters, out).map(|()| Soundness::Sound)
}
