//! Public keys of key services, which their clients pin.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use voprf::{Group, Ristretto255};

use crate::Factor;
use crate::text::{self, TextError, TextKind};
use crate::wire::ELEMENT_BYTES;

/// Beginning of what [`PublicKey::fingerprint`] hashes.
const FINGERPRINT_DOMAIN: &[u8] = b"clinic-gateway/oprf/public-key/v1\0";

/// Bytes of a fingerprint: too many for a second key with the same one to be found.
const FINGERPRINT_BYTES: usize = 16;

/// Public key of a key service: the base point multiplied by the private key; never the identity.
/// Text form `cgov1:` and 32 bytes in base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; ELEMENT_BYTES]);

impl PublicKey {
    /// First 16 bytes of the key's SHA-256 under a domain of its own, as 32 hexadecimal digits in
    /// groups of four: for two persons who compare by voice.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::new()
            .chain_update(FINGERPRINT_DOMAIN)
            .chain_update(self.0)
            .finalize();
        digest[..FINGERPRINT_BYTES]
            .chunks(2)
            .map(|pair| format!("{:02x}{:02x}", pair[0], pair[1]))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The public key of the private key that is `factor` times the one of this key: of the
    /// service's next key, where the factor is the one of their rotation.
    #[must_use]
    pub fn times(&self, factor: &Factor) -> Self {
        let point = self.point() * factor.scalar();
        Self(Ristretto255::serialize_elem(point).into())
    }

    /// Reads the encoding of an element other than the identity.
    pub(crate) fn from_bytes(bytes: [u8; ELEMENT_BYTES]) -> Option<Self> {
        Ristretto255::deserialize_elem(&bytes)
            .is_ok()
            .then_some(Self(bytes))
    }

    /// The encoding of this key's element.
    pub(crate) fn as_bytes(&self) -> &[u8; ELEMENT_BYTES] {
        &self.0
    }

    pub(crate) fn point(&self) -> <Ristretto255 as Group>::Elem {
        Ristretto255::deserialize_elem(&self.0)
            .expect("no value of this type was made of other bytes than an element's encoding")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::write_public(TextKind::PublicKey, &self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let bytes = text::read(text, TextKind::PublicKey)?;
        Self::from_bytes(*bytes).ok_or(TextError::Value(TextKind::PublicKey))
    }
}
