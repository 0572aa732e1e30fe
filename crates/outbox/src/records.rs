//! The records: looked up and written as sets of numbers, whatever the size of a page. Nobody else names their table.

use std::collections::{BTreeMap, HashMap, HashSet};

use contract::{RecordDigest, Version};
use sqlx::SqliteExecutor;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::block::{BLOCK_RECORDS, Block, SLOT_BYTES, block_of, read, slot_of};
use crate::index::{ByDigest, Index, Numbered};
use crate::keys::{Entry, key_of};
use crate::plan::{Known, Row};
use crate::{OutboxError, SourceStamp};

/// Blocks read or written by one statement: four megabytes.
const MAX_BLOCKS: usize = 1024;

/// Numbers looked up by one statement: their slots are one row of text.
const MAX_NUMBERS: usize = 8192;

/// A statement over the 32-byte digests that lie side by side in its first parameter: `substr(?1, place.at, 32)` each.
/// An empty parameter is one place with an empty digest, which is no record's.
macro_rules! each_digest {
    ($statement:literal) => {
        concat!(
            "WITH RECURSIVE place (at) AS (SELECT 1 UNION ALL SELECT at + 32 FROM place WHERE at + 32 < length(?1)) ",
            $statement
        )
    };
}
pub(crate) use each_digest;

/// Digests as [`each_digest`] takes them.
pub(crate) fn side_by_side<'a>(records: impl IntoIterator<Item = &'a RecordDigest>) -> Vec<u8> {
    records.into_iter().flat_map(|record| record.0).collect()
}

/// What is remembered of records that were asked for.
#[derive(Debug, Default)]
pub(crate) struct LookedUp {
    pub(crate) known: HashMap<RecordDigest, Known, ByDigest>,
    /// Records numbered above were committed after the look-up.
    pub(crate) upto: i64,
}

/// Of the records with these numbers, those that are wanted: the keys of two digests may be the same.
pub(crate) async fn of_numbers(
    pool: &SqlitePool,
    mut record_nos: Vec<i64>,
    wanted: &[RecordDigest],
) -> Result<HashMap<RecordDigest, Known, ByDigest>, OutboxError> {
    record_nos.sort_unstable();
    record_nos.dedup();
    let wanted: HashSet<&RecordDigest, ByDigest> = wanted.iter().collect();
    let mut known = HashMap::with_capacity_and_hasher(record_nos.len(), ByDigest::default());
    for (record, found) in look_up_numbers(pool, &record_nos).await? {
        if wanted.contains(&record) && known.insert(record, found).is_some() {
            return Err(OutboxError::Damaged { what: "a record, which is there twice" });
        }
    }
    Ok(known)
}

/// What is remembered of records by their numbers: as two columns of text in one row, because a row each would take several
/// times as long.
pub(crate) async fn look_up_numbers(
    pool: &SqlitePool,
    record_nos: &[i64],
) -> Result<Vec<(RecordDigest, Known)>, OutboxError> {
    let mut found = Vec::with_capacity(record_nos.len());
    for record_nos in record_nos.chunks(MAX_NUMBERS) {
        let places =
            record_nos.iter().map(|number| (number, block_of(*number), slot_of(*number) * SLOT_BYTES + 1));
        let places: Vec<_> = places.collect();
        let (numbers, slots): (Option<String>, Option<String>) = sqlx::query_as(
            "SELECT group_concat(j.value ->> 0), group_concat(hex(substr(slots, j.value ->> 2, ?2)), '') \
             FROM json_each(?1) AS j CROSS JOIN record_block ON block = j.value ->> 1",
        )
        .bind(json(&places))
        .bind(i64::try_from(SLOT_BYTES).unwrap_or(i64::MAX))
        .fetch_one(pool)
        .await
        .map_err(OutboxError::database)?;
        let (numbers, slots) = (numbers.unwrap_or_default(), slots.unwrap_or_default());
        let mut slots = slots.as_bytes().chunks(2 * SLOT_BYTES);
        for number in numbers.split_terminator(',') {
            found.push(slots.next().and_then(|slot| from_text(number, slot)).ok_or(DAMAGED)?);
        }
    }
    // Numbers come from keys, and a record that is there stays.
    if found.len() == record_nos.len() { Ok(found) } else { Err(DAMAGED) }
}

const DAMAGED: OutboxError = OutboxError::Damaged { what: "a record" };

fn from_text(number: &str, slot: &[u8]) -> Option<(RecordDigest, Known)> {
    let mut bytes = [0; SLOT_BYTES];
    hex::decode_to_slice(slot, &mut bytes).ok()?;
    read(number.parse().ok()?, &bytes).ok()?
}

/// The keys of records above a number, and what else was true at that moment.
pub(crate) struct Tail {
    pub(crate) entries: Vec<Entry>,
    /// The last run ever made.
    pub(crate) last_run: i64,
    /// Whether there are more.
    pub(crate) more: bool,
}

