//! Verification of a service's proof: that all elements of an answer were multiplied by one key.

use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul as _;
use sha2::{Digest as _, Sha512};
use voprf::{Group as _, Ristretto255};

use crate::PublicKey;
use crate::wire::{ELEMENT_BYTES, PROOF_BYTES};

/// Tag of the hash that the weights of a batch follow from (RFC 9497, section 2.2.1).
const SEED_TAG: &[u8] = b"Seed-OPRFV1-\x01-ristretto255-SHA512";

/// Tag of HashToScalar (RFC 9497, section 4.1).
const SCALAR_TAG: &[u8] = b"HashToScalar-OPRFV1-\x01-ristretto255-SHA512";

/// Bytes of an element before each element that is hashed.
const ELEMENT_LENGTH: [u8; 2] = length(ELEMENT_BYTES);

/// Element with its encoding.
pub(crate) struct Encoded {
    /// The element.
    pub(crate) point: RistrettoPoint,
    /// Encoding of the element.
    pub(crate) bytes: [u8; ELEMENT_BYTES],
}

/// Proof that elements were multiplied by one key (RFC 9497, section 2.2).
pub(crate) struct Proof {
    challenge: Scalar,
    response: Scalar,
}

impl Proof {
    /// Reads a proof; `None` where a half is zero or not below the group's order.
    pub(crate) fn from_bytes(bytes: &[u8; PROOF_BYTES]) -> Option<Self> {
        let (challenge, response) = bytes.split_at(PROOF_BYTES / 2);
        Some(Self {
            challenge: Ristretto255::deserialize_scalar(challenge).ok()?,
            response: Ristretto255::deserialize_scalar(response).ok()?,
        })
    }

    /// Returns whether each of `answered` is the one of `asked` in its place, multiplied by the
    /// private key of `key` (RFC 9497, section 2.2.2, VerifyProof). The time that it takes depends
    /// on the values, all of which the service and whoever carries its messages know.
    ///
    /// Elements of both sides are as many, 65,535 at most.
    pub(crate) fn verifies(
        &self,
        key: &PublicKey,
        asked: &[Encoded],
        answered: &[Encoded],
    ) -> bool {
        debug_assert_eq!(asked.len(), answered.len());
        let weights = weights(key, asked, answered);
        // The weights are of the size of the group, so one sum of products costs a fraction of as
        // many products.
        let sum = |elements: &[Encoded]| {
            let points = elements.iter().map(|element| element.point);
            RistrettoPoint::vartime_multiscalar_mul(&weights, points)
        };
        let asked = sum(asked);
        let answered = sum(answered);
        let of_key = RISTRETTO_BASEPOINT_POINT * self.response + key.point() * self.challenge;
        let of_elements = asked * self.response + answered * self.challenge;
        self.challenge == challenge(key, &[asked, answered, of_key, of_elements])
    }
}

/// The weight of each element (RFC 9497, section 2.2.1, ComputeComposites).
fn weights(key: &PublicKey, asked: &[Encoded], answered: &[Encoded]) -> Vec<Scalar> {
    let seed = Sha512::new()
        .chain_update(ELEMENT_LENGTH)
        .chain_update(key.as_bytes())
        .chain_update(length(SEED_TAG.len()))
        .chain_update(SEED_TAG)
        .finalize();
    let pairs = asked.iter().zip(answered);
    pairs
        .zip(0_u16..)
        .map(|((asked, answered), index)| weight(&seed, index, asked, answered))
        .collect()
}

fn weight(seed: &[u8], index: u16, asked: &Encoded, answered: &Encoded) -> Scalar {
    hash_to_scalar(&[
        &length(seed.len()),
        seed,
        &index.to_be_bytes(),
        &ELEMENT_LENGTH,
        &asked.bytes,
        &ELEMENT_LENGTH,
        &answered.bytes,
        b"Composite",
    ])
}

/// The challenge that a proof must have (RFC 9497, section 2.2.2).
fn challenge(key: &PublicKey, points: &[RistrettoPoint; 4]) -> Scalar {
    let [asked, answered, of_key, of_elements] = points.map(|point| point.compress().to_bytes());
    hash_to_scalar(&[
        &ELEMENT_LENGTH,
        key.as_bytes(),
        &ELEMENT_LENGTH,
        &asked,
        &ELEMENT_LENGTH,
        &answered,
        &ELEMENT_LENGTH,
        &of_key,
        &ELEMENT_LENGTH,
        &of_elements,
        b"Challenge",
    ])
}

fn hash_to_scalar(parts: &[&[u8]]) -> Scalar {
    Ristretto255::hash_to_scalar::<Sha512>(parts, &[SCALAR_TAG])
        .expect("expand_message_xmd has failures only for the tag and the length")
}

/// A length as the RFC writes it before what is hashed.
const fn length(bytes: usize) -> [u8; 2] {
    assert!(bytes <= u16::MAX as usize);
    #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
    let length = bytes as u16;
    length.to_be_bytes()
}
