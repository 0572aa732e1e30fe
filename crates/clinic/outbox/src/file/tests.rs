//! Tests of the schema's steps and of transactions, on files of older releases.

use std::fs;
use std::ops::ControlFlow;

use chrono::DateTime;
use contract::{ContentDigest, PrivateKey, RecordDigest};
use record_index::RecordState;
use record_secrets::{RecordSecrets, Revision};
use sqlx::{ConnectOptions as _, Connection as _};

use super::schema::{MIGRATIONS, migrate};
use super::*;
use crate::operator::OutboxReader;
use crate::records::{KnownRecord, last_record_no};
use crate::{DeadLetterFilter, Origin, Outbox, OutboxOptions};

#[test]
fn migrations_are_numbered_in_order() {
    let versions = MIGRATIONS.map(|(version, ..)| version);
    assert!(
        versions.is_sorted_by(|one, next| one < next),
        "{versions:?}"
    );
}

fn options() -> OutboxOptions {
    let key = PrivateKey::generate().public();
    OutboxOptions::new(key, RecordSecrets::new(&[7; 32]), "test")
}

#[tokio::test]
async fn only_what_was_begun_so_does_not_wait_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    create_private(&path).unwrap();
    let database = Database::new(&path, open_writer(&path).await.unwrap());
    let level = async |transaction: &mut WriteTransaction<'_>| -> i64 {
        let level = sqlx::query_scalar("PRAGMA synchronous").fetch_one(transaction.connection());
        level.await.unwrap()
    };
    const NORMAL: i64 = 1;
    const FULL: i64 = 2;
    // Twice over, because statements are kept and a `PRAGMA` acts when it is compiled.
    for (feed, abandoned) in [("a", false), ("b", false), ("c", true)] {
        let mut transaction = database.begin().await.unwrap();
        assert_eq!(level(&mut transaction).await, FULL);
        transaction.commit().await.unwrap();
        let mut transaction = database.begin_unsynced().await.unwrap();
        assert_eq!(level(&mut transaction).await, NORMAL);
        let kept = sqlx::query("INSERT INTO feed (source, feed) VALUES ('mis', ?1)");
        kept.bind(feed)
            .execute(transaction.connection())
            .await
            .unwrap();
        if !abandoned {
            transaction.commit().await.unwrap();
        }
    }
    let mut transaction = database.begin().await.unwrap();
    assert_eq!(level(&mut transaction).await, FULL);
    let feeds: i64 = sqlx::query_scalar("SELECT count(*) FROM feed")
        .fetch_one(transaction.connection())
        .await
        .unwrap();
    assert_eq!(feeds, 2, "committed and abandoned all the same");
}

/// An outbox as the first release left it, with one record, one cursor, one refused row and one
/// waiting batch.
#[tokio::test]
async fn outbox_of_the_first_schema_keeps_what_it_knew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let now = DateTime::UNIX_EPOCH;
    let mut connection = writing_options(&path)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap();
    migrate(&mut connection, &MIGRATIONS[..1]).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO meta (id, outbox_id, generation, stamp, created_at_ms) VALUES (1, \
         zeroblob(16), 1, 4, 0);
         INSERT INTO feed (source, feed, cursor) VALUES ('mis', 'tests', 'a');
         INSERT INTO record VALUES (randomblob(32), zeroblob(16), 1, 7, 0);
         INSERT INTO batch (batch_id, sealed_bytes, event_count, created_at_ms) VALUES \
         (randomblob(16), 3, 1, 0);
         INSERT INTO sealed VALUES (1, x'010203');
         INSERT INTO dead_letter VALUES (1, 'r-1', 'bad-snils', 5, 6);",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    let refused = OutboxReader::open(&path).await.unwrap_err();
    assert!(matches!(
        refused,
        OutboxError::OlderSchema { found: 1, known: 9 }
    ));
    fs::write(
        folder.path().join("outbox.db.generation"),
        format!(
            "clinic-gateway outbox 1\noutbox {}\ngeneration {:010}\nstamp {:020}\n",
            "0".repeat(32),
            1,
            4
        ),
    )
    .unwrap();

    let outbox = Outbox::open(&path, options(), now).await.unwrap();
    let status = outbox.reader().status().await.unwrap();
    assert_eq!(
        (
            status.generation,
            status.unplaced_records,
            status.backlog.batches
        ),
        (2, 1, 0),
        "what waits in the contract's first form is sent again instead"
    );
    assert!(
        !status.feeds[0].has_cursor,
        "all is read once more, to place the records"
    );
    let letters = outbox
        .reader()
        .dead_letters(&DeadLetterFilter::default())
        .await
        .unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].record_id.as_deref(), letters[0].origin),
        (Some("r-1"), Origin::Clinic)
    );
    let records = all_records(&outbox).await;
    let number = records[0].1.record_no;
    let revision = records[0].1.state.revision;
    assert_eq!(
        (
            records.len(),
            number,
            revision.count,
            records[0].1.state.withdrawn
        ),
        (1, 1, 7, false)
    );
}

