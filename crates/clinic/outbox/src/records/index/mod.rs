//! Finding records by their digests: what is in memory of it only mirrors the file, and follows it
//! at every look-up.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use contract::RecordDigest;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use tokio::sync::Mutex;

use crate::file::OutboxError;
use crate::records::blocks;
use crate::records::filter::Filter;
use crate::records::keys::{self, Entry, Run, key_of};
use crate::records::known::Known;

/// Keys put into a run at once; at most so many, and a few pages', are held in memory: with pages
/// of the usual size they fit a hash table of 131,072 buckets.
const RUN_KEYS: i64 = 98_304;

/// A look-up begins anew when runs were merged under it, which takes thousands of pages each time.
const MAX_TRIES: u32 = 8;

/// Finds records by digest.
#[derive(Debug)]
pub(crate) struct Index {
    run_keys: i64,
    mirror: Mutex<Mirror>,
}

/// What is known of the keys of committed records.
#[derive(Debug, Default)]
struct Mirror {
    runs: Vec<(Run, Filter)>,
    /// The last run ever made, as of `runs`.
    last_run: i64,
    /// Keys of the records that are in no run, up to `upto`.
    tail: HashMap<u64, i64, ByDigest>,
    /// Of several records with the same key in the tail, all but one.
    twins: Vec<Entry>,
    upto: i64,
}

/// Digests and their keys are random already: their first bytes are as good as any hash.
#[derive(Debug, Default)]
pub(crate) struct AsItIs(u64);

/// By digests, or by their keys.
pub(crate) type ByDigest = BuildHasherDefault<AsItIs>;

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        let first = bytes.first_chunk().copied().map(u64::from_le_bytes);
        self.0 = first.unwrap_or_else(|| {
            bytes
                .iter()
                .fold(self.0, |sum, byte| sum << 8 ^ u64::from(*byte))
        });
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    /// Of a digest's length, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Records as one transaction numbered them, one after the other.
#[derive(Debug)]
pub(crate) struct Numbered {
    /// The last number before them.
    pub(crate) after: i64,
    pub(crate) keys: Vec<u64>,
}

impl Numbered {
    fn entries(&self) -> impl Iterator<Item = Entry> {
        self.keys.iter().copied().zip(self.after + 1..)
    }

    pub(crate) fn last(&self) -> i64 {
        self.after + i64::try_from(self.keys.len()).unwrap_or(i64::MAX)
    }
}

/// State of the records that were asked for.
#[derive(Debug, Default)]
pub(crate) struct LookedUp {
    pub(crate) known: HashMap<RecordDigest, Known, ByDigest>,
    /// Records numbered above were committed after the look-up.
    pub(crate) upto: i64,
}

/// Where records may be: their numbers, and blocks to look into.
#[derive(Default)]
struct Candidates {
    record_nos: Vec<i64>,
    /// By the row of the block: its run and the keys looked for.
    blocks: BTreeMap<i64, (Run, Vec<u64>)>,
    upto: i64,
}

impl Index {
    pub(crate) fn new() -> Self {
        Self::with_run_keys(RUN_KEYS)
    }

    fn with_run_keys(run_keys: i64) -> Self {
        Self {
            run_keys,
            mirror: Mutex::default(),
        }
    }

    /// Puts the oldest keys that are in no run into one, if that is due; true if it was. Within the
    /// transaction that numbered these records, the last there are.
    pub(crate) async fn spill(
        &self,
        connection: &mut SqliteConnection,
        numbered: &Numbered,
    ) -> Result<bool, OutboxError> {
        // What is in memory may lag behind the file's runs, never be ahead of them.
        if numbered.last() < self.mirror.lock().await.spilled() + self.run_keys {
            return Ok(false);
        }
        let runs = keys::runs(&mut *connection).await?;
        let after = keys::last_of(&runs);
        let upto = after + self.run_keys;
        if numbered.last() < upto {
            return Ok(false);
        }
        let held = self.mirror.lock().await.held(after, numbered);
        let fresh = match held {
            Some(mut entries) => {
                entries.retain(|entry| entry.1 <= upto);
                entries
            }
            None => blocks::keys_between(&mut *connection, after, upto).await?,
        };
        keys::add_run(connection, &runs, upto, fresh).await?;
        Ok(true)
    }

    /// Whether a record of one of these keys was numbered above `after`; `last` is the last there
    /// is, read within the transaction in whose name this is asked.
    pub(crate) async fn has_newer(
        &self,
        connection: &mut SqliteConnection,
        mut keys: impl Iterator<Item = u64>,
        (after, last): (i64, i64),
    ) -> Result<bool, OutboxError> {
        if after >= last {
            return Ok(false);
        }
        let mirror = self.mirror.lock().await;
        if mirror.upto == last && mirror.spilled() <= after {
            return Ok(keys.any(|key| mirror.in_tail(key).any(|record_no| record_no > after)));
        }
        drop(mirror);
        let newer = blocks::keys_between(connection, after, last).await?;
        let newer: HashSet<u64, ByDigest> = newer.into_iter().map(|entry| entry.0).collect();
        Ok(keys.any(|key| newer.contains(&key)))
    }

    /// Takes in what was committed, if nothing else was since the last look-up; if not, the next
    /// one reads it.
    pub(crate) async fn learn(&self, committed: &Numbered) {
        self.mirror.lock().await.learn(committed);
    }

