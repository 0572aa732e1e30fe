//! Records are found wherever their keys are: in the tail, in runs, while these merge.

use chrono::DateTime;
use contract::{ContentDigest, PrivateKey, Version};
use tempfile::TempDir;

use super::*;
use crate::file::WriteTransaction;
use crate::records::known::RecordUpdate;
use crate::records::store;
use crate::{Outbox, OutboxOptions};

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

fn new(record: RecordDigest) -> RecordUpdate {
    let content = Some(ContentDigest([1; 16]));
    let version = Version {
        generation: 1,
        count: 1,
    };
    RecordUpdate {
        record,
        record_no: None,
        content,
        version,
        withdrawn: false,
        stamp: Some(5),
    }
}

/// An outbox, and a small index over its file.
async fn outbox() -> (TempDir, Outbox, Index) {
    let folder = tempfile::tempdir().unwrap();
    let options = OutboxOptions::new(PrivateKey::generate().public(), "test");
    let path = folder.path().join("outbox.db");
    let outbox = Outbox::open(&path, options, DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    (folder, outbox, Index::with_run_keys(8))
}

/// One page's transaction, not committed.
async fn number<'a>(
    outbox: &'a Outbox,
    index: &Index,
    records: &[RecordDigest],
    upto: i64,
) -> (WriteTransaction<'a>, Numbered) {
    let rows: Vec<RecordUpdate> = records.iter().map(|record| new(*record)).collect();
    let mut transaction = outbox.database().begin().await.unwrap();
    let numbered = store::store(transaction.connection(), &rows, None, upto, index)
        .await
        .unwrap();
    index
        .spill(transaction.connection(), &numbered)
        .await
        .unwrap();
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
    let found = index
        .look_up(outbox.database().readers(), records)
        .await
        .unwrap();
    records
        .iter()
        .map(|record| found.known.get(record).map(|known| known.record_no))
        .collect()
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
        let expected: Vec<_> = (1..=300)
            .map(|number| (number <= numbered).then_some(number))
            .collect();
        assert_eq!(
            found(&outbox, &index, &all).await,
            expected,
            "after {numbered}"
        );
        let runs = keys::runs(outbox.database().readers()).await.unwrap();
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
        .fetch_one(outbox.database().readers())
        .await
        .unwrap();
    assert_eq!(kept, 296, "nothing of merged runs is left");
}

#[tokio::test]
async fn memory_for_keys_in_no_run_does_not_grow_with_the_runs() {
    let (_folder, outbox, index) = outbox().await;
    let all: Vec<RecordDigest> = (0..300).map(digest).collect();
    let mut most = 0;
    for (numbered, record) in (1..).zip(&all) {
        commit(&outbox, &index, &[*record], numbered - 1, true).await;
        found(&outbox, &index, &all[..1]).await;
        most = most.max(index.mirror.lock().await.tail.capacity());
    }
    // Seven keys at most: holes of those that were spilled would make the table grow.
    assert!((7..14).contains(&most), "{most}");
}

#[tokio::test]
async fn merge_of_many_blocks_and_slices_loses_nothing() {
    let (_folder, outbox, _) = outbox().await;
    let index = Index::with_run_keys(70_000);
    let all: Vec<RecordDigest> = (0..210_500).map(digest).collect();
    for (page, upto) in all.chunks(70_100).zip([0, 70_100, 140_200, 210_300]) {
        commit(&outbox, &index, page, upto, upto % 20 == 0).await;
    }
    let runs = keys::runs(outbox.database().readers()).await.unwrap();
    assert!(runs[0].block_bits > 10, "{runs:?}");
    let blocks: i64 = sqlx::query_scalar("SELECT count(*) FROM key_block")
        .fetch_one(outbox.database().readers())
        .await
        .unwrap();
    assert!(
        blocks > keys::MAX_NAMED as i64,
        "{blocks} blocks: all at once are more than a statement takes"
    );
    for wanted in [&all[..1000], &all[139_000..141_000], &all[209_000..], &all] {
        let found = found(&outbox, &index, wanted).await;
        let first = all.iter().position(|record| *record == wanted[0]).unwrap();
        let expected: Vec<_> = (0..wanted.len())
            .map(|place| Some((first + place + 1) as i64))
            .collect();
        assert_eq!(found, expected);
    }
    let strangers: Vec<RecordDigest> = (300_000..302_000).map(digest).collect();
    assert!(
        found(&outbox, &index, &strangers)
            .await
            .iter()
            .all(Option::is_none)
    );
}

