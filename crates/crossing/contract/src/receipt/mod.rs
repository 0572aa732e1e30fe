//! Receipts: what the registry made of a batch, broadcast to all and readable for its sender only.
//!
//! A receipts message: `CGR1` | key id (8) | Ed25519 signature (64) | count (2) | receipts. A
//! receipt: batch id (16) | 1 | padded size (4) | nonce (12) | ciphertext | tag (16), or batch id
//! (16) | 2 | reason (1). Numbers are big-endian. The signature is over [`message::DOMAIN`] and all
//! that follows the signature.

mod answer;
mod error;
mod keys;
mod message;
mod single;
#[cfg(test)]
mod tests;

pub use answer::{
    Answer, Difference, DifferenceKind, PADDED_ANSWER_BYTES, ProbeAnswer, RefusedEvent,
    StoredAnswer, Superseded, UnreadableReason,
};
pub use error::ReceiptError;
pub use keys::{ReceiptSigner, ReceiptVerifier};
pub use message::{MAX_RECEIPTS_MESSAGE_BYTES, MAX_RECEIPTS_PER_MESSAGE};
pub use single::{MAX_RECEIPT_BYTES, Receipt, Verdict};
