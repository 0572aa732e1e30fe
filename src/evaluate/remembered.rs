//! Evaluated names in memory: a person of many records costs a key service's ceiling once.

use std::collections::HashMap;

use contract::Epoch;
use draft::LocalName;
use zeroize::Zeroize as _;

/// Most names of each of the two halves; a name takes some 80 bytes.
const HALF: usize = 100_000;

/// Elements of names by key epoch, the newest of at most two halves of [`HALF`] names. When the
/// younger half is full, the older one is forgotten and the younger takes its place; what is asked
/// for again moves to the younger one.
#[derive(Default)]
pub(super) struct Remembered {
    younger: HashMap<(LocalName, Epoch), [u8; 32]>,
    older: HashMap<(LocalName, Epoch), [u8; 32]>,
}

impl Remembered {
    pub(super) fn get(&mut self, name: &LocalName, epoch: Epoch) -> Option<[u8; 32]> {
        let key = (*name, epoch);
        if let Some(element) = self.younger.get(&key) {
            return Some(*element);
        }
        let element = self.older.remove(&key)?;
        self.insert(*name, epoch, element);
        Some(element)
    }

    pub(super) fn insert(&mut self, name: LocalName, epoch: Epoch, element: [u8; 32]) {
        if self.younger.len() >= HALF {
            let full = std::mem::take(&mut self.younger);
            let mut forgotten = std::mem::replace(&mut self.older, full);
            wipe(&mut forgotten);
        }
        self.younger.insert((name, epoch), element);
    }
}

fn wipe(elements: &mut HashMap<(LocalName, Epoch), [u8; 32]>) {
    for element in elements.values_mut() {
        element.zeroize();
    }
}

impl Drop for Remembered {
    fn drop(&mut self) {
        wipe(&mut self.younger);
        wipe(&mut self.older);
    }
}

#[cfg(test)]
mod tests {
    use contract::Scheme;

    use super::*;

    fn name(number: usize) -> LocalName {
        let mut value = [0; 32];
        value[..8].copy_from_slice(&number.to_be_bytes());
        LocalName {
            scheme: Scheme::Snils,
            value,
        }
    }

    #[test]
    fn the_oldest_are_forgotten_and_what_is_used_stays() {
        let mut remembered = Remembered::default();
        for number in 0..2 * HALF {
            remembered.insert(name(number), 1, [1; 32]);
            assert!(remembered.get(&name(0), 1).is_some(), "used all the time");
        }
        assert!(remembered.get(&name(2 * HALF - 1), 1).is_some());
        assert!(remembered.get(&name(1), 1).is_none(), "the oldest");
        assert!(remembered.younger.len() <= HALF && remembered.older.len() <= HALF);
        assert!(remembered.get(&name(0), 2).is_none(), "another epoch");
    }
}
