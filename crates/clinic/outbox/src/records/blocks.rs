//! The table of blocks: records read by number or in their order, appended, changed. Only `status`
//! names it beside.

use std::collections::BTreeMap;

use contract::RecordDigest;
use sqlx::SqliteExecutor;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::file::OutboxError;
use crate::file::json;
use crate::records::block::{BLOCK_RECORDS, Block, DAMAGED, SLOT_BYTES, block_of, read, slot_of};
use crate::records::keys::Entry;
use crate::records::known::Known;

/// Blocks read or written by one statement: four megabytes.
const MAX_BLOCKS: usize = 1024;

/// Numbers looked up by one statement: their slots are one row of text.
const MAX_NUMBERS: usize = 8192;

/// What is remembered of records by their numbers: as two columns of text in one row, because a row
/// each would take several times as long.
pub(crate) async fn look_up_numbers(
    pool: &SqlitePool,
    record_nos: &[i64],
) -> Result<Vec<(RecordDigest, Known)>, OutboxError> {
    let mut found = Vec::with_capacity(record_nos.len());
    for record_nos in record_nos.chunks(MAX_NUMBERS) {
        let places = record_nos
            .iter()
            .map(|number| (number, block_of(*number), slot_of(*number) * SLOT_BYTES + 1));
        let places: Vec<_> = places.collect();
        let (numbers, slots): (Option<String>, Option<String>) = sqlx::query_as(
            "SELECT group_concat(j.value ->> 0), group_concat(hex(substr(slots, j.value ->> 2, \
             ?2)), '') \
             FROM json_each(?1) AS j CROSS JOIN record_block ON block = j.value ->> 1",
        )
        .bind(json(&places))
        .bind(i64::try_from(SLOT_BYTES).unwrap_or(i64::MAX))
        .fetch_one(pool)
        .await
        .map_err(OutboxError::from)?;
        let numbers = numbers.unwrap_or_default();
        let slots = slots.unwrap_or_default();
        let mut slots = slots.as_bytes().chunks(2 * SLOT_BYTES);
        for number in numbers.split_terminator(',') {
            found.push(
                slots
                    .next()
                    .and_then(|slot| from_text(number, slot))
                    .ok_or(DAMAGED)?,
            );
        }
    }
    // Numbers come from keys, and a record that is there stays.
    if found.len() == record_nos.len() {
        Ok(found)
    } else {
        Err(DAMAGED)
    }
}

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

/// The last run in one row, then a block a row.
type TailRow = (Option<i64>, Option<i64>, Option<Vec<u8>>);

/// Reads the keys of the records numbered above `after`, a bounded number of them.
pub(crate) async fn tail(
    executor: impl SqliteExecutor<'_>,
    after: i64,
) -> Result<Tail, OutboxError> {
    // One statement for one moment, of a form that SQLite neither sorts nor keeps in a temporary
    // file.
    let rows: Vec<TailRow> = sqlx::query_as(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'key_run'), 0) AS \
         last_run, NULL AS block, NULL AS slots \
         UNION ALL SELECT NULL, block, slots \
         FROM (SELECT block, slots FROM record_block WHERE block >= ?1 ORDER BY block LIMIT ?2)",
    )
    .bind(block_of(after + 1))
    .bind(i64::try_from(MAX_BLOCKS).unwrap_or(i64::MAX))
    .fetch_all(executor)
    .await
    .map_err(OutboxError::from)?;
    let last_run = rows.iter().find_map(|row| row.0).unwrap_or(0);
    let more = rows.len() > MAX_BLOCKS;
    let mut entries: Vec<Entry> = Vec::new();
    for (block, slots) in rows
        .into_iter()
        .filter_map(|(_, block, slots)| block.zip(slots))
    {
        entries.extend(
            Block::from_bytes(block, &slots)?
                .keys()
                .filter(|entry| entry.1 > after),
        );
    }
    entries.sort_unstable_by_key(|entry| entry.1);
    // A block ends with a record: whoever goes on after the last of these gets somewhere.
    if more && entries.is_empty() {
        Err(DAMAGED)
    } else {
        Ok(Tail {
            entries,
            last_run,
            more,
        })
    }
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
    last_block(executor)
        .await
        .map(|block| block.map_or(0, |block| block.last()))
}

pub(crate) async fn last_block(
    executor: impl SqliteExecutor<'_>,
) -> Result<Option<Block>, OutboxError> {
    let last = "SELECT block, slots FROM record_block ORDER BY block DESC LIMIT 1";
    let last: Option<BlockRow> = sqlx::query_as(last)
        .fetch_optional(executor)
        .await
        .map_err(OutboxError::from)?;
    last.map(from_row).transpose()
}

/// Goes over the records numbered above `after` and up to `upto`, until it is told that they are
/// enough.
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
        let rows: Vec<BlockRow> = rows
            .bind(first)
            .bind(last)
            .fetch_all(pool)
            .await
            .map_err(OutboxError::from)?;
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

async fn read_named(
    connection: &mut SqliteConnection,
    blocks: &[i64],
) -> Result<Vec<Block>, OutboxError> {
    let rows: Vec<BlockRow> = sqlx::query_as(
        "SELECT block, slots FROM json_each(?1) AS j CROSS JOIN record_block ON block = j.value",
    )
    .bind(json(blocks))
    .fetch_all(connection)
    .await
    .map_err(OutboxError::from)?;
    rows.into_iter().map(from_row).collect()
}

