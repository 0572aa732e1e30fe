//! OMS policy (ENP): 16 digits, the last one a check digit by HL7 Mod 10.

use super::normal::{NormalForm, passes_mod_10};
use super::{IdentifierFault, Soundness};

/// 16 digits. Policies with wrong check digits are in circulation, so by default a wrong one is
/// only a warning.
pub(super) fn normalise(
    text: &str,
    refuse: bool,
    out: &mut NormalForm,
) -> Result<Soundness, IdentifierFault> {
    out.push_digits(text, 16)?;
    match (passes_mod_10(out), refuse) {
        (true, _) => Ok(Soundness::Sound),
        (false, false) => Ok(Soundness::WrongCheckDigit),
        (false, true) => Err(IdentifierFault::CheckDigit),
    }
}
