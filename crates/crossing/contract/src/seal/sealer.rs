//! Sealing batch after batch to one key, with the same compressor and buffers.

use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::inout::InOutBuf;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{OpModeS, Serializable as _};
use zeroize::Zeroizing;
use zstd::bulk::Compressor;
use zstd::zstd_safe::{CParameter, compress_bound};

use super::error::SealError;
use super::format::{HEADER_BYTES, INFO, LENGTH_BYTES, MAGIC, TAG_BYTES, exported_answer_key};
use super::keys::PublicKey;
use super::padded_sizes::PaddedSizes;
use super::tokens::{SealedTokens, TOKEN_BLOCK_BYTES, TOKENS_BIT};
use crate::wire::{self, MAX_ENCODED_BYTES};
use crate::{AnswerKey, BatchId, Event, SealedBatch};

/// Level of the compression. Most of a batch is hex digits of digests. Level 1 looks for long
/// matches only: on such text it is not just twice as fast as level 3 but also a tenth smaller,
/// since short chance matches cost more than the digits they replace.
pub(super) const ZSTD_LEVEL: i32 = 1;

/// Size of the compressor's hash table, as a power of two. The text between the values of a batch
/// is all that repeats, so 2^12 places remember enough of it, and they fit the processor's first
/// cache; the level's own 2^14 do not.
const HASH_LOG: u32 = 12;

/// Seals many batches to one registry's key; one for each thread that seals. Its buffers are wiped
/// when it is dropped.
pub struct Sealer {
    key: PublicKey,
    compressor: Compressor<'static>,
    encoded: Zeroizing<Vec<u8>>,
    frame: Zeroizing<Vec<u8>>,
    /// Bytes that are kept free in each batch for a token block, or 0.
    token_room: usize,
}

/// A batch that is encoded and compressed, and not sealed yet: its size is known.
pub struct CompressedBatch<'a> {
    key: &'a PublicKey,
    frame: &'a [u8],
    /// Bytes that are kept free for a token block, or 0.
    token_room: usize,
}

impl Sealer {
    /// Makes a sealer to this key.
    ///
    /// # Panics
    /// No memory for a compressor.
    #[must_use]
    pub fn new(key: &PublicKey) -> Self {
        let mut compressor =
            Compressor::new(ZSTD_LEVEL).expect("the level exists, and there is memory");
        compressor
            .set_parameter(CParameter::HashLog(HASH_LOG))
            .expect("zstd allows 6 to 30");
        Self {
            key: key.clone(),
            compressor,
            encoded: Zeroizing::default(),
            frame: Zeroizing::default(),
            token_room: 0,
        }
    }

    /// Makes a sealer to this key whose batches are to carry tokens: their block counts in every
    /// size that is told.
    ///
    /// # Panics
    /// No memory for a compressor.
    #[must_use]
    pub fn with_token_room(key: &PublicKey) -> Self {
        Self {
            token_room: TOKEN_BLOCK_BYTES,
            ..Self::new(key)
        }
    }

    /// Encodes, compresses and seals events, at most [`wire::MAX_EVENTS`], as one batch; with it
    /// the key under which the registry will answer.
    ///
    /// # Errors
    /// [`SealError::TooLarge`].
    pub fn seal(&mut self, events: &[Event]) -> Result<(SealedBatch, AnswerKey), SealError> {
        self.compress(events)?.seal()
    }

    /// Encodes and compresses events, at most [`wire::MAX_EVENTS`], to see how far they fill a
    /// padded size; none, for a dummy.
    ///
    /// # Errors
    /// [`SealError::TooLarge`], if they are beyond [`MAX_ENCODED_BYTES`] when encoded.
    pub fn compress(&mut self, events: &[Event]) -> Result<CompressedBatch<'_>, SealError> {
        self.encoded.clear();
        wire::encode_into(events, &mut self.encoded);
        let Self {
            key,
            compressor,
            encoded,
            frame,
            token_room,
        } = self;
        compress(compressor, encoded, frame)?;
        Ok(CompressedBatch {
            key,
            frame,
            token_room: *token_room,
        })
    }

    /// Compresses a batch that is encoded already: a probe ([`wire::encode_probe`]), or events
    /// ([`wire::encode`]).
    ///
    /// # Errors
    /// [`SealError::TooLarge`], if it is beyond [`MAX_ENCODED_BYTES`].
    pub fn compress_encoded(&mut self, encoded: &[u8]) -> Result<CompressedBatch<'_>, SealError> {
        compress(&mut self.compressor, encoded, &mut self.frame)?;
        Ok(CompressedBatch {
            key: &self.key,
            frame: &self.frame,
            token_room: self.token_room,
        })
    }
}

