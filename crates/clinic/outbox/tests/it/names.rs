//! Names of records: sealed with what asserts them, given out when a sweep misses the record,
//! forgotten with the withdrawal.

use contract::FactKind;
use outbox::{MissingRecord, Outbox, OutboxError, SweepEnd};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::support::{FREELY, Place, Source, at, name_of, page, withdrawn};

/// Sweeps both passes up to the withdrawals; returns the ids of the missing records.
async fn missing_of(source: &Source, outbox: &Outbox) -> Vec<Option<String>> {
    let limits = FREELY;
    for _ in 0..2 {
        source.sweep_pass(outbox).await;
        let end = outbox.finish_sweep_pass("mis", "recoveries", limits, at(0));
        if matches!(end.await.unwrap(), SweepEnd::Done { .. }) {
            return Vec::new();
        }
    }
    let missing = missing(outbox, None, 100).await;
    missing.into_iter().map(|record| record.record_id).collect()
}

async fn missing(
    outbox: &Outbox,
    after: Option<&MissingRecord>,
    most: usize,
) -> Vec<MissingRecord> {
    let missing = outbox.missing_records("mis", "recoveries", after, most);
    missing.await.unwrap()
}

fn ids(of: impl IntoIterator<Item = u32>) -> Vec<Option<String>> {
    of.into_iter().map(|id| Some(id.to_string())).collect()
}

async fn stored_names(place: &Place) -> i64 {
    let options = SqliteConnectOptions::new().filename(&place.path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let count = sqlx::query_scalar("SELECT count(*) FROM record_name");
    count.fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn missing_records_are_named_in_their_order_and_a_part_at_a_time() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut source = Source::of(0..40);
    source.pull(&outbox).await;
    source.rows.retain(|record, _| record % 10 != 3);
    assert_eq!(missing_of(&source, &outbox).await, ids([3, 13, 23, 33]));
    let first = missing(&outbox, None, 3).await;
    assert_eq!(first.len(), 3);
    let rest = missing(&outbox, first.last(), 3).await;
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].record_id.as_deref(), Some("33"));
    assert!(missing(&outbox, rest.last(), 3).await.is_empty());
}

#[tokio::test]
async fn a_row_that_was_read_after_both_looks_is_not_withdrawn() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut source = Source::of(0..10);
    source.pull(&outbox).await;
    source.rows.retain(|record, _| *record >= 3);
    assert_eq!(missing_of(&source, &outbox).await, ids(0..3));
    let asked = missing(&outbox, None, 100).await;
    // Its source has row 1 after all.
    source.rows.insert(1, (1, Some(1)));
    outbox.commit_page(source.page([1])).await.unwrap();
    let kind = FactKind::Recovery;
    let withdraw = outbox.withdraw_missing("mis", "recoveries", kind, &asked, at(0));
    assert_eq!(withdraw.await.unwrap(), 2);
    let end = outbox.end_sweep("mis", "recoveries", at(0)).await.unwrap();
    assert!(
        matches!(end, SweepEnd::Done { withdrawn: 2, .. }),
        "{end:?}"
    );
    let late = outbox.withdraw_missing("mis", "recoveries", kind, &asked, at(0));
    assert!(matches!(late.await, Err(OutboxError::NoSweep)));
}

#[tokio::test]
async fn a_name_goes_with_the_withdrawal_and_comes_again_with_the_row() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut source = Source::of(0..10);
    source.pull(&outbox).await;
    assert_eq!(stored_names(&place).await, 10);
    source.rows.remove(&4);
    source.sweep(&outbox, FREELY).await;
    assert_eq!(stored_names(&place).await, 9, "withdrawn by a sweep");
    let said = page(vec![withdrawn(5, true)], "b");
    outbox.commit_page(said).await.unwrap();
    assert_eq!(stored_names(&place).await, 8, "withdrawn by its row");
    source.rows.insert(4, (1, Some(50)));
    source.pull(&outbox).await;
    assert_eq!(stored_names(&place).await, 10, "both rows are facts again");
}

#[tokio::test]
async fn a_record_without_a_name_gets_it_from_the_next_sweep() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut source = Source::of(0..10);
    source.pull(&outbox).await;
    place
        .meddle("DELETE FROM record_name WHERE record_no > 2")
        .await;
    source.rows.remove(&1);
    source.rows.remove(&8);
    assert_eq!(
        missing_of(&source, &outbox).await,
        [Some("1".to_owned()), None],
        "of 8 nothing is known but its digest"
    );
    source.sweep(&outbox, FREELY).await;
    assert_eq!(stored_names(&place).await, 8);
    source.rows.remove(&9);
    assert_eq!(missing_of(&source, &outbox).await, ids([9]));
}

#[tokio::test]
async fn names_rest_sealed() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut all = Source::of([7]).page([7]);
    all.names[0].record_id = "VACCINATION-OF-IVANOVA".into();
    outbox.commit_page(all).await.unwrap();
    assert_eq!(format!("{:?}", name_of(7)).matches("\"7\"").count(), 0);
    outbox.close().await.unwrap();
    let bytes = std::fs::read(&place.path).unwrap();
    let found = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
    assert!(!found(b"VACCINATION-OF-IVANOVA"));
    assert!(found(b"record_name"), "the file was read");
}
