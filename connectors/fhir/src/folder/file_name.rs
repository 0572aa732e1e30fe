//! Names of an export's files, as far as messages may show them.

/// Longest name that is shown, in bytes.
const MAX_BYTES: usize = 100;
/// Most digits and hyphens in a row: more could be a number of a person.
const MAX_DIGITS: usize = 8;

/// A file's name for a message; `None` for one that could be a person's, which is not repeated.
pub(super) fn readable(name: &str) -> Option<&str> {
    const TYPES: [&str; 5] = [
        "Patient",
        "Immunization",
        "Observation",
        "Condition",
        "OperationOutcome",
    ];
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let has_number = name
        .split(|char: char| !(char.is_ascii_digit() || char == '-'))
        .any(|part| part.bytes().filter(u8::is_ascii_digit).count() > MAX_DIGITS);
    // Letters that are no type's name could be anybody's.
    let rest = TYPES
        .iter()
        .fold(name.to_owned(), |rest, of| rest.replace(of, ""));
    let rest = rest.replace("ndjson", "").replace("gz", "");
    let is_plain = !rest.contains(|char: char| char.is_ascii_alphabetic());
    let is_shown = name.len() <= MAX_BYTES && name.bytes().all(fits) && !has_number && is_plain;
    is_shown.then_some(name)
}

/// A file's name for a message, or words in its place.
pub(super) fn shown(name: &str) -> &str {
    readable(name).unwrap_or("a file whose name is more than a type and a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_types_and_short_numbers_are_shown() {
        for name in [
            "Patient.ndjson",
            "Immunization.000.ndjson",
            "1.Observation.ndjson",
            "Condition_1-2.ndjson.gz",
        ] {
            assert_eq!(readable(name), Some(name));
        }
        for name in [
            "Ivanov.ndjson",
            "Patient-Ivanov.ndjson",
            "Patient-112-233-445-95.ndjson",
            "Patient.Иванов.ndjson",
            "Patient\n.ndjson",
        ] {
            assert_eq!(readable(name), None, "{name}");
            assert!(shown(name).starts_with("a file whose name"));
        }
    }
}
