//! A sorted run: the bytes of its blocks, and which block a key is in.

use crate::IndexError;
use crate::record::{Key, KeyEntry};

const KEY_BYTES: usize = 8;

/// Bytes of an entry: a key, and its record's number above the run's first.
pub(crate) const ENTRY_BYTES: usize = KEY_BYTES + 4;

/// A block of keys that this crate never wrote.
pub(crate) const DAMAGED: IndexError = IndexError::Damaged {
    what: "the keys of records",
};

/// A sorted run: keys of the records numbered above `after` and up to `upto`, in blocks; a block
/// holds the keys that share their first `block_bits` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SortedRun {
    /// Number of the run. It is never used twice, and a run never changes.
    pub(crate) id: i64,
    /// Number of the last record before the run.
    pub(crate) after: i64,
    /// Number of the run's last record.
    pub(crate) upto: i64,
    /// Number of keys.
    pub(crate) entries: i64,
    /// First bits of a key that choose its block.
    pub(crate) block_bits: u32,
}

/// A range of keys, both ends included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyRange {
    /// Lowest key of the range.
    pub(crate) first: Key,
    /// Highest key of the range.
    pub(crate) last: Key,
}

impl KeyRange {
    /// Returns the keys whose first `bits` bits are `prefix`.
    pub(crate) const fn of_prefix(prefix: u64, bits: u32) -> Self {
        if bits == 0 {
            return Self {
                first: 0,
                last: u64::MAX,
            };
        }
        let first = prefix << (u64::BITS - bits);
        Self {
            first,
            last: first | (u64::MAX >> bits),
        }
    }
}

impl SortedRun {
    /// Returns the row of `key_block` that holds the key's block.
    pub(crate) const fn block_of(&self, key: Key) -> i64 {
        let block = if self.block_bits == 0 {
            0
        } else {
            key >> (u64::BITS - self.block_bits)
        };
        (self.id << 32) | block.cast_signed()
    }

    /// Adds the numbers of the key's records in its block to `found`. The block is SQLite's `hex()`
    /// of its bytes and is searched as that text: decoding all of it takes ten times as long.
    pub(crate) fn search(
        &self,
        key: Key,
        block: &str,
        found: &mut Vec<i64>,
    ) -> Result<(), IndexError> {
        let key = format!("{key:016X}");
        let entries = block.as_bytes().as_chunks::<{ 2 * ENTRY_BYTES }>().0;
        let first = entries.partition_point(|entry| entry[..2 * KEY_BYTES] < *key.as_bytes());
        for entry in entries[first..]
            .iter()
            .take_while(|entry| entry.starts_with(key.as_bytes()))
        {
            let above = str::from_utf8(&entry[2 * KEY_BYTES..]).ok();
            let above = above.and_then(|above| u32::from_str_radix(above, 16).ok());
            found.push(self.after + i64::from(above.ok_or(DAMAGED)?));
        }
        Ok(())
    }

    /// Reads every entry of a block.
    pub(crate) fn entries<'a>(&self, block: &'a [u8]) -> impl Iterator<Item = KeyEntry> + use<'a> {
        let after = self.after;
        block.as_chunks::<ENTRY_BYTES>().0.iter().map(move |entry| {
            let [a, b, c, d, e, f, g, h, above @ ..] = *entry;
            KeyEntry {
                key: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
                record_no: after + i64::from(u32::from_be_bytes(above)),
            }
        })
    }

    /// Writes one entry of a block.
    pub(crate) fn write(&self, entry: KeyEntry, to: &mut Vec<u8>) -> Result<(), IndexError> {
        let above = u32::try_from(entry.record_no - self.after);
        let above = above.map_err(|_| IndexError::Exhausted {
            what: "number of records",
        })?;
        to.extend_from_slice(&entry.key.to_be_bytes());
        to.extend_from_slice(&above.to_be_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: SortedRun = SortedRun {
        id: 3,
        after: 100,
        upto: 200,
        entries: 3,
        block_bits: 4,
    };

    #[test]
    fn written_entries_are_read_and_found() {
        let entries = [(5, 101), (7, 150), (7, 200)];
        let entries = entries.map(|(key, record_no)| KeyEntry { key, record_no });
        let mut bytes = Vec::new();
        for entry in entries {
            RUN.write(entry, &mut bytes).unwrap();
        }
        assert!(RUN.entries(&bytes).eq(entries));
        let hex = hex::encode_upper(&bytes);
        let search = |key| {
            let mut found = Vec::new();
            RUN.search(key, &hex, &mut found).unwrap();
            found
        };
        assert_eq!((search(5), search(6)), (vec![101], vec![]));
        assert_eq!(search(7), [150, 200], "records that share a key");
        let beyond = KeyEntry {
            key: 1,
            record_no: 101 + i64::from(u32::MAX),
        };
        assert!(RUN.write(beyond, &mut bytes).is_err());
    }

    #[test]
    fn number_that_is_no_hex_is_damage() {
        let block = format!("{:016X}0000000G", 5);
        assert!(RUN.search(5, &block, &mut Vec::new()).is_err());
    }

    #[test]
    fn first_bits_choose_the_block() {
        assert_eq!(RUN.block_of(0x0fff << 48), 3 << 32);
        assert_eq!(RUN.block_of(u64::MAX), (3 << 32) | 15);
        assert_eq!(
            SortedRun {
                block_bits: 0,
                ..RUN
            }
            .block_of(u64::MAX),
            3 << 32
        );
        let range = KeyRange::of_prefix(2, 4);
        assert_eq!((range.first, range.last), (2 << 60, (3 << 60) - 1));
        let all = KeyRange::of_prefix(0, 0);
        assert_eq!((all.first, all.last), (0, u64::MAX));
    }
}
