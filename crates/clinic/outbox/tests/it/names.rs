//! Names of records: sealed with what asserts them, given out when a sweep misses the record,
//! forgotten with the withdrawal.

use contract::FactKind;
use outbox::{MissingRecord, Outbox, OutboxError, SweepEnd};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::support::{FREELY, Place, Source, at, name_of, page, withdrawn};

/// Sweeps both passes up to the withdrawals; returns the ids of the missing records, sorted.
async fn missing_of(source: &Source, outbox: &Outbox) -> Vec<Option<String>> {
    let limits = FREELY;
    for _ in 0..2 {
        source.sweep_pass(outbox).await;
        let end = outbox.finish_sweep_pass("mis", "recoveries", limits, at(0));
        if matches!(end.await.unwrap(), SweepEnd::Done { .. }) {
            return Vec::new();
        }
    }
    ids_of(&missing(outbox, None, 100).await)
}

/// Ids of missing records, sorted: they come in the order of their numbers, which is none of ids.
fn ids_of(missing: &[MissingRecord]) -> Vec<Option<String>> {
    let mut ids: Vec<_> = missing
        .iter()
        .map(|record| record.record_id.clone())
        .collect();
    ids.sort_by_key(|id| id.as_ref().and_then(|id| id.parse::<u32>().ok()));
    ids
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
async fn missing_records_are_named_a_part_at_a_time() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut source = Source::of(0..40);
    source.pull(&outbox).await;
    source.rows.retain(|record, _| record % 10 != 3);
    assert_eq!(missing_of(&source, &outbox).await, ids([3, 13, 23, 33]));
    let mut all = missing(&outbox, None, 3).await;
    assert_eq!(all.len(), 3);
    let rest = missing(&outbox, all.last(), 3).await;
    assert_eq!(rest.len(), 1);
    assert!(missing(&outbox, rest.last(), 3).await.is_empty());
    all.extend(rest);
    assert_eq!(ids_of(&all), ids([3, 13, 23, 33]));
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
    place.meddle("DELETE FROM record_name").await;
    source.rows.remove(&8);
    assert_eq!(
        missing_of(&source, &outbox).await,
        [None],
        "nothing is known of it but its digest"
    );
    source.sweep(&outbox, FREELY).await;
    assert_eq!(stored_names(&place).await, 9);
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

#[tokio::test]
async fn what_gets_no_answer_is_kept_with_its_letter_and_found_by_the_next_sweep() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut source = Source::of(0..20);
    source.pull(&outbox).await;
    source.bad.insert(5);
    source.rows.insert(5, (2, Some(100)));
    source.pull(&outbox).await;
    source.rows.remove(&5);
    source.rows.remove(&6);
    assert_eq!(missing_of(&source, &outbox).await, ids([5, 6]));
    let letters = outbox.missing_letters("mis", "recoveries").await.unwrap();
    assert_eq!(ids_of(&letters), ids([5]));
    let missing = missing(&outbox, None, 100).await;
    let keep = outbox.keep_missing("mis", "recoveries", &missing);
    keep.await.unwrap();
    let end = outbox.end_sweep("mis", "recoveries", at(0)).await.unwrap();
    let SweepEnd::Done {
        withdrawn,
        dead_letters_closed,
        ..
    } = end
    else {
        panic!("{end:?}")
    };
    assert_eq!((withdrawn, dead_letters_closed), (0, 0));
    assert_eq!(missing_of(&source, &outbox).await, ids([5, 6]));
}
