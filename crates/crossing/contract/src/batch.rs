//! A sealed batch: a random id, and bytes only the registry can open.

use std::fmt;

/// Random id of a batch, 16 bytes; says nothing about who sent it or when.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub [u8; 16]);

impl BatchId {
    /// Makes a fresh random id.
    ///
    /// # Panics
    /// The operating system has no randomness to give, in which case nothing may be sealed
    /// either.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        Self(bytes)
    }

    /// Writes the id in lower-case hex, 32 characters.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// Reads 32 hex characters.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Debug for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchId({})", self.to_hex())
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// A batch as it rests in the outbox and travels through the queue.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedBatch {
    /// Id of the batch; also inside the sealed bytes' authenticated header, so the two cannot be
    /// mixed up.
    pub id: BatchId,
    /// Sealed bytes, whole: magic, key id, batch id, encapsulated key, ciphertext.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for SealedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedBatch({}, {} bytes)", self.id, self.bytes.len())
    }
}
