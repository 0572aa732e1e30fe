//! Numbers of invented people, with the check digits of real ones.

/// A SNILS as it is written: nine digits in groups, and the check digits (weights 9 to 1, modulo
/// 101, 100 is 00).
#[must_use]
pub fn snils(number: u64) -> String {
    let digits = format!("{number:09}");
    let sum: u64 = digits
        .bytes()
        .zip((1..=9).rev())
        .map(|(digit, weight)| u64::from(digit - b'0') * weight)
        .sum();
    let check = sum % 101 % 100;
    format!(
        "{}-{}-{} {check:02}",
        &digits[..3],
        &digits[3..6],
        &digits[6..]
    )
}

/// An OMS number: fifteen digits and a Luhn digit.
#[must_use]
pub fn oms(number: u64) -> String {
    let digits = format!("{number:015}");
    let sum: u64 = digits
        .bytes()
        .rev()
        .zip([2, 1].into_iter().cycle())
        .map(|(digit, factor)| u64::from(digit - b'0') * factor)
        .map(|product| product / 10 + product % 10)
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_those_of_the_known_examples() {
        assert_eq!(snils(112_233_445), "112-233-445 95");
        // Sums of 100 and of 101 both mean 00.
        assert_eq!(
            (snils(100_018_999), snils(100_019_899)),
            ("100-018-999 00".into(), "100-019-899 00".into())
        );
        // The standing example of the Luhn rule, 7992739871 3, behind zeros.
        assert_eq!(oms(7_992_739_871), "0000079927398713");
    }
}
