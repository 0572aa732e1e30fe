//! The tables `key_run` and `key_block`.

use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{FromRow, Row as _, SqliteExecutor, query, query_as, query_scalar};

use crate::IndexError;
use crate::json::json;
use crate::record::KeyEntry;
use crate::runs::bloom::BloomFilter;
use crate::runs::run::{DAMAGED, ENTRY_BYTES, KeyRange, SortedRun};

/// Blocks read by one statement: about half a megabyte of text.
const MAX_STATEMENT_BLOCKS: usize = 512;

/// Keys that a new run is made of: all records above `after` and up to `upto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunSpan {
    /// Number of the last record before the run.
    pub(crate) after: i64,
    /// Number of the run's last record.
    pub(crate) upto: i64,
    /// Number of keys.
    pub(crate) entries: i64,
}

impl FromRow<'_, SqliteRow> for SortedRun {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("run")?,
            after: row.try_get("after")?,
            upto: row.try_get("upto")?,
            entries: row.try_get("entries")?,
            block_bits: row.try_get("block_bits")?,
        })
    }
}

/// Reads all runs, oldest records first.
pub(crate) async fn runs(executor: impl SqliteExecutor<'_>) -> Result<Vec<SortedRun>, IndexError> {
    let runs = "SELECT run, after, upto, entries, block_bits FROM key_run ORDER BY after";
    Ok(query_as(runs).fetch_all(executor).await?)
}

/// Reads the Bloom filter of a run; `None` if there is no such run any more.
pub(crate) async fn filter(
    executor: impl SqliteExecutor<'_>,
    run_id: i64,
) -> Result<Option<BloomFilter>, IndexError> {
    let bytes: Option<Vec<u8>> = query_scalar("SELECT filter FROM key_run WHERE run = ?1")
        .bind(run_id)
        .fetch_optional(executor)
        .await?;
    let read = |bytes| {
        let damaged = IndexError::Damaged {
            what: "a filter of records",
        };
        BloomFilter::from_bytes(bytes).ok_or(damaged)
    };
    bytes.map(read).transpose()
}

/// Makes an empty run.
pub(crate) async fn insert_run(
    connection: &mut SqliteConnection,
    span: RunSpan,
    block_bits: u32,
) -> Result<SortedRun, IndexError> {
    let run = query_as(
        "INSERT INTO key_run (after, upto, entries, block_bits, filter) \
         VALUES (?1, ?2, ?3, ?4, x'') RETURNING run, after, upto, entries, block_bits",
    )
    .bind(span.after)
    .bind(span.upto)
    .bind(span.entries)
    .bind(block_bits)
    .fetch_one(connection)
    .await?;
    Ok(run)
}

/// Writes the filter of a run, once all its keys are known.
pub(crate) async fn set_filter(
    connection: &mut SqliteConnection,
    run: &SortedRun,
    filter: &BloomFilter,
) -> Result<(), IndexError> {
    let update = query("UPDATE key_run SET filter = ?2 WHERE run = ?1").bind(run.id);
    update.bind(filter.as_bytes()).execute(connection).await?;
    Ok(())
}

/// Deletes a run and its blocks.
pub(crate) async fn delete_run(
    connection: &mut SqliteConnection,
    run: &SortedRun,
) -> Result<(), IndexError> {
    for statement in [
        "DELETE FROM key_block WHERE id BETWEEN ?1 << 32 AND (?1 + 1 << 32) - 1",
        "DELETE FROM key_run WHERE run = ?1",
    ] {
        query(statement)
            .bind(run.id)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Reads the blocks with these ids, each as SQLite's `hex()` of its bytes, and returns how many
/// there are. They come as columns of text in one row: a row each takes several times as long.
pub(crate) async fn read_blocks(
    pool: &SqlitePool,
    ids: &[i64],
    mut visit: impl FnMut(i64, &str) -> Result<(), IndexError>,
) -> Result<usize, IndexError> {
    type Columns = (Option<String>, Option<String>, Option<String>);
    let mut visited = 0;
    for ids in ids.chunks(MAX_STATEMENT_BLOCKS) {
        let (ids, lengths, keys): Columns = query_as(
            "SELECT group_concat(b.id), group_concat(length(b.keys)), \
             group_concat(hex(b.keys), '') \
             FROM json_each(?1) AS j CROSS JOIN key_block AS b ON b.id = j.value",
        )
        .bind(json(ids))
        .fetch_one(pool)
        .await?;
        let ids = ids.unwrap_or_default();
        let lengths = lengths.unwrap_or_default();
        let keys = keys.unwrap_or_default();
        let mut rest = keys.as_str();
        for (id, length) in ids.split_terminator(',').zip(lengths.split_terminator(',')) {
            let id = id.parse().map_err(|_| DAMAGED)?;
            let length: usize = length.parse().map_err(|_| DAMAGED)?;
            let block;
            (block, rest) = rest.split_at_checked(2 * length).ok_or(DAMAGED)?;
            visit(id, block)?;
            visited += 1;
        }
    }
    Ok(visited)
}

/// Adds the entries of all blocks in the range to `entries`. The range must hold whole blocks.
pub(crate) async fn read_range(
    connection: &mut SqliteConnection,
    run: &SortedRun,
    range: KeyRange,
    entries: &mut Vec<KeyEntry>,
) -> Result<(), IndexError> {
    let blocks: Vec<Vec<u8>> =
        query_scalar("SELECT keys FROM key_block WHERE id BETWEEN ?1 AND ?2")
            .bind(run.block_of(range.first))
            .bind(run.block_of(range.last))
            .fetch_all(connection)
            .await?;
    for block in &blocks {
        entries.extend(run.entries(block));
    }
    Ok(())
}

/// Writes every block of the range, the empty ones included: a block that is not found belongs to a
/// run that is gone.
pub(crate) async fn write_range(
    connection: &mut SqliteConnection,
    run: &SortedRun,
    range: KeyRange,
    mut entries: &[KeyEntry],
) -> Result<(), IndexError> {
    let first = run.block_of(range.first);
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES);
    let mut places = Vec::new();
    for block in first..=run.block_of(range.last) {
        let end = entries.partition_point(|entry| run.block_of(entry.key) <= block);
        let (own, rest) = entries.split_at(end);
        entries = rest;
        places.push((bytes.len() + 1, own.len() * ENTRY_BYTES));
        own.iter()
            .try_for_each(|entry| run.write(*entry, &mut bytes))?;
    }
    query(
        "INSERT INTO key_block (id, keys) \
         SELECT ?1 + j.key, coalesce(substr(?2, j.value ->> 0, j.value ->> 1), x'') \
         FROM json_each(?3) AS j",
    )
    .bind(first)
    .bind(bytes)
    .bind(json(&places))
    .execute(connection)
    .await?;
    Ok(())
}
