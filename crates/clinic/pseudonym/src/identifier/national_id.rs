//! A number by which another country knows a person: that country and the number.

use super::document::{Letters, Limits, push_chars, push_country};
use super::normal::{NormalForm, significant};
use super::{IdentifierFault, Issuer, Soundness};

/// `XXX:NUMBER`; the country is required.
///
/// Full stops and slashes are signs between groups in some countries (`756.1234.5678.97`,
/// `740104/0020`), and are left out by many programs; so they do not count. Some countries' numbers
/// have Cyrillic letters.
pub(super) fn normalise(
    text: &str,
    country: Issuer<'_>,
    limits: &Limits,
    out: &mut NormalForm,
) -> Result<Soundness, IdentifierFault> {
    let chars = || Ok(significant(text)?.filter(|char| !matches!(char, '.' | '/')));
    if chars()?.next().is_none() {
        return Err(IdentifierFault::Empty);
    }
    push_country(country, None, out)?;
    push_chars(chars()?, limits, Letters::LatinOrCyrillic, out).map(|()| Soundness::Sound)
}
