//! The table `record_block`: records read by number, appended, changed.

use std::collections::BTreeMap;

use az::SaturatingAs as _;
use contract::RecordDigest;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{SqliteExecutor, query, query_as};

use crate::IndexError;
use crate::json::json;
use crate::record::{KnownRecord, RecordState};
use crate::records::block::{DAMAGED, RecordBlock, SLOT_BYTES, block_of, read_slot, slot_of};

/// Blocks read or written by one statement: four megabytes.
pub(crate) const MAX_STATEMENT_BLOCKS: usize = 1024;

/// Records read by one statement: their slots are one row of text.
const MAX_STATEMENT_RECORDS: usize = 8192;

/// A row of the table.
pub(crate) type BlockRow = (i64, Vec<u8>);

/// Reads a block from a row of the table.
pub(crate) fn from_row(row: BlockRow) -> Result<RecordBlock, IndexError> {
    let (block_no, slots) = row;
    RecordBlock::from_bytes(block_no, &slots)
}

/// Reads the records with these numbers, which come as two columns of text in one row: a row each
/// takes several times as long.
///
/// # Errors
/// [`IndexError::Damaged`] if there is no such record, and SQLite's failures.
pub async fn look_up_numbers(
    pool: &SqlitePool,
    record_nos: &[i64],
) -> Result<Vec<(RecordDigest, KnownRecord)>, IndexError> {
    let mut found = Vec::with_capacity(record_nos.len());
    for record_nos in record_nos.chunks(MAX_STATEMENT_RECORDS) {
        let places = record_nos
            .iter()
            .map(|number| (number, block_of(*number), slot_of(*number) * SLOT_BYTES + 1));
        let places: Vec<_> = places.collect();
        let (numbers, slots): (Option<String>, Option<String>) = query_as(
            "SELECT group_concat(j.value ->> 0), \
             group_concat(hex(substr(slots, j.value ->> 2, ?2)), '') \
             FROM json_each(?1) AS j CROSS JOIN record_block ON block = j.value ->> 1",
        )
        .bind(json(&places))
        .bind(SLOT_BYTES.saturating_as::<i64>())
        .fetch_one(pool)
        .await?;
        let numbers = numbers.unwrap_or_default();
        let slots = slots.unwrap_or_default();
        let mut slots = slots.as_bytes().chunks(2 * SLOT_BYTES);
        for number in numbers.split_terminator(',') {
            let slot = slots.next().ok_or(DAMAGED)?;
            found.push(from_text(number, slot).ok_or(DAMAGED)?);
        }
    }
    // Numbers come from keys, and a record that is there stays.
    if found.len() == record_nos.len() {
        Ok(found)
    } else {
        Err(DAMAGED)
    }
}

fn from_text(number: &str, slot: &[u8]) -> Option<(RecordDigest, KnownRecord)> {
    let mut bytes = [0; SLOT_BYTES];
    hex::decode_to_slice(slot, &mut bytes).ok()?;
    let (record, state) = read_slot(&bytes).ok()??;
    let record_no = number.parse().ok()?;
    Some((record, KnownRecord { record_no, state }))
}

/// Returns the number of the last record; 0 if there is none.
///
/// # Errors
/// [`IndexError::Damaged`] and SQLite's failures.
pub async fn last_record_no(executor: impl SqliteExecutor<'_>) -> Result<i64, IndexError> {
    Ok(last_block(executor).await?.map_or(0, |block| block.last()))
}

/// Reads the block with the last records; `None` if there is no record.
pub(crate) async fn last_block(
    executor: impl SqliteExecutor<'_>,
) -> Result<Option<RecordBlock>, IndexError> {
    let last = "SELECT block, slots FROM record_block ORDER BY block DESC LIMIT 1";
    let last: Option<BlockRow> = query_as(last).fetch_optional(executor).await?;
    last.map(from_row).transpose()
}

/// Appends records behind those of the last block.
pub(crate) async fn append<'a>(
    connection: &mut SqliteConnection,
    last: Option<RecordBlock>,
    records: impl Iterator<Item = (&'a RecordDigest, RecordState)>,
) -> Result<(), IndexError> {
    let mut block = last.unwrap_or_else(|| RecordBlock::empty(0));
    let before = block.last().max(0);
    let mut record_no = before;
    let mut full = Vec::new();
    for (record, state) in records {
        record_no += 1;
        if block_of(record_no) != block.block_no {
            let next = RecordBlock::empty(block_of(record_no));
            full.push(std::mem::replace(&mut block, next));
        }
        block.put(record_no, record, &state)?;
    }
    full.push(block);
    if record_no == before {
        Ok(())
    } else {
        write(connection, &full).await
    }
}

/// Changes the state of stored records, each given by its number and whatever `apply` needs.
///
/// # Errors
/// [`IndexError::Damaged`] if there is no such record, the errors of `apply`, and SQLite's
/// failures.
pub async fn change<T>(
    connection: &mut SqliteConnection,
    changes: impl IntoIterator<Item = (i64, T)>,
    apply: impl Fn(&RecordDigest, &mut RecordState, T) -> Result<(), IndexError>,
) -> Result<(), IndexError> {
    let mut by_block: BTreeMap<i64, Vec<(i64, T)>> = BTreeMap::new();
    for (record_no, with) in changes {
        by_block
            .entry(block_of(record_no))
            .or_default()
            .push((record_no, with));
    }
    while !by_block.is_empty() {
        let block_nos: Vec<i64> = by_block
            .keys()
            .take(MAX_STATEMENT_BLOCKS)
            .copied()
            .collect();
        let mut blocks = read_blocks(&mut *connection, &block_nos).await?;
        if blocks.len() != block_nos.len() {
            return Err(DAMAGED);
        }
        for block in &mut blocks {
            for (record_no, with) in by_block.remove(&block.block_no).unwrap_or_default() {
                block.change(record_no, |record, state| apply(record, state, with))?;
            }
        }
        write(&mut *connection, &blocks).await?;
    }
    Ok(())
}

async fn read_blocks(
    connection: &mut SqliteConnection,
    block_nos: &[i64],
) -> Result<Vec<RecordBlock>, IndexError> {
    let rows: Vec<BlockRow> = query_as(
        "SELECT block, slots FROM json_each(?1) AS j CROSS JOIN record_block ON block = j.value",
    )
    .bind(json(block_nos))
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(from_row).collect()
}

/// Writes blocks whole. Their slots lie side by side in one parameter, and a JSON array of their
/// places drives the statement.
async fn write(
    connection: &mut SqliteConnection,
    blocks: &[RecordBlock],
) -> Result<(), IndexError> {
    for blocks in blocks.chunks(MAX_STATEMENT_BLOCKS) {
        let mut slots = Vec::new();
        let mut places = Vec::with_capacity(blocks.len());
        for block in blocks {
            let bytes = block.as_bytes();
            places.push((
                block.block_no,
                block.unplaced(),
                slots.len() + 1,
                bytes.len(),
            ));
            slots.extend_from_slice(bytes);
        }
        query(
            "INSERT INTO record_block (block, unplaced, slots) \
             SELECT j.value ->> 0, j.value ->> 1, substr(?1, j.value ->> 2, j.value ->> 3) \
             FROM json_each(?2) AS j WHERE TRUE \
             ON CONFLICT (block) DO UPDATE SET unplaced = excluded.unplaced, \
             slots = excluded.slots",
        )
        .bind(slots)
        .bind(json(&places))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
