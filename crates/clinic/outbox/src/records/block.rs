//! A block of records as it lies in the file: a slot of fixed size for each number, as the fourth
//! migration describes.

use contract::{ContentDigest, RecordDigest, Version};

use crate::file::OutboxError;
use crate::records::keys::{Entry, key_of};
use crate::records::known::Known;

/// Slots of a block: as many as fit a page of the file.
const BLOCK_SLOTS: usize = 58;

/// Numbers of a block.
pub(crate) const BLOCK_RECORDS: i64 = BLOCK_SLOTS as i64;

pub(crate) const SLOT_BYTES: usize = 69;

pub(crate) type Slot = [u8; SLOT_BYTES];

const THERE: u8 = 1;
const HAS_CONTENT: u8 = 2;
const HAS_STAMP: u8 = 4;
const WITHDRAWN: u8 = 8;

/// Records whose numbers, divided by [`BLOCK_RECORDS`], are the block's own.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) block: i64,
    slots: Vec<Slot>,
}

/// The block a number is in.
pub(crate) const fn block_of(record_no: i64) -> i64 {
    record_no.div_euclid(BLOCK_RECORDS)
}

/// The number's slot in its block.
pub(crate) fn slot_of(record_no: i64) -> usize {
    usize::try_from(record_no.rem_euclid(BLOCK_RECORDS)).unwrap_or(0)
}

impl Block {
    pub(crate) fn empty(block: i64) -> Self {
        Self {
            block,
            slots: Vec::with_capacity(BLOCK_SLOTS),
        }
    }

    pub(crate) fn from_bytes(block: i64, bytes: &[u8]) -> Result<Self, OutboxError> {
        match bytes.as_chunks() {
            (slots, []) if slots.len() <= BLOCK_SLOTS => Ok(Self {
                block,
                slots: slots.to_vec(),
            }),
            _ => Err(DAMAGED),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.slots.as_flattened()
    }

    /// The number of the last record; that before the block's first, where it is empty.
    pub(crate) fn last(&self) -> i64 {
        self.block * BLOCK_RECORDS + i64::try_from(self.slots.len()).unwrap_or(i64::MAX) - 1
    }

    /// Puts down what is remembered of a record from now on, under its number.
    pub(crate) fn put(&mut self, record: &RecordDigest, known: &Known) -> Result<(), OutboxError> {
        let slot = slot_of(known.record_no);
        if block_of(known.record_no) != self.block {
            return Err(DAMAGED);
        }
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, [0; SLOT_BYTES]);
        }
        self.slots[slot] = write(record, known)?;
        Ok(())
    }

    /// Changes what is remembered of a record that is there.
    pub(crate) fn change(
        &mut self,
        record_no: i64,
        change: impl FnOnce(&RecordDigest, &mut Known) -> Result<(), OutboxError>,
    ) -> Result<(), OutboxError> {
        let slot = self.slots.get(slot_of(record_no)).ok_or(DAMAGED)?;
        let (record, mut known) = read(record_no, slot)?.ok_or(DAMAGED)?;
        change(&record, &mut known)?;
        self.put(&record, &known)
    }

    /// Every record, in the order of their numbers.
    pub(crate) fn records(
        &self,
    ) -> impl Iterator<Item = Result<(RecordDigest, Known), OutboxError>> {
        let numbered = (self.block * BLOCK_RECORDS..).zip(&self.slots);
        numbered.filter_map(|(record_no, slot)| read(record_no, slot).transpose())
    }

    /// Key and number of every record: what is cheaper to have than the whole.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Entry> {
        let there = |(record_no, slot): (i64, &Slot)| {
            let record = slot.first_chunk().copied().map(RecordDigest)?;
            (slot[SLOT_BYTES - 1] & THERE != 0).then(|| (key_of(&record), record_no))
        };
        (self.block * BLOCK_RECORDS..)
            .zip(&self.slots)
            .filter_map(there)
    }

    /// How many records have no feed.
    pub(crate) fn unplaced(&self) -> usize {
        let unplaced = |slot: &&Slot| slot[SLOT_BYTES - 1] & THERE != 0 && slot[56..60] == [0; 4];
        self.slots.iter().filter(unplaced).count()
    }
}

pub(crate) const DAMAGED: OutboxError = OutboxError::Damaged { what: "a record" };

fn write(record: &RecordDigest, known: &Known) -> Result<Slot, OutboxError> {
    let Known {
        feed_id,
        stamp,
        content,
        version,
        withdrawn,
        ..
    } = known;
    let feed_id = u32::try_from(feed_id.unwrap_or(0));
    let feed_id = feed_id.map_err(|_| OutboxError::Exhausted {
        what: "number of feeds",
    })?;
    let flags = [
        (true, THERE),
        (content.is_some(), HAS_CONTENT),
        (stamp.is_some(), HAS_STAMP),
        (*withdrawn, WITHDRAWN),
    ];
    let mut slot = [0; SLOT_BYTES];
    slot[..32].copy_from_slice(&record.0);
    slot[32..48].copy_from_slice(&content.map_or([0; 16], |content| content.0));
    slot[48..52].copy_from_slice(&version.generation.to_be_bytes());
    slot[52..56].copy_from_slice(&version.count.to_be_bytes());
    slot[56..60].copy_from_slice(&feed_id.to_be_bytes());
    slot[60..68].copy_from_slice(&stamp.unwrap_or(0).to_be_bytes());
    slot[68] = flags
        .into_iter()
        .filter(|(set, _)| *set)
        .map(|(_, flag)| flag)
        .sum();
    Ok(slot)
}

