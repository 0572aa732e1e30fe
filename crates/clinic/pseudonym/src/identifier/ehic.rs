//! European health insurance card: the card's own number (field 8), which names its country itself.

use super::document::{Letters, Limits, push_number};
use super::normal::NormalForm;
use super::{IdentifierFault, Soundness};

/// The number; 20 digits by Decision S2 of 12 June 2009 unless configuration allows others.
pub(super) fn normalise(
    text: &str,
    limits: &Limits,
    out: &mut NormalForm,
) -> Result<Soundness, IdentifierFault> {
    push_number(text, limits, Letters::Latin, out).map(|()| Soundness::Sound)
}
