//! Signing keys, read from and written to PKCS #8.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use zeroize::Zeroizing;

use crate::container::ToSign;
use crate::keys::{KeyFault, KeyId, PublicKey};

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// Number of characters in a line of a PEM block (RFC 7468 section 2).
const PEM_LINE: usize = 64;

/// Private key of ECDSA P-256 that signs by ES256. A signature is randomised: the same payload
/// signed twice gives two passes with different bytes.
pub struct SigningKey {
    pkcs8: SecretSlice<u8>,
    pair: EcdsaKeyPair,
    public: PublicKey,
    kid: KeyId,
    random: SystemRandom,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, …)", self.kid)
    }
}

impl SigningKey {
    /// Makes a random key.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    #[must_use]
    pub fn generate() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .expect("the operating system gives random bytes");
        Self::from_der(SecretSlice::from(document.as_ref().to_vec()))
            .expect("a key that was just made is read")
    }

    /// Reads a PKCS #8 document (RFC 5208, version 1, not encrypted) that holds the public key too.
    ///
    /// # Errors
    /// Fault of the document.
    ///
    /// # Panics
    /// Never: the public key of a P-256 pair is an uncompressed point.
    pub fn from_der(pkcs8: SecretSlice<u8>) -> Result<Self, KeyFault> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            pkcs8.expose_secret(),
            &random,
        )
        .map_err(|fault| KeyFault::Pkcs8(fault.to_string()))?;
        let public = PublicKey::from_point(pair.public_key().as_ref())
            .expect("the public key of a P-256 pair is an uncompressed point");
        Ok(Self {
            pkcs8,
            pair,
            kid: public.kid(),
            public,
            random,
        })
    }

    /// Reads a PEM text (RFC 7468) with exactly one block `PRIVATE KEY`.
    ///
    /// # Errors
    /// The text is not that, or what is wrong with the document in it.
    pub fn from_pem(text: &SecretString) -> Result<Self, KeyFault> {
        let body = text
            .expose_secret()
            .trim()
            .strip_prefix(PEM_BEGIN)
            .and_then(|rest| rest.strip_suffix(PEM_END))
            .ok_or(KeyFault::Pem)?;
        let joined: Zeroizing<String> =
            Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
        let pkcs8 = BASE64_STANDARD
            .decode(joined.as_bytes())
            .map_err(|_| KeyFault::Pem)?;
        Self::from_der(SecretSlice::from(pkcs8))
    }

    /// The key as PEM text, with line ends.
    #[must_use]
    pub fn to_pem(&self) -> SecretString {
        let body = Zeroizing::new(BASE64_STANDARD.encode(self.pkcs8.expose_secret()));
        let mut text = String::with_capacity(body.len() + 128);
        text.push_str(PEM_BEGIN);
        text.push('\n');
        let mut rest = body.as_str();
        while let Some((line, more)) = rest.split_at_checked(PEM_LINE) {
            text.push_str(line);
            text.push('\n');
            rest = more;
        }
        if !rest.is_empty() {
            text.push_str(rest);
            text.push('\n');
        }
        text.push_str(PEM_END);
        text.push('\n');
        SecretString::from(text)
    }

    /// Public key of the pair.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Id of the key.
    #[must_use]
    pub fn kid(&self) -> KeyId {
        self.kid
    }

    /// Tagged COSE_Sign1 of a payload, signed by this key.
    ///
    /// # Panics
    /// If the operating system has no randomness to give.
    #[must_use]
    pub fn seal(&self, payload: Vec<u8>) -> Vec<u8> {
        let waiting = ToSign::new(payload, &self.kid.0);
        let signature = self
            .pair
            .sign(&self.random, &waiting.signed())
            .expect("the operating system gives random bytes");
        let signature: &[u8; 64] = signature
            .as_ref()
            .try_into()
            .expect("a signature of fixed length has 64 bytes");
        waiting.with_signature(signature)
    }
}
