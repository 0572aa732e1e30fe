//! The index: look-ups by digest, appends, flushes.

use std::collections::HashSet;

use contract::RecordDigest;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use tokio::sync::Mutex;

use crate::digest_hash::{ByDigest, RecordMap, RecordSet};
use crate::memory::Memory;
use crate::record::{Appended, Key, KnownRecord, LookedUp, RecordState, key_of};
use crate::records::block::RecordBlock;
use crate::records::{scan, table};
use crate::runs::compaction::{self, flushed_to};
use crate::runs::run::DAMAGED;
use crate::{IndexError, runs};

/// Keys of a flush. At most so many, and a few pages', are in the memtable: with pages of the usual
/// size they fit a hash table of 131,072 buckets.
const FLUSH_KEYS: i64 = 98_304;

/// Tries of one look-up. It begins anew when runs were compacted under it, which takes thousands of
/// pages each time.
const MAX_TRIES: u32 = 8;

/// Index of the records in one SQLite file.
#[derive(Debug)]
pub struct RecordIndex {
    flush_keys: i64,
    memory: Mutex<Memory>,
}

impl Default for RecordIndex {
    fn default() -> Self {
        Self::with_flush_keys(FLUSH_KEYS)
    }
}

impl RecordIndex {
    /// Makes an index that flushes its memtable whenever it holds so many keys: few, for tests.
    #[must_use]
    pub fn with_flush_keys(flush_keys: i64) -> Self {
        Self {
            flush_keys,
            memory: Mutex::default(),
        }
    }

    /// Finds records by their digests, as committed.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] and SQLite's failures.
    pub async fn look_up(
        &self,
        pool: &SqlitePool,
        wanted: &[RecordDigest],
    ) -> Result<LookedUp, IndexError> {
        for _ in 0..MAX_TRIES {
            let mut memory = self.memory.lock().await;
            memory.catch_up(pool).await?;
            let candidates = memory.candidates(wanted);
            drop(memory);
            let upto = candidates.upto;
            if let Some(record_nos) = candidates.read(pool).await? {
                let known = read_wanted(pool, &record_nos, wanted).await?;
                return Ok(LookedUp { known, upto });
            }
        }
        Err(DAMAGED)
    }

    /// Appends new records, and flushes the memtable if that is due. They must have been looked up:
    /// `looked_up_to` is [`LookedUp::upto`]. After the commit the result is to be given to
    /// [`Self::note_committed`].
    ///
    /// # Errors
    /// [`IndexError::Overtaken`] if another transaction has appended one of the records since the
    /// look-up, or one of them is given twice; [`IndexError::Exhausted`], [`IndexError::Damaged`]
    /// and SQLite's failures.
    pub async fn append<'a>(
        &self,
        connection: &mut SqliteConnection,
        records: impl Iterator<Item = (&'a RecordDigest, RecordState)> + Clone,
        looked_up_to: i64,
    ) -> Result<Appended, IndexError> {
        let last = table::last_block(&mut *connection).await?;
        let after = last.as_ref().map_or(0, RecordBlock::last);
        let keys: Vec<Key> = records.clone().map(|(record, _)| key_of(record)).collect();
        let appended = Appended { after, keys };
        if !are_distinct(records.clone(), appended.keys.len())
            || self.has_newer(connection, &appended, looked_up_to).await?
        {
            return Err(IndexError::Overtaken);
        }
        table::append(connection, last, records).await?;
        self.flush_if_due(connection, &appended).await?;
        Ok(appended)
    }

    /// Takes committed records into memory, which saves the next look-up from reading them. Of a
    /// transaction that was rolled back nothing may be noted.
    pub async fn note_committed(&self, appended: &Appended) {
        self.memory.lock().await.note_committed(appended);
    }

    /// Flushes keys that are in no run yet, if that is due, and returns whether it was. After a
    /// migration it may be due several times.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] and SQLite's failures.
    pub async fn flush(&self, connection: &mut SqliteConnection) -> Result<bool, IndexError> {
        let after = table::last_record_no(&mut *connection).await?;
        self.flush_if_due(
            connection,
            &Appended {
                after,
                keys: Vec::new(),
            },
        )
        .await
    }

    /// Flushes the oldest keys, within the transaction that appended the last records.
    async fn flush_if_due(
        &self,
        connection: &mut SqliteConnection,
        appended: &Appended,
    ) -> Result<bool, IndexError> {
        // Memory may lag behind the file's runs, never be ahead of them.
        if appended.last() < self.memory.lock().await.flushed_to() + self.flush_keys {
            return Ok(false);
        }
        let runs = runs::table::runs(&mut *connection).await?;
        let after = flushed_to(&runs);
        let upto = after + self.flush_keys;
        if appended.last() < upto {
            return Ok(false);
        }
        let in_memory = self.memory.lock().await.unflushed(after, appended);
        let unflushed = match in_memory {
            Some(mut entries) => {
                entries.retain(|entry| entry.record_no <= upto);
                entries
            }
            None => scan::keys_between(&mut *connection, after, upto).await?,
        };
        compaction::flush(connection, &runs, upto, unflushed).await?;
        Ok(true)
    }

    /// Returns whether a record of the appended ones' keys was committed after the look-up.
    async fn has_newer(
        &self,
        connection: &mut SqliteConnection,
        appended: &Appended,
        looked_up_to: i64,
    ) -> Result<bool, IndexError> {
        let last = appended.after;
        if looked_up_to >= last {
            return Ok(false);
        }
        let mut keys = appended.keys.iter().copied();
        let memory = self.memory.lock().await;
        let in_memory = memory.has_newer(keys.clone(), looked_up_to, last);
        drop(memory);
        if let Some(has_newer) = in_memory {
            return Ok(has_newer);
        }
        let newer = scan::keys_between(connection, looked_up_to, last).await?;
        let newer: HashSet<Key, ByDigest> = newer.iter().map(|entry| entry.key).collect();
        Ok(keys.any(|key| newer.contains(&key)))
    }
}

/// Reads the records with these numbers and keeps those that are wanted: two digests may have the
/// same key.
async fn read_wanted(
    pool: &SqlitePool,
    record_nos: &[i64],
    wanted: &[RecordDigest],
) -> Result<RecordMap<KnownRecord>, IndexError> {
    let wanted: RecordSet<'_> = wanted.iter().collect();
    let mut known = RecordMap::with_capacity_and_hasher(record_nos.len(), ByDigest::default());
    for (record, stored) in table::look_up_numbers(pool, record_nos).await? {
        if wanted.contains(&record) && known.insert(record, stored).is_some() {
            return Err(IndexError::Damaged {
                what: "a record, which is there twice",
            });
        }
    }
    Ok(known)
}

fn are_distinct<'a>(
    mut records: impl Iterator<Item = (&'a RecordDigest, RecordState)>,
    count: usize,
) -> bool {
    let mut seen = RecordSet::with_capacity_and_hasher(count, ByDigest::default());
    records.all(|(record, _)| seen.insert(record))
}