/// Reads the keys of the records numbered above `after`, a bounded number of them.
pub(crate) async fn tail(executor: impl SqliteExecutor<'_>, after: i64) -> Result<Tail, OutboxError> {
    let rows: Vec<(i64, Option<i64>, Option<Vec<u8>>)> = sqlx::query_as(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'key_run'), 0), block, slots FROM (SELECT 1) \
         LEFT JOIN (SELECT block, slots FROM record_block WHERE block >= ?1 ORDER BY block LIMIT ?2)",
    )
    .bind(block_of(after + 1))
    .bind(i64::try_from(MAX_BLOCKS).unwrap_or(i64::MAX))
    .fetch_all(executor)
    .await
    .map_err(OutboxError::database)?;
    let last_run = rows.first().map_or(0, |row| row.0);
    let (more, mut entries) = (rows.len() == MAX_BLOCKS, Vec::new());
    for (block, slots) in rows.into_iter().filter_map(|(_, block, slots)| block.zip(slots)) {
        entries.extend(Block::from_bytes(block, &slots)?.keys().filter(|entry| entry.1 > after));
    }
    Ok(Tail { entries, last_run, more })
}

/// The keys of the records numbered above `after` and up to `upto`, as the file has them.
pub(crate) async fn keys_between(
    connection: &mut SqliteConnection,
    mut after: i64,
    upto: i64,
) -> Result<Vec<Entry>, OutboxError> {
    let mut entries = Vec::new();
    loop {
        let tail = tail(&mut *connection, after).await?;
        after = tail.entries.last().map_or(upto, |entry| entry.1);
        entries.extend(tail.entries);
        if !tail.more || after >= upto {
            entries.retain(|entry| entry.1 <= upto);
            return Ok(entries);
        }
    }
}

/// The last number given to a record.
pub(crate) async fn last(executor: impl SqliteExecutor<'_>) -> Result<i64, OutboxError> {
    last_block(executor).await.map(|block| block.map_or(0, |block| block.last()))
}

async fn last_block(executor: impl SqliteExecutor<'_>) -> Result<Option<Block>, OutboxError> {
    let last = "SELECT block, slots FROM record_block ORDER BY block DESC LIMIT 1";
    let last: Option<(i64, Vec<u8>)> =
        sqlx::query_as(last).fetch_optional(executor).await.map_err(OutboxError::database)?;
    last.map(|(block, slots)| Block::from_bytes(block, &slots)).transpose()
}

/// Goes over the records numbered above `after` and up to `upto`, until it is told that they are enough.
pub(crate) async fn visit(
    pool: &SqlitePool,
    mut after: i64,
    upto: i64,
    mut enough: impl FnMut(&RecordDigest, &Known) -> bool + Send,
) -> Result<(), OutboxError> {
    while after < upto {
        let first = block_of(after + 1);
        let last = block_of(upto).min(first + i64::try_from(MAX_BLOCKS).unwrap_or(i64::MAX) - 1);
        let rows = sqlx::query_as(
            "SELECT block, slots FROM record_block WHERE block BETWEEN ?1 AND ?2 ORDER BY block",
        );
        let rows: Vec<BlockRow> =
            rows.bind(first).bind(last).fetch_all(pool).await.map_err(OutboxError::database)?;
        for block in rows {
            for record in from_row(block)?.records() {
                let (record, known) = record?;
                if (after + 1..=upto).contains(&known.record_no) && enough(&record, &known) {
                    return Ok(());
                }
            }
        }
        after = (last + 1) * BLOCK_RECORDS - 1;
    }
    Ok(())
}

type BlockRow = (i64, Vec<u8>);

fn from_row((block, slots): BlockRow) -> Result<Block, OutboxError> {
    Block::from_bytes(block, &slots)
}

async fn read_blocks(connection: &mut SqliteConnection, blocks: &[i64]) -> Result<Vec<Block>, OutboxError> {
    let rows: Vec<BlockRow> = sqlx::query_as(
        "SELECT block, slots FROM json_each(?1) AS j CROSS JOIN record_block ON block = j.value",
    )
    .bind(json(blocks))
    .fetch_all(connection)
    .await
    .map_err(OutboxError::database)?;
    rows.into_iter().map(from_row).collect()
}

/// The slots of all blocks lie side by side in one parameter, and a JSON array of their places drives the statement.
async fn write_blocks(connection: &mut SqliteConnection, blocks: &[Block]) -> Result<(), OutboxError> {
    for blocks in blocks.chunks(MAX_BLOCKS) {
        let (mut slots, mut places) = (Vec::new(), Vec::with_capacity(blocks.len()));
        for block in blocks {
            let bytes = block.as_bytes();
            places.push((block.block, block.unplaced(), slots.len() + 1, bytes.len()));
            slots.extend_from_slice(bytes);
        }
        sqlx::query(
            "INSERT INTO record_block (block, unplaced, slots) \
             SELECT j.value ->> 0, j.value ->> 1, substr(?1, j.value ->> 2, j.value ->> 3) FROM json_each(?2) AS j \
             WHERE TRUE ON CONFLICT (block) DO UPDATE SET unplaced = excluded.unplaced, slots = excluded.slots",
        )
        .bind(slots)
        .bind(json(&places))
        .execute(&mut *connection)
        .await
        .map_err(OutboxError::database)?;
    }
    Ok(())
}

