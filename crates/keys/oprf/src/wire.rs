//! What requests and answers have in common on the wire: sizes, lengths and the head.

/// Two numbers of elements that a request for pseudonyms or for tokens of batches may have. Places
/// that no input needs are filled with random elements.
pub const SIZES: [usize; 2] = [16, 256];

/// Number of elements of a request for the token of a day, which no request for pseudonyms has.
pub const DAY_TOKEN_ELEMENTS: usize = 1;

/// Most elements of a request, and most inputs of a blinding.
pub const MAX_ELEMENTS: usize = SIZES[1];

/// Bytes of an element.
pub const ELEMENT_BYTES: usize = 32;

/// Bytes of the longest request.
pub const MAX_REQUEST_BYTES: usize = request_bytes(MAX_ELEMENTS);

/// Bytes of the longest answer.
pub const MAX_ANSWER_BYTES: usize = answer_bytes(MAX_ELEMENTS);

/// Bytes of an output of the RFC, which is a hash of SHA-512.
pub(crate) const OUTPUT_BYTES: usize = 64;

/// First byte of requests and answers.
pub(crate) const VERSION: u8 = 1;

/// Bytes of the version and the key number.
pub(crate) const HEAD_BYTES: usize = 3;

/// Bytes of a proof: two scalars.
pub(crate) const PROOF_BYTES: usize = 64;

/// Bytes of a request of `size` elements.
#[must_use]
pub const fn request_bytes(size: usize) -> usize {
    HEAD_BYTES + size * ELEMENT_BYTES
}

/// Bytes of the answer to a request of `size` elements.
#[must_use]
pub const fn answer_bytes(size: usize) -> usize {
    request_bytes(size) + PROOF_BYTES
}

/// Writes the head of a request or answer; what follows has room for `bytes` in all.
pub(crate) fn head(key_number: u16, bytes: usize) -> Vec<u8> {
    let mut head = Vec::with_capacity(bytes);
    head.push(VERSION);
    head.extend_from_slice(&key_number.to_be_bytes());
    head
}
