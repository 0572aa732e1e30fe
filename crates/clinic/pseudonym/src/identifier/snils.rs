//! SNILS: 9 digits and a control number of 2 (order of the Pension Fund Board of 2002, No. 122p).

use super::normal::{NormalForm, is_placeholder};
use super::{IdentifierFault, Soundness};

/// Up to this number (001-001-998) SNILS were issued without a computed control number.
const LAST_WITHOUT_CONTROL: u32 = 1_001_998;

/// 11 digits. Nine that are all the same or only run up or down are a placeholder: 123-456-789 64
/// is in many a manual.
pub(super) fn normalise(text: &str, out: &mut NormalForm) -> Result<Soundness, IdentifierFault> {
    out.push_digits(text, 11)?;
    let number = out
        .digit_values()
        .take(9)
        .fold(0, |number, digit| number * 10 + digit);
    let control = out
        .digit_values()
        .skip(9)
        .fold(0, |control, digit| control * 10 + digit);
    if number > LAST_WITHOUT_CONTROL && control != control_number(out.digit_values()) {
        return Err(IdentifierFault::CheckDigit);
    }
    if is_placeholder(&out.as_bytes()[..9]) {
        return Err(IdentifierFault::Placeholder);
    }
    Ok(Soundness::Sound)
}

/// The control number of the first nine digits: weights 9 to 1, modulo 101, where 100 is written
/// 00.
fn control_number(digits: impl Iterator<Item = u32>) -> u32 {
    digits
        .zip((1..=9).rev())
        .map(|(digit, weight)| digit * weight)
        .sum::<u32>()
        % 101
        % 100
}
