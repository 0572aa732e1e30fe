//! The outer seal of strong mode: a sealed batch, sealed once more to the relay, so that the bytes at
//! the clinics' broker and those at the registry's broker have nothing in common.
//!
//! Bytes: `CGO1` | key id (8) | encapsulated key (32) | ciphertext of the sealed batch | tag (16),
//! by HPKE (RFC 9180) as in a sealed batch. All before the ciphertext is authenticated as associated
//! data.

use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::inout::InOutBuf;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::error::{OpenError, SealError};
use super::format::{KEY_ID_BYTES, TAG_BYTES, Tag, batch_id_of_whole};
use super::keys::{PrivateKey, PublicKey};
use crate::keytext::KEY_BYTES;
use crate::{BatchId, SealedBatch};

const MAGIC: &[u8; 4] = b"CGO1";
/// HPKE's `info`.
const INFO: &[u8] = b"clinic-gateway relay v1";
const PUBLIC_PREFIX: &str = "cgrp1:";
const PRIVATE_PREFIX: &str = "cgrs1:";
const ENCAPSULATED_AT: usize = MAGIC.len() + KEY_ID_BYTES;
const HEADER_BYTES: usize = ENCAPSULATED_AT + KEY_BYTES;

/// Number of bytes that the outer seal adds to a sealed batch.
pub const RELAY_SEAL_BYTES: usize = HEADER_BYTES + TAG_BYTES;

/// A relay's public key; gateways seal to it. Text form `cgrp1:<base64url>`.
#[derive(Clone, PartialEq, Eq)]
pub struct RelayPublicKey(PublicKey);

/// A relay's private key. Text form `cgrs1:<base64url>`; never printed, zeroed on drop.
#[derive(Clone)]
pub struct RelayPrivateKey(PrivateKey);

/// Seals batches to one relay. A batch that is sealed again keeps its outer id, which tells nothing
/// of its own one.
pub struct RelaySealer {
    key: RelayPublicKey,
    /// Makes the outer ids; another one in each process.
    id_secret: Zeroizing<[u8; 32]>,
}

impl RelayPublicKey {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`SealError::BadRelayKey`], saying what the text lacks.
    pub fn from_text(text: &str) -> Result<Self, SealError> {
        let lacks = "a relay's public key begins with cgrp1:";
        let key = PublicKey::from_prefixed(text, PUBLIC_PREFIX, lacks);
        key.map(Self).map_err(of_a_relay)
    }

    /// Writes the text form.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.0.to_prefixed(PUBLIC_PREFIX)
    }
}

impl fmt::Debug for RelayPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelayPublicKey({})", self.to_text())
    }
}

impl RelaySealer {
    /// Makes a sealer to this key.
    ///
    /// # Panics
    /// The operating system has no randomness to give.
    #[must_use]
    pub fn new(key: RelayPublicKey) -> Self {
        let mut id_secret = Zeroizing::new([0; 32]);
        getrandom::fill(id_secret.as_mut_slice()).expect("the operating system gives random bytes");
        Self { key, id_secret }
    }

    /// Seals a batch once more.
    ///
    /// # Errors
    /// [`SealError::BadRelayKey`] for a key that cannot keep a secret; none that was read from text.
    pub fn seal(&self, batch: &SealedBatch) -> Result<SealedBatch, SealError> {
        let public = &self.key.0;
        let (encapsulated, mut context) = hpke::setup_sender::<
            ChaCha20Poly1305,
            HkdfSha256,
            X25519HkdfSha256,
        >(&OpModeS::Base, &public.0, INFO)
        .map_err(|_| SealError::BadRelayKey("it is a point that cannot keep a secret"))?;
        let mut bytes = Vec::with_capacity(batch.bytes.len() + RELAY_SEAL_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&public.id());
        bytes.extend_from_slice(&encapsulated.to_bytes());
        bytes.extend_from_slice(&batch.bytes);
        let (header, content) = bytes.split_at_mut(HEADER_BYTES);
        let tag = context
            .seal_inout_detached(InOutBuf::from(content), header)
            .expect("the first message of a context is within the cipher's limits");
        bytes.extend_from_slice(&tag.to_bytes());
        Ok(SealedBatch {
            id: self.outer_id(batch.id),
            bytes,
        })
    }

    fn outer_id(&self, id: BatchId) -> BatchId {
        let digest = Sha256::new()
            .chain_update(self.id_secret.as_slice())
            .chain_update(id.0)
            .finalize();
        let mut outer = BatchId([0; 16]);
        outer.0.copy_from_slice(&digest[..16]);
        outer
    }
}

/// Text form of the key that is sealed to.
impl fmt::Display for RelaySealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key.to_text())
    }
}

