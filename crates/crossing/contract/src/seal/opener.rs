//! Opening a sealed batch.

use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::inout::InOutBuf;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeR};
use zeroize::Zeroizing;
use zstd::bulk::Decompressor;

use super::error::OpenError;
use super::format::{
    BATCH_ID_AT, ENCAPSULATED_AT, HEADER_BYTES, INFO, KEY_ID_AT, LENGTH_BYTES, MAGIC,
    PADDED_SIZES_BYTES, TAG_BYTES, Tag, exported_answer_key,
};
use super::keys::PrivateKey;
use super::tokens::{SealedTokens, TOKENS_BIT};
use crate::wire::MAX_ENCODED_BYTES;
use crate::{AnswerKey, BatchId};

/// An opened batch.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// Id of the batch.
    pub id: BatchId,
    /// Encoded content, for [`crate::wire::decode_message`]; wiped when dropped.
    pub encoded: Zeroizing<Vec<u8>>,
    /// Key to encrypt the answer under.
    pub answer_key: AnswerKey,
    /// One-use tokens that the batch carries, if any; nothing shows yet that they are genuine.
    pub tokens: Option<SealedTokens>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({}, {} bytes)", self.id, self.encoded.len())
    }
}

impl PrivateKey {
    /// Opens a sealed batch.
    ///
    /// # Errors
    /// See [`OpenError`]; none of them is worth another try.
    pub fn open(&self, sealed: &[u8]) -> Result<Opened, OpenError> {
        let (header, id) = self.check_header(sealed)?;
        let (ciphertext, tag) =
            sealed[HEADER_BYTES..].split_at(sealed.len() - HEADER_BYTES - TAG_BYTES);
        let tag = Tag::from_bytes(tag).map_err(|_| OpenError::Format)?;
        let encapsulated =
            <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&header[ENCAPSULATED_AT..])
                .map_err(|_| OpenError::Format)?;
        let mut plaintext = Zeroizing::new(ciphertext.to_vec());
        let mut context = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.secret,
            &encapsulated,
            INFO,
        )
        .map_err(|_| OpenError::NotAuthentic)?;
        context
            .open_inout_detached(InOutBuf::from(plaintext.as_mut_slice()), header, &tag)
            .map_err(|_| OpenError::NotAuthentic)?;
        let answer_key = exported_answer_key(|context_of, key| context.export(context_of, key));
        let content = split(&plaintext)?;
        Ok(Opened {
            id,
            encoded: expand(&content)?,
            answer_key,
            tokens: content.tokens,
        })
    }

    /// Returns the header and the batch id, if the whole has the right form and is sealed to this
    /// key.
    fn check_header<'a>(&self, sealed: &'a [u8]) -> Result<(&'a [u8], BatchId), OpenError> {
        let header = sealed.get(..HEADER_BYTES).ok_or(OpenError::Format)?;
        let content = sealed
            .len()
            .checked_sub(HEADER_BYTES + TAG_BYTES)
            .ok_or(OpenError::Format)?;
        if !header.starts_with(MAGIC) || !PADDED_SIZES_BYTES.contains(&content) {
            return Err(OpenError::Format);
        }
        if header[KEY_ID_AT..BATCH_ID_AT] != self.public.id() {
            return Err(OpenError::WrongKey);
        }
        let mut id = BatchId([0; 16]);
        id.0.copy_from_slice(&header[BATCH_ID_AT..ENCAPSULATED_AT]);
        Ok((header, id))
    }
}

/// Parts of a plaintext.
struct Content<'a> {
    tokens: Option<SealedTokens>,
    frame: &'a [u8],
    padding: &'a [u8],
}

/// Takes a plaintext apart.
fn split(plaintext: &[u8]) -> Result<Content<'_>, OpenError> {
    let (length, mut rest) = plaintext
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or(OpenError::Content)?;
    let length = u32::from_be_bytes(*length);
    let mut tokens = None;
    if length & TOKENS_BIT != 0 {
        let (sealed, behind) = SealedTokens::split_from(rest)?;
        tokens = Some(sealed);
        rest = behind;
    }
    let length = usize::try_from(length & !TOKENS_BIT).map_err(|_| OpenError::Content)?;
    let (frame, padding) = rest.split_at_checked(length).ok_or(OpenError::Content)?;
    Ok(Content {
        tokens,
        frame,
        padding,
    })
}

/// Checks the padding and decompresses; memory is bounded by the size the frame states, and that by
/// the contract.
fn expand(content: &Content<'_>) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let frame = content.frame;
    let stated = zstd::zstd_safe::get_frame_content_size(frame)
        .ok()
        .flatten();
    let expanded = stated
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|bytes| *bytes <= MAX_ENCODED_BYTES)
        .ok_or(OpenError::Content)?;
    // Without a branch for each byte: most of a half-empty batch is padding.
    if content.padding.iter().fold(0, |all, byte| all | byte) != 0 {
        return Err(OpenError::Content);
    }
    // As large as it will be, so that no smaller buffer with a part of it is left behind unwiped.
    let mut encoded = Zeroizing::new(Vec::with_capacity(expanded));
    Decompressor::new()
        .and_then(|mut decompressor| decompressor.decompress_to_buffer(frame, &mut *encoded))
        .map_err(|_| OpenError::Content)?;
    Ok(encoded)
}
