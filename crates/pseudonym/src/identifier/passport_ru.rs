//! Russian internal passport: series (4 digits) and number (6 digits), no check digit.

use super::normal::NormalForm;
use super::{Fault, Soundness};

/// Series, then number: 10 digits.
pub(super) fn normalise(text: &str, out: &mut NormalForm) -> Result<Soundness, Fault> {
    out.push_digits(text, 10).map(|()| Soundness::Sound)
}
