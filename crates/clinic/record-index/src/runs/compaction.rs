//! Flushes and compaction: a new run takes in those before it that are not much larger.

use az::SaturatingAs as _;
use sqlx::sqlite::SqliteConnection;

use crate::IndexError;
use crate::record::KeyEntry;
use crate::runs::bloom::BloomFilter;
use crate::runs::run::{KeyRange, SortedRun};
use crate::runs::table::{self, RunSpan};

/// Keys of a run's block, about: a look-up reads one block.
const BLOCK_KEYS: u64 = 48;

/// Keys merged at a time, about.
const SLICE_KEYS: u64 = 65_536;

/// Size ratio of two neighbouring runs: a run is compacted with a newer one unless it is at least
/// so many times as large. So the sizes of runs double.
const SIZE_RATIO: i64 = 2;

/// Most keys of a compacted run: compaction is part of one page's transaction, which others wait
/// for.
const MAX_RUN_KEYS: i64 = 1 << 21;

/// Writes the keys of all records above the last run, up to `upto`, as a new run, compacted with
/// the runs that are due.
pub(crate) async fn flush(
    connection: &mut SqliteConnection,
    runs: &[SortedRun],
    upto: i64,
    mut unflushed: Vec<KeyEntry>,
) -> Result<(), IndexError> {
    unflushed.sort_unstable_by_key(KeyEntry::order);
    let plan = Compaction::plan(runs, upto, unflushed.len());
    plan.execute(connection, &unflushed).await
}

/// Returns the last record number whose key is in a run.
pub(crate) fn flushed_to(runs: &[SortedRun]) -> i64 {
    runs.last().map_or(0, |run| run.upto)
}

/// A new run, and the older ones that it replaces.
struct Compaction<'a> {
    replaced: &'a [SortedRun],
    span: RunSpan,
}

impl<'a> Compaction<'a> {
    /// Chooses the runs that a new one of so many keys replaces: from the newest, until one is much
    /// larger or the result would be too large.
    fn plan(runs: &'a [SortedRun], upto: i64, unflushed: usize) -> Self {
        let mut entries = unflushed.saturating_as::<i64>();
        let mut kept = runs;
        while let [older @ .., last] = kept {
            let both = entries.saturating_add(last.entries);
            let too_wide = u32::try_from(upto - last.after).is_err();
            if last.entries >= SIZE_RATIO * entries || both > MAX_RUN_KEYS || too_wide {
                break;
            }
            entries = both;
            kept = older;
        }
        let replaced = &runs[kept.len()..];
        let after = replaced
            .first()
            .map_or_else(|| flushed_to(runs), |run| run.after);
        Self {
            replaced,
            span: RunSpan {
                after,
                upto,
                entries,
            },
        }
    }

    /// Merges slice by slice, then deletes the replaced runs.
    async fn execute(
        &self,
        connection: &mut SqliteConnection,
        mut unflushed: &[KeyEntry],
    ) -> Result<(), IndexError> {
        let entries = self.span.entries;
        let block_bits = bits_for(entries, BLOCK_KEYS);
        let run = table::insert_run(connection, self.span, block_bits).await?;
        let mut filter = BloomFilter::for_keys(entries.unsigned_abs());
        // A slice is whole blocks of every run that takes part.
        let finest = self
            .replaced
            .iter()
            .map(|run| run.block_bits)
            .fold(block_bits, u32::min);
        let slice_bits = bits_for(entries, SLICE_KEYS).min(finest);
        for slice in 0..1_u64 << slice_bits {
            let range = KeyRange::of_prefix(slice, slice_bits);
            let end = unflushed.partition_point(|entry| entry.key <= range.last);
            let (own, rest) = unflushed.split_at(end);
            unflushed = rest;
            let mut merged = own.to_vec();
            for run in self.replaced {
                table::read_range(connection, run, range, &mut merged).await?;
            }
            merged.sort_unstable_by_key(KeyEntry::order);
            merged.iter().for_each(|entry| filter.add(entry.key));
            table::write_range(connection, &run, range, &merged).await?;
        }
        table::set_filter(connection, &run, &filter).await?;
        for run in self.replaced {
            table::delete_run(connection, run).await?;
        }
        Ok(())
    }
}

/// Returns how many first bits cut the keys into pieces of at most that size, about.
fn bits_for(entries: i64, size: u64) -> u32 {
    entries
        .unsigned_abs()
        .div_ceil(size)
        .next_power_of_two()
        .ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(after: i64, upto: i64) -> SortedRun {
        SortedRun {
            id: after + 1,
            after,
            upto,
            entries: upto - after,
            block_bits: 0,
        }
    }

    #[test]
    fn compaction_doubles_runs_up_to_a_limit() {
        let plan = |runs: &[SortedRun], upto| {
            let unflushed = usize::try_from(upto - flushed_to(runs)).unwrap();
            let plan = Compaction::plan(runs, upto, unflushed);
            (plan.replaced.len(), plan.span.after, plan.span.entries)
        };
        assert_eq!(plan(&[], 8), (0, 0, 8));
        assert_eq!(plan(&[run(0, 16)], 24), (0, 16, 8), "twice as large stays");
        let grows = plan(&[run(0, 16), run(16, 24)], 32);
        assert_eq!(grows, (2, 0, 32), "a merged run is compared with the next");
        let half = MAX_RUN_KEYS / 2;
        assert_eq!(plan(&[run(0, half)], MAX_RUN_KEYS), (1, 0, MAX_RUN_KEYS));
        let beyond = plan(&[run(0, half + 1)], MAX_RUN_KEYS + 1);
        assert_eq!(beyond, (0, half + 1, half), "one key too many");
    }

    #[test]
    fn record_numbers_of_a_run_fit_their_four_bytes() {
        let width = i64::from(u32::MAX);
        let sparse = |upto| SortedRun {
            entries: 5,
            ..run(0, upto)
        };
        let replaced = |upto| Compaction::plan(&[sparse(9)], upto, 8).replaced.len();
        assert_eq!((replaced(width), replaced(width + 1)), (1, 0));
    }
}
