//! A blocked Bloom filter over record keys: all bits of a key lie in one cache line.

use crate::record::Key;

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// Bits for each key: about one in 200 absent keys passes.
const BITS_A_KEY: u64 = 12;

/// Bits set for one key.
const PROBES: u32 = 6;

/// Bits of a hash that choose one bit of a line.
const PROBE_BITS: u32 = (8 * LINE_BYTES).ilog2();

/// Size of the largest filter, in bytes. Beyond it keys share bits, and a look-up reads more blocks
/// in vain.
const MAX_BYTES: u64 = 16 << 20;

/// Filter of one run: a key that does not pass is certainly not in the run.
#[derive(Debug, Default)]
pub(crate) struct BloomFilter(Vec<u8>);

impl BloomFilter {
    /// Makes an empty filter, sized for so many keys.
    pub(crate) fn for_keys(keys: u64) -> Self {
        let bytes = keys.saturating_mul(BITS_A_KEY).div_ceil(8).min(MAX_BYTES);
        let lines = usize::try_from(bytes)
            .unwrap_or(0)
            .div_ceil(LINE_BYTES)
            .max(1);
        Self(vec![0; lines * LINE_BYTES])
    }

    /// Reads a filter from its bytes; `None` if they cannot be one.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        (!bytes.is_empty() && bytes.len().is_multiple_of(LINE_BYTES)).then_some(Self(bytes))
    }

    /// Returns the bytes of the filter.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds a key.
    pub(crate) fn add(&mut self, key: Key) {
        let line = self.line_of(key);
        for (byte, bit) in probes(key) {
            self.0[line + byte] |= bit;
        }
    }

    /// Returns whether the key may be in the run. A filter that is not loaded lets every key pass.
    pub(crate) fn may_have(&self, key: Key) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let line = self.line_of(key);
        probes(key).all(|(byte, bit)| self.0[line + byte] & bit != 0)
    }

    /// Returns where the key's line begins.
    fn line_of(&self, key: Key) -> usize {
        let lines = (self.0.len() / LINE_BYTES) as u128;
        let line = (u128::from(mixed(key, 0x9e37_79b9_7f4a_7c15)) * lines) >> 64;
        usize::try_from(line).unwrap_or(0) * LINE_BYTES
    }
}

/// Returns the key's bits in its line, each as a byte's place and a mask.
fn probes(key: Key) -> impl Iterator<Item = (usize, u8)> {
    let chosen = mixed(key, 0xd6e8_feb8_6659_fd93);
    (1..=PROBES).map(move |probe| {
        let place = (chosen >> (u64::BITS - probe * PROBE_BITS)) & (8 * LINE_BYTES as u64 - 1);
        (usize::try_from(place / 8).unwrap_or(0), 1 << (place % 8))
    })
}

/// Mixes a key's bits. Keys are random already, but their first bits choose the block of a run as
/// well.
fn mixed(key: Key, odd: u64) -> u64 {
    let key = (key ^ (key >> 32)).wrapping_mul(odd);
    (key ^ (key >> 29)).wrapping_mul(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random keys, the same in every run (splitmix64).
    fn keys(numbers: std::ops::Range<u64>) -> Vec<Key> {
        let key = |number: u64| {
            let mut key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            key ^ (key >> 31)
        };
        numbers.map(key).collect()
    }

    #[test]
    fn added_keys_pass_and_few_others() {
        let added = keys(0..100_000);
        let mut filter = BloomFilter::for_keys(added.len() as u64);
        added.iter().for_each(|key| filter.add(*key));
        assert!(added.iter().all(|key| filter.may_have(*key)));
        let others = keys(100_000..200_000);
        let passed = others.iter().filter(|key| filter.may_have(**key)).count();
        assert!(passed < 1500, "{passed} of 100,000 absent keys pass");
        let again = BloomFilter::from_bytes(filter.as_bytes().to_vec()).unwrap();
        assert!(added.iter().all(|key| again.may_have(*key)));
    }

    #[test]
    fn bytes_of_another_length_are_no_filter() {
        assert!(BloomFilter::from_bytes(vec![0; 65]).is_none());
        assert!(BloomFilter::from_bytes(Vec::new()).is_none());
    }

    #[test]
    fn size_is_bounded() {
        assert_eq!(BloomFilter::for_keys(0).as_bytes().len(), 64);
        assert_eq!(BloomFilter::for_keys(u64::MAX).as_bytes().len(), 16 << 20);
    }
}
