//! Text of a pass to the bytes of its COSE structure, and back.

use super::limits::MAX_TEXT_CHARS;
use crate::container::{ContainerFault, inflate, store};

/// Beginning of every pass: context identifier of the electronic health certificate, version 1.
pub const PREFIX: &str = "HC1:";

/// Text of a pass around a COSE structure: prefix, base45, zlib stream of stored blocks.
#[must_use]
pub fn to_text(cose: &[u8]) -> String {
    let mut text = String::from(PREFIX);
    text.push_str(&base45::encode(store(cose)));
    text
}

/// Bytes of the COSE structure in the text of a pass.
///
/// Line ends around the text are dropped, as files have them. Spaces are not: a space is a
/// character of base45.
///
/// # Errors
/// The first fault of prefix, length, base45 or zlib stream.
pub fn from_text(text: &str) -> Result<Vec<u8>, ContainerFault> {
    let text = trimmed(text);
    let body = text.strip_prefix(PREFIX).ok_or(ContainerFault::NoPrefix)?;
    if text.len() > MAX_TEXT_CHARS {
        return Err(ContainerFault::TextTooLong);
    }
    inflate(&from_base45(body)?)
}

/// The text without blanks and line ends around it. No base45 ends with a space: neither the last
/// of three characters (at most 32) nor of two (at most 5) can be one, whose value is 36.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// Bytes that a base45 text (RFC 9285) stands for.
///
/// # Errors
/// [`ContainerFault::Base45`] if it is no base45.
// The crate cuts a last pair above 255 to its low byte, where RFC 9285 section 4.2 refuses it; so
// the last pair is encoded again and compared.
pub fn from_base45(body: &str) -> Result<Vec<u8>, ContainerFault> {
    let bytes = base45::decode(body).map_err(|_| ContainerFault::Base45)?;
    let in_pair = body.len() % 3 == 2;
    if let Some(last) = bytes.last().filter(|_| in_pair)
        && !body.ends_with(&base45::encode([*last]))
    {
        return Err(ContainerFault::Base45);
    }
    Ok(bytes)
}
