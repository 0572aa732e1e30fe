//! The part of the index that is in memory: the list of runs, their Bloom filters, the memtable.
//!
//! Memory mirrors what is committed, and catches up with the file at every look-up. So a
//! transaction that is rolled back, a crash or a reopening needs no care.

use contract::RecordDigest;
use sqlx::sqlite::SqlitePool;

use crate::IndexError;
use crate::candidates::Candidates;
use crate::memtable::Memtable;
use crate::record::{Appended, Key, KeyEntry, key_of};
use crate::records::scan;
use crate::runs::bloom::BloomFilter;
use crate::runs::run::SortedRun;
use crate::runs::table;

/// Mirror of the committed keys.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Runs and their filters, oldest records first.
    runs: Vec<(SortedRun, BloomFilter)>,
    /// Number of the last run ever made, as of `runs`.
    last_run: i64,
    memtable: Memtable,
    /// Number of the last record that is mirrored.
    upto: i64,
}

impl Memory {
    /// Reads what was committed since the last time.
    pub(crate) async fn catch_up(&mut self, pool: &SqlitePool) -> Result<(), IndexError> {
        loop {
            let newer = scan::newer_keys(pool, self.upto).await?;
            if newer.last_run != self.last_run {
                self.read_runs(pool).await?;
            }
            self.insert(newer.entries.into_iter());
            if !newer.more {
                return Ok(());
            }
        }
    }

    /// Takes in what a transaction has committed, if nothing else was committed since the last
    /// catching up; otherwise the next one reads it.
    pub(crate) fn note_committed(&mut self, appended: &Appended) {
        if self.upto == appended.after {
            self.insert(appended.entries());
        }
    }

    /// Returns the number of the last record whose key is in a run.
    pub(crate) fn flushed_to(&self) -> i64 {
        self.runs.last().map_or(0, |(run, _)| run.upto)
    }

    /// Returns the keys of all records above `after`, the appended ones included; `None` if not all
    /// of them are in memory.
    pub(crate) fn unflushed(&self, after: i64, appended: &Appended) -> Option<Vec<KeyEntry>> {
        let complete = self.upto == appended.after && self.flushed_to() == after;
        complete.then(|| self.memtable.entries().chain(appended.entries()).collect())
    }

    /// Returns whether a record of one of these keys is numbered above `after`, where `last` is the
    /// last number given; `None` if memory cannot tell.
    pub(crate) fn has_newer(
        &self,
        mut keys: impl Iterator<Item = Key>,
        after: i64,
        last: i64,
    ) -> Option<bool> {
        let complete = self.upto == last && self.flushed_to() <= after;
        complete.then(|| {
            keys.any(|key| {
                self.memtable
                    .numbers_of(key)
                    .any(|record_no| record_no > after)
            })
        })
    }

    /// Returns the places where the records may be.
    pub(crate) fn candidates(&self, records: &[RecordDigest]) -> Candidates {
        let mut candidates = Candidates::new(self.upto);
        for key in records.iter().map(key_of) {
            candidates.add_numbers(self.memtable.numbers_of(key));
            for (run, _) in self.runs.iter().filter(|(_, filter)| filter.may_have(key)) {
                candidates.add_block(run, key);
            }
        }
        candidates
    }

    fn insert(&mut self, entries: impl Iterator<Item = KeyEntry>) {
        let flushed_to = self.flushed_to();
        for entry in entries {
            if entry.record_no > flushed_to {
                self.memtable.insert(entry);
            }
            self.upto = self.upto.max(entry.record_no);
        }
    }

    /// Reads the list of runs and the filters of new ones, and drops what was flushed from the
    /// memtable.
    async fn read_runs(&mut self, pool: &SqlitePool) -> Result<(), IndexError> {
        // Should this be given up half way, all of it is read anew.
        self.last_run = -1;
        let runs = table::runs(pool).await?;
        self.runs.retain(|(held, _)| runs.contains(held));
        for run in &runs {
            if self.runs.iter().all(|(held, _)| held != run) {
                // If it is gone again already, the next catching up will tell.
                let filter = table::filter(pool, run.id).await?.unwrap_or_default();
                self.runs.push((*run, filter));
            }
        }
        self.runs.sort_unstable_by_key(|(run, _)| run.after);
        self.last_run = runs.iter().map(|run| run.id).max().unwrap_or(0);
        let flushed_to = self.flushed_to();
        self.memtable.keep_above(flushed_to);
        self.upto = self.upto.max(flushed_to);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appended(after: i64, keys: &[Key]) -> Appended {
        Appended {
            after,
            keys: keys.to_vec(),
        }
    }

    #[test]
    fn only_what_follows_on_the_mirrored_records_is_noted() {
        let mut memory = Memory::default();
        memory.note_committed(&appended(2, &[3, 4]));
        assert_eq!(memory.upto, 0, "records 1 and 2 are not mirrored yet");
        memory.note_committed(&appended(0, &[1, 2]));
        memory.note_committed(&appended(2, &[3, 4]));
        memory.note_committed(&appended(2, &[3, 4]));
        assert_eq!((memory.upto, memory.memtable.entries().count()), (4, 4));
    }

    #[test]
    fn memory_answers_only_what_it_can_know() {
        let mut memory = Memory::default();
        memory.note_committed(&appended(0, &[1, 2, 3]));
        let has_newer = |key, after, last| memory.has_newer([key].into_iter(), after, last);
        assert_eq!(has_newer(3, 2, 3), Some(true));
        assert_eq!(has_newer(2, 2, 3), Some(false));
        assert_eq!(has_newer(3, 2, 4), None, "record 4 is not mirrored");
        let next = appended(3, &[4]);
        assert_eq!(
            memory.unflushed(0, &next).map(|entries| entries.len()),
            Some(4)
        );
        assert_eq!(memory.unflushed(1, &next), None, "a run is not known yet");
        assert_eq!(memory.unflushed(0, &appended(4, &[])), None);
    }
}
