//! Values that nobody has mapped: kept with the refusals that they cause, sealed once three persons
//! have them, within a bound, and gone with the last refusal.

use outbox::{
    DeadLetterFilter, MAX_UNKNOWN_VALUES_PER_FEED, Outbox, PageCommit, Refused, RefusedValue,
    UnknownValueRow,
};
use record_secrets::ValuePerson;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::support::{FREELY, Place, Source, at, digest, page, secrets};

/// Value of a row of this person.
fn value(word: &str, person: u32) -> RefusedValue {
    let secrets = secrets();
    let digest = secrets.values().digest(&[b"vaccines", word.as_bytes()]);
    RefusedValue {
        table: "vaccines",
        digest,
        text: Some(word.to_owned()),
        persons: vec![secrets.values().person(&digest, &person.to_be_bytes())],
    }
}

/// Refusal of a row of a person of its own.
fn refusal(record: u32, word: &str) -> Refused {
    refusal_of(record, value(word, record))
}

fn refusal_of(record: u32, value: RefusedValue) -> Refused {
    Refused {
        record_id: record.to_string(),
        reason: "vaccine-unknown",
        record: digest(record),
        stamp: Some(1),
        value: Some(value),
    }
}

fn refusing(refused: impl IntoIterator<Item = Refused>) -> PageCommit {
    PageCommit {
        refused: refused.into_iter().collect(),
        ..page(Vec::new(), "a")
    }
}

async fn commit(outbox: &Outbox, refused: impl IntoIterator<Item = Refused>) {
    outbox.commit_page(refusing(refused)).await.unwrap();
}

async fn rows(outbox: &Outbox) -> Vec<UnknownValueRow> {
    outbox.reader().unknown_values(None).await.unwrap()
}

/// The values, as far as they are readable, with the numbers of rows and persons.
async fn told(outbox: &Outbox) -> Vec<(Option<String>, u64, u8)> {
    let secrets = secrets();
    let rows = rows(outbox).await;
    rows.iter()
        .map(|row| (row.open(secrets.values()), row.refused, row.persons))
        .collect()
}

fn readable(word: &str, refused: u64) -> (Option<String>, u64, u8) {
    (Some(word.to_owned()), refused, 3)
}