    pub(crate) async fn look_up(
        &self,
        pool: &SqlitePool,
        wanted: &[RecordDigest],
    ) -> Result<LookedUp, OutboxError> {
        for _ in 0..MAX_TRIES {
            let mut mirror = self.mirror.lock().await;
            mirror.follow(pool).await?;
            let mut candidates = mirror.candidates(wanted);
            drop(mirror);
            if candidates.read_blocks(pool).await? {
                let Candidates {
                    record_nos, upto, ..
                } = candidates;
                let known = of_numbers(pool, record_nos, wanted).await?;
                return Ok(LookedUp { known, upto });
            }
        }
        Err(keys::DAMAGED)
    }
}

impl Mirror {
    /// Takes in what was committed since the last time.
    async fn follow(&mut self, pool: &SqlitePool) -> Result<(), OutboxError> {
        loop {
            let tail = blocks::tail(pool, self.upto).await?;
            if tail.last_run != self.last_run {
                self.follow_runs(pool).await?;
            }
            self.take_in(tail.entries.into_iter());
            if !tail.more {
                return Ok(());
            }
        }
    }

    fn take_in(&mut self, entries: impl Iterator<Item = Entry>) {
        let spilled = self.spilled();
        for (key, record_no) in entries {
            if record_no > spilled {
                let before = self.tail.insert(key, record_no);
                self.twins.extend(before.map(|before| (key, before)));
            }
            self.upto = self.upto.max(record_no);
        }
    }

    fn learn(&mut self, committed: &Numbered) {
        if self.upto == committed.after {
            self.take_in(committed.entries());
        }
    }

    /// The keys of all records above `after`, these included that are not committed yet; `None` if
    /// not all are here.
    fn held(&self, after: i64, numbered: &Numbered) -> Option<Vec<Entry>> {
        (self.upto == numbered.after && self.spilled() == after).then(|| {
            let held = self.tail.iter().map(|(key, record_no)| (*key, *record_no));
            held.chain(self.twins.iter().copied())
                .chain(numbered.entries())
                .collect()
        })
    }

    /// The numbers of the key's records that are in no run.
    fn in_tail(&self, key: u64) -> impl Iterator<Item = i64> {
        let last = self.tail.get(&key).copied();
        // Twins are as good as never there.
        let twins = self
            .twins
            .iter()
            .filter(move |twin| last.is_some() && twin.0 == key);
        last.into_iter().chain(twins.map(|twin| twin.1))
    }

    async fn follow_runs(&mut self, pool: &SqlitePool) -> Result<(), OutboxError> {
        // Should this be given up half way, all of it is read anew.
        self.last_run = -1;
        let runs = keys::runs(pool).await?;
        self.runs.retain(|(held, _)| runs.contains(held));
        for run in &runs {
            if self.runs.iter().all(|(held, _)| held != run) {
                // If it is gone again already, the next time will tell.
                let filter = keys::filter(pool, run.run).await?.unwrap_or_default();
                self.runs.push((*run, filter));
            }
        }
        self.runs.sort_unstable_by_key(|(run, _)| run.after);
        self.last_run = runs.iter().map(|run| run.run).max().unwrap_or(0);
        let spilled = self.spilled();
        // A new table: the old one would keep its room, and a hole for every key that was in it.
        let left = self
            .tail
            .iter()
            .filter(|(_, record_no)| **record_no > spilled);
        self.tail = left.map(|(key, record_no)| (*key, *record_no)).collect();
        self.twins.retain(|(_, record_no)| *record_no > spilled);
        self.upto = self.upto.max(spilled);
        Ok(())
    }

    /// Records up to here are in runs.
    fn spilled(&self) -> i64 {
        self.runs.last().map_or(0, |(run, _)| run.upto)
    }

    fn candidates(&self, wanted: &[RecordDigest]) -> Candidates {
        let mut found = Candidates {
            upto: self.upto,
            ..Candidates::default()
        };
        for key in wanted.iter().map(key_of) {
            found.record_nos.extend(self.in_tail(key));
            for (run, _) in self.runs.iter().filter(|(_, filter)| filter.may_have(key)) {
                found
                    .blocks
                    .entry(run.block_of(key))
                    .or_insert((*run, Vec::new()))
                    .1
                    .push(key);
            }
        }
        found
    }
}

impl Candidates {
    /// Looks into the blocks; false if one of them is gone, because its run was merged with another
    /// meanwhile.
    async fn read_blocks(&mut self, pool: &SqlitePool) -> Result<bool, OutboxError> {
        let Self {
            record_nos, blocks, ..
        } = self;
        let ids: Vec<i64> = blocks.keys().copied().collect();
        let visit = |id, block: &str| {
            let Some((run, keys)) = blocks.get(&id) else {
                return Ok(());
            };
            keys.iter()
                .try_for_each(|key| run.find(*key, block, record_nos))
        };
        Ok(keys::visit_named(pool, &ids, visit).await? == ids.len())
    }
}

/// Of the records with these numbers, those that are wanted: the keys of two digests may be the
/// same.
async fn of_numbers(
    pool: &SqlitePool,
    mut record_nos: Vec<i64>,
    wanted: &[RecordDigest],
) -> Result<HashMap<RecordDigest, Known, ByDigest>, OutboxError> {
    record_nos.sort_unstable();
    record_nos.dedup();
    let wanted: HashSet<&RecordDigest, ByDigest> = wanted.iter().collect();
    let mut known = HashMap::with_capacity_and_hasher(record_nos.len(), ByDigest::default());
    for (record, found) in blocks::look_up_numbers(pool, &record_nos).await? {
        if wanted.contains(&record) && known.insert(record, found).is_some() {
            return Err(OutboxError::Damaged {
                what: "a record, which is there twice",
            });
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests;