impl fmt::Debug for RelaySealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelaySealer")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl RelayPrivateKey {
    /// Makes a fresh key.
    ///
    /// # Panics
    /// The operating system has no randomness to give.
    #[must_use]
    pub fn generate() -> Self {
        Self(PrivateKey::generate())
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`SealError::BadRelayKey`].
    pub fn from_text(text: &SecretString) -> Result<Self, SealError> {
        let lacks = "a relay's private key begins with cgrs1:";
        let key = PrivateKey::from_prefixed(text.expose_secret(), PRIVATE_PREFIX, lacks);
        key.map(Self).map_err(of_a_relay)
    }

    /// Writes the text form.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        self.0.to_prefixed(PRIVATE_PREFIX)
    }

    /// Public key, which gateways seal to.
    #[must_use]
    pub fn public(&self) -> RelayPublicKey {
        RelayPublicKey(self.0.public())
    }

    /// Takes the outer seal off. What is inside has the form of a sealed batch.
    ///
    /// # Errors
    /// [`OpenError`]; none is worth another try with this key.
    pub fn open(&self, sealed: &[u8]) -> Result<SealedBatch, OpenError> {
        let content = sealed.len().checked_sub(RELAY_SEAL_BYTES);
        if content.is_none() || !is_sealed_to_a_relay(sealed) {
            return Err(OpenError::Format);
        }
        let (header, rest) = sealed.split_at(HEADER_BYTES);
        if header[MAGIC.len()..ENCAPSULATED_AT] != self.0.public.id() {
            return Err(OpenError::WrongKey);
        }
        let (ciphertext, tag) = rest.split_at(rest.len() - TAG_BYTES);
        let tag = Tag::from_bytes(tag).map_err(|_| OpenError::Format)?;
        let encapsulated =
            <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&header[ENCAPSULATED_AT..])
                .map_err(|_| OpenError::Format)?;
        let mut context = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.0.secret,
            &encapsulated,
            INFO,
        )
        .map_err(|_| OpenError::NotAuthentic)?;
        let mut bytes = ciphertext.to_vec();
        context
            .open_inout_detached(InOutBuf::from(bytes.as_mut_slice()), header, &tag)
            .map_err(|_| OpenError::NotAuthentic)?;
        let id = batch_id_of_whole(&bytes).ok_or(OpenError::Content)?;
        Ok(SealedBatch { id, bytes })
    }
}

impl fmt::Debug for RelayPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayPrivateKey")
            .field("public", &self.public())
            .finish_non_exhaustive()
    }
}

/// Error of a key's text, said of a relay's key.
fn of_a_relay(error: SealError) -> SealError {
    match error {
        SealError::BadKey(what) => SealError::BadRelayKey(what),
        other => other,
    }
}

/// Returns whether bytes begin as those of the outer seal do. Nothing proves that they can be opened.
#[must_use]
pub fn is_sealed_to_a_relay(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> SealedBatch {
        let registry = PrivateKey::generate().public();
        registry.seal(b"content").unwrap().0
    }

    #[test]
    fn what_is_sealed_twice_has_nothing_in_common_and_opens_to_the_same() {
        let key = RelayPrivateKey::generate();
        let batch = batch();
        let sealer = RelaySealer::new(key.public());
        let first = sealer.seal(&batch).unwrap();
        let again = sealer.seal(&batch).unwrap();
        assert_eq!(first.bytes.len(), batch.bytes.len() + RELAY_SEAL_BYTES);
        assert_eq!(
            first.id, again.id,
            "a queue knows a batch that is sent again"
        );
        assert_ne!(first.id, batch.id);
        let other = RelaySealer::new(key.public()).seal(&batch).unwrap();
        assert_ne!(first.id, other.id, "the next process begins anew");
        let pieces = |bytes: &[u8]| {
            bytes
                .windows(8)
                .map(<[u8]>::to_vec)
                .collect::<std::collections::BTreeSet<_>>()
        };
        assert!(pieces(&first.bytes).is_disjoint(&pieces(&batch.bytes)));
        for outer in [first, again, other] {
            let inner = key.open(&outer.bytes).unwrap();
            assert_eq!((inner.id, inner.bytes), (batch.id, batch.bytes.clone()));
        }
    }

    #[test]
    fn whatever_is_changed_or_of_another_key_is_refused() {
        let key = RelayPrivateKey::generate();
        let batch = batch();
        let sealed = RelaySealer::new(key.public()).seal(&batch).unwrap().bytes;
        assert_eq!(
            RelayPrivateKey::generate().open(&sealed).unwrap_err(),
            OpenError::WrongKey
        );
        assert_eq!(key.open(&batch.bytes).unwrap_err(), OpenError::Format);
        for length in [0, 4, RELAY_SEAL_BYTES - 1, sealed.len() - 1] {
            assert!(key.open(&sealed[..length]).is_err(), "{length}");
        }
        for place in [0, 5, 13, HEADER_BYTES, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(key.open(&changed).is_err(), "{place}");
        }
        // The sender of an outer seal may be anybody: what is inside is looked at.
        let junk = SealedBatch {
            id: BatchId::random(),
            bytes: vec![7; batch.bytes.len()],
        };
        let sealed = RelaySealer::new(key.public()).seal(&junk).unwrap().bytes;
        assert_eq!(key.open(&sealed).unwrap_err(), OpenError::Content);
    }

    #[test]
    fn keys_of_a_relay_are_no_keys_of_a_registry() {
        let key = RelayPrivateKey::generate();
        let public = key.public().to_text();
        assert_eq!(RelayPublicKey::from_text(&public).unwrap(), key.public());
        let private = key.to_text();
        assert_eq!(
            RelayPrivateKey::from_text(&private).unwrap().public(),
            key.public()
        );
        assert!(PublicKey::from_text(&public).is_err());
        assert!(PrivateKey::from_text(&private).is_err());
        let registry = PrivateKey::generate();
        assert!(RelayPublicKey::from_text(&registry.public().to_text()).is_err());
        assert!(RelayPrivateKey::from_text(&registry.to_text()).is_err());
        assert!(!format!("{key:?}").contains(&private.expose_secret()[6..]));
    }
}
