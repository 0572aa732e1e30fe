//! The structure of a token (RFC 9577, section 2.2).

use std::fmt;

use super::challenge::{TOKEN_TYPE, TokenUse};
use crate::wire::OUTPUT_BYTES;

/// Bytes of the token's type.
const TYPE_BYTES: usize = 2;
/// Bytes of the nonce, of the challenge's digest, and of the key's id.
const FIELD_BYTES: usize = 32;
/// Bytes of all that the authenticator is computed from.
pub(super) const INPUT_BYTES: usize = TYPE_BYTES + 3 * FIELD_BYTES;

/// Why bytes are no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Another type of token.
    #[error("the token is of type {found:#06x}; {TOKEN_TYPE:#06x} is known")]
    Type {
        /// Type that the bytes name.
        found: u16,
    },
    /// Digest of a challenge that is none of ours.
    #[error("the token answers a challenge that is not known")]
    Challenge,
}

/// Token: type, nonce, digest of the challenge, id of the key, and authenticator. Nothing shows yet
/// that it is genuine. `Debug` shows nothing of it: whoever has it can spend it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; Token::BYTES]);

impl Token {
    /// Length in bytes.
    pub const BYTES: usize = INPUT_BYTES + OUTPUT_BYTES;

    /// Reads a token of a known type for a known use.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, TokenError> {
        let token = Self(*bytes);
        let found = u16::from_be_bytes([bytes[0], bytes[1]]);
        if found != TOKEN_TYPE {
            return Err(TokenError::Type { found });
        }
        match token.find_use() {
            Some(_) => Ok(token),
            None => Err(TokenError::Challenge),
        }
    }

    /// The token's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        self.0
    }

    /// Random number of the token, which no other one has.
    #[must_use]
    pub fn nonce(&self) -> [u8; 32] {
        self.field(0)
    }

    /// Id of the key that it is said to be issued under.
    #[must_use]
    pub fn key_id(&self) -> [u8; 32] {
        self.field(2)
    }

    /// The thing that the token is good for, as it says itself.
    ///
    /// # Panics
    /// Never: no value of this type has an unknown challenge.
    #[must_use]
    pub fn token_use(&self) -> TokenUse {
        self.find_use()
            .expect("no value of this type has an unknown challenge")
    }

    /// Lays out what the authenticator is computed from (RFC 9578, section 5.1, token_input).
    pub(super) fn input(
        token_use: TokenUse,
        nonce: &[u8; 32],
        key_id: &[u8; 32],
    ) -> [u8; INPUT_BYTES] {
        let mut input = [0; INPUT_BYTES];
        input[..TYPE_BYTES].copy_from_slice(&TOKEN_TYPE.to_be_bytes());
        let fields = [nonce, &token_use.challenge_digest(), key_id];
        for (place, field) in input[TYPE_BYTES..].chunks_mut(FIELD_BYTES).zip(fields) {
            place.copy_from_slice(field);
        }
        input
    }

    /// Puts a token together.
    pub(super) fn with(input: &[u8; INPUT_BYTES], authenticator: &[u8; OUTPUT_BYTES]) -> Self {
        let mut bytes = [0; Self::BYTES];
        bytes[..INPUT_BYTES].copy_from_slice(input);
        bytes[INPUT_BYTES..].copy_from_slice(authenticator);
        Self(bytes)
    }

    /// All in front of the authenticator.
    pub(super) fn own_input(&self) -> &[u8] {
        &self.0[..INPUT_BYTES]
    }

    /// The authenticator.
    pub(super) fn authenticator(&self) -> &[u8] {
        &self.0[INPUT_BYTES..]
    }

    fn find_use(&self) -> Option<TokenUse> {
        let digest = self.field(1);
        let mut uses = TokenUse::ALL.into_iter();
        uses.find(|one| one.challenge_digest() == digest)
    }

    /// Field of 32 bytes at this place behind the type.
    fn field(&self, place: usize) -> [u8; FIELD_BYTES] {
        let mut field = [0; FIELD_BYTES];
        let from = TYPE_BYTES + place * FIELD_BYTES;
        field.copy_from_slice(&self.0[from..from + FIELD_BYTES]);
        field
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}
