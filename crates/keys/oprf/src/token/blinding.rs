//! Asking for tokens: blinded nonces, and the tokens that a proven answer makes of them.

use std::fmt;

use sha2::{Digest, Sha512};

use super::challenge::TokenUse;
use super::keys::TokenPublicKey;
use super::structure::{INPUT_BYTES, Token};
use crate::random::OsRandom;
use crate::wire::{DAY_TOKEN_ELEMENTS, ELEMENT_BYTES, MAX_ELEMENTS, OUTPUT_BYTES, SIZES};
use crate::{AnswerError, Blinding, Element, TooMany};

/// Tokens that are asked for under one pinned key: their random nonces under random blinds. Every
/// place of the request becomes a token; there is no fill. `Debug` shows nothing of it.
pub struct TokenBlinding {
    key: TokenPublicKey,
    /// All of each token but the authenticator.
    inputs: Vec<[u8; INPUT_BYTES]>,
    blinding: Blinding,
}

impl TokenBlinding {
    /// Asks for tokens of batches: for the smallest of [`SIZES`] that is at least `count`.
    ///
    /// # Errors
    /// [`TooMany`]: no tokens, or more than 256.
    ///
    /// # Panics
    /// The operating system has no randomness to give.
    pub fn for_batches(key: &TokenPublicKey, count: usize) -> Result<Self, TooMany> {
        match SIZES.into_iter().find(|size| count <= *size) {
            Some(size) if count > 0 => Ok(Self::with(key, TokenUse::Batch, size)),
            Some(_) | None => Err(TooMany { inputs: count }),
        }
    }

    /// Asks for the token of a day.
    ///
    /// # Panics
    /// The operating system has no randomness to give.
    #[must_use]
    pub fn for_day(key: &TokenPublicKey) -> Self {
        Self::with(key, TokenUse::Day, DAY_TOKEN_ELEMENTS)
    }

    /// Number of elements of the request, and of the tokens that come of it.
    #[must_use]
    pub fn size(&self) -> usize {
        self.inputs.len()
    }

    /// The request, for the issuer's key `key_number`.
    #[must_use]
    pub fn request(&self, key_number: u16) -> Vec<u8> {
        self.blinding.request(key_number)
    }

    /// Verifies the issuer's answer and makes the tokens (RFC 9497, section 3.3.2, Finalize).
    ///
    /// # Errors
    /// [`AnswerError`]; what was asked for is given up: the nonces are not sent a second time.
    pub fn finalize(mut self, answer: &[u8], key_number: u16) -> Result<Vec<Token>, AnswerError> {
        self.blinding.accept(answer, key_number, &self.key.0)?;
        let elements = self.blinding.unblind();
        let tokens = self.inputs.iter().zip(elements);
        Ok(tokens
            .map(|(input, element)| Token::with(input, &output(input, element)))
            .collect())
    }

    fn with(key: &TokenPublicKey, token_use: TokenUse, size: usize) -> Self {
        debug_assert!(size <= MAX_ELEMENTS);
        let key_id = key.id();
        let inputs: Vec<[u8; INPUT_BYTES]> = (0..size)
            .map(|_| Token::input(token_use, &OsRandom::bytes(), &key_id))
            .collect();
        let blinded: Vec<&[u8]> = inputs.iter().map(<[u8; INPUT_BYTES]>::as_slice).collect();
        Self {
            key: *key,
            blinding: Blinding::with(&blinded, size, &mut OsRandom),
            inputs,
        }
    }
}

impl fmt::Debug for TokenBlinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenBlinding(..)")
    }
}

/// The RFC's output of an input and the element that it evaluates to (section 3.3.2, Finalize).
pub(crate) fn output(input: &[u8], element: Element) -> [u8; OUTPUT_BYTES] {
    let length = u16::try_from(input.len()).expect("inputs that are hashed are short");
    let element_length = u16::try_from(ELEMENT_BYTES).expect("an element has 32 bytes");
    Sha512::new()
        .chain_update(length.to_be_bytes())
        .chain_update(input)
        .chain_update(element_length.to_be_bytes())
        .chain_update(element.to_bytes())
        .chain_update(b"Finalize")
        .finalize()
        .into()
}
