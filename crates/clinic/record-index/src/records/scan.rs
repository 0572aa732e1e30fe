//! Scans of the table `record_block` in the order of record numbers.

use std::ops::{ControlFlow, RangeInclusive};

use az::SaturatingAs as _;
use contract::RecordDigest;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{SqliteExecutor, query_as};

use crate::IndexError;
use crate::record::{KeyEntry, KnownRecord};
use crate::records::block::{DAMAGED, RecordBlock, block_of};
use crate::records::table::{BlockRow, MAX_STATEMENT_BLOCKS, from_row};

/// Visits the records with these numbers in their order, until the visitor breaks.
///
/// # Errors
/// [`IndexError::Damaged`] and SQLite's failures.
pub async fn scan(
    pool: &SqlitePool,
    record_nos: RangeInclusive<i64>,
    mut visit: impl FnMut(&RecordDigest, &KnownRecord) -> ControlFlow<()> + Send,
) -> Result<(), IndexError> {
    let end = block_of(*record_nos.end());
    let mut first = block_of(*record_nos.start());
    while first <= end && !record_nos.is_empty() {
        let last = end.min(first + MAX_STATEMENT_BLOCKS.saturating_as::<i64>() - 1);
        let rows: Vec<BlockRow> = query_as(
            "SELECT block, slots FROM record_block WHERE block BETWEEN ?1 AND ?2 ORDER BY block",
        )
        .bind(first)
        .bind(last)
        .fetch_all(pool)
        .await?;
        for row in rows {
            for read in from_row(row)?.records() {
                let (record, stored) = read?;
                if record_nos.contains(&stored.record_no) && visit(&record, &stored).is_break() {
                    return Ok(());
                }
            }
        }
        first = last + 1;
    }
    Ok(())
}

/// Keys of the records above a number, read in one statement.
pub(crate) struct NewerKeys {
    /// Keys in the order of their numbers, a bounded number of them.
    pub(crate) entries: Vec<KeyEntry>,
    /// Number of the last run ever made.
    pub(crate) last_run: i64,
    /// True if there are more keys.
    pub(crate) more: bool,
}

/// Reads the keys of the records numbered above `after`.
pub(crate) async fn newer_keys(
    executor: impl SqliteExecutor<'_>,
    after: i64,
) -> Result<NewerKeys, IndexError> {
    /// The last run in one row, then a block a row.
    type Row = (Option<i64>, Option<i64>, Option<Vec<u8>>);
    // One statement, so that keys and runs are of one moment; of a form that SQLite neither sorts
    // nor keeps in a temporary file.
    let rows: Vec<Row> = query_as(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'key_run'), 0) AS \
         last_run, NULL AS block, NULL AS slots \
         UNION ALL SELECT NULL, block, slots \
         FROM (SELECT block, slots FROM record_block WHERE block >= ?1 ORDER BY block LIMIT ?2)",
    )
    .bind(block_of(after + 1))
    .bind(MAX_STATEMENT_BLOCKS.saturating_as::<i64>())
    .fetch_all(executor)
    .await?;
    let last_run = rows.iter().find_map(|row| row.0).unwrap_or(0);
    let more = rows.len() > MAX_STATEMENT_BLOCKS;
    let mut entries: Vec<KeyEntry> = Vec::new();
    for (_, block_no, slots) in rows {
        let Some((block_no, slots)) = block_no.zip(slots) else {
            continue;
        };
        let block = RecordBlock::from_bytes(block_no, &slots)?;
        entries.extend(block.entries().filter(|entry| entry.record_no > after));
    }
    entries.sort_unstable_by_key(|entry| entry.record_no);
    // A block ends with a record: whoever goes on after the last of these gets somewhere.
    if more && entries.is_empty() {
        return Err(DAMAGED);
    }
    Ok(NewerKeys {
        entries,
        last_run,
        more,
    })
}

/// Reads the keys of all records numbered above `after` and up to `upto`.
pub(crate) async fn keys_between(
    connection: &mut SqliteConnection,
    mut after: i64,
    upto: i64,
) -> Result<Vec<KeyEntry>, IndexError> {
    let mut entries = Vec::new();
    loop {
        let newer = newer_keys(&mut *connection, after).await?;
        after = newer.entries.last().map_or(upto, |entry| entry.record_no);
        entries.extend(newer.entries);
        if !newer.more || after >= upto {
            entries.retain(|entry| entry.record_no <= upto);
            return Ok(entries);
        }
    }
}
