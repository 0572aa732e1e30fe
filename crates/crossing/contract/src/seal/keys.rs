//! The registry's keys: gateways seal to the public one, and the registry opens with the private
//! one.

use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeS, Serializable as _};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::error::SealError;
use super::format::{INFO, KEY_ID_BYTES};
use crate::keytext::{self, KEY_BYTES};

const PUBLIC_PREFIX: &str = "cgpk1:";
const PRIVATE_PREFIX: &str = "cgsk1:";

/// The registry's public key; gateways seal to it. Text form `cgpk1:<base64url>`.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(pub(super) <X25519HkdfSha256 as Kem>::PublicKey);

/// The registry's private key. Text form `cgsk1:<base64url>`; never printed, zeroed on drop.
#[derive(Clone)]
pub struct PrivateKey {
    pub(super) secret: <X25519HkdfSha256 as Kem>::PrivateKey,
    pub(super) public: PublicKey,
}

impl PublicKey {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`SealError::BadKey`], saying what the text lacks.
    pub fn from_text(text: &str) -> Result<Self, SealError> {
        Self::from_prefixed(text, PUBLIC_PREFIX, "a public key begins with cgpk1:")
    }

    /// Reads a text form with this prefix; `lacks` is the error of a text without it.
    pub(super) fn from_prefixed(
        text: &str,
        prefix: &str,
        lacks: &'static str,
    ) -> Result<Self, SealError> {
        let bytes = keytext::read(text, prefix, lacks).map_err(SealError::BadKey)?;
        let key = Self::from_bytes(&bytes)?;
        // A low-order point seals nothing; better reported when the configuration is read than at
        // the first batch.
        hpke::setup_sender::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &key.0,
            INFO,
        )
        .map_err(|_| SealError::BadKey("it is a point that cannot keep a secret"))?;
        Ok(key)
    }

    fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Result<Self, SealError> {
        let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(bytes);
        key.map(Self)
            .map_err(|_| SealError::BadKey("it is no X25519 key"))
    }

    /// Writes the text form.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.to_prefixed(PUBLIC_PREFIX)
    }

    /// Writes a text form with this prefix.
    pub(super) fn to_prefixed(&self, prefix: &str) -> String {
        keytext::public(prefix, &self.0.to_bytes().into())
    }

    /// Key id: the first bytes of the key itself.
    pub(super) fn id(&self) -> [u8; KEY_ID_BYTES] {
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&self.0.to_bytes()[..KEY_ID_BYTES]);
        id
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.to_text())
    }
}

impl PrivateKey {
    /// Makes a fresh key.
    ///
    /// # Panics
    /// The operating system has no randomness to give.
    #[must_use]
    pub fn generate() -> Self {
        let (secret, public) = X25519HkdfSha256::gen_keypair();
        Self {
            secret,
            public: PublicKey(public),
        }
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`SealError::BadKey`].
    pub fn from_text(text: &SecretString) -> Result<Self, SealError> {
        let lacks = "a private key begins with cgsk1:";
        Self::from_prefixed(text.expose_secret(), PRIVATE_PREFIX, lacks)
    }

    /// Reads a text form with this prefix; `lacks` is the error of a text without it.
    pub(super) fn from_prefixed(
        text: &str,
        prefix: &str,
        lacks: &'static str,
    ) -> Result<Self, SealError> {
        let bytes = keytext::read(text, prefix, lacks).map_err(SealError::BadKey)?;
        let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(bytes.as_slice())
            .map_err(|_| SealError::BadKey("it is no X25519 key"))?;
        let public = PublicKey(X25519HkdfSha256::sk_to_pk(&secret));
        Ok(Self { secret, public })
    }

    /// Writes the text form.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        self.to_prefixed(PRIVATE_PREFIX)
    }

    /// Writes a text form with this prefix.
    pub(super) fn to_prefixed(&self, prefix: &str) -> SecretString {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        self.secret.write_exact(bytes.as_mut_slice());
        keytext::secret(prefix, &bytes)
    }

    /// Public key, which gateways seal to.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public.clone()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}