/// Compresses into one zstd frame that states its content size; the buffer is made large enough for
/// any outcome.
fn compress(
    compressor: &mut Compressor<'_>,
    encoded: &[u8],
    frame: &mut Vec<u8>,
) -> Result<(), SealError> {
    let too_large = SealError::TooLarge {
        bytes: encoded.len(),
    };
    if encoded.len() > MAX_ENCODED_BYTES {
        return Err(too_large);
    }
    frame.clear();
    frame.reserve(compress_bound(encoded.len()));
    compressor
        .compress_to_buffer(encoded, frame)
        .map(drop)
        .map_err(|_| too_large)
}

impl CompressedBatch<'_> {
    /// Number of bytes that have to fit a padded size: the compressed batch, its length, and the
    /// token block where the sealer leaves room for one. Padded size minus this is what padding
    /// would add.
    #[must_use]
    pub fn bytes(&self) -> usize {
        LENGTH_BYTES + self.token_room + self.frame.len()
    }

    /// Padded size it would be sealed in; none if it is too large for all of them.
    #[must_use]
    pub fn padded_bytes(&self) -> Option<usize> {
        PaddedSizes::ALL.holding(self.bytes())
    }

    /// Pads and seals it under a fresh random id; with it the key under which the registry will
    /// answer.
    ///
    /// # Errors
    /// [`SealError::TooLarge`].
    pub fn seal(self) -> Result<(SealedBatch, AnswerKey), SealError> {
        self.seal_in(PaddedSizes::ALL)
    }

    /// Pads to the smallest of these sizes that holds it, and seals it as [`Self::seal`] does.
    ///
    /// # Errors
    /// [`SealError::TooLarge`].
    pub fn seal_in(self, sizes: PaddedSizes) -> Result<(SealedBatch, AnswerKey), SealError> {
        self.key.seal_frame(self.frame, sizes, None)
    }

    /// Pads and seals it as [`Self::seal_in`] does, with these tokens in front of it.
    ///
    /// # Errors
    /// [`SealError::TooLarge`].
    pub fn seal_with(
        self,
        sizes: PaddedSizes,
        tokens: &SealedTokens,
    ) -> Result<(SealedBatch, AnswerKey), SealError> {
        self.key.seal_frame(self.frame, sizes, Some(tokens))
    }
}

impl PublicKey {
    /// Seals the encoded batch ([`crate::wire::encode`] or [`crate::wire::encode_probe`]) under a
    /// fresh random id; with it the key under which the registry will answer. Whoever seals more
    /// than one batch keeps a [`Sealer`].
    ///
    /// # Errors
    /// [`SealError::TooLarge`].
    pub fn seal(&self, encoded: &[u8]) -> Result<(SealedBatch, AnswerKey), SealError> {
        Sealer::new(self).compress_encoded(encoded)?.seal()
    }

    /// Seals the encoded batch as [`Self::seal`] does, with these tokens.
    ///
    /// # Errors
    /// [`SealError::TooLarge`].
    pub fn seal_with_tokens(
        &self,
        encoded: &[u8],
        tokens: &SealedTokens,
    ) -> Result<(SealedBatch, AnswerKey), SealError> {
        let mut sealer = Sealer::with_token_room(self);
        let compressed = sealer.compress_encoded(encoded)?;
        compressed.seal_with(PaddedSizes::ALL, tokens)
    }

