//! Appends: what was looked up too early is refused, keys are flushed when due.

use contract::RecordDigest;
use record_index::{IndexError, RecordIndex};

use crate::support::{End, FLUSH_KEYS, Records, STATE, digest, first_known};

#[tokio::test]
async fn record_appended_since_the_look_up_is_not_appended_again() {
    let mut records = Records::new(FLUSH_KEYS).await;
    let all: Vec<RecordDigest> = (0..20).map(digest).collect();
    records.append(&all[..10], 0, End::Noted).await.unwrap();
    for memory in ["has everything", "is empty", "knows the runs only"] {
        if memory != "has everything" {
            records.index = RecordIndex::with_flush_keys(FLUSH_KEYS);
        }
        if memory == "knows the runs only" {
            records.numbers(&all).await;
        }
        let refused = [
            (vec![all[15], all[9]], 5, "appended as the tenth"),
            (vec![all[15], all[9]], 9, "appended as the tenth"),
            (vec![all[0]], 0, "in a run"),
            (vec![all[15], all[15]], 10, "given twice"),
        ];
        for (page, looked_up_to, why) in refused {
            let result = records.append(&page, looked_up_to, End::RolledBack).await;
            assert!(
                matches!(result, Err(IndexError::Overtaken)),
                "memory {memory}: {why}"
            );
        }
        records
            .append(&[all[15]], 5, End::RolledBack)
            .await
            .unwrap();
    }
    assert_eq!(records.numbers(&all).await, first_known(10, 20));
}

#[tokio::test]
async fn empty_append_changes_nothing() {
    let mut records = Records::new(FLUSH_KEYS).await;
    records.append(&[], 0, End::Noted).await.unwrap();
    assert_eq!(records.count("SELECT count(*) FROM record_block").await, 0);
    records.append(&[digest(0)], 0, End::Noted).await.unwrap();
    records.append(&[], 1, End::Noted).await.unwrap();
    assert_eq!(records.numbers(&[digest(0)]).await, [Some(1)]);
}

/// A migration leaves all keys in no run.
#[tokio::test]
async fn keys_of_a_migrated_file_are_flushed_until_none_is_due() {
    let mut records = Records::new(1000).await;
    let all: Vec<RecordDigest> = (0..50).map(digest).collect();
    records.append(&all, 0, End::Committed).await.unwrap();
    records.index = RecordIndex::with_flush_keys(FLUSH_KEYS);
    let mut flushes = 0;
    while records.index.flush(&mut records.file.writer).await.unwrap() {
        flushes += 1;
    }
    assert_eq!(flushes, 6);
    assert_eq!(records.runs().await.last().map(|run| run.1), Some(48));
    assert_eq!(records.numbers(&all).await, first_known(50, 50));
}

#[tokio::test]
async fn appended_numbers_follow_on_each_other() {
    let mut records = Records::new(FLUSH_KEYS).await;
    let mut after = 0_i64;
    for count in [3_u64, 0, 57, 58, 1] {
        let first = after.unsigned_abs();
        let page: Vec<_> = (first..first + count).map(digest).collect();
        let page = page.iter().map(|record| (record, STATE));
        let writer = &mut records.file.writer;
        let appended = records.index.append(writer, page, after).await.unwrap();
        assert_eq!(
            (appended.after(), appended.last()),
            (after, after + count as i64)
        );
        after = appended.last();
    }
    let last = record_index::last_record_no(&records.file.reader)
        .await
        .unwrap();
    assert_eq!(last, 119);
}