/// `None` for a number that was never given.
pub(crate) fn read(
    record_no: i64,
    slot: &Slot,
) -> Result<Option<(RecordDigest, Known)>, OutboxError> {
    let (record, rest) = slot.split_first_chunk().ok_or(DAMAGED)?;
    let (content, rest) = rest.split_first_chunk().ok_or(DAMAGED)?;
    let (generation, rest) = rest.split_first_chunk().ok_or(DAMAGED)?;
    let (count, rest) = rest.split_first_chunk().ok_or(DAMAGED)?;
    let (feed_id, rest) = rest.split_first_chunk().ok_or(DAMAGED)?;
    let (stamp, flags) = rest.split_first_chunk().ok_or(DAMAGED)?;
    let flags = match flags {
        [0] => return Ok(None),
        [flags] if flags & THERE != 0 && *flags < 2 * WITHDRAWN => *flags,
        _ => return Err(DAMAGED),
    };
    let feed_id = Some(i64::from(u32::from_be_bytes(*feed_id))).filter(|feed_id| *feed_id != 0);
    let generation = u32::from_be_bytes(*generation);
    let count = u32::from_be_bytes(*count);
    let known = Known {
        record_no,
        feed_id,
        stamp: (flags & HAS_STAMP != 0).then(|| i64::from_be_bytes(*stamp)),
        content: (flags & HAS_CONTENT != 0).then_some(ContentDigest(*content)),
        version: Version { generation, count },
        withdrawn: flags & WITHDRAWN != 0,
    };
    Ok(Some((RecordDigest(*record), known)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn known(record_no: i64) -> Known {
        let version = Version {
            generation: 1,
            count: 2,
        };
        Known {
            record_no,
            feed_id: Some(3),
            stamp: None,
            content: None,
            version,
            withdrawn: false,
        }
    }

    proptest! {
        #[test]
        fn what_is_put_down_is_read(
            record: [u8; 32],
            content: Option<[u8; 16]>,
            generation: u32,
            count: u32,
            withdrawn: bool,
            feed_id in prop::option::of(1..=u32::MAX),
            stamp: Option<i64>,
            slot in 0..BLOCK_RECORDS,
        ) {
            let record = RecordDigest(record);
            let content = content.map(ContentDigest);
            let version = Version { generation, count };
            let feed_id = feed_id.map(i64::from);
            let record_no = 7 * BLOCK_RECORDS + slot;
            let known = Known { record_no, feed_id, stamp, content, version, withdrawn };
            let mut block = Block::empty(7);
            block.put(&record, &known).unwrap();
            prop_assert_eq!(block.last(), record_no);
            let block = Block::from_bytes(7, block.as_bytes()).unwrap();
            prop_assert_eq!(block.records().collect::<Result<Vec<_>, _>>().unwrap(), [(record, known)]);
            let key = u64::from_be_bytes(*record.0.first_chunk().unwrap());
            prop_assert_eq!(block.keys().collect::<Vec<_>>(), [(key, record_no)]);
            prop_assert_eq!(block.unplaced(), usize::from(feed_id.is_none()));
        }
    }

    #[test]
    fn record_stays_in_its_slot_beside_others() {
        let mut block = Block::empty(0);
        for (record, record_no) in [(9, 5), (8, 1), (7, 57)] {
            block
                .put(&RecordDigest([record; 32]), &known(record_no))
                .unwrap();
        }
        let withdraw = |_: &RecordDigest, known: &mut Known| {
            known.withdrawn = true;
            Ok(())
        };
        block.change(5, withdraw).unwrap();
        let all: Vec<_> = block.records().map(|one| one.unwrap().1).collect();
        assert_eq!(
            all,
            [
                known(1),
                Known {
                    withdrawn: true,
                    ..known(5)
                },
                known(57)
            ]
        );
        assert_eq!(block.as_bytes().len(), 58 * SLOT_BYTES);
        assert!(
            block.put(&RecordDigest([0; 32]), &known(58)).is_err(),
            "another block's"
        );
        assert!(
            block.change(4, withdraw).is_err() && block.change(56, withdraw).is_err(),
            "no such record"
        );
        let beyond = Known {
            feed_id: Some(1 << 32),
            ..known(2)
        };
        assert!(matches!(
            block.put(&RecordDigest([0; 32]), &beyond),
            Err(OutboxError::Exhausted { .. })
        ));
    }

    #[test]
    fn bytes_that_are_no_block_are_damage() {
        let mut slot = write(&RecordDigest([1; 32]), &known(1)).unwrap();
        assert!(Block::from_bytes(0, &slot[1..]).is_err());
        assert!(
            Block::from_bytes(0, &slot.repeat(58)).is_ok()
                && Block::from_bytes(0, &slot.repeat(59)).is_err()
        );
        for flags in [2, 17, 255] {
            slot[68] = flags;
            assert!(read(1, &slot).is_err(), "{flags}");
        }
    }
}
