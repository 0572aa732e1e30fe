//! The keys of records on disk: sorted runs, of which a new one swallows those that are not much
//! larger than itself.
//!
//! A key is the first 8 bytes of a record's digest. Digests are random, so an index over them would
//! dirty nearly as many pages as a page has records; a run is written once, in order, and a key is
//! rewritten only when runs merge.

use contract::RecordDigest;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{FromRow, Row as _, SqliteExecutor};

use crate::file::OutboxError;
use crate::file::json;
use crate::records::filter::Filter;

/// Keys of a run's block, about: a block is what a look-up reads.
const BLOCK_KEYS: u64 = 48;

/// Blocks looked into by one statement: about half a megabyte of text.
pub(crate) const MAX_NAMED: usize = 512;

/// Keys merged at a time.
const SLICE_KEYS: u64 = 65_536;

/// A run is merged with a new one that has at least this part of its keys, so that their sizes
/// double.
const SWALLOWED: i64 = 2;

/// Most keys of a run that others were merged into: a merge is part of one page's transaction,
/// which others wait for.
const MAX_RUN_KEYS: i64 = 1 << 21;

const KEY_BYTES: usize = 8;
/// A key and its record's number above the run's first.
const ENTRY_BYTES: usize = KEY_BYTES + 4;

pub(crate) const DAMAGED: OutboxError = OutboxError::Damaged {
    what: "the keys of records",
};

/// One key and the number of its record.
pub(crate) type Entry = (u64, i64);

pub(crate) const fn key_of(record: &RecordDigest) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = record.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Keys of the records numbered above `after` and up to `upto`, sorted, in blocks: a block holds
/// what shares its first `block_bits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Never used twice: what a run holds stays as it is until it is gone.
    pub(crate) run: i64,
    pub(crate) after: i64,
    pub(crate) upto: i64,
    pub(crate) entries: i64,
    pub(crate) block_bits: u32,
}

impl Run {
    /// The row that holds the block of `key`.
    pub(crate) const fn block_of(&self, key: u64) -> i64 {
        let block = if self.block_bits == 0 {
            0
        } else {
            key >> (u64::BITS - self.block_bits)
        };
        (self.run << 32) | block.cast_signed()
    }

    /// The numbers of the key's records in its block, which is looked through as [`visit_named`]
    /// has it: to decode all of it takes ten times as long.
    pub(crate) fn find(
        &self,
        key: u64,
        block: &str,
        found: &mut Vec<i64>,
    ) -> Result<(), OutboxError> {
        let key = format!("{key:016X}");
        let entries = block.as_bytes().as_chunks::<{ 2 * ENTRY_BYTES }>().0;
        let first = entries.partition_point(|entry| entry[..2 * KEY_BYTES] < *key.as_bytes());
        for entry in entries[first..]
            .iter()
            .take_while(|entry| entry.starts_with(key.as_bytes()))
        {
            let above = str::from_utf8(&entry[2 * KEY_BYTES..]).ok();
            let above = above
                .and_then(|above| u32::from_str_radix(above, 16).ok())
                .ok_or(DAMAGED)?;
            found.push(self.after + i64::from(above));
        }
        Ok(())
    }

    fn read(&self, entry: &[u8; ENTRY_BYTES]) -> Entry {
        let [a, b, c, d, e, f, g, h, above @ ..] = *entry;
        (
            u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            self.after + i64::from(u32::from_be_bytes(above)),
        )
    }

    fn write(&self, (key, record_no): Entry, to: &mut Vec<u8>) -> Result<(), OutboxError> {
        let above = u32::try_from(record_no - self.after);
        let above = above.map_err(|_| OutboxError::Exhausted {
            what: "number of records",
        })?;
        to.extend_from_slice(&key.to_be_bytes());
        to.extend_from_slice(&above.to_be_bytes());
        Ok(())
    }
}

impl FromRow<'_, SqliteRow> for Run {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            run: row.try_get("run")?,
            after: row.try_get("after")?,
            upto: row.try_get("upto")?,
            entries: row.try_get("entries")?,
            block_bits: row.try_get("block_bits")?,
        })
    }
}

/// The runs there are, oldest records first.
pub(crate) async fn runs(executor: impl SqliteExecutor<'_>) -> Result<Vec<Run>, OutboxError> {
    sqlx::query_as("SELECT run, after, upto, entries, block_bits FROM key_run ORDER BY after")
        .fetch_all(executor)
        .await
        .map_err(OutboxError::from)
}

pub(crate) async fn filter(
    executor: impl SqliteExecutor<'_>,
    run: i64,
) -> Result<Option<Filter>, OutboxError> {
    let bytes: Option<Vec<u8>> = sqlx::query_scalar("SELECT filter FROM key_run WHERE run = ?1")
        .bind(run)
        .fetch_optional(executor)
        .await
        .map_err(OutboxError::from)?;
    let whole = |bytes| {
        Filter::from_bytes(bytes).ok_or(OutboxError::Damaged {
            what: "a filter of records",
        })
    };
    bytes.map(whole).transpose()
}

