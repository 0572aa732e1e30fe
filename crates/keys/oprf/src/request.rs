//! Requests as a key service reads them.

use std::fmt;

use voprf::{BlindedElement, Ristretto255};

use crate::wire::{DAY_TOKEN_ELEMENTS, ELEMENT_BYTES, HEAD_BYTES, SIZES, VERSION, request_bytes};

/// Why bytes are not a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Another version, or no byte at all.
    #[error("the request is not of version {VERSION}")]
    Version,
    /// None of the lengths.
    #[error("the request has the bytes of neither {DAY_TOKEN_ELEMENTS} element nor {} nor {}",
        SIZES[0], SIZES[1])]
    Length,
    /// Key number zero.
    #[error("key numbers begin at 1")]
    KeyNumber,
    /// Bytes that are not the canonical encoding of an element, or that of the identity.
    #[error("element {index} of the request is no element of ristretto255 or is the identity")]
    Element {
        /// Place of the element, from 0.
        index: usize,
    },
}

/// A request as a key service takes it: elements of ristretto255 other than the identity.
pub struct Request {
    key_number: u16,
    elements: Vec<BlindedElement<Ristretto255>>,
}

impl Request {
    /// Reads a request. Its number of elements has yet to fit the key's use.
    ///
    /// # Errors
    /// [`RequestError`]; every byte counts, nothing may follow.
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        let head = bytes.first_chunk::<HEAD_BYTES>();
        if bytes.first() != Some(&VERSION) {
            return Err(RequestError::Version);
        }
        let Some([_, high, low]) = head else {
            return Err(RequestError::Length);
        };
        let mut sizes = SIZES.into_iter().chain([DAY_TOKEN_ELEMENTS]);
        if !sizes.any(|size| request_bytes(size) == bytes.len()) {
            return Err(RequestError::Length);
        }
        let key_number = u16::from_be_bytes([*high, *low]);
        if key_number == 0 {
            return Err(RequestError::KeyNumber);
        }
        Self::of_elements(key_number, &bytes[HEAD_BYTES..])
    }

    /// Number of the key that is asked for, from 1.
    #[must_use]
    pub fn key_number(&self) -> u16 {
        self.key_number
    }

    /// Number of elements, one of [`SIZES`] or [`DAY_TOKEN_ELEMENTS`].
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a request is never empty")]
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    pub(crate) fn elements(&self) -> &Vec<BlindedElement<Ristretto255>> {
        &self.elements
    }

    /// Reads elements, of any number.
    pub(crate) fn of_elements(key_number: u16, bytes: &[u8]) -> Result<Self, RequestError> {
        let elements = bytes
            .chunks(ELEMENT_BYTES)
            .enumerate()
            .map(|(index, element)| {
                BlindedElement::deserialize(element).map_err(|_| RequestError::Element { index })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            key_number,
            elements,
        })
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.len();
        write!(f, "Request(key {}, {size} elements)", self.key_number)
    }
}
