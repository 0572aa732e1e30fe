//! A Bloom filter over record keys, cut into lines of one cache line each: a look-up touches one
//! line.

/// Bytes of a line.
const LINE_BYTES: usize = 64;

/// About one in 200 keys that are not there passes.
const BITS_A_KEY: u64 = 12;

/// Bits set for one key.
const PROBES: u32 = 6;

/// Bits that choose one of a line's.
const PROBE_BITS: u32 = (8 * LINE_BYTES).ilog2();

/// The largest filter; beyond it keys share bits, and a look-up reads more blocks in vain.
const MAX_BYTES: u64 = 16 << 20;

/// Says of a key that it is certainly not in a run, or that it may be.
#[derive(Debug, Default)]
pub(crate) struct Filter(Vec<u8>);

impl Filter {
    pub(crate) fn for_keys(keys: u64) -> Self {
        let bytes = keys.saturating_mul(BITS_A_KEY).div_ceil(8).min(MAX_BYTES);
        let lines = usize::try_from(bytes)
            .unwrap_or(0)
            .div_ceil(LINE_BYTES)
            .max(1);
        Self(vec![0; lines * LINE_BYTES])
    }

    /// `None` if these cannot be a filter's bytes.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        (!bytes.is_empty() && bytes.len().is_multiple_of(LINE_BYTES)).then_some(Self(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn add(&mut self, key: u64) {
        let line = self.line_of(key);
        for (byte, bit) in probes(key) {
            self.0[line + byte] |= bit;
        }
    }

    pub(crate) fn may_have(&self, key: u64) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let line = self.line_of(key);
        probes(key).all(|(byte, bit)| self.0[line + byte] & bit != 0)
    }

    /// Where the key's line begins.
    fn line_of(&self, key: u64) -> usize {
        let lines = (self.0.len() / LINE_BYTES) as u128;
        let line = (u128::from(mixed(key, 0x9e37_79b9_7f4a_7c15)) * lines) >> 64;
        usize::try_from(line).unwrap_or(0) * LINE_BYTES
    }
}

/// Places in a line: byte and bit.
fn probes(key: u64) -> impl Iterator<Item = (usize, u8)> {
    let chosen = mixed(key, 0xd6e8_feb8_6659_fd93);
    (1..=PROBES).map(move |probe| {
        let place = (chosen >> (u64::BITS - probe * PROBE_BITS)) & (8 * LINE_BYTES as u64 - 1);
        (usize::try_from(place / 8).unwrap_or(0), 1 << (place % 8))
    })
}

/// Keys are random already, but their first bits choose the block of a run as well.
fn mixed(key: u64, odd: u64) -> u64 {
    let key = (key ^ (key >> 32)).wrapping_mul(odd);
    (key ^ (key >> 29)).wrapping_mul(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_found_and_little_else() {
        let random = |count: usize| {
            let mut bytes = vec![0; count * 8];
            getrandom::fill(&mut bytes).unwrap();
            bytes
                .as_chunks::<8>()
                .0
                .iter()
                .map(|key| u64::from_be_bytes(*key))
                .collect::<Vec<u64>>()
        };
        let keys = random(100_000);
        let mut filter = Filter::for_keys(keys.len() as u64);
        keys.iter().for_each(|key| filter.add(*key));
        assert!(keys.iter().all(|key| filter.may_have(*key)));
        let passed = random(100_000)
            .iter()
            .filter(|key| filter.may_have(**key))
            .count();
        assert!(passed < 1500, "{passed} of 100,000 strangers pass");
        let again = Filter::from_bytes(filter.as_bytes().to_vec()).unwrap();
        assert!(keys.iter().all(|key| again.may_have(*key)));
        assert!(
            Filter::from_bytes(vec![0; 65]).is_none() && Filter::from_bytes(Vec::new()).is_none()
        );
    }

    #[test]
    fn filters_are_bounded() {
        assert_eq!(Filter::for_keys(0).as_bytes().len(), 64);
        assert_eq!(Filter::for_keys(u64::MAX).as_bytes().len(), 16 << 20);
    }
}
