//! Receipts: what the registry made of a batch, broadcast to all and readable for its sender only.
//!
//! A receipts message: `CGR1` | key id (8) | Ed25519 signature (64) | count (2) | receipts. A
//! receipt: batch id (16) | 1 | padded size (4) | nonce (12) | ciphertext | tag (16), or batch id
//! (16) | 2 | reason (1). Numbers are big-endian. The signature is over [`message::DOMAIN`] and all
//! that follows the signature.

mod answer;
mod keys;
mod message;
#[cfg(test)]
mod tests;

use std::fmt;

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _};
use zeroize::Zeroizing;

pub use answer::{
    Answer, Difference, DifferenceKind, ProbeAnswer, RefusedEvent, StoredAnswer, Superseded,
    UnreadableReason,
};
pub use keys::{ReceiptSigner, ReceiptVerifier};
pub use message::{MAX_RECEIPTS_MESSAGE_BYTES, MAX_RECEIPTS_PER_MESSAGE};

use crate::bytes::{self, Reader};
use crate::{AnswerKey, BatchId};

/// The plaintext sizes an answer is padded to before it is encrypted, smallest first.
pub const PADDED_ANSWER_BYTES: [usize; 4] = [1 << 10, 16 << 10, 64 << 10, 192 << 10];

/// Largest single receipt, in bytes.
pub const MAX_RECEIPT_BYTES: usize =
    16 + 1 + LENGTH_BYTES + NONCE_BYTES + PADDED_ANSWER_BYTES[3] + TAG_BYTES;

pub(crate) const MAGIC: &[u8; 4] = b"CGR1";
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const LENGTH_BYTES: usize = 4;
const ANSWERED: u8 = 1;
const UNREADABLE: u8 = 2;

/// The registry's word on one batch, as it is broadcast.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt {
    batch: BatchId,
    content: Content,
}

#[derive(Clone, PartialEq, Eq)]
enum Content {
    /// Nonce, ciphertext and tag.
    Answered(Vec<u8>),
    Unreadable(UnreadableReason),
}

/// What a receipt says to the sender of its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The batch was read; what came of it.
    Answered(Answer),
    /// The registry could not read it, and keeps it with its dead letters.
    Unreadable(UnreadableReason),
}

/// Why receipts cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not a receipts message, or cut short, or of an unknown format version, or beyond the limits.
    #[error("not a receipts message of a known format")]
    Format,
    /// Signed with another key than this verifier's: try the next pinned key.
    #[error("signed with a key that is not pinned here")]
    OtherKey,
    /// The signature does not hold: forged, or changed on the way.
    #[error("the signature does not hold")]
    NotAuthentic,
    /// Signed by the registry, yet not what the contract says: the registry is newer, or faulty.
    #[error(
        "signed, but not within this version of the contract: is the registry newer than the \
         gateway?"
    )]
    Content,
    /// Encrypted for the sender of another batch.
    #[error("the receipt is under another answer key")]
    NotOurs,
    /// The text is no key of the expected kind.
    #[error("not a receipt key: {0}")]
    BadKey(&'static str),
}

impl Receipt {
    /// The answer to a batch, readable under its answer key only.
    ///
    /// # Panics
    /// If the answer names more than a batch may hold, or contradicts itself (see [`Answer`]'s
    /// fields), or the operating system has no randomness to give.
    #[must_use]
    pub fn answered(batch: BatchId, key: &AnswerKey, answer: &Answer) -> Self {
        let mut plaintext = answer::padded(answer);
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
        let tag = ChaCha20Poly1305::new(key.expose().into())
            .encrypt_inout_detached(
                &nonce.into(),
                &associated(batch),
                InOutBuf::from(plaintext.as_mut_slice()),
            )
            .expect("an answer is within the cipher's limits");
        let sealed = [&nonce[..], &plaintext, &tag].concat();
        Self {
            batch,
            content: Content::Answered(sealed),
        }
    }

    /// Tells that the registry could not read a batch. Not secret: without the batch's content
    /// there is no key.
    #[must_use]
    pub const fn unreadable(batch: BatchId, reason: UnreadableReason) -> Self {
        Self {
            batch,
            content: Content::Unreadable(reason),
        }
    }

    /// Which batch it is about.
    #[must_use]
    pub const fn batch(&self) -> BatchId {
        self.batch
    }

    /// The reason, if the batch could not be read.
    #[must_use]
    pub const fn unreadable_reason(&self) -> Option<UnreadableReason> {
        match self.content {
            Content::Unreadable(reason) => Some(reason),
            Content::Answered(_) => None,
        }
    }

    /// What it says.
    ///
    /// # Errors
    /// [`ReceiptError::NotOurs`] under another key, [`ReceiptError::Content`] where the answer is
    /// not understood.
    pub fn read(&self, key: &AnswerKey) -> Result<Verdict, ReceiptError> {
        let sealed = match &self.content {
            Content::Unreadable(reason) => return Ok(Verdict::Unreadable(*reason)),
            Content::Answered(sealed) => sealed,
        };
        let (nonce, rest) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(ReceiptError::Content)?;
        let (ciphertext, tag) = rest
            .split_last_chunk::<TAG_BYTES>()
            .ok_or(ReceiptError::Content)?;
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        ChaCha20Poly1305::new(key.expose().into())
            .decrypt_inout_detached(
                nonce.into(),
                &associated(self.batch),
                InOutBuf::from(plaintext.as_mut_slice()),
                tag.into(),
            )
            .map_err(|_| ReceiptError::NotOurs)?;
        answer::unpadded(&plaintext)
            .map(Verdict::Answered)
            .ok_or(ReceiptError::Content)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.batch.0);
        match &self.content {
            Content::Answered(sealed) => {
                out.push(ANSWERED);
                out.extend_from_slice(&bytes::count(sealed.len() - NONCE_BYTES - TAG_BYTES));
                out.extend_from_slice(sealed);
            }
            Content::Unreadable(reason) => out.extend_from_slice(&[UNREADABLE, reason.code()]),
        }
    }

    fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let batch = BatchId(reader.array()?);
        let content = match reader.u8()? {
            ANSWERED => {
                let padded = reader.length(MAX_RECEIPT_BYTES)?;
                let sealed = reader.take(NONCE_BYTES + padded + TAG_BYTES)?;
                PADDED_ANSWER_BYTES
                    .contains(&padded)
                    .then(|| Content::Answered(sealed.to_vec()))?
            }
            UNREADABLE => Content::Unreadable(UnreadableReason::from_code(reader.u8()?)?),
            _ => return None,
        };
        Some(Self { batch, content })
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Answered(sealed) => {
                write!(f, "Receipt({}, {} bytes)", self.batch, sealed.len())
            }
            Content::Unreadable(reason) => {
                write!(f, "Receipt({}, {})", self.batch, reason.as_str())
            }
        }
    }
}

/// What is authenticated with an answer: it is this one, to this batch.
fn associated(batch: BatchId) -> [u8; MAGIC.len() + 16] {
    let mut bytes = [0; MAGIC.len() + 16];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[MAGIC.len()..].copy_from_slice(&batch.0);
    bytes
}