    /// Pads and seals one zstd frame, behind a token block where there are tokens.
    pub(super) fn seal_frame(
        &self,
        frame: &[u8],
        sizes: PaddedSizes,
        tokens: Option<&SealedTokens>,
    ) -> Result<(SealedBatch, AnswerKey), SealError> {
        let too_large = SealError::TooLarge { bytes: frame.len() };
        let Ok(mut length) = u32::try_from(frame.len()) else {
            return Err(too_large);
        };
        let mut framed = LENGTH_BYTES + frame.len();
        if tokens.is_some() {
            // No frame is that long: it would fit no padded size.
            length |= TOKENS_BIT;
            framed += TOKEN_BLOCK_BYTES;
        }
        let padded = sizes.holding(framed).ok_or(too_large)?;

        let (encapsulated, mut context) = hpke::setup_sender::<
            ChaCha20Poly1305,
            HkdfSha256,
            X25519HkdfSha256,
        >(&OpModeS::Base, &self.0, INFO)
        .map_err(|_| SealError::BadKey("it is a point that cannot keep a secret"))?;
        let id = BatchId::random();
        // The plaintext is laid out where the ciphertext will stand, so that no copy of it stays
        // behind.
        let mut bytes = Vec::with_capacity(HEADER_BYTES + padded + TAG_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.id());
        bytes.extend_from_slice(&id.0);
        bytes.extend_from_slice(&encapsulated.to_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        if let Some(tokens) = tokens {
            tokens.write(&mut bytes);
        }
        bytes.extend_from_slice(frame);
        bytes.resize(HEADER_BYTES + padded, 0);
        let (header, plaintext) = bytes.split_at_mut(HEADER_BYTES);
        let tag = context
            .seal_inout_detached(InOutBuf::from(plaintext), header)
            .expect("the first message of a context is within the cipher's limits");
        bytes.extend_from_slice(&tag.to_bytes());
        let answer_key = exported_answer_key(|context_of, key| context.export(context_of, key));
        Ok((SealedBatch { id, bytes }, answer_key))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CompressedBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CompressedBatch({} bytes)", self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::samples;
    use crate::{PADDED_SIZES_BYTES, PrivateKey};

    fn events(count: usize) -> Vec<Event> {
        samples()
            .into_iter()
            .map(|(_, event)| event)
            .cycle()
            .take(count)
            .collect()
    }

    /// Whatever a batch leaves in the buffers, the next one is what it would be alone.
    #[test]
    fn every_batch_holds_its_own_events_only() {
        let key = PrivateKey::generate();
        let mut sealer = Sealer::new(&key.public());
        for count in [900, 1, 30, 0, 900] {
            let events = events(count);
            let (batch, answer_key) = sealer.seal(&events).unwrap();
            let opened = key.open(&batch.bytes).unwrap();
            assert!(opened.answer_key == answer_key && opened.id == batch.id);
            assert!(*opened.encoded == wire::encode(&events), "{count} events");
        }
    }

    #[test]
    fn what_is_told_of_a_size_is_what_is_sealed() {
        let key = PrivateKey::generate();
        let mut sealer = Sealer::new(&key.public());
        for count in [1, 40, 900] {
            let events = events(count);
            let framed = sealer.compress(&events).unwrap();
            let bytes = framed.bytes();
            let padded = framed.padded_bytes().unwrap();
            let smaller = PADDED_SIZES_BYTES
                .into_iter()
                .rfind(|size| *size < padded)
                .unwrap_or(0);
            assert!(
                (smaller + 1..=padded).contains(&bytes),
                "{bytes} in {padded}"
            );
            let sealed = framed.seal().unwrap().0.bytes.len();
            assert_eq!(sealed, HEADER_BYTES + padded + TAG_BYTES);
            assert_eq!(
                sealer
                    .compress_encoded(&wire::encode(&events))
                    .unwrap()
                    .bytes(),
                bytes
            );
        }
    }

    #[test]
    fn sizes_of_a_clinic_are_kept_to_and_opened_as_any() {
        let key = PrivateKey::generate();
        let mut sealer = Sealer::new(&key.public());
        let sizes = PaddedSizes::new(&[64 << 10]).unwrap();
        let one = events(1);
        let (batch, _) = sealer.compress(&one).unwrap().seal_in(sizes).unwrap();
        let overhead = HEADER_BYTES + TAG_BYTES;
        assert_eq!(batch.bytes.len(), overhead + (64 << 10));
        assert!(*key.open(&batch.bytes).unwrap().encoded == wire::encode(&one));
        let noise = crate::seal::tests::noise(64 << 10);
        let framed = sealer.compress_encoded(&noise).unwrap();
        assert_eq!(framed.padded_bytes(), Some(256 << 10));
        assert!(matches!(
            framed.seal_in(sizes),
            Err(SealError::TooLarge { .. })
        ));
    }

    #[test]
    fn a_batch_beyond_every_size_spoils_nothing() {
        let key = PrivateKey::generate();
        let mut sealer = Sealer::new(&key.public());
        let long = vec![b' '; MAX_ENCODED_BYTES + 1];
        let too_large = sealer.compress_encoded(&long).unwrap_err();
        assert!(matches!(too_large, SealError::TooLarge { bytes } if bytes == long.len()));
        let noise = crate::seal::tests::noise(PADDED_SIZES_BYTES[4]);
        let framed = sealer.compress_encoded(&noise).unwrap();
        assert_eq!(framed.padded_bytes(), None, "{} bytes", framed.bytes());
        assert!(matches!(framed.seal(), Err(SealError::TooLarge { .. })));
        assert!(key.open(&sealer.seal(&events(1)).unwrap().0.bytes).is_ok());
    }

    #[test]
    fn debug_tells_sizes_only() {
        let mut sealer = Sealer::new(&PrivateKey::generate().public());
        let shown = format!("{:?}", sealer.compress(&events(1)).unwrap());
        assert!(
            shown.starts_with("CompressedBatch(") && shown.ends_with(" bytes)") && shown.len() < 30,
            "{shown}"
        );
        let shown = format!("{sealer:?}");
        assert!(shown.contains("cgpk1:") && shown.len() < 120, "{shown}");
    }
}
