//! Answers: as a key service writes them, and as a client reads them.

use voprf::{EvaluationElement, Group as _, Ristretto255};

use crate::proof::{Encoded, Proof};
use crate::wire::{
    self, DAY_TOKEN_ELEMENTS, HEAD_BYTES, PROOF_BYTES, SIZES, VERSION, answer_bytes,
};

/// Why an answer is not accepted. Nothing has changed then; another answer may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Another version, or no byte at all.
    #[error("the answer is not of version {VERSION}")]
    Version,
    /// The length of an answer to the other size of request.
    #[error("the answer has {got} elements; {asked} were asked for")]
    Size {
        /// Elements that were asked for.
        asked: usize,
        /// Elements that an answer of this length has.
        got: usize,
    },
    /// No answer's length.
    #[error("the answer has {got} bytes; {expected} were expected")]
    Length {
        /// Bytes that the answer should have.
        expected: usize,
        /// Bytes that it has.
        got: usize,
    },
    /// Another key number.
    #[error("the answer is under key {got}; key {asked} was asked for")]
    KeyNumber {
        /// Key number that was asked for.
        asked: u16,
        /// Key number that the answer names.
        got: u16,
    },
    /// Bytes that are not the canonical encoding of an element, or that of the identity.
    #[error("element {index} of the answer is no element of ristretto255 or is the identity")]
    Element {
        /// Place of the element, from 0.
        index: usize,
    },
    /// Proof of which a half is zero or not below the group's order.
    #[error("the answer's proof is not of the form of a proof")]
    ProofForm,
    /// The proof does not verify: another key, elements that were changed or moved, or an answer to
    /// something else.
    #[error("the answer was not computed under the pinned key from what was asked")]
    Proof,
}

/// Writes an answer.
pub(crate) fn write(
    key_number: u16,
    elements: &[EvaluationElement<Ristretto255>],
    proof: &voprf::Proof<Ristretto255>,
) -> Vec<u8> {
    let mut answer = wire::head(key_number, answer_bytes(elements.len()));
    for element in elements {
        answer.extend_from_slice(&element.serialize());
    }
    answer.extend_from_slice(&proof.serialize());
    answer
}

/// An answer whose form is right and whose proof is not verified yet.
pub(crate) struct Answer {
    /// Evaluated elements in the order of the request.
    pub(crate) elements: Vec<Encoded>,
    /// Proof over all of them.
    pub(crate) proof: Proof,
}

impl Answer {
    /// Reads the answer to a request of `size` elements under the key `key_number`.
    pub(crate) fn parse(bytes: &[u8], key_number: u16, size: usize) -> Result<Self, AnswerError> {
        if bytes.first() != Some(&VERSION) {
            return Err(AnswerError::Version);
        }
        if bytes.len() != answer_bytes(size) {
            return Err(wrong_length(bytes.len(), size));
        }
        let named = u16::from_be_bytes([bytes[1], bytes[2]]);
        if named != key_number {
            return Err(AnswerError::KeyNumber {
                asked: key_number,
                got: named,
            });
        }
        let (elements, proof) = bytes[HEAD_BYTES..]
            .split_last_chunk::<PROOF_BYTES>()
            .expect("an answer's length has room for a proof");
        let (elements, _) = elements.as_chunks();
        let read = |(index, bytes): (usize, &[u8; _])| {
            let point = Ristretto255::deserialize_elem(bytes);
            let point = point.map_err(|_| AnswerError::Element { index })?;
            let bytes = *bytes;
            Ok(Encoded { point, bytes })
        };
        Ok(Self {
            elements: elements
                .iter()
                .enumerate()
                .map(read)
                .collect::<Result<_, _>>()?,
            proof: Proof::from_bytes(proof).ok_or(AnswerError::ProofForm)?,
        })
    }
}

fn wrong_length(got: usize, asked: usize) -> AnswerError {
    let mut sizes = SIZES.into_iter().chain([DAY_TOKEN_ELEMENTS]);
    match sizes.find(|size| answer_bytes(*size) == got) {
        Some(got) => AnswerError::Size { asked, got },
        None => AnswerError::Length {
            expected: answer_bytes(asked),
            got,
        },
    }
}
