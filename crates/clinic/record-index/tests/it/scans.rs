//! Scans and look-ups by number, beyond what one statement takes.

use std::ops::ControlFlow;

use contract::RecordDigest;
use record_index::{IndexError, RecordState, change, last_record_no, look_up_numbers, scan};

use crate::support::{End, Records, digest};

/// More than any one statement takes: 1024 blocks of 58 records, and 8192 look-ups.
const MANY: i64 = 1024 * 58 + 8192;

async fn forget_stamps(records: &mut Records, record_nos: Vec<i64>) -> Result<(), IndexError> {
    let apply = |_: &RecordDigest, state: &mut RecordState, ()| {
        state.stamp = None;
        Ok(())
    };
    let changes = record_nos.into_iter().map(|record_no| (record_no, ()));
    change(&mut records.file.writer, changes, apply).await
}

#[tokio::test]
async fn sets_beyond_a_statement_are_read_and_changed_whole() {
    let mut records = Records::new(MANY * 2).await;
    assert_eq!(last_record_no(&records.file.reader).await.unwrap(), 0);
    let all: Vec<RecordDigest> = (0..MANY.unsigned_abs()).map(digest).collect();
    records.append(&all, 0, End::Committed).await.unwrap();
    forget_stamps(&mut records, (1..=MANY).step_by(2).collect())
        .await
        .unwrap();

    let pool = &records.file.reader;
    let numbers: Vec<i64> = (1..=MANY).collect();
    let stored = look_up_numbers(pool, &numbers).await.unwrap();
    let stored = stored
        .iter()
        .map(|(record, stored)| (*record, stored.state.stamp));
    let stamp = |record_no: i64| (record_no % 2 == 0).then_some(5);
    let expected = (1..)
        .zip(&all)
        .map(|(number, record)| (*record, stamp(number)));
    assert!(stored.eq(expected));

    let mut visited = Vec::new();
    let visit = |_: &RecordDigest, stored: &record_index::KnownRecord| {
        visited.push(stored.record_no);
        ControlFlow::Continue(())
    };
    scan(pool, 58..=MANY - 1, visit).await.unwrap();
    assert!(visited.into_iter().eq(58..MANY));
    assert_eq!(last_record_no(pool).await.unwrap(), MANY);
    let found = records.numbers(&all).await;
    assert!(
        found.into_iter().eq((1..=MANY).map(Some)),
        "all are in the memtable"
    );
}

#[tokio::test]
async fn scan_ends_when_its_visitor_breaks() {
    let mut records = Records::new(1000).await;
    let all: Vec<RecordDigest> = (0..200).map(digest).collect();
    records.append(&all, 0, End::Committed).await.unwrap();
    let pool = &records.file.reader;
    let mut visited = Vec::new();
    let visit = |_: &RecordDigest, stored: &record_index::KnownRecord| {
        visited.push(stored.record_no);
        if stored.record_no == 103 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    scan(pool, 101..=200, visit).await.unwrap();
    assert_eq!(visited, [101, 102, 103]);
    #[expect(clippy::reversed_empty_ranges, reason = "an empty range")]
    let empty = 5..=4;
    scan(pool, empty, |_, _| panic!("nothing to visit"))
        .await
        .unwrap();
    scan(pool, 201..=900, |_, _| panic!("nothing to visit"))
        .await
        .unwrap();
}

/// A record that is not there is never made up.
#[tokio::test]
async fn absent_numbers_are_damage() {
    let mut records = Records::new(1000).await;
    let all: Vec<RecordDigest> = (0..100).map(digest).collect();
    records.append(&all, 0, End::Committed).await.unwrap();
    for absent in [0, 101, 1100] {
        let changed = forget_stamps(&mut records, vec![1, absent]).await;
        assert!(
            matches!(changed, Err(IndexError::Damaged { .. })),
            "{absent}"
        );
        let found = look_up_numbers(&records.file.reader, &[1, absent]).await;
        assert!(matches!(found, Err(IndexError::Damaged { .. })), "{absent}");
    }
}
