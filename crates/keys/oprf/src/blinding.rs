//! Blinding: what a client sends instead of its inputs, and how it takes the blinds off again.

use std::fmt;

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use rand_core::TryCryptoRng;
use voprf::{Ristretto255, VoprfClient};
use zeroize::{Zeroize, Zeroizing};

use crate::answer::{Answer, AnswerError};
use crate::proof::Encoded;
use crate::random::OsRandom;
use crate::wire::{self, ELEMENT_BYTES, MAX_ELEMENTS, SIZES};
use crate::{Element, PublicKey};

/// Bytes of a blind.
const BLIND_BYTES: usize = 32;

/// No inputs, or more than a request has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a request takes 1 to {MAX_ELEMENTS} inputs, not {inputs}")]
pub struct TooMany {
    /// Number of inputs offered.
    pub inputs: usize,
}

/// One place of a request: its blind and its present element, in the form in which the crate
/// `voprf` keeps a client's state. A fill element has the blind 1. Wiped when dropped.
type Place = Zeroizing<[u8; BLIND_BYTES + ELEMENT_BYTES]>;

/// Inputs under random blinds, and what the services asked so far have made of them. Services are
/// asked in turn: each gets [`request`](Self::request), and what it answers goes to
/// [`accept`](Self::accept), which verifies it. `Debug` shows nothing of it.
pub struct Blinding {
    /// Places of the request, one of [`SIZES`]: the inputs in their order, then the fill.
    places: Vec<Place>,
    /// Number of places that belong to inputs.
    inputs: usize,
    /// True once an answer was accepted.
    evaluated: bool,
}

impl Blinding {
    /// Blinds 1 to 256 inputs (RFC 9497, section 3.3.2, Blind), and fills up to the smallest of
    /// [`SIZES`] with random elements.
    ///
    /// # Errors
    /// [`TooMany`]: no inputs, or more than 256.
    ///
    /// # Panics
    /// The operating system has no randomness to give, or an input hashes to the identity, which
    /// has a probability of 2^-252.
    pub fn new(inputs: &[&[u8]]) -> Result<Self, TooMany> {
        let size = SIZES.into_iter().find(|size| inputs.len() <= *size);
        match size {
            Some(size) if !inputs.is_empty() => Ok(Self::with(inputs, size, &mut OsRandom)),
            Some(_) | None => Err(TooMany {
                inputs: inputs.len(),
            }),
        }
    }

    /// Number of elements of each request, one of [`SIZES`].
    #[must_use]
    pub fn size(&self) -> usize {
        self.places.len()
    }

    /// The request to the next service, for its key `key_number`.
    #[must_use]
    pub fn request(&self, key_number: u16) -> Vec<u8> {
        let mut request = wire::head(key_number, wire::request_bytes(self.size()));
        for place in &self.places {
            request.extend_from_slice(&place[BLIND_BYTES..]);
        }
        request
    }

    /// Verifies a service's answer to [`request`](Self::request): that all elements, those of the
    /// fill too, were multiplied by the private key of `key` (RFC 9497, section 2.2.2). The next
    /// request then carries what was answered.
    ///
    /// # Errors
    /// [`AnswerError`]; the blinding is as it was before.
    pub fn accept(
        &mut self,
        answer: &[u8],
        key_number: u16,
        key: &PublicKey,
    ) -> Result<(), AnswerError> {
        let answer = Answer::parse(answer, key_number, self.size())?;
        let asked: Vec<Encoded> = self.places.iter().map(asked).collect();
        if !answer.proof.verifies(key, &asked, &answer.elements) {
            return Err(AnswerError::Proof);
        }
        for (place, element) in self.places.iter_mut().zip(&answer.elements) {
            place[BLIND_BYTES..].copy_from_slice(&element.bytes);
        }
        self.evaluated = true;
        Ok(())
    }

    /// Takes the blinds off: one element for each input, in their order, multiplied by the keys of
    /// all services whose answers were accepted. Fill elements do not come out.
    ///
    /// # Panics
    /// No answer was accepted. What came out would be bare hashes, which anybody can compute.
    #[must_use]
    pub fn unblind(self) -> Vec<Element> {
        assert!(self.evaluated, "no key service has evaluated these inputs");
        let places = &self.places[..self.inputs];
        let mut inverses = Zeroizing::new(places.iter().map(blind).collect::<Vec<_>>());
        // The product of all inverses, which is as secret as they are.
        Scalar::invert_batch_alloc(&mut inverses).zeroize();
        places
            .iter()
            .zip(inverses.iter())
            .map(|(place, inverse)| Element::from_point(&(point(place) * inverse)))
            .collect()
    }

    /// Blinds inputs with scalars that `random` gives, one after the other, and fills up to `size`.
    pub(crate) fn with(inputs: &[&[u8]], size: usize, random: &mut impl TryCryptoRng) -> Self {
        let mut places = Vec::with_capacity(size);
        for input in inputs {
            places.push(blinded(input, random));
        }
        for _ in inputs.len()..size {
            places.push(fill(random));
        }
        Self {
            places,
            inputs: inputs.len(),
            evaluated: false,
        }
    }
}

impl fmt::Debug for Blinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blinding(..)")
    }
}

/// The place of an input under a new blind.
fn blinded(input: &[u8], random: &mut impl TryCryptoRng) -> Place {
    let blinded = VoprfClient::<Ristretto255>::blind(input, random)
        .expect("the generator panics rather than fail, and no input hashes to the identity");
    let mut state = blinded.state.serialize();
    let mut place = Place::new([0; BLIND_BYTES + ELEMENT_BYTES]);
    place.copy_from_slice(&state);
    state.as_mut_slice().zeroize();
    place
}

/// A place with a random element, which no input stands behind. It looks like any other: an input's
/// element under its blind is uniformly random too.
fn fill(random: &mut impl TryCryptoRng) -> Place {
    let point = loop {
        let mut uniform = Zeroizing::new([0; 64]);
        random
            .try_fill_bytes(uniform.as_mut_slice())
            .expect("the generator panics rather than fail");
        let point = RistrettoPoint::from_uniform_bytes(&uniform);
        if !point.is_identity() {
            break point;
        }
    };
    let mut place = Place::new([0; BLIND_BYTES + ELEMENT_BYTES]);
    place[..BLIND_BYTES].copy_from_slice(Scalar::ONE.as_bytes());
    place[BLIND_BYTES..].copy_from_slice(point.compress().as_bytes());
    place
}

/// The element of a place, as it is asked for.
fn asked(place: &Place) -> Encoded {
    let bytes = place
        .last_chunk()
        .expect("a place is longer than an element");
    Encoded {
        point: point(place),
        bytes: *bytes,
    }
}

fn blind(place: &Place) -> Scalar {
    let bytes = place.first_chunk().expect("a place is longer than a blind");
    Option::from(Scalar::from_canonical_bytes(*bytes)).expect("a place holds a scalar")
}

fn point(place: &Place) -> RistrettoPoint {
    let bytes = place
        .last_chunk()
        .expect("a place is longer than an element");
    CompressedRistretto(*bytes)
        .decompress()
        .expect("a place holds an element")
}
