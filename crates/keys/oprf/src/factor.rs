//! Factors: secret numbers that elements are multiplied by.

use std::fmt;

use curve25519_dalek::scalar::Scalar;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha512;
use voprf::{Group, Ristretto255};
use zeroize::Zeroizing;

use crate::text::{self, TextError, TextKind};

/// Domain separation tag of [`Factor::derive`], in the form of RFC 9497, section 4.1; with a context
/// of its own, so that no scalar of the protocol is made alike.
const DERIVE_TAG: &[u8] = b"HashToScalar-clinic-gateway/oprf/factor/v1-ristretto255-SHA512";

/// Secret scalar other than zero, by which elements are multiplied. Text form `cgof1:` and 32 bytes
/// in base64url; never printed, wiped when dropped.
pub struct Factor(Zeroizing<Scalar>);

impl Factor {
    /// Derives a factor from a key of 32 bytes, for one purpose: expand_message_xmd over SHA-512
    /// (RFC 9380, section 5.3.1) of `domain`, the key and one counting byte, reduced modulo the
    /// group's order. The key and the counter have a fixed length, so that no two domains meet.
    ///
    /// # Panics
    /// 256 hashes in a row give zero, each with a probability of 2^-252.
    #[must_use]
    pub fn derive(domain: &[u8], key: &[u8; 32]) -> Self {
        (0..=u8::MAX)
            .find_map(|counter| {
                let parts = [domain, key.as_slice(), &[counter]];
                let scalar = Ristretto255::hash_to_scalar::<Sha512>(&parts, &[DERIVE_TAG])
                    .expect("expand_message_xmd has failures only for the tag and the length");
                Self::from_scalar(scalar)
            })
            .expect("no 256 hashes in a row are zero")
    }

    /// This factor divided by `other`: what turns an element that was multiplied by `other` into
    /// one multiplied by this factor.
    #[must_use]
    pub fn divided_by(&self, other: &Self) -> Self {
        Self(Zeroizing::new(*self.0 * other.0.invert()))
    }

    /// The product of this factor and `other`: what multiplies an element by both.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        Self(Zeroizing::new(*self.0 * *other.0))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`TextError`], saying what the text lacks.
    pub fn from_text(text: &SecretString) -> Result<Self, TextError> {
        let bytes = text::read(text.expose_secret(), TextKind::Factor)?;
        Self::from_canonical(&bytes).ok_or(TextError::Value(TextKind::Factor))
    }

    /// Writes the text form.
    #[must_use]
    pub fn to_text(&self) -> SecretString {
        text::write_secret(TextKind::Factor, self.0.as_bytes())
    }

    /// Reads 32 bytes, little-endian; `None` for zero and for what is not below the group's order.
    pub(crate) fn from_canonical(bytes: &[u8; 32]) -> Option<Self> {
        Option::from(Scalar::from_canonical_bytes(*bytes)).and_then(Self::from_scalar)
    }

    pub(crate) fn scalar(&self) -> &Scalar {
        &self.0
    }

    fn from_scalar(scalar: Scalar) -> Option<Self> {
        (scalar != Scalar::ZERO).then(|| Self(Zeroizing::new(scalar)))
    }
}

impl fmt::Debug for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Factor(..)")
    }
}
