//! Elements of the group: what an evaluation comes out as.

use std::fmt;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use zeroize::Zeroizing;

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

    /// Reads encodings and multiplies each element by the factor beside it: the same as
    /// [`Self::from_bytes`] and [`Self::times`] one by one, and faster, since an encoding is decoded
    /// once and the products are encoded together. `None` where one of them is no encoding of an
    /// element.
    #[must_use]
    pub fn products<'a>(
        encodings: impl IntoIterator<Item = ([u8; ELEMENT_BYTES], &'a Factor)>,
    ) -> Option<Vec<Self>> {
        // Points are encoded together as their doubles, so each is multiplied by half of its factor.
        let half = Scalar::from(2_u8).invert();
        let multiplied = |(bytes, factor): ([u8; ELEMENT_BYTES], &Factor)| {
            let point = CompressedRistretto(bytes).decompress()?;
            let halved = Zeroizing::new(factor.scalar() * half);
            (!point.is_identity()).then(|| point * *halved)
        };
        let points: Option<Vec<RistrettoPoint>> = encodings.into_iter().map(multiplied).collect();
        let encoded = RistrettoPoint::double_and_compress_batch(&points?);
        let elements = encoded.into_iter().map(|bytes| Self(bytes.to_bytes()));
        Some(elements.collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The group's generator (RFC 9496, appendix A.1).
    fn generator() -> Element {
        Element::from_point(&curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT)
    }

    #[test]
    fn products_are_what_each_element_comes_to_alone() {
        let factor = |number: u8| Factor::derive(b"factor of a test", &[number; 32]);
        let elements: Vec<Element> = (0..5).map(|it| generator().times(&factor(it))).collect();
        let factors: Vec<Factor> = (5..10).map(factor).collect();
        let pairs = elements.iter().zip(&factors);
        let expected: Vec<Element> = pairs.clone().map(|(one, by)| one.times(by)).collect();
        let products = Element::products(pairs.map(|(one, by)| (one.to_bytes(), by)));
        assert_eq!(products, Some(expected));
        assert_eq!(Element::products([]), Some(Vec::new()));
    }

    #[test]
    fn bytes_of_no_element_have_no_product() {
        let factor = Factor::derive(b"factor of a test", &[1; 32]);
        let good = generator().to_bytes();
        // The identity, and bytes that are no canonical encoding.
        for bad in [[0; ELEMENT_BYTES], [0xff; ELEMENT_BYTES]] {
            assert_eq!(Element::products([(good, &factor), (bad, &factor)]), None);
        }
    }
}