/// Changes what is remembered of known records, each by its number and what goes with it.
pub(crate) async fn change<T>(
    connection: &mut SqliteConnection,
    changes: impl IntoIterator<Item = (i64, T)>,
    apply: impl Fn(&mut Known, T),
) -> Result<(), OutboxError> {
    let mut by_block: BTreeMap<i64, Vec<(i64, T)>> = BTreeMap::new();
    for (record_no, with) in changes {
        by_block.entry(block_of(record_no)).or_default().push((record_no, with));
    }
    while !by_block.is_empty() {
        let named: Vec<i64> = by_block.keys().take(MAX_BLOCKS).copied().collect();
        let mut blocks = read_blocks(&mut *connection, &named).await?;
        if blocks.len() != named.len() {
            return Err(DAMAGED);
        }
        for block in &mut blocks {
            for (record_no, with) in by_block.remove(&block.block).unwrap_or_default() {
                block.change(record_no, |known| apply(known, with))?;
            }
        }
        write_blocks(&mut *connection, &blocks).await?;
    }
    Ok(())
}

/// Remembers the rows: numbers those that are new, and rewrites those that are known. `upto` is what the look-up said
/// that told them apart. Says what was numbered, which is true once the transaction is committed.
///
/// # Errors
/// [`OutboxError::Overtaken`] if another page has numbered one of the new records since, and the disk's failures.
pub(crate) async fn store(
    connection: &mut SqliteConnection,
    rows: &[Row],
    feed_id: Option<i64>,
    upto: i64,
    index: &Index,
) -> Result<Numbered, OutboxError> {
    let (known, new): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.record_no.is_some());
    let last = last_block(&mut *connection).await?;
    let after = last.as_ref().map_or(0, Block::last);
    refuse_twins(connection, &new, (upto, after), index).await?;
    append(connection, last, &new, feed_id).await?;
    let known = known.into_iter().filter_map(|row| Some((row.record_no?, row)));
    change(connection, known, |known, row| *known = row.remembered(known.record_no, feed_id)).await?;
    Ok(Numbered { after, keys: new.iter().map(|row| key_of(&row.record)).collect() })
}

/// Numbers the rows on from the last record.
async fn append(
    connection: &mut SqliteConnection,
    last: Option<Block>,
    rows: &[&Row],
    feed_id: Option<i64>,
) -> Result<(), OutboxError> {
    let mut block = last.unwrap_or_else(|| Block::empty(0));
    let mut record_no = block.last().max(0);
    let mut full = Vec::new();
    for row in rows {
        record_no += 1;
        if block_of(record_no) != block.block {
            full.push(std::mem::replace(&mut block, Block::empty(block_of(record_no))));
        }
        block.put(&row.record, &row.remembered(record_no, feed_id))?;
    }
    full.push(block);
    if rows.is_empty() { Ok(()) } else { write_blocks(connection, &full).await }
}

/// No index holds records apart, so this does: what was committed after the look-up is not among the new rows.
async fn refuse_twins(
    connection: &mut SqliteConnection,
    new: &[&Row],
    since: (i64, i64),
    index: &Index,
) -> Result<(), OutboxError> {
    let mut named = HashSet::with_capacity_and_hasher(new.len(), ByDigest::default());
    let apart = new.iter().all(|row| named.insert(&row.record));
    if !apart || index.has_newer(connection, new.iter().map(|row| key_of(&row.record)), since).await? {
        return Err(OutboxError::Overtaken);
    }
    Ok(())
}

/// Notes where unchanged records stand at their source.
pub(crate) async fn store_moved(
    connection: &mut SqliteConnection,
    moved: &[(i64, SourceStamp)],
    feed_id: i64,
) -> Result<(), OutboxError> {
    let moved = moved.iter().copied();
    change(connection, moved, |known, stamp| (known.feed_id, known.stamp) = (Some(feed_id), stamp)).await
}

/// Adopts the registry's newer versions and forgets content and stamp of what differs.
pub(crate) async fn adopt(
    connection: &mut SqliteConnection,
    held: impl IntoIterator<Item = (i64, Option<Version>)>,
) -> Result<(), OutboxError> {
    change(connection, held, |known, held| {
        (known.content, known.stamp) = (None, None);
        known.version = held.map_or(known.version, |held| held.max(known.version));
    })
    .await
}

/// Forgets the stamps of records, so that they are read again.
pub(crate) async fn forget_stamps(
    connection: &mut SqliteConnection,
    record_nos: &[i64],
) -> Result<(), OutboxError> {
    change(connection, record_nos.iter().map(|number| (*number, ())), |known, ()| known.stamp = None).await
}

/// Forgets what records say, so that they are sent again once they are read.
pub(crate) async fn forget_contents(
    connection: &mut SqliteConnection,
    record_nos: &[i64],
) -> Result<(), OutboxError> {
    change(connection, record_nos.iter().map(|number| (*number, ())), |known, ()| known.content = None).await
}

/// Parameters of set statements.
pub(crate) fn json(values: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(values).expect("numbers and strings always have a JSON form")
}
