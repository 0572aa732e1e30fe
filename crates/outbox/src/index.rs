//! Finding records by their digests: what is in memory of it only mirrors the file, and follows it at every look-up.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
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
        self.0 = first.unwrap_or_else(|| bytes.iter().fold(self.0, |sum, byte| sum << 8 ^ u64::from(*byte)));
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
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.keys.iter().copied().zip(self.after + 1..)
    }

    pub(crate) fn last(&self) -> i64 {
        self.after + i64::try_from(self.keys.len()).unwrap_or(i64::MAX)
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
            let none = Numbered { after: keys::last(transaction.connection()).await?, keys: Vec::new() };
            let spilled = self.inner.index.spill(transaction.connection(), &none).await?;
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

    /// Puts the oldest keys that are in no run into one, if that is due; true if it was. Within the transaction that numbered
    /// these records, the last there are.
    pub(crate) async fn spill(
        &self,
        connection: &mut SqliteConnection,
        numbered: &Numbered,
    ) -> Result<bool, OutboxError> {
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
            None => keys::between(&mut *connection, after, upto).await?,
        };
        keys::add_run(connection, &runs, upto, fresh).await?;
        Ok(true)
    }

    /// Whether a record of one of these keys was numbered above `after`; `last` is the last there is, read within the
    /// transaction in whose name this is asked.
    pub(crate) async fn has_newer(
        &self,
        connection: &mut SqliteConnection,
        keys: impl Iterator<Item = u64>,
        (after, last): (i64, i64),
    ) -> Result<bool, OutboxError> {
        if after >= last {
            return Ok(false);
        }
        let mirror = self.mirror.lock().await;
        if mirror.upto == last && mirror.spilled() <= after {
            let mut keys = keys;
            return Ok(keys.any(|key| mirror.in_tail(key).any(|record_no| record_no > after)));
        }
        drop(mirror);
        let newer = keys::between(connection, after, last).await?;
        let newer: HashSet<u64, ByDigest> = newer.into_iter().map(|entry| entry.0).collect();
        let mut keys = keys;
        Ok(keys.any(|key| newer.contains(&key)))
    }

    /// Takes in what was committed, if nothing else was since the last look-up; if not, the next one reads it.
    pub(crate) async fn learn(&self, committed: &Numbered) {
        self.mirror.lock().await.learn(committed);
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

    /// The keys of all records above `after`, these included that are not committed yet; `None` if not all are here.
    fn held(&self, after: i64, numbered: &Numbered) -> Option<Vec<Entry>> {
        (self.upto == numbered.after && self.spilled() == after).then(|| {
            let held = self.tail.iter().map(|(key, record_no)| (*key, *record_no));
            held.chain(self.twins.iter().copied()).chain(numbered.entries()).collect()
        })
    }

    /// The numbers of the key's records that are in no run.
    fn in_tail(&self, key: u64) -> impl Iterator<Item = i64> {
        let last = self.tail.get(&key).copied();
        // Twins are as good as never there.
        let twins = self.twins.iter().filter(move |twin| last.is_some() && twin.0 == key);
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
            found.record_nos.extend(self.in_tail(key));
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
    use crate::connect::WriteTransaction;
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

    /// One page's transaction, not committed.
    async fn number<'a>(
        outbox: &'a Outbox,
        index: &Index,
        records: &[RecordDigest],
        upto: i64,
    ) -> (WriteTransaction<'a>, Numbered) {
        let rows: Vec<Row> = records.iter().map(|record| new(*record)).collect();
        let mut transaction = outbox.inner.writer.begin().await.unwrap();
        let numbered = records::store(transaction.connection(), &rows, None, upto, index).await.unwrap();
        index.spill(transaction.connection(), &numbered).await.unwrap();
        (transaction, numbered)
    }

    /// The same, committed; the index is told, or has to find out.
    async fn commit(outbox: &Outbox, index: &Index, records: &[RecordDigest], upto: i64, told: bool) {
        let (transaction, numbered) = number(outbox, index, records, upto).await;
        transaction.commit().await.unwrap();
        if told {
            index.learn(&numbered).await;
        }
    }

    async fn found(outbox: &Outbox, index: &Index, records: &[RecordDigest]) -> Vec<Option<i64>> {
        let found = index.look_up(outbox.inner.reader.pool(), records).await.unwrap();
        records.iter().map(|record| found.known.get(record).map(|known| known.record_no)).collect()
    }

    #[tokio::test]
    async fn every_record_is_found_before_and_after_every_merge() {
        every_record_is_found(|_| false).await;
        every_record_is_found(|_| true).await;
        every_record_is_found(|numbered| numbered % 5 < 3).await;
    }

    async fn every_record_is_found(told: impl Fn(i64) -> bool) {
        let (_folder, outbox, index) = outbox().await;
        let all: Vec<RecordDigest> = (0..300).map(digest).collect();
        let mut most_runs = 0;
        for (numbered, record) in (1..).zip(&all) {
            commit(&outbox, &index, &[*record], numbered - 1, told(numbered)).await;
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
            commit(&outbox, &index, page, upto, upto % 20 == 0).await;
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
            commit(&outbox, &index, page, upto * 5, upto == 1).await;
        }
        let before = keys::runs(outbox.inner.reader.pool()).await.unwrap();
        drop(number(&outbox, &index, &all[15..], 15).await);
        assert_eq!(keys::runs(outbox.inner.reader.pool()).await.unwrap(), before);
        let expected: Vec<_> = (1..=40).map(|number| (number <= 15).then_some(number)).collect();
        assert_eq!(found(&outbox, &index, &all).await, expected);
        commit(&outbox, &index, &all[15..], 15, true).await;
        assert_eq!(found(&outbox, &index, &all).await, (1..=40).map(Some).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn records_of_the_same_key_are_kept_apart() {
        let (_folder, outbox, index) = outbox().await;
        let all: Vec<RecordDigest> = (0..12).map(|rest| twin(7, rest)).collect();
        let others: Vec<RecordDigest> = (0..30).map(digest).collect();
        commit(&outbox, &index, &all[..6], 0, true).await;
        let expected: Vec<_> = (1..=12).map(|number| (number <= 6).then_some(number)).collect();
        assert_eq!(found(&outbox, &index, &all).await, expected, "none is in a run");
        commit(&outbox, &index, &others, 6, true).await;
        commit(&outbox, &index, &all[6..], 36, true).await;
        let numbers = |range: std::ops::RangeInclusive<i64>| range.map(Some).collect::<Vec<_>>();
        assert_eq!(found(&outbox, &index, &all).await, [numbers(1..=6), numbers(37..=42)].concat());
        assert_eq!(found(&outbox, &index, &others).await, numbers(7..=36));
        assert_eq!(found(&outbox, &index, &[twin(7, 99)]).await, [None], "a stranger with a known key");
    }

    #[tokio::test]
    async fn record_numbered_since_the_look_up_is_not_numbered_again() {
        let (_folder, outbox, told) = outbox().await;
        let all: Vec<RecordDigest> = (0..20).map(digest).collect();
        commit(&outbox, &told, &all[..10], 0, true).await;
        let (knows_nothing, knows_runs) = (Index::with_run_keys(8), Index::with_run_keys(8));
        found(&outbox, &knows_runs, &all).await;
        for index in [&told, &knows_nothing, &knows_runs] {
            let store = async |rows: &[Row], upto| {
                let mut transaction = outbox.inner.writer.begin().await.unwrap();
                records::store(transaction.connection(), rows, None, upto, index).await.map(drop)
            };
            let again = [new(all[15]), new(all[9])];
            assert!(matches!(store(&again, 5).await, Err(OutboxError::Overtaken)), "numbered as the tenth");
            assert!(matches!(store(&again, 9).await, Err(OutboxError::Overtaken)));
            let first = [new(all[0])];
            assert!(matches!(store(&first, 0).await, Err(OutboxError::Overtaken)), "in a run");
            assert!(matches!(store(&[new(all[15]), new(all[15])], 10).await, Err(OutboxError::Overtaken)));
            store(&[new(all[15])], 5).await.unwrap();
        }
        assert!(OutboxError::Overtaken.is_retryable());
    }

    #[tokio::test]
    async fn index_is_told_only_what_follows_on_what_it_knows() {
        let (_folder, outbox, index) = outbox().await;
        let all: Vec<RecordDigest> = (0..7).map(digest).collect();
        commit(&outbox, &index, &all[..2], 0, false).await;
        commit(&outbox, &index, &all[2..4], 2, true).await;
        let too_early = index.mirror.lock().await.upto;
        assert_eq!(too_early, 0, "it does not know of the first two yet");
        let expected = |known| (1..=7).map(|number| (number <= known).then_some(number)).collect::<Vec<_>>();
        assert_eq!(found(&outbox, &index, &all).await, expected(4));
        let (transaction, numbered) = number(&outbox, &index, &all[4..], 4).await;
        transaction.commit().await.unwrap();
        index.learn(&numbered).await;
        index.learn(&numbered).await;
        let mirror = index.mirror.lock().await;
        assert_eq!((mirror.upto, mirror.tail.len(), mirror.twins.len()), (7, 7, 0));
        drop(mirror);
        assert_eq!(found(&outbox, &index, &all).await, expected(7));
    }

    #[tokio::test]
    async fn rows_of_known_records_are_rewritten_in_place() {
        let (_folder, outbox, index) = outbox().await;
        let all: Vec<RecordDigest> = (0..30).map(digest).collect();
        commit(&outbox, &index, &all, 0, true).await;
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
        records::store(transaction.connection(), &rows[10..20], None, 30, &index).await.unwrap();
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
