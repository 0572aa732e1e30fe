//! A receipt: the answer to a batch, encrypted for its sender.

use std::fmt;

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _};
use zeroize::Zeroizing;

use super::answer::{self, Answer, LENGTH_BYTES, PADDED_ANSWER_BYTES, UnreadableReason};
use super::error::ReceiptError;
use crate::bytes::{self, ByteReader};
use crate::{AnswerKey, BatchId};

/// Largest single receipt, in bytes.
pub const MAX_RECEIPT_BYTES: usize =
    16 + 1 + LENGTH_BYTES + NONCE_BYTES + PADDED_ANSWER_BYTES[3] + TAG_BYTES;

pub(super) const MAGIC: &[u8; 4] = b"CGR1";
pub(super) const NONCE_BYTES: usize = 12;
pub(super) const TAG_BYTES: usize = 16;
const ANSWERED: u8 = 1;
const UNREADABLE: u8 = 2;

/// The registry's answer to one batch, as it is broadcast.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt {
    pub(super) batch: BatchId,
    pub(super) content: ReceiptContent,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum ReceiptContent {
    /// Nonce, ciphertext and tag.
    Answered(Vec<u8>),
    Unreadable(UnreadableReason),
}

/// ReceiptContent of a receipt, for the sender of its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The batch was read, with this result.
    Answered(Answer),
    /// The registry could not read it, and keeps it with its dead letters.
    Unreadable(UnreadableReason),
}

impl Receipt {
    /// Encrypts the answer to a batch, readable under its answer key only.
    ///
    /// # Panics
    /// The answer names more than a batch may hold, or contradicts itself (see [`Answer`]'s
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
            content: ReceiptContent::Answered(sealed),
        }
    }

    /// Makes the receipt of a batch that the registry could not read. Not secret: without the
    /// batch's content there is no key.
    #[must_use]
    pub const fn unreadable(batch: BatchId, reason: UnreadableReason) -> Self {
        Self {
            batch,
            content: ReceiptContent::Unreadable(reason),
        }
    }

    /// Id of the batch it is about.
    #[must_use]
    pub const fn batch(&self) -> BatchId {
        self.batch
    }

    /// Reason, if the batch could not be read.
    #[must_use]
    pub const fn unreadable_reason(&self) -> Option<UnreadableReason> {
        match self.content {
            ReceiptContent::Unreadable(reason) => Some(reason),
            ReceiptContent::Answered(_) => None,
        }
    }

    /// Decrypts the receipt.
    ///
    /// # Errors
    /// [`ReceiptError::NotOurs`] under another key, [`ReceiptError::Content`] where the answer is
    /// not understood.
    pub fn read(&self, key: &AnswerKey) -> Result<Verdict, ReceiptError> {
        let sealed = match &self.content {
            ReceiptContent::Unreadable(reason) => return Ok(Verdict::Unreadable(*reason)),
            ReceiptContent::Answered(sealed) => sealed,
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

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.batch.0);
        match &self.content {
            ReceiptContent::Answered(sealed) => {
                out.push(ANSWERED);
                out.extend_from_slice(&bytes::count(sealed.len() - NONCE_BYTES - TAG_BYTES));
                out.extend_from_slice(sealed);
            }
            ReceiptContent::Unreadable(reason) => {
                out.extend_from_slice(&[UNREADABLE, reason.code()])
            }
        }
    }

    pub(super) fn parse(reader: &mut ByteReader<'_>) -> Option<Self> {
        let batch = BatchId(reader.array()?);
        let content = match reader.u8()? {
            ANSWERED => {
                let padded = reader.length(MAX_RECEIPT_BYTES)?;
                let sealed = reader.take(NONCE_BYTES + padded + TAG_BYTES)?;
                PADDED_ANSWER_BYTES
                    .contains(&padded)
                    .then(|| ReceiptContent::Answered(sealed.to_vec()))?
            }
            UNREADABLE => ReceiptContent::Unreadable(UnreadableReason::from_code(reader.u8()?)?),
            _ => return None,
        };
        Some(Self { batch, content })
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            ReceiptContent::Answered(sealed) => {
                write!(f, "Receipt({}, {} bytes)", self.batch, sealed.len())
            }
            ReceiptContent::Unreadable(reason) => {
                write!(f, "Receipt({}, {})", self.batch, reason.as_str())
            }
        }
    }
}

/// Associated data of an answer: binds it to its batch.
fn associated(batch: BatchId) -> [u8; MAGIC.len() + 16] {
    let mut bytes = [0; MAGIC.len() + 16];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[MAGIC.len()..].copy_from_slice(&batch.0);
    bytes
}
