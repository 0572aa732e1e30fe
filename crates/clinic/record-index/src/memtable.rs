//! The memtable: keys of the records that are in no run yet.

use std::collections::HashMap;

use crate::digest_hash::ByDigest;
use crate::record::{Key, KeyEntry};

/// Keys in memory. It holds nothing that the file does not: losing it loses nothing.
#[derive(Debug, Default)]
pub(crate) struct Memtable {
    /// The newest record of each key.
    newest: HashMap<Key, i64, ByDigest>,
    /// Collisions: older records of a key that is in `newest`. There are next to none.
    collisions: Vec<KeyEntry>,
}

impl Memtable {
    /// Adds a record that is newer than all of the same key.
    pub(crate) fn insert(&mut self, entry: KeyEntry) {
        let older = self.newest.insert(entry.key, entry.record_no);
        self.collisions
            .extend(older.map(|record_no| KeyEntry { record_no, ..entry }));
    }

    /// Returns the numbers of the key's records.
    pub(crate) fn numbers_of(&self, key: Key) -> impl Iterator<Item = i64> {
        let newest = self.newest.get(&key).copied();
        let collide = move |entry: &&KeyEntry| newest.is_some() && entry.key == key;
        let older = self.collisions.iter().filter(collide);
        newest.into_iter().chain(older.map(|entry| entry.record_no))
    }

    /// Returns all entries, in no order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = KeyEntry> {
        let newest = self.newest.iter();
        let newest = newest.map(|(key, record_no)| KeyEntry {
            key: *key,
            record_no: *record_no,
        });
        newest.chain(self.collisions.iter().copied())
    }

    /// Keeps the records above a number. The table is made anew: the old one would keep its size,
    /// and a hole for every key that was in it.
    pub(crate) fn keep_above(&mut self, flushed_to: i64) {
        let kept = self
            .newest
            .iter()
            .filter(|(_, record_no)| **record_no > flushed_to);
        self.newest = kept.map(|(key, record_no)| (*key, *record_no)).collect();
        self.collisions.retain(|entry| entry.record_no > flushed_to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(memtable: &Memtable, key: Key) -> Vec<i64> {
        let mut numbers: Vec<i64> = memtable.numbers_of(key).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn records_that_share_a_key_are_all_kept() {
        let mut memtable = Memtable::default();
        for (key, record_no) in [(7, 1), (8, 2), (7, 3), (7, 4)] {
            memtable.insert(KeyEntry { key, record_no });
        }
        assert_eq!(numbers(&memtable, 7), [1, 3, 4]);
        assert_eq!(numbers(&memtable, 8), [2]);
        assert_eq!(numbers(&memtable, 9), [0; 0]);
        assert_eq!(memtable.entries().count(), 4);
        memtable.keep_above(2);
        assert_eq!(numbers(&memtable, 7), [3, 4]);
        assert_eq!(memtable.entries().count(), 2);
    }

    #[test]
    fn memory_does_not_grow_with_what_was_flushed() {
        let mut memtable = Memtable::default();
        let mut most = 0;
        for record_no in 1..=300_i64 {
            let key = record_no
                .cast_unsigned()
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
            memtable.insert(KeyEntry { key, record_no });
            most = most.max(memtable.newest.capacity());
            if record_no % 7 == 0 {
                memtable.keep_above(record_no);
            }
        }
        // Seven keys at most: holes left by flushed keys would make the table grow.
        assert!((7..14).contains(&most), "{most}");
    }
}
