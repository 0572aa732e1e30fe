//! Changes rewrite records in place.

use contract::{ContentDigest, RecordDigest};
use record_index::{IndexError, RecordState, change};
use record_secrets::Revision;

use crate::support::{End, FLUSH_KEYS, Records, STATE, digest};

#[tokio::test]
async fn changed_records_are_rewritten_in_place() {
    let mut records = Records::new(FLUSH_KEYS).await;
    let all: Vec<RecordDigest> = (0..30).map(digest).collect();
    records.append(&all, 0, End::Noted).await.unwrap();
    let changed = |record_no: i64| RecordState {
        feed_id: Some(record_no),
        content: Some(ContentDigest([9; 16])),
        stamp: Some(record_no * 2),
        revision: Revision {
            generation: 2,
            count: 9,
        },
        withdrawn: true,
    };
    let changes = (11..=20).map(|record_no| (record_no, changed(record_no)));
    let apply = |_: &RecordDigest, state: &mut RecordState, new: RecordState| {
        *state = new;
        Ok(())
    };
    change(&mut records.file.writer, changes, apply)
        .await
        .unwrap();
    let known = records.look_up(&all).await.known;
    assert_eq!(known.len(), 30);
    for (record_no, record) in (1..).zip(&all) {
        let expected = if (11..=20).contains(&record_no) {
            changed(record_no)
        } else {
            STATE
        };
        assert_eq!(known[record].record_no, record_no);
        assert_eq!(known[record].state, expected);
    }
    let unplaced = records
        .count("SELECT sum(unplaced) FROM record_block")
        .await;
    assert_eq!(unplaced, 20, "ten have a feed now");
}

#[tokio::test]
async fn change_may_refuse_a_record() {
    let mut records = Records::new(FLUSH_KEYS).await;
    records.append(&[digest(0)], 0, End::Noted).await.unwrap();
    let apply = |record: &RecordDigest, _: &mut RecordState, expected: RecordDigest| {
        let same = *record == expected;
        same.then_some(()).ok_or(IndexError::Damaged {
            what: "another record",
        })
    };
    let writer = &mut records.file.writer;
    change(&mut *writer, [(1, digest(0))], apply).await.unwrap();
    assert!(change(writer, [(1, digest(1))], apply).await.is_err());
}
