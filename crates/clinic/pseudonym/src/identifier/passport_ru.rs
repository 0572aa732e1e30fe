//! Russian internal passport: series (4 digits) and number (6 digits), no check digit.

use super::normal::NormalForm;
use super::{IdentifierFault, Soundness};

/// Series, then number: 10 digits. Neither the series nor the number of a passport is all zeros.
pub(super) fn normalise(text: &str, out: &mut NormalForm) -> Result<Soundness, IdentifierFault> {
    out.push_digits(text, 10)?;
    let (series, number) = out.as_bytes().split_at(4);
    if [series, number]
        .iter()
        .any(|part| part.iter().all(|digit| *digit == b'0'))
    {
        return Err(IdentifierFault::Placeholder);
    }
    Ok(Soundness::Sound)
}