#[tokio::test]
async fn merge_that_is_not_committed_leaves_everything_as_it_was() {
    let (_folder, outbox, index) = outbox().await;
    let all: Vec<RecordDigest> = (0..40).map(digest).collect();
    for (upto, page) in (0..).zip(all[..15].chunks(5)) {
        commit(&outbox, &index, page, upto * 5, upto == 1).await;
    }
    let before = keys::runs(outbox.database().readers()).await.unwrap();
    drop(number(&outbox, &index, &all[15..], 15).await);
    assert_eq!(
        keys::runs(outbox.database().readers()).await.unwrap(),
        before
    );
    let expected: Vec<_> = (1..=40)
        .map(|number| (number <= 15).then_some(number))
        .collect();
    assert_eq!(found(&outbox, &index, &all).await, expected);
    commit(&outbox, &index, &all[15..], 15, true).await;
    assert_eq!(
        found(&outbox, &index, &all).await,
        (1..=40).map(Some).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn records_of_the_same_key_are_kept_apart() {
    let (_folder, outbox, index) = outbox().await;
    let all: Vec<RecordDigest> = (0..12).map(|rest| twin(7, rest)).collect();
    let others: Vec<RecordDigest> = (0..30).map(digest).collect();
    commit(&outbox, &index, &all[..6], 0, true).await;
    let expected: Vec<_> = (1..=12)
        .map(|number| (number <= 6).then_some(number))
        .collect();
    assert_eq!(
        found(&outbox, &index, &all).await,
        expected,
        "none is in a run"
    );
    commit(&outbox, &index, &others, 6, true).await;
    commit(&outbox, &index, &all[6..], 36, true).await;
    let numbers = |range: std::ops::RangeInclusive<i64>| range.map(Some).collect::<Vec<_>>();
    assert_eq!(
        found(&outbox, &index, &all).await,
        [numbers(1..=6), numbers(37..=42)].concat()
    );
    assert_eq!(found(&outbox, &index, &others).await, numbers(7..=36));
    assert_eq!(
        found(&outbox, &index, &[twin(7, 99)]).await,
        [None],
        "a stranger with a known key"
    );
}

#[tokio::test]
async fn record_numbered_since_the_look_up_is_not_numbered_again() {
    let (_folder, outbox, told) = outbox().await;
    let all: Vec<RecordDigest> = (0..20).map(digest).collect();
    commit(&outbox, &told, &all[..10], 0, true).await;
    let knows_nothing = Index::with_run_keys(8);
    let knows_runs = Index::with_run_keys(8);
    found(&outbox, &knows_runs, &all).await;
    for index in [&told, &knows_nothing, &knows_runs] {
        let store = async |rows: &[RecordUpdate], upto| {
            let mut transaction = outbox.database().begin().await.unwrap();
            store::store(transaction.connection(), rows, None, upto, index)
                .await
                .map(drop)
        };
        let again = [new(all[15]), new(all[9])];
        assert!(
            matches!(store(&again, 5).await, Err(OutboxError::Overtaken)),
            "numbered as the tenth"
        );
        assert!(matches!(
            store(&again, 9).await,
            Err(OutboxError::Overtaken)
        ));
        let first = [new(all[0])];
        assert!(
            matches!(store(&first, 0).await, Err(OutboxError::Overtaken)),
            "in a run"
        );
        assert!(matches!(
            store(&[new(all[15]), new(all[15])], 10).await,
            Err(OutboxError::Overtaken)
        ));
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
    let expected = |known| {
        (1..=7)
            .map(|number| (number <= known).then_some(number))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&outbox, &index, &all).await, expected(4));
    let (transaction, numbered) = number(&outbox, &index, &all[4..], 4).await;
    transaction.commit().await.unwrap();
    index.learn(&numbered).await;
    index.learn(&numbered).await;
    let mirror = index.mirror.lock().await;
    assert_eq!(
        (mirror.upto, mirror.tail.len(), mirror.twins.len()),
        (7, 7, 0)
    );
    drop(mirror);
    assert_eq!(found(&outbox, &index, &all).await, expected(7));
}

#[tokio::test]
async fn rows_of_known_records_are_rewritten_in_place() {
    let (_folder, outbox, index) = outbox().await;
    let all: Vec<RecordDigest> = (0..30).map(digest).collect();
    commit(&outbox, &index, &all, 0, true).await;
    let version = Version {
        generation: 2,
        count: 9,
    };
    let other = |(place, row): (u8, RecordUpdate)| RecordUpdate {
        record_no: Some(i64::from(place) + 1),
        content: Some(ContentDigest([place; 16])),
        stamp: Some(i64::from(place)),
        version,
        ..row
    };
    let rows: Vec<RecordUpdate> = (0..)
        .zip(all.iter().map(|record| new(*record)))
        .map(other)
        .collect();
    let mut transaction = outbox.database().begin().await.unwrap();
    store::store(transaction.connection(), &rows[10..20], None, 30, &index)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let known = index
        .look_up(outbox.database().readers(), &all)
        .await
        .unwrap()
        .known;
    assert_eq!(known.len(), 30);
    for (place, row) in rows.iter().enumerate() {
        let known = known[&row.record];
        let told = (10..20)
            .contains(&place)
            .then_some((row.content, row.version, row.stamp));
        let expected = told.unwrap_or((new(row.record).content, new(row.record).version, Some(5)));
        assert_eq!((known.content, known.version, known.stamp), expected);
        assert_eq!(known.record_no, place as i64 + 1);
    }
}
