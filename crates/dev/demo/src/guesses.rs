//! What a thief of a clinic's gateway can do in strong mode: ask about guessed numbers, until the
//! ceiling of a key service is reached.

use key_client::{KeyClient, KeyClientError};
use oprf::{Blinding, Element, SIZES};

use crate::operators::EPOCH;

/// Numbers that a SNILS can be: those above 001-001-998, which have control digits.
const SNILS_NUMBERS: u64 = 999_999_999 - 1_001_998;

/// Ceiling that a clinic may have, in elements a day, for comparison (docs/strong.md).
const USUAL_CEILING: u64 = 20_000;

/// What a thief has got.
pub(crate) struct Guessed {
    /// Numbers that were evaluated.
    pub numbers: u64,
    /// What was evaluated of the first number.
    pub first: Element,
    /// Why no further number is evaluated.
    pub refusal: String,
}

/// Asks about numbers from `first` on, as many in a request as its smaller size takes, until a key
/// service has reached its ceiling.
pub(crate) async fn until_the_ceiling(client: &KeyClient, first: u32) -> Result<Guessed, String> {
    let at_once = u32::try_from(SIZES[0]).map_err(|error| error.to_string())?;
    let mut of_first = None;
    let mut numbers = 0;
    for from in (first..).step_by(SIZES[0]) {
        let inputs: Vec<_> = (from..from + at_once).map(input).collect();
        let inputs: Vec<_> = inputs.iter().map(Vec::as_slice).collect();
        let blinding = Blinding::new(&inputs).map_err(|error| error.to_string())?;
        match client.evaluate(blinding, EPOCH).await {
            Ok(elements) => {
                numbers += elements.len() as u64;
                of_first = of_first.or_else(|| elements.first().copied());
            }
            Err(error @ KeyClientError::Ceiling { .. }) => {
                return Ok(Guessed {
                    numbers,
                    first: of_first.ok_or("the ceiling was reached before the first guess")?,
                    refusal: error.to_string(),
                });
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("no ceiling was reached".to_owned())
}

/// Input of the evaluation for a SNILS: domain, suite, scheme and normal form.
fn input(number: u32) -> Vec<u8> {
    format!(
        "clinic-gateway/pseudonym/v1\0voprf\0snils\0{}",
        snils(number)
    )
    .into_bytes()
}

/// The eleven digits of a SNILS: nine of the number and two that control them.
fn snils(number: u32) -> String {
    let digits = format!("{number:09}");
    let weighted = digits.bytes().zip((1..=9).rev());
    let sum: u32 = weighted
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    format!("{digits}{:02}", sum % 101 % 100)
}

/// Years that all numbers take under a ceiling of so many elements a day, rounded.
const fn years(daily_ceiling: u64) -> u64 {
    const DAYS_OF_FOUR_YEARS: u64 = 4 * 365 + 1;
    let divisor = daily_ceiling * DAYS_OF_FOUR_YEARS;
    (SNILS_NUMBERS * 4 + divisor / 2) / divisor
}

/// Sentence on what a ceiling means for whoever wants all numbers.
pub(crate) fn all_numbers(daily_ceiling: u64) -> String {
    format!(
        "all {} million SNILS numbers take {} years, and {} years where the ceiling is \
         {USUAL_CEILING} a day",
        SNILS_NUMBERS.div_ceil(1_000_000),
        years(daily_ceiling),
        years(USUAL_CEILING)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snils_has_its_control_digits() {
        for (number, digits) in [
            (501_377_201, "50137720139"),
            (612_480_911, "61248091169"),
            (501_377_202, "50137720240"),
            (1_002_003, "00100200318"),
        ] {
            assert_eq!(snils(number), digits);
        }
    }

    #[test]
    fn years_are_rounded() {
        assert_eq!(years(20_000), 137);
        assert_eq!(years(200_000), 14);
        assert_eq!(years(SNILS_NUMBERS), 0);
        assert_eq!(years(SNILS_NUMBERS / 365), 1);
    }
}
