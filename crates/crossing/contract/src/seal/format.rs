//! Layout of a sealed batch.

use hpke::HpkeError;
use hpke::aead::{AeadTag, ChaCha20Poly1305};
use zeroize::Zeroizing;

use crate::keytext::KEY_BYTES;
use crate::{AnswerKey, BatchId};

/// Plaintext sizes that a batch is padded to before it is sealed, smallest first.
pub const PADDED_SIZES_BYTES: [usize; 5] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

pub(super) const MAGIC: &[u8; 4] = b"CGB1";
/// HPKE's `info`.
pub(super) const INFO: &[u8] = b"clinic-gateway batch v1";
/// Context of the exported answer key (RFC 9180, section 5.3).
const EXPORTER_CONTEXT: &[u8] = b"clinic-gateway receipt v1";
pub(super) const KEY_ID_AT: usize = MAGIC.len();
pub(super) const KEY_ID_BYTES: usize = 8;
pub(super) const BATCH_ID_AT: usize = KEY_ID_AT + KEY_ID_BYTES;
pub(super) const ENCAPSULATED_AT: usize = BATCH_ID_AT + 16;
pub(crate) const HEADER_BYTES: usize = ENCAPSULATED_AT + KEY_BYTES;
pub(crate) const TAG_BYTES: usize = 16;
/// Size of the compressed length in front of the plaintext.
pub(super) const LENGTH_BYTES: usize = 4;

pub(super) type Tag = AeadTag<ChaCha20Poly1305>;

/// Makes the answer key by a context's exporter.
pub(super) fn exported_answer_key(
    export: impl FnOnce(&[u8], &mut [u8]) -> Result<(), HpkeError>,
) -> AnswerKey {
    let mut key = Zeroizing::new([0; AnswerKey::BYTES]);
    export(EXPORTER_CONTEXT, key.as_mut_slice()).expect("32 bytes are within the exporter's limit");
    AnswerKey::from_bytes(*key)
}

/// Length in bytes of the longest sealed batch.
pub const MAX_SEALED_BYTES: usize =
    HEADER_BYTES + PADDED_SIZES_BYTES[PADDED_SIZES_BYTES.len() - 1] + TAG_BYTES;
/// Length in bytes of the shortest sealed batch.
pub const MIN_SEALED_BYTES: usize = HEADER_BYTES + PADDED_SIZES_BYTES[0] + TAG_BYTES;

/// Reads the id of what has the form of a sealed batch, as far as that shows without a key: the
/// first bytes, and a length that a padded size leads to. Nothing proves that it can be opened.
#[must_use]
pub fn batch_id_of_whole(sealed: &[u8]) -> Option<BatchId> {
    let content = sealed.len().checked_sub(HEADER_BYTES + TAG_BYTES)?;
    if !PADDED_SIZES_BYTES.contains(&content) {
        return None;
    }
    batch_id_of(sealed)
}

/// Reads the id in the clear header of a sealed batch, to name one that cannot be opened. Nothing
/// proves that it is right.
#[must_use]
pub fn batch_id_of(sealed: &[u8]) -> Option<BatchId> {
    let header = sealed
        .get(..HEADER_BYTES)
        .filter(|header| header.starts_with(MAGIC))?;
    header[BATCH_ID_AT..ENCAPSULATED_AT]
        .try_into()
        .ok()
        .map(BatchId)
}
