//! The challenge that a token answers: it names the token's use and is the same for ever.

use std::fmt;

use sha2::{Digest, Sha256};

/// Token type VOPRF(ristretto255, SHA-512) (draft-ietf-privacypass-batched-tokens, section 8.1).
pub(super) const TOKEN_TYPE: u16 = 0x0005;

/// Name of the issuer in a challenge. It names no machine: who issues is told by the key.
const ISSUER_NAME: &[u8] = b"token-issuer.clinic-gateway.invalid";

/// The thing that a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenUse {
    /// The sending of one sealed batch.
    Batch,
    /// A sign of life, once a UTC day.
    Day,
}

impl TokenUse {
    /// Both uses.
    pub const ALL: [Self; 2] = [Self::Batch, Self::Day];

    /// Name in configurations, and in the challenge: `batch` or `day`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Day => "day",
        }
    }

    /// The use of this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// SHA-256 of the TokenChallenge (RFC 9577, section 2.1): token type, issuer name, an empty
    /// redemption context, and the use's name as the origin.
    pub(super) fn challenge_digest(self) -> [u8; 32] {
        let mut challenge = TOKEN_TYPE.to_be_bytes().to_vec();
        push_long(&mut challenge, ISSUER_NAME);
        challenge.push(0);
        push_long(&mut challenge, self.name().as_bytes());
        Sha256::digest(&challenge).into()
    }
}

impl fmt::Display for TokenUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Appends bytes behind their length in two bytes.
fn push_long(to: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).expect("names of a challenge are short");
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(bytes);
}
