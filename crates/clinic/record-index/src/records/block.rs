//! A block of records as it lies in the file: a slot of fixed size for each number, as the fourth
//! migration of the outbox describes.

use az::SaturatingAs as _;
use contract::{ContentDigest, RecordDigest};
use record_secrets::Revision;

use crate::IndexError;
use crate::record::{KeyEntry, KnownRecord, RecordState, key_of};

/// Slots of a block: as many as fit a page of the file.
const BLOCK_SLOTS: usize = 58;

/// Record numbers of a block.
pub(crate) const BLOCK_RECORDS: i64 = BLOCK_SLOTS as i64;

/// Bytes of a slot.
pub(crate) const SLOT_BYTES: usize = 69;

/// A record as it lies in a block; all zeroes where there is none.
pub(crate) type Slot = [u8; SLOT_BYTES];

/// A block or slot that this crate never wrote.
pub(crate) const DAMAGED: IndexError = IndexError::Damaged { what: "a record" };

/// Flags in the last byte of a slot.
const FLAGS: usize = SLOT_BYTES - 1;
const THERE: u8 = 1;
const HAS_CONTENT: u8 = 2;
const HAS_STAMP: u8 = 4;
const WITHDRAWN: u8 = 8;

/// Records whose numbers, divided by [`BLOCK_RECORDS`], are the block's own number.
#[derive(Debug)]
pub(crate) struct RecordBlock {
    /// Number of the block.
    pub(crate) block_no: i64,
    slots: Vec<Slot>,
}

/// Returns the block that a record is in.
pub(crate) const fn block_of(record_no: i64) -> i64 {
    record_no.div_euclid(BLOCK_RECORDS)
}

/// Returns the record's slot in its block.
pub(crate) fn slot_of(record_no: i64) -> usize {
    usize::try_from(record_no.rem_euclid(BLOCK_RECORDS)).unwrap_or(0)
}

impl RecordBlock {
    /// Makes a block without records.
    pub(crate) fn empty(block_no: i64) -> Self {
        Self {
            block_no,
            slots: Vec::with_capacity(BLOCK_SLOTS),
        }
    }

    /// Reads a block from its row.
    pub(crate) fn from_bytes(block_no: i64, bytes: &[u8]) -> Result<Self, IndexError> {
        match bytes.as_chunks() {
            (slots, []) if slots.len() <= BLOCK_SLOTS => Ok(Self {
                block_no,
                slots: slots.to_vec(),
            }),
            _ => Err(DAMAGED),
        }
    }

    /// Returns the slots side by side.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.slots.as_flattened()
    }

    /// Returns the number of the last record; of an empty block, the number before its first.
    pub(crate) fn last(&self) -> i64 {
        let slots: i64 = self.slots.len().saturating_as();
        self.block_no * BLOCK_RECORDS + slots - 1
    }

    /// Writes a record into its slot.
    pub(crate) fn put(
        &mut self,
        record_no: i64,
        record: &RecordDigest,
        state: &RecordState,
    ) -> Result<(), IndexError> {
        let slot = slot_of(record_no);
        if block_of(record_no) != self.block_no {
            return Err(DAMAGED);
        }
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, [0; SLOT_BYTES]);
        }
        self.slots[slot] = write_slot(record, state)?;
        Ok(())
    }

    /// Changes the state of a record that is in the block.
    pub(crate) fn change(
        &mut self,
        record_no: i64,
        change: impl FnOnce(&RecordDigest, &mut RecordState) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let slot = self.slots.get(slot_of(record_no)).ok_or(DAMAGED)?;
        let (record, mut state) = read_slot(slot)?.ok_or(DAMAGED)?;
        change(&record, &mut state)?;
        self.put(record_no, &record, &state)
    }

    /// Reads every record, in the order of their numbers.
    pub(crate) fn records(
        &self,
    ) -> impl Iterator<Item = Result<(RecordDigest, KnownRecord), IndexError>> {
        let numbered = (self.block_no * BLOCK_RECORDS..).zip(&self.slots);
        numbered.filter_map(|(record_no, slot)| {
            let read = read_slot(slot).transpose()?;
            Some(read.map(|(record, state)| (record, KnownRecord { record_no, state })))
        })
    }

    /// Reads the key and the number of every record, which costs less than reading all of it.
    pub(crate) fn entries(&self) -> impl Iterator<Item = KeyEntry> {
        let numbered = (self.block_no * BLOCK_RECORDS..).zip(&self.slots);
        numbered.filter_map(|(record_no, slot)| {
            let record = slot.first_chunk().copied().map(RecordDigest)?;
            let there = slot[FLAGS] & THERE != 0;
            there.then(|| KeyEntry {
                key: key_of(&record),
                record_no,
            })
        })
    }

    /// Returns how many records have no feed.
    pub(crate) fn unplaced(&self) -> usize {
        let unplaced = |slot: &&Slot| slot[FLAGS] & THERE != 0 && slot[56..60] == [0; 4];
        self.slots.iter().filter(unplaced).count()
    }
}

