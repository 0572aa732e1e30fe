//! Texts of a server's that an operator may see: URIs without numbers that could be a person's.

/// The URI of a system, cut; it has to be shown so that somebody can name it in the configuration.
/// A text that is no URI, or has a number in it that could be a person's, is not repeated.
pub(crate) fn readable(system: &str) -> &str {
    const MAX_CHARS: usize = 120;
    /// Digits, hyphens between them included, that a number of a person may have.
    const MAX_DIGITS: usize = 8;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b":/._-#?=&~+".contains(&byte);
    let is_uri = system.contains(':') && system.bytes().all(fits);
    let is_number = |part: &str| part.bytes().filter(u8::is_ascii_digit).count() > MAX_DIGITS;
    let has_number = system
        .split(|char: char| !(char.is_ascii_digit() || char == '-'))
        .any(is_number);
    match (is_uri, has_number) {
        (false, _) => "(one that is no URI)",
        (true, true) => "(one with a long number in it)",
        (true, false) => &system[..system.len().min(MAX_CHARS)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_identifier_systems_only_uris_without_long_numbers_are_shown() {
        for shown in [
            "urn:oid:1.2.643.2.69.1.1.1.6.223",
            "http://clinic.example/fhir/card?v=2",
            "urn:clinic:card-2021",
        ] {
            assert_eq!(readable(shown), shown);
        }
        for hidden in ["Ivanov", "urn:Иванов", "urn:two words", "urn:x\u{1b}[2J"] {
            assert_eq!(readable(hidden), "(one that is no URI)", "{hidden}");
        }
        for hidden in ["urn:snils:112-233-445-95", "urn:oms:7700000000000008"] {
            assert_eq!(
                readable(hidden),
                "(one with a long number in it)",
                "{hidden}"
            );
        }
        assert_eq!(readable(&format!("urn:{}", "x".repeat(200))).len(), 120);
    }
}
