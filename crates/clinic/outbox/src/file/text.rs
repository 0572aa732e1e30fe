//! Names and codes that may be written into the file.

use super::error::OutboxError;

/// Longest source or feed name, in bytes.
const MAX_NAME_BYTES: usize = 200;

/// Longest code, in bytes.
const MAX_CODE_BYTES: usize = 64;

/// Longest cause of a failure, in characters.
const MAX_WHY_CHARS: usize = 500;

/// Checks the length of a source's or feed's name.
///
/// # Errors
/// [`OutboxError::TooLarge`] for a name that is empty or too long.
pub(crate) fn check_name(name: &str) -> Result<(), OutboxError> {
    if (1..=MAX_NAME_BYTES).contains(&name.len()) {
        Ok(())
    } else {
        Err(OutboxError::TooLarge {
            what: "the name of a source or feed",
        })
    }
}

/// Returns the code itself, or `other` where free text may hide in it.
pub(crate) fn short_code(code: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if (1..=MAX_CODE_BYTES).contains(&code.len()) && code.bytes().all(plain) {
        code
    } else {
        "other"
    }
}

/// Returns a cause of a failure as it may be written: on one line, cut at 500 characters.
pub(crate) fn own_words(why: &str) -> String {
    let one_line = |letter: char| if letter.is_control() { ' ' } else { letter };
    why.chars().take(MAX_WHY_CHARS).map(one_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_text_is_no_code() {
        assert_eq!(short_code("source-unreachable"), "source-unreachable");
        assert_eq!(short_code("42P01"), "42P01");
        assert_eq!(short_code("could not connect to 10.0.0.1"), "other");
        assert_eq!(short_code(""), "other");
        assert_eq!(short_code("Иванов"), "other");
    }

    #[test]
    fn causes_are_cut_and_stay_on_their_line() {
        assert_eq!(own_words("no column\nnamed x"), "no column named x");
        assert_eq!(own_words(&"ж".repeat(501)).chars().count(), 500);
    }
}
