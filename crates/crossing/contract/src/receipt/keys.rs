//! The keys of receipts: the registry signs (Ed25519, RFC 8032), gateways verify against pinned
//! keys.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::error::ReceiptError;
use super::message::{self, KEY_ID_BYTES, Parts};
use super::single::Receipt;
use crate::keytext::{self, KEY_BYTES};

const SIGNER_PREFIX: &str = "cgrs1:";
const VERIFIER_PREFIX: &str = "cgrv1:";

/// The registry's key for signing receipts. Text form `cgrs1:<base64url>`; never printed, zeroed on
/// drop.
#[derive(Clone)]
pub struct ReceiptSigner(SigningKey);

/// The key a gateway pins to believe receipts. Text form `cgrv1:<base64url>`.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceiptVerifier(VerifyingKey);

impl ReceiptSigner {
    /// Makes a fresh key.
    ///
    /// # Panics
    /// The operating system has no randomness to give.
    #[must_use]
    pub fn generate() -> Self {
        let mut secret = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(secret.as_mut_slice()).expect("the operating system gives random bytes");
        Self(SigningKey::from_bytes(&secret))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`ReceiptError::BadKey`], saying what the text lacks.
    pub fn from_text(text: &SecretString) -> Result<Self, ReceiptError> {
        let lacks = "a receipt signing key begins with cgrs1:";
        let secret = keytext::read(text.expose_secret(), SIGNER_PREFIX, lacks)
            .map_err(ReceiptError::BadKey)?;
        Ok(Self(SigningKey::from_bytes(&secret)))
    }

    /// Writes the text form.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        keytext::secret(SIGNER_PREFIX, self.0.as_bytes())
    }

    /// Verification key, which gateways pin.
    #[must_use]
    pub fn verifier(&self) -> ReceiptVerifier {
        ReceiptVerifier(self.0.verifying_key())
    }

    /// Signs one message of these receipts.
    ///
    /// # Panics
    /// No receipts, or more than [`super::MAX_RECEIPTS_PER_MESSAGE`].
    #[must_use]
    pub fn sign(&self, receipts: &[Receipt]) -> Vec<u8> {
        self.sign_body(&message::body(receipts))
    }

    /// Signs any body.
    pub(super) fn sign_body(&self, body: &[u8]) -> Vec<u8> {
        let signature = self.0.sign(&message::signed(body)).to_bytes();
        message::join(&Parts {
            key_id: self.verifier().id(),
            signature,
            body,
        })
    }
}

impl fmt::Debug for ReceiptSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiptSigner")
            .field("verifier", &self.verifier())
            .finish_non_exhaustive()
    }
}

impl ReceiptVerifier {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`ReceiptError::BadKey`], saying what the text lacks.
    pub fn from_text(text: &str) -> Result<Self, ReceiptError> {
        let lacks = "a receipt verification key begins with cgrv1:";
        let bytes = keytext::read(text, VERIFIER_PREFIX, lacks).map_err(ReceiptError::BadKey)?;
        let key = VerifyingKey::from_bytes(&bytes).ok();
        // Under a key of low order anybody can sign.
        key.filter(|key| !key.is_weak())
            .map(Self)
            .ok_or(ReceiptError::BadKey(
                "it is no Ed25519 key that can be trusted",
            ))
    }

    /// Writes the text form.
    #[must_use]
    pub fn to_text(&self) -> String {
        keytext::public(VERIFIER_PREFIX, self.0.as_bytes())
    }

    /// Reads the receipts of a message; its signature is checked before anything else of it is
    /// read.
    ///
    /// # Errors
    /// See [`ReceiptError`]; none of them is worth another try, but [`ReceiptError::OtherKey`] one
    /// with the next key.
    pub fn open(&self, bytes: &[u8]) -> Result<Vec<Receipt>, ReceiptError> {
        let Parts {
            key_id,
            signature,
            body,
        } = message::split(bytes)?;
        if key_id != self.id() {
            return Err(ReceiptError::OtherKey);
        }
        self.0
            .verify_strict(&message::signed(body), &Signature::from_bytes(&signature))
            .map_err(|_| ReceiptError::NotAuthentic)?;
        message::receipts(body).ok_or(ReceiptError::Content)
    }

    /// Key id: the first bytes of the key itself.
    fn id(&self) -> [u8; KEY_ID_BYTES] {
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&self.0.as_bytes()[..KEY_ID_BYTES]);
        id
    }
}

impl fmt::Debug for ReceiptVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceiptVerifier({})", self.to_text())
    }
}
