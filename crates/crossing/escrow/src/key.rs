//! The auditor's keys: relay and registry seal to the public one, and the auditor opens with the
//! private one.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeS, Serializable as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::KeyError;
use crate::format::INFO;

pub(crate) const KEY_BYTES: usize = 32;
/// Characters of [`KEY_BYTES`] in base64url without padding.
const KEY_CHARS: usize = 43;
/// Bytes of a public key's checksum.
const CHECKSUM_BYTES: usize = 3;
/// Bytes of a public key's text form: the key and its checksum.
const PUBLIC_BYTES: usize = KEY_BYTES + CHECKSUM_BYTES;
const CHECKSUM_DOMAIN: &[u8] = b"clinic-gateway auditor public key v1";
const PUBLIC_PREFIX: &str = "cgav1:";
const PRIVATE_PREFIX: &str = "cgak1:";

pub(crate) type PublicPoint = <X25519HkdfSha256 as Kem>::PublicKey;
pub(crate) type PrivateScalar = <X25519HkdfSha256 as Kem>::PrivateKey;

/// The auditor's public key. Text form `cgav1:<base64url>`, of the key and a checksum.
#[derive(Clone, PartialEq, Eq)]
pub struct AuditorPublicKey(pub(crate) PublicPoint);

/// The auditor's private key. Text form `cgak1:<base64url>`; never printed, zeroed on drop.
#[derive(Clone)]
pub struct AuditorKey {
    pub(crate) secret: PrivateScalar,
    public: AuditorPublicKey,
}

impl AuditorPublicKey {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`KeyError`], saying what the text lacks.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let bytes = read::<PUBLIC_BYTES>(text, "public key of an auditor", PUBLIC_PREFIX)?;
        let (key, stated) = bytes.split_at(KEY_BYTES);
        if checksum(key) != stated {
            return Err(KeyError::Characters);
        }
        let point = PublicPoint::from_bytes(key).map_err(|_| KeyError::Value)?;
        // A low-order point seals nothing; better reported when the configuration is read than at
        // the first entry.
        hpke::setup_sender::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &point,
            INFO,
        )
        .map_err(|_| KeyError::Value)?;
        Ok(Self(point))
    }

    /// Writes the text form.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut bytes = self.bytes().to_vec();
        bytes.extend(checksum(&self.bytes()));
        format!("{PUBLIC_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(crate) fn bytes(&self) -> [u8; KEY_BYTES] {
        self.0.to_bytes().into()
    }
}

impl fmt::Debug for AuditorPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditorPublicKey({})", self.to_text())
    }
}

impl AuditorKey {
    /// Makes a fresh key.
    ///
    /// # Panics
    /// The operating system has no randomness to give.
    #[must_use]
    pub fn generate() -> Self {
        let (secret, public) = X25519HkdfSha256::gen_keypair();
        Self {
            secret,
            public: AuditorPublicKey(public),
        }
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`KeyError`], saying what the text lacks.
    pub fn from_text(text: &SecretString) -> Result<Self, KeyError> {
        let what = "private key of an auditor";
        let bytes = read::<KEY_BYTES>(text.expose_secret(), what, PRIVATE_PREFIX)?;
        let secret = PrivateScalar::from_bytes(bytes.as_slice()).map_err(|_| KeyError::Value)?;
        let public = AuditorPublicKey(X25519HkdfSha256::sk_to_pk(&secret));
        Ok(Self { secret, public })
    }

    /// Writes the text form.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        self.secret.write_exact(bytes.as_mut_slice());
        // The exact capacity, so that no moved copy is left behind.
        let mut text = String::with_capacity(PRIVATE_PREFIX.len() + KEY_CHARS);
        text.push_str(PRIVATE_PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
        SecretString::from(text)
    }

    /// Public key, which relay and registry seal to.
    #[must_use]
    pub fn public(&self) -> AuditorPublicKey {
        self.public.clone()
    }
}

impl fmt::Debug for AuditorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditorKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// Checksum of a public key's bytes: a mistyped key would be a key of nobody, and what is sealed to it
/// would stay closed for ever.
pub(crate) fn checksum(key: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::new()
        .chain_update(CHECKSUM_DOMAIN)
        .chain_update(key)
        .finalize();
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&digest[..CHECKSUM_BYTES]);
    checksum
}

/// Reads `BYTES` bytes of a key's text form; white space around it is no matter.
fn read<const BYTES: usize>(
    text: &str,
    what: &'static str,
    prefix: &'static str,
) -> Result<Zeroizing<[u8; BYTES]>, KeyError> {
    let encoded = text.trim().strip_prefix(prefix);
    let encoded = encoded.ok_or(KeyError::Prefix { what, prefix })?;
    let characters = (BYTES * 4).div_ceil(3);
    if encoded.len() != characters {
        return Err(KeyError::Length { characters });
    }
    // The decoder wants a buffer of its own estimate, which is a little larger.
    let mut decoded = Zeroizing::new([0; PUBLIC_BYTES + 2]);
    match URL_SAFE_NO_PAD.decode_slice(encoded, decoded.as_mut_slice()) {
        Ok(length) if length == BYTES => {}
        Ok(_) | Err(_) => return Err(KeyError::Characters),
    }
    let mut bytes = Zeroizing::new([0; BYTES]);
    bytes.copy_from_slice(&decoded[..BYTES]);
    Ok(bytes)
}
