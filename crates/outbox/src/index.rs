//! Finding records by their digests: what is in memory of it only mirrors the file, and follows it at every look-up.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use contract::RecordDigest;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use tokio::sync::Mutex;

use crate::filter::Filter;
use crate::keys::{self, Entry, Run, key_of};
use crate::outbox::Inner;
use crate::records::{self, LookedUp, json};
use crate::{Outbox, OutboxError};

/// Keys put into a run at once; at most so many, and one page's, are held in memory.
const RUN_KEYS: i64 = 131_072;

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
    tail: HashMap<u64, i64, BuildHasherDefault<AsItIs>>,
    /// Of several records with the same key in the tail, all but one.
    twins: Vec<Entry>,
    upto: i64,
}

/// Keys are random already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Where records may be: their numbers, and blocks to look into.
#[derive(Default)]
struct Candidates {
    record_nos: Vec<i64>,
    /// By the row of the block: its run and the keys looked for.
    blocks: BTreeMap<i64, (Run, Vec<u64>)>,
    upto: i64,
}

impl Inner {
    /// What is remembered of the records, as committed; under the gate nobody else numbers records after it.
    pub(crate) async fn look_up(&self, wanted: &[RecordDigest]) -> Result<LookedUp, OutboxError> {
        self.index.look_up(self.reader.pool(), wanted).await
    }
}

impl Outbox {
    /// Puts keys into runs that are in none yet: all of them, after a migration.
    pub(crate) async fn spill_all(&self) -> Result<(), OutboxError> {
        loop {
            let mut transaction = self.inner.writer.begin().await?;
            let spilled = self.inner.index.spill(transaction.connection()).await?;
            transaction.commit().await?;
            if !spilled {
                return Ok(());
            }
        }
    }
}

impl Index {
    pub(crate) fn new() -> Self {
        Self::with_run_keys(RUN_KEYS)
    }

    fn with_run_keys(run_keys: i64) -> Self {
        Self { run_keys, mirror: Mutex::default() }
    }

    /// Puts keys into a run, if that is due; true if it was. Within the transaction that numbered the records.
    pub(crate) async fn spill(&self, connection: &mut SqliteConnection) -> Result<bool, OutboxError> {
        keys::spill(connection, self.run_keys).await
    }

    async fn look_up(&self, pool: &SqlitePool, wanted: &[RecordDigest]) -> Result<LookedUp, OutboxError> {
        for _ in 0..MAX_TRIES {
            let mut mirror = self.mirror.lock().await;
            mirror.follow(pool).await?;
            let mut candidates = mirror.candidates(wanted);
            drop(mirror);
            if candidates.read_blocks(pool).await? {
                let Candidates { record_nos, upto, .. } = candidates;
                let known = records::of_numbers(pool, &record_nos, wanted).await?;
                return Ok(LookedUp { known, upto });
            }
        }
        Err(OutboxError::Damaged { what: "the keys of records" })
    }
}

impl Mirror {
    /// Takes in what was committed since the last time.
    async fn follow(&mut self, pool: &SqlitePool) -> Result<(), OutboxError> {
        loop {
            let tail = keys::tail(pool, self.upto, i64::MAX).await?;
            if tail.last_run != self.last_run {
                self.follow_runs(pool).await?;
            }
            let spilled = self.spilled();
            for (key, record_no) in tail.entries {
                if record_no > spilled {
                    let before = self.tail.insert(key, record_no);
                    self.twins.extend(before.map(|before| (key, before)));
                }
                self.upto = self.upto.max(record_no);
            }
            if !tail.more {
                return Ok(());
            }
        }
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
        self.tail.retain(|_, record_no| *record_no > spilled);
        self.twins.retain(|(_, record_no)| *record_no > spilled);
        self.upto = self.upto.max(spilled);
        Ok(())
    }

    /// Records up to here are in runs.
    fn spilled(&self) -> i64 {
        self.runs.last().map_or(0, |(run, _)| run.upto)
    }

    fn candidates(&self, wanted: &[RecordDigest]) -> Candidates {
        let mut found = Candidates { upto: self.upto, ..Candidates::default() };
        for key in wanted.iter().map(key_of) {
            if let Some(record_no) = self.tail.get(&key) {
                found.record_nos.push(*record_no);
                let twins = self.twins.iter().filter(|twin| twin.0 == key);
                found.record_nos.extend(twins.map(|twin| twin.1));
            }
            for (run, _) in self.runs.iter().filter(|(_, filter)| filter.may_have(key)) {
                found.blocks.entry(run.block_of(key)).or_insert((*run, Vec::new())).1.push(key);
            }
        }
        found
    }
}

