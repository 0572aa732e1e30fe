//! Records are found wherever their keys are: in the memtable, in runs, while these are compacted.

use contract::RecordDigest;
use record_index::RecordIndex;

use crate::support::{End, FLUSH_KEYS, Records, colliding, digest, first_known};

#[tokio::test]
async fn every_record_is_found_before_and_after_every_compaction() {
    every_record_is_found(|_| End::Committed).await;
    every_record_is_found(|_| End::Noted).await;
    let some_noted = |number| {
        if number % 5 < 3 {
            End::Noted
        } else {
            End::Committed
        }
    };
    every_record_is_found(some_noted).await;
}

async fn every_record_is_found(end: impl Fn(i64) -> End) {
    let mut records = Records::new(FLUSH_KEYS).await;
    let all: Vec<RecordDigest> = (0..300).map(digest).collect();
    let mut most_runs = 0;
    for (number, record) in (1..).zip(&all) {
        records
            .append(&[*record], number - 1, end(number))
            .await
            .unwrap();
        let expected = first_known(number, 300);
        assert_eq!(records.numbers(&all).await, expected, "after {number}");
        let runs = records.runs().await;
        most_runs = most_runs.max(runs.len());
        assert!(
            runs.windows(2).all(|two| two[0].1 == two[1].0),
            "no gap: {runs:?}"
        );
        assert!(
            runs.windows(2).all(|two| two[0].2 >= 2 * two[1].2),
            "sizes double: {runs:?}"
        );
        assert!(
            runs.iter()
                .all(|(after, upto, entries)| *entries == upto - after)
        );
    }
    assert!((3..=6).contains(&most_runs), "{most_runs}");
    records.index = RecordIndex::with_flush_keys(FLUSH_KEYS);
    assert_eq!(
        records.numbers(&all).await,
        first_known(300, 300),
        "with an empty memory"
    );
    let kept = records
        .count("SELECT sum(length(keys)) / 12 FROM key_block")
        .await;
    assert_eq!(kept, 296, "nothing of replaced runs is left");
}

#[tokio::test]
async fn compaction_of_many_blocks_and_slices_loses_nothing() {
    let mut records = Records::new(70_000).await;
    let all: Vec<RecordDigest> = (0..210_500).map(digest).collect();
    for (page, upto) in all.chunks(70_100).zip([0, 70_100, 140_200, 210_300]) {
        let end = if upto % 20 == 0 {
            End::Noted
        } else {
            End::Committed
        };
        records.append(page, upto, end).await.unwrap();
    }
    let block_bits = records
        .count("SELECT block_bits FROM key_run ORDER BY after LIMIT 1")
        .await;
    assert!(block_bits > 10, "{block_bits}");
    let blocks = records.count("SELECT count(*) FROM key_block").await;
    assert!(
        blocks > 512,
        "{blocks} blocks: a look-up of all takes several statements"
    );
    for range in [0..1000, 139_000..141_000, 209_000..210_500, 0..210_500] {
        let expected: Vec<_> = range.clone().map(|place| Some(place as i64 + 1)).collect();
        assert_eq!(records.numbers(&all[range]).await, expected);
    }
    let absent: Vec<RecordDigest> = (300_000..302_000).map(digest).collect();
    assert!(records.look_up(&absent).await.known.is_empty());
}

#[tokio::test]
async fn compaction_that_is_rolled_back_leaves_everything_as_it_was() {
    let mut records = Records::new(FLUSH_KEYS).await;
    let all: Vec<RecordDigest> = (0..40).map(digest).collect();
    records.append(&all[..5], 0, End::Committed).await.unwrap();
    records.append(&all[5..10], 5, End::Noted).await.unwrap();
    records
        .append(&all[10..15], 10, End::Committed)
        .await
        .unwrap();
    let before = records.runs().await;
    records
        .append(&all[15..], 15, End::RolledBack)
        .await
        .unwrap();
    assert_eq!(records.runs().await, before);
    assert_eq!(records.numbers(&all).await, first_known(15, 40));
    records.append(&all[15..], 15, End::Noted).await.unwrap();
    assert_eq!(records.numbers(&all).await, first_known(40, 40));
}

#[tokio::test]
async fn records_that_share_a_key_are_kept_apart() {
    let mut records = Records::new(FLUSH_KEYS).await;
    let all: Vec<RecordDigest> = (0..12).map(|rest| colliding(7, rest)).collect();
    let others: Vec<RecordDigest> = (0..30).map(digest).collect();
    records.append(&all[..6], 0, End::Noted).await.unwrap();
    assert_eq!(
        records.numbers(&all).await,
        first_known(6, 12),
        "none is in a run"
    );
    records.append(&others, 6, End::Noted).await.unwrap();
    records.append(&all[6..], 36, End::Noted).await.unwrap();
    let expected: Vec<_> = (1..=6).chain(37..=42).map(Some).collect();
    assert_eq!(records.numbers(&all).await, expected);
    assert_eq!(
        records.numbers(&others).await,
        (7..=36).map(Some).collect::<Vec<_>>()
    );
    assert_eq!(
        records.numbers(&[colliding(7, 99)]).await,
        [None],
        "an absent record's key"
    );
}

#[tokio::test]
async fn look_up_of_nothing_finds_nothing() {
    let records = Records::new(FLUSH_KEYS).await;
    let found = records.look_up(&[]).await;
    assert_eq!((found.known.len(), found.upto), (0, 0));
    assert_eq!(records.numbers(&[digest(1)]).await, [None]);
}

/// The outbox's pages are prepared and committed in tasks of their own.
#[tokio::test]
async fn look_ups_and_appends_may_move_between_threads() {
    let mut records = Records::new(FLUSH_KEYS).await;
    let all: Vec<RecordDigest> = (0..20).map(digest).collect();
    let wanted = all.clone();
    let task = tokio::spawn(async move {
        records.append(&wanted, 0, End::Noted).await.unwrap();
        records.numbers(&wanted).await
    });
    assert_eq!(task.await.unwrap(), first_known(20, 20));
}