/// The slots of all blocks lie side by side in one parameter, and a JSON array of their places
/// drives the statement.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    blocks: &[Block],
) -> Result<(), OutboxError> {
    for blocks in blocks.chunks(MAX_BLOCKS) {
        let mut slots = Vec::new();
        let mut places = Vec::with_capacity(blocks.len());
        for block in blocks {
            let bytes = block.as_bytes();
            places.push((block.block, block.unplaced(), slots.len() + 1, bytes.len()));
            slots.extend_from_slice(bytes);
        }
        sqlx::query(
            "INSERT INTO record_block (block, unplaced, slots) \
             SELECT j.value ->> 0, j.value ->> 1, substr(?1, j.value ->> 2, j.value ->> 3) FROM \
             json_each(?2) AS j \
             WHERE TRUE ON CONFLICT (block) DO UPDATE SET unplaced = excluded.unplaced, slots = \
             excluded.slots",
        )
        .bind(slots)
        .bind(json(&places))
        .execute(&mut *connection)
        .await
        .map_err(OutboxError::from)?;
    }
    Ok(())
}

/// Changes what is remembered of known records, each by its number and what goes with it.
pub(crate) async fn change<T>(
    connection: &mut SqliteConnection,
    changes: impl IntoIterator<Item = (i64, T)>,
    apply: impl Fn(&RecordDigest, &mut Known, T) -> Result<(), OutboxError>,
) -> Result<(), OutboxError> {
    let mut by_block: BTreeMap<i64, Vec<(i64, T)>> = BTreeMap::new();
    for (record_no, with) in changes {
        by_block
            .entry(block_of(record_no))
            .or_default()
            .push((record_no, with));
    }
    while !by_block.is_empty() {
        let named: Vec<i64> = by_block.keys().take(MAX_BLOCKS).copied().collect();
        let mut blocks = read_named(&mut *connection, &named).await?;
        if blocks.len() != named.len() {
            return Err(DAMAGED);
        }
        for block in &mut blocks {
            for (record_no, with) in by_block.remove(&block.block).unwrap_or_default() {
                block.change(record_no, |record, known| apply(record, known, with))?;
            }
        }
        write(&mut *connection, &blocks).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use contract::{ContentDigest, PrivateKey, Version};

    use super::*;
    use crate::records::index::Index;
    use crate::records::known::RecordUpdate;
    use crate::records::store;
    use crate::{Outbox, OutboxOptions};

    /// More than any one statement takes.
    const MANY: i64 = MAX_BLOCKS as i64 * BLOCK_RECORDS + MAX_NUMBERS as i64;

    fn digest(record_no: i64) -> RecordDigest {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(
            &record_no
                .cast_unsigned()
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .to_be_bytes(),
        );
        RecordDigest(bytes)
    }

    fn row(record_no: i64) -> RecordUpdate {
        let content = Some(ContentDigest([1; 16]));
        let version = Version {
            generation: 1,
            count: 1,
        };
        let record = digest(record_no);
        let stamp = Some(record_no);
        RecordUpdate {
            record,
            record_no: None,
            content,
            version,
            withdrawn: false,
            stamp,
        }
    }

    #[tokio::test]
    async fn sets_beyond_a_statement_are_read_and_changed_whole() {
        let folder = tempfile::tempdir().unwrap();
        let options = OutboxOptions::new(PrivateKey::generate().public(), "test");
        let path = folder.path().join("outbox.db");
        let outbox = Outbox::open(&path, options, DateTime::UNIX_EPOCH)
            .await
            .unwrap();
        let database = outbox.database();
        let pool = database.readers();
        assert_eq!(last(pool).await.unwrap(), 0);

        let rows: Vec<RecordUpdate> = (1..=MANY).map(row).collect();
        let mut transaction = database.begin().await.unwrap();
        let stored = store::store(transaction.connection(), &rows, Some(1), 0, &Index::new())
            .await
            .unwrap();
        assert_eq!((stored.after, stored.last()), (0, MANY));
        let odd: Vec<i64> = (1..=MANY).step_by(2).collect();
        store::forget(transaction.connection(), &odd, |known| known.stamp = None)
            .await
            .unwrap();
        transaction.commit().await.unwrap();

        let numbers: Vec<i64> = (1..=MANY).collect();
        let known = look_up_numbers(pool, &numbers).await.unwrap();
        let expected = |record_no: i64| {
            (
                digest(record_no),
                Some(record_no).filter(|number| number % 2 == 0),
            )
        };
        let found = |(record, known): &(RecordDigest, Known)| (*record, known.stamp);
        assert!(known.iter().map(found).eq((1..=MANY).map(expected)));
        let mut visited = Vec::new();
        let all = visit(pool, 57, MANY - 1, |_, known| {
            visited.push(known.record_no);
            false
        });
        all.await.unwrap();
        assert!(visited.into_iter().eq(58..MANY));
        let mut first = 0;
        let until_told = visit(pool, 100, MANY, |_, known| {
            first = known.record_no;
            true
        });
        until_told.await.unwrap();
        assert_eq!((first, last(pool).await.unwrap()), (101, MANY));

        let mut transaction = database.begin().await.unwrap();
        let keys = keys_between(transaction.connection(), 58, MANY - 1)
            .await
            .unwrap();
        assert!(keys.into_iter().map(|entry| entry.1).eq(59..MANY));
        // No number, no block: a record that is not there is never made up.
        for absent in [0, MANY + 1, MANY + 1000] {
            let changed = store::forget(transaction.connection(), &[1, absent], |known| {
                known.stamp = None
            })
            .await;
            assert!(
                matches!(changed, Err(OutboxError::Damaged { .. })),
                "{absent}"
            );
            assert!(matches!(
                look_up_numbers(pool, &[1, absent]).await,
                Err(OutboxError::Damaged { .. })
            ));
        }
    }
}