impl Candidates {
    /// Looks into the blocks; false if one of them is gone, because its run was merged with another meanwhile.
    async fn read_blocks(&mut self, pool: &SqlitePool) -> Result<bool, OutboxError> {
        if self.blocks.is_empty() {
            return Ok(true);
        }
        let ids: BTreeSet<i64> = self.blocks.keys().copied().collect();
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT b.id, b.keys FROM json_each(?1) AS j CROSS JOIN key_block AS b ON b.id = j.value",
        )
        .bind(json(&ids))
        .fetch_all(pool)
        .await
        .map_err(OutboxError::database)?;
        for (id, block) in &rows {
            let Some((run, keys)) = self.blocks.get(id) else { continue };
            for key in keys {
                self.record_nos.extend(run.find(*key, block));
            }
        }
        Ok(rows.len() == ids.len())
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use contract::{ContentDigest, PrivateKey, Version};
    use tempfile::TempDir;

    use super::*;
    use crate::OutboxOptions;
    use crate::plan::Row;

    /// Spread like real digests.
    fn digest(record: u64) -> RecordDigest {
        let key = record.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        twin(key, record)
    }

    /// A digest of the key given.
    fn twin(key: u64, rest: u64) -> RecordDigest {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&key.to_be_bytes());
        bytes[24..].copy_from_slice(&rest.to_be_bytes());
        RecordDigest(bytes)
    }

    fn new(record: RecordDigest) -> Row {
        let (content, version) = (Some(ContentDigest([1; 16])), Version { generation: 1, count: 1 });
        Row { record, record_no: None, content, version, withdrawn: false, stamp: Some(5) }
    }

    /// An outbox, and a small index over its file.
    async fn outbox() -> (TempDir, Outbox, Index) {
        let folder = tempfile::tempdir().unwrap();
        let options = OutboxOptions::new(PrivateKey::generate().public(), "test");
        let path = folder.path().join("outbox.db");
        let outbox = Outbox::open(&path, options, DateTime::UNIX_EPOCH).await.unwrap();
        (folder, outbox, Index::with_run_keys(8))
    }

    /// One page's transaction, committed or not.
    async fn number(outbox: &Outbox, index: &Index, records: &[RecordDigest], upto: i64, commit: bool) {
        let rows: Vec<Row> = records.iter().map(|record| new(*record)).collect();
        let mut transaction = outbox.inner.writer.begin().await.unwrap();
        records::store(transaction.connection(), &rows, None, upto).await.unwrap();
        index.spill(transaction.connection()).await.unwrap();
        if commit {
            transaction.commit().await.unwrap();
        }
    }

    async fn found(outbox: &Outbox, index: &Index, records: &[RecordDigest]) -> Vec<Option<i64>> {
        let found = index.look_up(outbox.inner.reader.pool(), records).await.unwrap();
        records.iter().map(|record| found.known.get(record).map(|known| known.record_no)).collect()
    }

    #[tokio::test]
    async fn every_record_is_found_before_and_after_every_merge() {
        let (_folder, outbox, index) = outbox().await;
        let all: Vec<RecordDigest> = (0..300).map(digest).collect();
        let mut most_runs = 0;
        for (numbered, record) in (1..).zip(&all) {
            number(&outbox, &index, &[*record], numbered - 1, true).await;
            let expected: Vec<_> = (1..=300).map(|number| (number <= numbered).then_some(number)).collect();
            assert_eq!(found(&outbox, &index, &all).await, expected, "after {numbered}");
            let runs = keys::runs(outbox.inner.reader.pool()).await.unwrap();
            most_runs = most_runs.max(runs.len());
            assert!(
                runs.windows(2)
                    .all(|two| two[0].upto == two[1].after && two[0].entries >= 2 * two[1].entries)
            );
            assert!(runs.iter().all(|run| run.entries == run.upto - run.after));
        }
        assert!((3..=6).contains(&most_runs), "{most_runs}");
        let fresh = Index::with_run_keys(8);
        assert_eq!(
            found(&outbox, &fresh, &all).await,
            (1..=300).map(Some).collect::<Vec<_>>(),
            "at an opening"
        );
        let kept: i64 = sqlx::query_scalar("SELECT sum(length(keys)) / 12 FROM key_block")
            .fetch_one(outbox.inner.reader.pool())
            .await
            .unwrap();
        assert_eq!(kept, 296, "nothing of merged runs is left");
    }

    #[tokio::test]
    async fn merge_of_many_blocks_and_slices_loses_nothing() {
        let (_folder, outbox, _) = outbox().await;
        let index = Index::with_run_keys(70_000);
        let all: Vec<RecordDigest> = (0..210_500).map(digest).collect();
        for (page, upto) in all.chunks(70_100).zip([0, 70_100, 140_200, 210_300]) {
            number(&outbox, &index, page, upto, true).await;
        }
        let runs = keys::runs(outbox.inner.reader.pool()).await.unwrap();
        assert!(runs[0].block_bits > 10, "{runs:?}");
        for wanted in [&all[..1000], &all[139_000..141_000], &all[209_000..]] {
            let found = found(&outbox, &index, wanted).await;
            let first = all.iter().position(|record| *record == wanted[0]).unwrap();
            let expected: Vec<_> = (0..wanted.len()).map(|place| Some((first + place + 1) as i64)).collect();
            assert_eq!(found, expected);
        }
        let strangers: Vec<RecordDigest> = (300_000..302_000).map(digest).collect();
        assert!(found(&outbox, &index, &strangers).await.iter().all(Option::is_none));
    }

    #[tokio::test]
    async fn merge_that_is_not_committed_leaves_everything_as_it_was() {
        let (_folder, outbox, index) = outbox().await;
        let all: Vec<RecordDigest> = (0..40).map(digest).collect();
        for (upto, page) in (0..).zip(all[..15].chunks(5)) {
            number(&outbox, &index, page, upto * 5, true).await;
        }
        let before = keys::runs(outbox.inner.reader.pool()).await.unwrap();
        number(&outbox, &index, &all[15..], 15, false).await;
        assert_eq!(keys::runs(outbox.inner.reader.pool()).await.unwrap(), before);
        let expected: Vec<_> = (1..=40).map(|number| (number <= 15).then_some(number)).collect();
        assert_eq!(found(&outbox, &index, &all).await, expected);
        number(&outbox, &index, &all[15..], 15, true).await;
        assert_eq!(found(&outbox, &index, &all).await, (1..=40).map(Some).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn records_of_the_same_key_are_kept_apart() {
        let (_folder, outbox, index) = outbox().await;
        let all: Vec<RecordDigest> = (0..12).map(|rest| twin(7, rest)).collect();
        let others: Vec<RecordDigest> = (0..30).map(digest).collect();
        number(&outbox, &index, &all[..6], 0, true).await;
        let expected: Vec<_> = (1..=12).map(|number| (number <= 6).then_some(number)).collect();
        assert_eq!(found(&outbox, &index, &all).await, expected, "none is in a run");
        number(&outbox, &index, &others, 6, true).await;
        number(&outbox, &index, &all[6..], 36, true).await;
        let numbers = |range: std::ops::RangeInclusive<i64>| range.map(Some).collect::<Vec<_>>();
        assert_eq!(found(&outbox, &index, &all).await, [numbers(1..=6), numbers(37..=42)].concat());
        assert_eq!(found(&outbox, &index, &others).await, numbers(7..=36));
        assert_eq!(found(&outbox, &index, &[twin(7, 99)]).await, [None], "a stranger with a known key");
    }

    #[tokio::test]
    async fn record_numbered_since_the_look_up_is_not_numbered_again() {
        let (_folder, outbox, index) = outbox().await;
        let all: Vec<RecordDigest> = (0..20).map(digest).collect();
        number(&outbox, &index, &all[..10], 0, true).await;
        let store = async |rows: &[Row], upto| {
            let mut transaction = outbox.inner.writer.begin().await.unwrap();
            records::store(transaction.connection(), rows, None, upto).await
        };
        let again = [new(all[15]), new(all[9])];
        assert!(matches!(store(&again, 5).await, Err(OutboxError::Overtaken)), "numbered as the tenth");
        assert!(matches!(store(&again, 9).await, Err(OutboxError::Overtaken)));
        assert!(matches!(store(&[new(all[15]), new(all[15])], 10).await, Err(OutboxError::Overtaken)));
        store(&[new(all[15])], 5).await.unwrap();
        assert!(OutboxError::Overtaken.is_retryable());
    }

    #[tokio::test]
    async fn rows_of_known_records_are_rewritten_in_place() {
        let (_folder, outbox, index) = outbox().await;
        let all: Vec<RecordDigest> = (0..30).map(digest).collect();
        number(&outbox, &index, &all, 0, true).await;
        let version = Version { generation: 2, count: 9 };
        let other = |(place, row): (u8, Row)| Row {
            record_no: Some(i64::from(place) + 1),
            content: Some(ContentDigest([place; 16])),
            stamp: Some(i64::from(place)),
            version,
            ..row
        };
        let rows: Vec<Row> = (0..).zip(all.iter().map(|record| new(*record))).map(other).collect();
        let mut transaction = outbox.inner.writer.begin().await.unwrap();
        records::store(transaction.connection(), &rows[10..20], None, 30).await.unwrap();
        transaction.commit().await.unwrap();
        let known = index.look_up(outbox.inner.reader.pool(), &all).await.unwrap().known;
        assert_eq!(known.len(), 30);
        for (place, row) in rows.iter().enumerate() {
            let known = known[&row.record];
            let told = (10..20).contains(&place).then_some((row.content, row.version, row.stamp));
            let expected = told.unwrap_or((new(row.record).content, new(row.record).version, Some(5)));
            assert_eq!((known.content, known.version, known.stamp), expected);
            assert_eq!(known.record_no, place as i64 + 1);
        }
    }
}