/// Puts the keys of all records above the last of `runs`, up to `upto`, into a new run. The runs
/// that it swallows are gone with the same transaction.
pub(crate) async fn add_run(
    connection: &mut SqliteConnection,
    runs: &[Run],
    upto: i64,
    mut fresh: Vec<Entry>,
) -> Result<(), OutboxError> {
    fresh.sort_unstable();
    let (swallowed, span) = swallow(runs, upto, fresh.len());
    merge(connection, span, swallowed, &fresh).await
}

/// The runs that a new one of so many keys swallows, and what it holds with them.
fn swallow(runs: &[Run], upto: i64, fresh: usize) -> (&[Run], Span) {
    let mut entries = i64::try_from(fresh).unwrap_or(i64::MAX);
    let mut kept = runs;
    while let [rest @ .., last] = kept {
        let both = entries.saturating_add(last.entries);
        let too_wide = u32::try_from(upto - last.after).is_err();
        if last.entries >= SWALLOWED * entries || both > MAX_RUN_KEYS || too_wide {
            break;
        }
        (entries, kept) = (both, rest);
    }
    let swallowed = &runs[kept.len()..];
    let after = swallowed
        .first()
        .map_or_else(|| last_of(runs), |run| run.after);
    (
        swallowed,
        Span {
            after,
            upto,
            entries,
        },
    )
}

/// The last number whose record's key is in a run.
pub(crate) fn last_of(runs: &[Run]) -> i64 {
    runs.last().map_or(0, |run| run.upto)
}

/// What a new run is to hold.
#[derive(Clone, Copy)]
struct Span {
    after: i64,
    upto: i64,
    entries: i64,
}

async fn merge(
    connection: &mut SqliteConnection,
    Span {
        after,
        upto,
        entries,
    }: Span,
    swallowed: &[Run],
    fresh: &[Entry],
) -> Result<(), OutboxError> {
    let block_bits = bits_for(entries, BLOCK_KEYS);
    let run: Run = sqlx::query_as(
        "INSERT INTO key_run (after, upto, entries, block_bits, filter) VALUES (?1, ?2, ?3, ?4, \
         x'') \
         RETURNING run, after, upto, entries, block_bits",
    )
    .bind(after)
    .bind(upto)
    .bind(entries)
    .bind(block_bits)
    .fetch_one(&mut *connection)
    .await
    .map_err(OutboxError::from)?;
    let mut filter = Filter::for_keys(entries.unsigned_abs());
    // A slice is whole blocks of every run that takes part.
    let finest = swallowed
        .iter()
        .map(|run| run.block_bits)
        .fold(block_bits, u32::min);
    let slice_bits = bits_for(entries, SLICE_KEYS).min(finest);
    let mut fresh = fresh;
    for slice in 0..1_u64 << slice_bits {
        let range = range_of(slice, slice_bits);
        let (these, rest) = fresh.split_at(fresh.partition_point(|entry| entry.0 <= range.1));
        fresh = rest;
        let mut merged = these.to_vec();
        for run in swallowed {
            read_blocks(connection, run, range, &mut merged).await?;
        }
        merged.sort_unstable();
        merged.iter().for_each(|entry| filter.add(entry.0));
        write_blocks(connection, &run, range, &merged).await?;
    }
    let statement = sqlx::query("UPDATE key_run SET filter = ?2 WHERE run = ?1").bind(run.run);
    statement
        .bind(filter.as_bytes())
        .execute(&mut *connection)
        .await
        .map_err(OutboxError::from)?;
    for run in swallowed {
        for statement in [
            "DELETE FROM key_block WHERE id BETWEEN ?1 << 32 AND (?1 + 1 << 32) - 1",
            "DELETE FROM key_run WHERE run = ?1",
        ] {
            let deleted = sqlx::query(statement)
                .bind(run.run)
                .execute(&mut *connection)
                .await;
            deleted.map_err(OutboxError::from)?;
        }
    }
    Ok(())
}

/// So many first bits cut the keys into pieces of at most that size, about.
fn bits_for(entries: i64, size: u64) -> u32 {
    entries
        .unsigned_abs()
        .div_ceil(size)
        .next_power_of_two()
        .ilog2()
}

/// The first and the last key of a slice.
const fn range_of(slice: u64, slice_bits: u32) -> (u64, u64) {
    if slice_bits == 0 {
        return (0, u64::MAX);
    }
    let first = slice << (u64::BITS - slice_bits);
    (first, first | (u64::MAX >> slice_bits))
}

