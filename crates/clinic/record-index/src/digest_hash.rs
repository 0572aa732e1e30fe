//! Hash tables by digest or key, which are random already and need no hashing.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use contract::RecordDigest;

/// Hasher that takes the first 8 bytes of a digest, or a whole key, for its hash.
#[derive(Debug, Default)]
pub struct DigestHasher(u64);

/// Builds [`DigestHasher`]s.
pub type ByDigest = BuildHasherDefault<DigestHasher>;

/// Hash table by record digest.
pub type RecordMap<V> = HashMap<RecordDigest, V, ByDigest>;

/// Set of record digests.
pub type RecordSet<'a> = HashSet<&'a RecordDigest, ByDigest>;

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        let first = bytes.first_chunk().copied().map(u64::from_le_bytes);
        self.0 = first.unwrap_or_else(|| {
            bytes
                .iter()
                .fold(self.0, |sum, byte| sum << 8 ^ u64::from(*byte))
        });
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    /// Skips the length of a digest, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
