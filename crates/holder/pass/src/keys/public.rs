//! Public keys and their ids.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{Digest, SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use crate::container::Envelope;

/// Id of a key: the first eight characters of its thumbprint (RFC 7638, SHA-256, base64url).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Number of groups of a fingerprint.
const FINGERPRINT_GROUPS: usize = 5;
/// Number of values that a group of a fingerprint may have: four digits.
const FINGERPRINT_MODULUS: u16 = 10_000;

/// Public key: a point of the curve P-256 by its coordinates, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey {
    x: [u8; 32],
    y: [u8; 32],
    /// Kept, since a verifier looks keys up by it.
    kid: KeyId,
}

impl PublicKey {
    /// Key from its coordinates. Whether they are a point of the curve shows when a signature is
    /// verified: a point outside verifies none.
    ///
    /// # Panics
    /// Never: a thumbprint is longer than an id.
    #[must_use]
    pub fn new(x: [u8; 32], y: [u8; 32]) -> Self {
        let mut kid = [0; 8];
        kid.copy_from_slice(&thumbprint(&x, &y).as_bytes()[..8]);
        Self {
            x,
            y,
            kid: KeyId(kid),
        }
    }

    /// Coordinate x, big-endian.
    #[must_use]
    pub fn x(&self) -> &[u8; 32] {
        &self.x
    }

    /// Coordinate y, big-endian.
    #[must_use]
    pub fn y(&self) -> &[u8; 32] {
        &self.y
    }

    /// Key from the uncompressed form of a point (SEC 1 section 2.3.3): 04, x, y. `None` when it
    /// is not that.
    #[must_use]
    pub fn from_point(point: &[u8]) -> Option<Self> {
        let (tag, coordinates) = point.split_first()?;
        let (x, y) = coordinates.split_at_checked(32)?;
        if *tag != 4 {
            return None;
        }
        Some(Self::new(x.try_into().ok()?, y.try_into().ok()?))
    }

    /// Uncompressed form of the point (SEC 1 section 2.3.3).
    #[must_use]
    pub fn to_point(&self) -> [u8; 65] {
        let mut point = [4; 65];
        point[1..33].copy_from_slice(&self.x);
        point[33..].copy_from_slice(&self.y);
        point
    }

    /// Thumbprint of the key's JWK (RFC 7638) as base64url, 43 characters.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        thumbprint(&self.x, &self.y)
    }

    /// Fingerprint of the key that people read aloud to each other: five groups of four digits,
    /// each of which is two bytes of the thumbprint (RFC 7638), big-endian, modulo 10,000. Another
    /// key with the same digits takes about 2^66 attempts to find.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = thumbprint_digest(&self.x, &self.y);
        let (pairs, _) = digest.as_ref().as_chunks::<2>();
        let groups: Vec<String> = pairs
            .iter()
            .take(FINGERPRINT_GROUPS)
            .map(|pair| format!("{:04}", u16::from_be_bytes(*pair) % FINGERPRINT_MODULUS))
            .collect();
        groups.join(" ")
    }

    /// Id of the key.
    #[must_use]
    pub fn kid(&self) -> KeyId {
        self.kid
    }

    /// True where the envelope's signature is one of this key by ES256. A point that is not on the
    /// curve verifies nothing.
    #[must_use]
    pub fn verifies(&self, envelope: &Envelope) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.to_point())
            .verify(&envelope.signed, &envelope.signature)
            .is_ok()
    }
}

fn thumbprint(x: &[u8; 32], y: &[u8; 32]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(thumbprint_digest(x, y))
}

fn thumbprint_digest(x: &[u8; 32], y: &[u8; 32]) -> Digest {
    let members = format!(
        r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
        BASE64_URL_SAFE_NO_PAD.encode(x),
        BASE64_URL_SAFE_NO_PAD.encode(y),
    );
    digest(&SHA256, members.as_bytes())
}
