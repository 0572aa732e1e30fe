//! Base64 as files of others have it: both alphabets, with line ends, with padding or without.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Standard alphabet (RFC 4648, section 4), whose padding may be missing.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Line ends that were written as two characters, because a text was put into JSON twice.
const ESCAPED_LINE_ENDS: [&str; 2] = ["\\n", "\\r"];

/// Bytes that a text stands for; `None` for an empty text and for one that is no base64.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = ESCAPED_LINE_ENDS
        .iter()
        .fold(text.to_owned(), |text, escaped| text.replace(escaped, ""));
    let text: String = text
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|character| match character {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    if text.is_empty() {
        return None;
    }
    LENIENT.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn both_alphabets_line_ends_and_missing_padding_are_read() {
        for text in ["+/+/AQ==", "-_-_AQ", "+/+/\r\nAQ==\n", "+/+/\\r\\nAQ=="] {
            assert_eq!(decode(text), Some(vec![0xfb, 0xff, 0xbf, 0x01]), "{text}");
        }
        for text in ["", " \n", "~", "A", "AQ==AQ=="] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
