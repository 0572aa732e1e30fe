//! A foreign passport: the issuing country and the number, since numbers repeat between countries.

use super::document::{Letters, Limits, is_empty, push_country, push_number};
use super::normal::NormalForm;
use super::{IdentifierFault, Soundness};

/// `XXX:NUMBER`; the country is required.
pub(super) fn normalise(
    text: &str,
    country: Option<&str>,
    limits: &Limits,
    out: &mut NormalForm,
) -> Result<Soundness, IdentifierFault> {
    if is_empty(text) {
        return Err(IdentifierFault::Empty);
    }
    push_country(country, None, out)?;
    push_number(text, limits, Letters::Latin, out).map(|()| Soundness::Sound)
}
