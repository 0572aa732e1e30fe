//! Deterministic mutations: the same seed makes the same inputs on every machine.

use crate::json;

/// Longest mutant, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// Numbers at which parsers go wrong.
const NUMBERS: [&str; 13] = [
    "0",
    "-1",
    "1",
    "127",
    "255",
    "65536",
    "2147483648",
    "4294967295",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1e308",
    "99999999999999999999999999",
];

/// Makes mutants of seeds.
pub(crate) struct Mutator<'a> {
    state: u64,
    seeds: &'a [Vec<u8>],
    tokens: Vec<Vec<u8>>,
}

impl<'a> Mutator<'a> {
    pub(crate) fn new(target: &str, seed: u64, seeds: &'a [Vec<u8>], tokens: Vec<Vec<u8>>) -> Self {
        let state = target.bytes().fold(seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        Self {
            state,
            seeds,
            tokens,
        }
    }

    /// A seed with one to eight changes.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let seeds = self.seeds;
        let mut bytes = seeds[self.below(seeds.len())].clone();
        let stays_json = self.below(2) == 0;
        for _ in 0..=self.below(8) {
            if !(stays_json && self.change_json(&mut bytes)) {
                self.change(&mut bytes);
            }
        }
        bytes.truncate(MAX_BYTES);
        bytes
    }

    /// False where there is no JSON to change.
    fn change_json(&mut self, bytes: &mut Vec<u8>) -> bool {
        let tokens = std::mem::take(&mut self.tokens);
        let changed = json::change(bytes, &tokens, |limit| self.below(limit));
        self.tokens = tokens;
        changed.map(|changed| *bytes = changed).is_some()
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let (at, end) = self.range(bytes.len());
        match self.below(12) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            2 if at < bytes.len() => bytes[at] = self.byte(),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..end)),
            5 => {
                let copy = bytes[at..end].to_vec();
                insert(bytes, at, &copy);
            }
            6 => {
                let copy = bytes[at..end].to_vec();
                let times = self.below(64);
                insert(bytes, at, &copy[..copy.len().min(1024)].repeat(times));
            }
            7 => {
                let seeds = self.seeds;
                let other = &seeds[self.below(seeds.len())];
                let (from, to) = self.range(other.len());
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
            8 | 9 if !self.tokens.is_empty() => {
                let which = self.below(self.tokens.len());
                let token = self.tokens[which].clone();
                let end = if self.below(2) == 0 { at } else { end };
                drop(bytes.splice(at..end, token));
            }
            10 => self.number(bytes, at),
            _ => {
                let noise: Vec<u8> = (0..self.below(16)).map(|_| self.byte()).collect();
                insert(bytes, at, &noise);
            }
        }
    }

    /// Writes another number over the next one from `at` on.
    fn number(&mut self, bytes: &mut Vec<u8>, at: usize) {
        let Some(start) = (at..bytes.len()).find(|at| bytes[*at].is_ascii_digit()) else {
            return;
        };
        let end = (start..bytes.len())
            .find(|at| !bytes[*at].is_ascii_digit())
            .unwrap_or(bytes.len());
        let number = NUMBERS[self.below(NUMBERS.len())];
        drop(bytes.splice(start..end, number.bytes()));
    }

    /// Two places, mostly near each other.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let at = self.below(length + 1);
        let most = if self.below(4) == 0 { length } else { 32 };
        (at, (at + self.below(most + 1)).min(length))
    }

    fn byte(&mut self) -> u8 {
        self.random().to_le_bytes()[0]
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap();
        usize::try_from(self.random() % limit).unwrap()
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, more: &[u8]) {
    drop(bytes.splice(at..at, more.iter().copied()));
}

mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_mutants_and_another_makes_others() {
        let seeds = [b"{\"a\": [1, 2, 3]}".to_vec(), Vec::new()];
        let of = |seed| {
            let mut mutator = Mutator::new("x", seed, &seeds, vec![b"null".to_vec()]);
            (0..50).map(|_| mutator.next()).collect::<Vec<_>>()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