fn write_slot(record: &RecordDigest, state: &RecordState) -> Result<Slot, IndexError> {
    let feed_id = u32::try_from(state.feed_id.unwrap_or(0));
    let feed_id = feed_id.map_err(|_| IndexError::Exhausted {
        what: "number of feeds",
    })?;
    let flags = [
        (true, THERE),
        (state.content.is_some(), HAS_CONTENT),
        (state.stamp.is_some(), HAS_STAMP),
        (state.withdrawn, WITHDRAWN),
    ];
    let mut slot = [0; SLOT_BYTES];
    slot[..32].copy_from_slice(&record.0);
    slot[32..48].copy_from_slice(&state.content.map_or([0; 16], |content| content.0));
    slot[48..52].copy_from_slice(&state.revision.generation.to_be_bytes());
    slot[52..56].copy_from_slice(&state.revision.count.to_be_bytes());
    slot[56..60].copy_from_slice(&feed_id.to_be_bytes());
    slot[60..68].copy_from_slice(&state.stamp.unwrap_or(0).to_be_bytes());
    slot[FLAGS] = flags
        .into_iter()
        .filter(|(set, _)| *set)
        .map(|(_, flag)| flag)
        .sum();
    Ok(slot)
}

/// Reads a slot; `None` if its number was never given to a record.
pub(crate) fn read_slot(slot: &Slot) -> Result<Option<(RecordDigest, RecordState)>, IndexError> {
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
    let state = RecordState {
        feed_id,
        stamp: (flags & HAS_STAMP != 0).then(|| i64::from_be_bytes(*stamp)),
        content: (flags & HAS_CONTENT != 0).then_some(ContentDigest(*content)),
        revision: Revision {
            generation: u32::from_be_bytes(*generation),
            count: u32::from_be_bytes(*count),
        },
        withdrawn: flags & WITHDRAWN != 0,
    };
    Ok(Some((RecordDigest(*record), state)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATE: RecordState = RecordState {
        feed_id: Some(3),
        stamp: None,
        content: None,
        revision: Revision {
            generation: 1,
            count: 2,
        },
        withdrawn: false,
    };

    proptest! {
        #[test]
        fn put_record_is_read(
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
            let revision = Revision { generation, count };
            let feed_id = feed_id.map(i64::from);
            let record_no = 7 * BLOCK_RECORDS + slot;
            let state = RecordState { feed_id, stamp, content, revision, withdrawn };
            let mut block = RecordBlock::empty(7);
            block.put(record_no, &record, &state).unwrap();
            prop_assert_eq!(block.last(), record_no);
            let block = RecordBlock::from_bytes(7, block.as_bytes()).unwrap();
            let read = block.records().collect::<Result<Vec<_>, _>>().unwrap();
            prop_assert_eq!(read, [(record, KnownRecord { record_no, state })]);
            let entry = KeyEntry { key: key_of(&record), record_no };
            prop_assert_eq!(block.entries().collect::<Vec<_>>(), [entry]);
            prop_assert_eq!(block.unplaced(), usize::from(feed_id.is_none()));
        }
    }

    #[test]
    fn record_stays_in_its_slot_beside_others() {
        let mut block = RecordBlock::empty(0);
        for (record, record_no) in [(9, 5), (8, 1), (7, 57)] {
            block
                .put(record_no, &RecordDigest([record; 32]), &STATE)
                .unwrap();
        }
        let withdraw = |_: &RecordDigest, state: &mut RecordState| {
            state.withdrawn = true;
            Ok(())
        };
        block.change(5, withdraw).unwrap();
        let all: Vec<_> = block.records().map(|read| read.unwrap().1).collect();
        let stored = |record_no, state| KnownRecord { record_no, state };
        let withdrawn = RecordState {
            withdrawn: true,
            ..STATE
        };
        assert_eq!(
            all,
            [stored(1, STATE), stored(5, withdrawn), stored(57, STATE)]
        );
        assert_eq!(block.as_bytes().len(), 58 * SLOT_BYTES);
        let of_another_block = block.put(58, &RecordDigest([0; 32]), &STATE);
        assert!(of_another_block.is_err());
        assert!(block.change(4, withdraw).is_err(), "an empty slot");
        assert!(block.change(56, withdraw).is_err(), "an empty slot");
        let beyond = RecordState {
            feed_id: Some(1 << 32),
            ..STATE
        };
        let put = block.put(2, &RecordDigest([0; 32]), &beyond);
        assert!(matches!(put, Err(IndexError::Exhausted { .. })));
    }

    #[test]
    fn bytes_that_are_no_block_are_damage() {
        let mut slot = write_slot(&RecordDigest([1; 32]), &STATE).unwrap();
        assert!(RecordBlock::from_bytes(0, &slot[1..]).is_err());
        assert!(RecordBlock::from_bytes(0, &slot.repeat(58)).is_ok());
        assert!(RecordBlock::from_bytes(0, &slot.repeat(59)).is_err());
        for flags in [2, 17, 255] {
            slot[FLAGS] = flags;
            assert!(read_slot(&slot).is_err(), "{flags}");
        }
    }
}
