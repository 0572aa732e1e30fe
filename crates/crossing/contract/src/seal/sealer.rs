//! Sealing batch after batch to one key, with the same compressor and buffers.

use std::fmt;

use zeroize::Zeroizing;
use zstd::bulk::Compressor;
use zstd::zstd_safe::{CParameter, compress_bound};

use super::{LENGTH_BYTES, PADDED_SIZES_BYTES, PublicKey, SealError, ZSTD_LEVEL};
use crate::wire::{self, MAX_ENCODED_BYTES};
use crate::{AnswerKey, Event, SealedBatch};

/// What repeats in a batch is the text between its values, so 2^12 places remember enough of it,
/// and they fit the processor's first cache; the level's own 2^14 do not.
const HASH_LOG: u32 = 12;

/// Seals many batches to one registry's key; one for each thread that seals. Its buffers are wiped
/// when it is dropped.
pub struct Sealer {
    key: PublicKey,
    compressor: Compressor<'static>,
    encoded: Zeroizing<Vec<u8>>,
    frame: Zeroizing<Vec<u8>>,
}

/// A batch that is encoded and compressed, and not sealed yet: its size is known, and whether to
/// seal it is open.
pub struct Framed<'a> {
    key: &'a PublicKey,
    frame: &'a [u8],
}

impl Sealer {
    /// A sealer to this key.
    ///
    /// # Panics
    /// If there is no memory for a compressor.
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
        }
    }

    /// Encodes, compresses and seals events (1 to [`wire::MAX_EVENTS`]) as one batch; with it the
    /// key under which the registry will answer.
    ///
    /// # Errors
    /// [`SealError::TooLarge`].
    pub fn seal(&mut self, events: &[Event]) -> Result<(SealedBatch, AnswerKey), SealError> {
        self.compress(events)?.seal()
    }

    /// Encodes and compresses events (1 to [`wire::MAX_EVENTS`]), to see how far they fill a padded
    /// size.
    ///
    /// # Errors
    /// [`SealError::TooLarge`], if they are beyond [`MAX_ENCODED_BYTES`] when encoded.
    pub fn compress(&mut self, events: &[Event]) -> Result<Framed<'_>, SealError> {
        self.encoded.clear();
        wire::encode_into(events, &mut self.encoded);
        let Self {
            key,
            compressor,
            encoded,
            frame,
        } = self;
        compress(compressor, encoded, frame)?;
        Ok(Framed { key, frame })
    }

    /// Compresses what is encoded already: a probe ([`wire::encode_probe`]), or events
    /// ([`wire::encode`]).
    ///
    /// # Errors
    /// [`SealError::TooLarge`], if it is beyond [`MAX_ENCODED_BYTES`].
    pub fn compress_encoded(&mut self, encoded: &[u8]) -> Result<Framed<'_>, SealError> {
        compress(&mut self.compressor, encoded, &mut self.frame)?;
        Ok(Framed {
            key: &self.key,
            frame: &self.frame,
        })
    }
}

/// One zstd frame that states its content size, in a buffer that is large enough for any outcome.
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

impl Framed<'_> {
    /// The bytes that have to fit a padded size: the compressed batch and its length.
    /// [`PADDED_SIZES_BYTES`] minus this is what padding would add.
    #[must_use]
    pub fn bytes(&self) -> usize {
        LENGTH_BYTES + self.frame.len()
    }

    /// The padded size it would be sealed in; none if it is too large for all of them.
    #[must_use]
    pub fn padded_bytes(&self) -> Option<usize> {
        PADDED_SIZES_BYTES
            .into_iter()
            .find(|size| self.bytes() <= *size)
    }

    /// Pads and seals it under a fresh random id; with it the key under which the registry will
    /// answer.
    ///
    /// # Errors
    /// [`SealError::TooLarge`].
    pub fn seal(self) -> Result<(SealedBatch, AnswerKey), SealError> {
        self.key.seal_frame(self.frame)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Framed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Framed({} bytes)", self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;
    use crate::wire::tests::samples;

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
            assert!(opened.encoded == wire::encode(&events), "{count} events");
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
            assert_eq!(
                sealed,
                crate::seal::HEADER_BYTES + padded + crate::seal::TAG_BYTES
            );
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
    fn a_batch_beyond_every_size_spoils_nothing() {
        let key = PrivateKey::generate();
        let mut sealer = Sealer::new(&key.public());
        let long = vec![b' '; MAX_ENCODED_BYTES + 1];
        assert!(
            matches!(sealer.compress_encoded(&long), Err(SealError::TooLarge { bytes }) if bytes == long.len())
        );
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
            shown.starts_with("Framed(") && shown.ends_with(" bytes)") && shown.len() < 30,
            "{shown}"
        );
        let shown = format!("{sealer:?}");
        assert!(shown.contains("cgpk1:") && shown.len() < 120, "{shown}");
    }
}