async fn all_records(outbox: &Outbox) -> Vec<(RecordDigest, KnownRecord)> {
    let last = last_record_no(outbox.database().readers()).await.unwrap();
    let mut all = Vec::new();
    let visited = outbox.records().scan(1..=last, |record, known| {
        all.push((*record, *known));
        ControlFlow::Continue(())
    });
    visited.await.unwrap();
    all
}

/// An outbox as the second schema left it: records with gaps in their numbers, found by an
/// index.
#[tokio::test]
async fn outbox_of_the_second_schema_keeps_its_records_and_finds_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let now = DateTime::UNIX_EPOCH;
    let mut connection = writing_options(&path)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap();
    migrate(&mut connection, &MIGRATIONS[..2]).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO feed (source, feed) VALUES ('mis', 'tests');
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 140000)
         INSERT INTO record SELECT n * 3, randomblob(32), randomblob(16), 1, n, n % 2, iif(n \
         % 5, 1, NULL),
         iif(n % 7, (n - 70000) * (1 << 40), NULL) FROM n WHERE n NOT BETWEEN 5000 AND 6000;
         UPDATE record SET content = NULL WHERE record_no % 11 = 0;",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    type Stored = (
        i64,
        Vec<u8>,
        Option<Vec<u8>>,
        u32,
        u32,
        bool,
        Option<i64>,
        Option<i64>,
    );
    let read = "SELECT record_no, record, content, generation, count, withdrawn, feed_id, \
        stamp FROM record ORDER BY record_no";
    let before: Vec<Stored> = sqlx::query_as(read)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let known =
        |(record_no, record, content, generation, count, withdrawn, feed_id, stamp): Stored| {
            let content = content.map(|content| ContentDigest(content.try_into().unwrap()));
            let revision = Revision { generation, count };
            let state = RecordState {
                feed_id,
                stamp,
                content,
                revision,
                withdrawn,
            };
            let known = KnownRecord { record_no, state };
            (RecordDigest(record.try_into().unwrap()), known)
        };
    let before: Vec<_> = before.into_iter().map(known).collect();
    connection.close().await.unwrap();

    let options = options();
    let outbox = Outbox::open(&path, options, now).await.unwrap();
    assert!(
        all_records(&outbox).await == before,
        "no record has changed"
    );
    let unplaced = before
        .iter()
        .filter(|(_, known)| known.state.feed_id.is_none())
        .count();
    assert_eq!(
        outbox.reader().status().await.unwrap().unplaced_records,
        unplaced as u64
    );
    let runs: i64 = sqlx::query_scalar("SELECT count(*) FROM key_run")
        .fetch_one(outbox.database().readers())
        .await
        .unwrap();
    assert!(runs > 0, "keys were put into runs");
    let some: Vec<_> = before.iter().step_by(70).copied().collect();
    let wanted: Vec<RecordDigest> = some.iter().map(|(record, _)| *record).collect();
    let known = outbox.records().look_up(&wanted).await.unwrap().known;
    assert!(some.iter().all(|(record, one)| known[record] == *one));
}