/// Looks into the blocks with these ids; says how many are there. They come as columns of text in
/// one row, because a row each would take several times as long, and are visited as that text:
/// SQLite's `hex()` of their bytes.
pub(crate) async fn visit_named(
    pool: &SqlitePool,
    ids: &[i64],
    mut visit: impl FnMut(i64, &str) -> Result<(), OutboxError>,
) -> Result<usize, OutboxError> {
    type Columns = (Option<String>, Option<String>, Option<String>);
    let mut visited = 0;
    for ids in ids.chunks(MAX_NAMED) {
        let (ids, lengths, keys): Columns = sqlx::query_as(
            "SELECT group_concat(b.id), group_concat(length(b.keys)), group_concat(hex(b.keys), \
             '') \
             FROM json_each(?1) AS j CROSS JOIN key_block AS b ON b.id = j.value",
        )
        .bind(json(ids))
        .fetch_one(pool)
        .await
        .map_err(OutboxError::from)?;
        let ids = ids.unwrap_or_default();
        let lengths = lengths.unwrap_or_default();
        let keys = keys.unwrap_or_default();
        let mut rest = keys.as_str();
        for (id, length) in ids.split_terminator(',').zip(lengths.split_terminator(',')) {
            let (id, length): (_, usize) =
                id.parse().ok().zip(length.parse().ok()).ok_or(DAMAGED)?;
            let block;
            (block, rest) = rest.split_at_checked(2 * length).ok_or(DAMAGED)?;
            visit(id, block)?;
            visited += 1;
        }
    }
    Ok(visited)
}

async fn read_blocks(
    connection: &mut SqliteConnection,
    run: &Run,
    (first, last): (u64, u64),
    entries: &mut Vec<Entry>,
) -> Result<(), OutboxError> {
    let blocks: Vec<(Vec<u8>,)> =
        sqlx::query_as("SELECT keys FROM key_block WHERE id BETWEEN ?1 AND ?2")
            .bind(run.block_of(first))
            .bind(run.block_of(last))
            .fetch_all(connection)
            .await
            .map_err(OutboxError::from)?;
    for (block,) in blocks {
        entries.extend(
            block
                .as_chunks::<ENTRY_BYTES>()
                .0
                .iter()
                .map(|entry| run.read(entry)),
        );
    }
    Ok(())
}

/// Writes every block of the slice, the empty ones included: a block that is not found belongs to a
/// run that is gone.
async fn write_blocks(
    connection: &mut SqliteConnection,
    run: &Run,
    (first, last): (u64, u64),
    mut entries: &[Entry],
) -> Result<(), OutboxError> {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_BYTES);
    let mut ends = vec![0];
    for block in run.block_of(first)..=run.block_of(last) {
        let (these, rest) =
            entries.split_at(entries.partition_point(|entry| run.block_of(entry.0) <= block));
        entries = rest;
        these
            .iter()
            .try_for_each(|entry| run.write(*entry, &mut bytes))?;
        ends.push(bytes.len());
    }
    let places: Vec<_> = ends
        .windows(2)
        .map(|ends| (ends[0] + 1, ends[1] - ends[0]))
        .collect();
    sqlx::query(
        "INSERT INTO key_block (id, keys) \
         SELECT ?1 + j.key, coalesce(substr(?2, j.value ->> 0, j.value ->> 1), x'') FROM \
         json_each(?3) AS j",
    )
    .bind(run.block_of(first))
    .bind(bytes)
    .bind(json(&places))
    .execute(connection)
    .await
    .map(drop)
    .map_err(OutboxError::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(after: i64, upto: i64) -> Run {
        Run {
            run: after + 1,
            after,
            upto,
            entries: upto - after,
            block_bits: 0,
        }
    }

    #[test]
    fn merges_double_runs_up_to_a_limit() {
        let swallowed = |runs: &[Run], upto| {
            let (swallowed, span) =
                swallow(runs, upto, usize::try_from(upto - last_of(runs)).unwrap());
            (swallowed.len(), span.after, span.entries)
        };
        assert_eq!(swallowed(&[], 8), (0, 0, 8));
        assert_eq!(
            swallowed(&[run(0, 16)], 24),
            (0, 16, 8),
            "twice as large stays"
        );
        assert_eq!(
            swallowed(&[run(0, 16), run(16, 24)], 32),
            (2, 0, 32),
            "it grows as it swallows"
        );
        let half = MAX_RUN_KEYS / 2;
        assert_eq!(
            swallowed(&[run(0, half)], MAX_RUN_KEYS),
            (1, 0, MAX_RUN_KEYS)
        );
        assert_eq!(
            swallowed(&[run(0, half + 1)], MAX_RUN_KEYS + 1),
            (0, half + 1, half),
            "one key too many"
        );
    }

    #[test]
    fn numbers_of_a_run_fit_their_four_bytes() {
        let width = i64::from(u32::MAX);
        let sparse = |upto| Run {
            entries: 5,
            ..run(0, upto)
        };
        let swallowed = |upto| swallow(&[sparse(9)], upto, 8).0.len();
        assert_eq!((swallowed(width), swallowed(width + 1)), (1, 0));
    }
}
