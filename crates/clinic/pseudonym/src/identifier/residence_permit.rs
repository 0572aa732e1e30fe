//! A residence permit: the country that gave it, Russia where none is named, and the number.

use super::document::{Letters, Limits, is_empty, push_country, push_number};
use super::normal::NormalForm;
use super::{IdentifierFault, Soundness};

/// `XXX:NUMBER`.
pub(super) fn normalise(
    text: &str,
    country: Option<&str>,
    limits: &Limits,
    out: &mut NormalForm,
) -> Result<Soundness, IdentifierFault> {
    if is_empty(text) {
        return Err(IdentifierFault::Empty);
    }
    push_country(country, Some("RUS"), out)?;
    push_number(text, limits, Letters::LatinOrCyrillic, out).map(|()| Soundness::Sound)
}
