//! Elements of the group: what an evaluation comes out as.

use std::fmt;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::traits::IsIdentity;

use crate::Factor;
use crate::wire::ELEMENT_BYTES;

/// Element of ristretto255 other than the identity, in its one canonical encoding (RFC 9496,
/// section 4.3.2). Its order is that of the encodings. `Debug` shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Element([u8; ELEMENT_BYTES]);

impl Element {
    /// Reads the encoding of an element. `None` for bytes that are not the canonical encoding of an
    /// element, and for the identity.
    #[must_use]
    pub fn from_bytes(bytes: [u8; ELEMENT_BYTES]) -> Option<Self> {
        let point = CompressedRistretto(bytes).decompress()?;
        (!point.is_identity()).then_some(Self(bytes))
    }

    /// The encoding of this element.
    #[must_use]
    pub fn to_bytes(self) -> [u8; ELEMENT_BYTES] {
        self.0
    }

    /// This element multiplied by `factor`: what the evaluation under another key would have been,
    /// where `factor` is the other key divided by the one used.
    #[must_use]
    pub fn times(&self, factor: &Factor) -> Self {
        Self::from_point(&(self.point() * factor.scalar()))
    }

    /// Takes a point that the caller knows not to be the identity.
    pub(crate) fn from_point(point: &RistrettoPoint) -> Self {
        debug_assert!(!point.is_identity());
        Self(point.compress().to_bytes())
    }

    fn point(&self) -> RistrettoPoint {
        CompressedRistretto(self.0)
            .decompress()
            .expect("no value of this type was made of other bytes than an element's encoding")
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Element(..)")
    }
}