async fn stored_values(place: &Place) -> i64 {
    let options = SqliteConnectOptions::new().filename(&place.path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let count = sqlx::query_scalar("SELECT count(*) FROM unknown_value");
    count.fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn values_are_counted_and_readable_once_three_persons_have_them() {
    let place = Place::new();
    let outbox = place.open().await;
    commit(&outbox, (0..2).map(|record| refusal(record, "betuvax"))).await;
    assert_eq!(told(&outbox).await, [(None, 2, 2)]);
    // One person with many rows is one person.
    let again = (2..9).map(|record| refusal_of(record, value("betuvax", 0)));
    commit(&outbox, again).await;
    assert_eq!(told(&outbox).await, [(None, 9, 2)]);
    commit(&outbox, [refusal(9, "betuvax"), refusal(20, "other")]).await;
    assert_eq!(told(&outbox).await, [readable("betuvax", 10), (None, 1, 1)]);
    let row = &rows(&outbox).await[0];
    assert_eq!(
        [row.source.as_str(), &row.feed, &row.table],
        ["mis", "recoveries", "vaccines"]
    );
    assert!(row.is_readable());
    let filter = DeadLetterFilter {
        ids: Vec::new(),
        ..DeadLetterFilter::default()
    };
    let letters = outbox.reader().dead_letters(&filter).await.unwrap();
    let of_value = letters
        .iter()
        .filter(|letter| letter.value_id == Some(row.id));
    assert_eq!(of_value.count(), 10);
    let counts = outbox.reader().status().await.unwrap().unknown_values;
    assert_eq!(counts.len(), 1);
    assert_eq!(
        [counts[0].values, counts[0].not_shown, counts[0].refused],
        [2, 1, 11]
    );
    let of_other = outbox.reader().unknown_values(Some("elsewhere")).await;
    assert!(of_other.unwrap().is_empty());
}

#[tokio::test]
async fn persons_count_across_pages_and_a_restart() {
    let place = Place::new();
    let outbox = place.open().await;
    commit(&outbox, [refusal(0, "betuvax")]).await;
    outbox.close().await.unwrap();
    let outbox = place.open().await;
    commit(&outbox, [refusal(1, "betuvax")]).await;
    outbox.close().await.unwrap();
    let outbox = place.open().await;
    assert_eq!(told(&outbox).await, [(None, 2, 2)]);
    commit(&outbox, [refusal(2, "betuvax")]).await;
    assert_eq!(told(&outbox).await, [readable("betuvax", 3)]);
    outbox.close().await.unwrap();
    let outbox = place.open().await;
    assert_eq!(told(&outbox).await, [readable("betuvax", 3)]);
}

#[tokio::test]
async fn rows_without_a_person_show_nothing_and_neither_does_a_value_that_must_not_be_shown() {
    let place = Place::new();
    let outbox = place.open().await;
    let nobody = (0..5).map(|record| {
        let persons = Vec::<ValuePerson>::new();
        refusal_of(
            record,
            RefusedValue {
                persons,
                ..value("betuvax", record)
            },
        )
    });
    commit(&outbox, nobody).await;
    let long = (10..15).map(|record| {
        let text = None;
        refusal_of(
            record,
            RefusedValue {
                text,
                ..value("a long text", record)
            },
        )
    });
    commit(&outbox, long).await;
    assert_eq!(told(&outbox).await, [(None, 5, 3), (None, 5, 0)]);
}

#[tokio::test]
async fn a_value_leaves_with_its_last_refusal() {
    let place = Place::new();
    let outbox = place.open().await;
    commit(&outbox, (0..3).map(|record| refusal(record, "betuvax"))).await;
    // Row 0 is mended, row 1 has another value by now, row 2 another reason.
    let mended = PageCommit {
        accepted_record_ids: vec!["0".into()],
        ..refusing([refusal(1, "other")])
    };
    outbox.commit_page(mended).await.unwrap();
    assert_eq!(told(&outbox).await, [readable("betuvax", 1), (None, 1, 1)]);
    let other_reason = Refused {
        reason: "date-missing",
        value: None,
        ..refusal(2, "betuvax")
    };
    commit(&outbox, [other_reason]).await;
    assert_eq!(told(&outbox).await, [(None, 1, 1)]);
    // A sweep finds that the last one's row is gone.
    let source = Source::of([7]);
    source.pull(&outbox).await;
    source.sweep(&outbox, FREELY).await;
    assert!(told(&outbox).await.is_empty());
    assert_eq!(stored_values(&place).await, 0);
}

#[tokio::test]
async fn discarded_letters_count_no_more_and_keep_the_value_for_the_row_that_comes_again() {
    let place = Place::new();
    let outbox = place.open().await;
    commit(&outbox, (0..3).map(|record| refusal(record, "betuvax"))).await;
    let all = DeadLetterFilter::default();
    assert_eq!(outbox.discard_dead_letters(&all, at(1)).await.unwrap(), 3);
    assert!(told(&outbox).await.is_empty());
    let changed = Refused {
        stamp: Some(2),
        ..refusal(0, "betuvax")
    };
    commit(&outbox, [changed]).await;
    assert_eq!(told(&outbox).await, [readable("betuvax", 1)]);
}

#[tokio::test]
async fn of_too_many_values_the_rarest_leave_first() {
    let place = Place::new();
    let outbox = place.open().await;
    let most = MAX_UNKNOWN_VALUES_PER_FEED;
    let common = (0..5).map(|record| refusal(record, "common"));
    let rare = (10..10 + most - 1).map(|record| refusal(record, &format!("rare {record}")));
    commit(&outbox, common.chain(rare)).await;
    assert_eq!(rows(&outbox).await.len(), most as usize, "all have room");
    let later = PageCommit {
        now: at(60),
        ..refusing([refusal(5000, "new"), refusal(5001, "new")])
    };
    outbox.commit_page(later).await.unwrap();
    let told = told(&outbox).await;
    assert_eq!(told.len(), most as usize);
    assert_eq!(told[..2], [readable("common", 5), (None, 2, 2)]);
    let letters = outbox
        .reader()
        .dead_letters(&DeadLetterFilter::default())
        .await
        .unwrap();
    assert_eq!(letters.len(), 5 + most as usize - 1 + 2);
    let without = letters.iter().filter(|letter| letter.value_id.is_none());
    assert_eq!(without.count(), 1, "its value left, and the letter stays");
}

#[tokio::test]
async fn no_value_rests_readable() {
    let place = Place::new();
    let outbox = place.open().await;
    let three = (0..3).map(|record| refusal(record, "SHOT-OF-IVANOVA"));
    commit(&outbox, three.chain([refusal(3, "NAME-OF-PETROVA")])).await;
    assert_eq!(
        told(&outbox).await,
        [readable("SHOT-OF-IVANOVA", 3), (None, 1, 1)]
    );
    assert!(!format!("{:?}", refusal(3, "NAME-OF-PETROVA")).contains("PETROVA"));
    assert!(!format!("{:?}", rows(&outbox).await).contains("IVANOVA"));
    let wal = std::fs::read(place.sibling("-wal")).unwrap();
    outbox.close().await.unwrap();
    let mut bytes = std::fs::read(&place.path).unwrap();
    bytes.extend(wal);
    let found = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
    assert!(!found(b"IVANOVA") && !found(b"PETROVA"));
    assert!(
        !found(hex::encode("IVANOVA").as_bytes()),
        "nor as a statement's parameter"
    );
    assert!(found(b"unknown_value"), "the file was read");
}
