//! Newest line of a log, by its number and its digest.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// Bytes of a SHA-256 digest.
pub(crate) const DIGEST_BYTES: usize = 32;

/// Number and SHA-256 digest of the newest line of a log. Its text form is the number, a colon and
/// 64 hexadecimal digits. Whoever keeps it elsewhere can tell later that no line up to this one was
/// cut off or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of the line, from 1; 0 for a log without a line.
    pub sequence: u64,
    /// SHA-256 of the line without its line end; zeros for a log without a line.
    pub digest: [u8; DIGEST_BYTES],
}

/// Error on reading a [`Head`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a head is the number of a line, a colon and the 64 hexadecimal digits of its digest")]
pub struct HeadError;

impl Head {
    /// Head of a log without a line.
    pub const EMPTY: Self = Self {
        sequence: 0,
        digest: [0; DIGEST_BYTES],
    };

    /// Head after another line, without its line end.
    pub(crate) fn after(self, line: &[u8]) -> Self {
        Self {
            sequence: self.sequence + 1,
            digest: Sha256::digest(line).into(),
        }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, hex::encode(self.digest))
    }
}

impl FromStr for Head {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let (sequence, digits) = text.split_once(':').ok_or(HeadError)?;
        if !sequence.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(HeadError);
        }
        let mut digest = [0; DIGEST_BYTES];
        hex::decode_to_slice(digits, &mut digest).map_err(|_| HeadError)?;
        Ok(Self {
            sequence: sequence.parse().map_err(|_| HeadError)?,
            digest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_read_as_it_is_written() {
        let head = Head::EMPTY.after(b"line");
        assert_eq!(head.to_string().parse(), Ok(head));
        let digits = "00".repeat(DIGEST_BYTES);
        for text in ["", "1", "1:", "1:00", &format!("+1:{digits}"), &digits] {
            assert_eq!(text.parse::<Head>(), Err(HeadError), "{text}");
        }
    }
}
