//! Keys of a token issuer: they are of other types than the keys of pseudonyms, and so are their
//! text forms, so that neither can stand in for the other.

use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::challenge::TokenUse;
use super::structure::Token;
use crate::text::{self, TextError, TextKind};
use crate::{PublicKey, Request, ServiceKey};

/// Private key of a token issuer, which issues and verifies tokens of one use. Text form `cgtk1:`
/// and 32 bytes in base64url; never printed, wiped when dropped.
pub struct TokenKey(ServiceKey);

impl TokenKey {
    /// Makes a fresh key: a random scalar (RFC 9497, section 3.2, GenerateKeyPair).
    ///
    /// # Panics
    /// The operating system has no randomness to give.
    #[must_use]
    pub fn generate() -> Self {
        Self(ServiceKey::generate())
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`TextError`], saying what the text lacks.
    pub fn from_text(text: &SecretString) -> Result<Self, TextError> {
        let bytes = text::read(text.expose_secret(), TextKind::TokenKey)?;
        ServiceKey::from_canonical(&bytes)
            .map(Self)
            .ok_or(TextError::Value(TextKind::TokenKey))
    }

    /// Writes the text form.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        text::write_secret(TextKind::TokenKey, self.0.secret_bytes())
    }

    /// Public key, which clients pin.
    #[must_use]
    pub fn public_key(&self) -> TokenPublicKey {
        TokenPublicKey(self.0.public_key())
    }

    /// Evaluates blinded tokens, with one proof for all of them, as
    /// [`ServiceKey::evaluate`] does. The caller has checked that the number of elements fits the
    /// key's use.
    ///
    /// # Panics
    /// The operating system has no randomness to give.
    #[must_use]
    pub fn evaluate(&self, request: &Request) -> Vec<u8> {
        self.0.evaluate(request)
    }

    /// Returns whether the token was issued under this key and for this use (RFC 9578, section
    /// 5.4). The authenticator is compared in constant time. Whether it was spent before is another
    /// question.
    #[must_use]
    pub fn verify(&self, token: &Token, token_use: TokenUse) -> bool {
        if token.token_use() != token_use || token.key_id() != self.public_key().id() {
            return false;
        }
        let expected = self.0.output(token.own_input());
        expected.as_slice().ct_eq(token.authenticator()).into()
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({})", self.public_key().fingerprint())
    }
}

/// Public key of a token issuer. Text form `cgtv1:` and 32 bytes in base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenPublicKey(pub(super) PublicKey);

impl TokenPublicKey {
    /// The key's id in tokens: SHA-256 of its encoding (RFC 9578, section 5.1).
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// Fingerprint of 32 hexadecimal digits for two persons who compare by voice, as
    /// [`PublicKey::fingerprint`] is.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint()
    }
}

impl fmt::Display for TokenPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = text::write_public(TextKind::TokenPublicKey, self.0.as_bytes());
        f.write_str(&text)
    }
}

impl fmt::Debug for TokenPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenPublicKey({self})")
    }
}

impl FromStr for TokenPublicKey {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let bytes = text::read(text, TextKind::TokenPublicKey)?;
        PublicKey::from_bytes(*bytes)
            .map(Self)
            .ok_or(TextError::Value(TextKind::TokenPublicKey))
    }
}
