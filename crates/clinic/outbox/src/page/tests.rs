//! Tests of pages on a whole outbox, looked at from inside.

use std::ops::Range;
use std::time::Duration;

use chrono::DateTime;
use contract::{Body, ContentDigest, FactKind, PrivateKey, RecordDigest};
use draft::Draft;
use record_secrets::RecordSecrets;
use tempfile::TempDir;

use super::*;
use crate::{Outbox, OutboxError, OutboxOptions};

fn page(records: Range<u8>) -> PageCommit {
    let draft = |record| Pulled {
        draft: Draft {
            record: RecordDigest([record; 32]),
            content: ContentDigest([0; 16]),
            body: Body::Withdrawn {
                kind: FactKind::Test,
            }
            .into(),
            only_if_sent: false,
            class: None,
        },
        stamp: None,
    };
    PageCommit {
        source: "mis".into(),
        feed: "tests".into(),
        drafts: records.map(draft).collect(),
        refused: Vec::new(),
        accepted_record_ids: Vec::new(),
        names: Vec::new(),
        resume: Some("a".into()),
        generation_at_read: None,
        sweep: None,
        evaluator: None,
        now: DateTime::UNIX_EPOCH,
    }
}

async fn open() -> (TempDir, Outbox) {
    let folder = tempfile::tempdir().unwrap();
    let options = OutboxOptions::new(
        PrivateKey::generate().public(),
        RecordSecrets::new(&[7; 32]),
        "test",
    );
    let path = folder.path().join("outbox.db");
    let outbox = Outbox::open(&path, options, DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    (folder, outbox)
}

#[tokio::test]
async fn pages_that_share_no_record_are_prepared_once() {
    let (_folder, outbox) = open().await;
    let apart = outbox.prepare(page(0..10)).await.unwrap();
    let sharing = outbox.prepare(page(10..20)).await.unwrap();
    outbox.commit_page(page(15..25)).await.unwrap();
    let guard = outbox.versions().gate().lock_for_records().await;
    let pages = outbox.pages();
    assert!(!pages.is_stale(&guard, &apart).await.unwrap());
    assert!(pages.is_stale(&guard, &sharing).await.unwrap());
    drop(guard);
    let first = apart.batches[0].batch.id;
    assert_eq!(outbox.commit(apart).await.unwrap().withdrawn_unsent, 10);
    assert_eq!(outbox.commit(sharing).await.unwrap().withdrawn_unsent, 5);
    let leased = outbox
        .lease(9, DateTime::UNIX_EPOCH, Duration::from_secs(1))
        .await
        .unwrap();
    assert!(
        leased.iter().any(|leased| leased.batch.id == first),
        "the very bytes that were prepared"
    );
}

#[tokio::test]
async fn full_disk_is_an_error_and_the_page_goes_through_when_there_is_room() {
    let (_folder, outbox) = open().await;
    // To SQLite a file that may not grow is a full disk. The limit belongs to the connection,
    // which a failed transaction closes; so the second try has room.
    let mut transaction = outbox.database().begin().await.unwrap();
    sqlx::query("PRAGMA max_page_count = 1")
        .execute(transaction.connection())
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    let error = outbox.commit_page(page(0..200)).await.unwrap_err();
    assert!(
        matches!(error, OutboxError::DiskFull) && error.is_retryable(),
        "{error}"
    );
    assert_eq!(outbox.cursor("mis", "tests").await.unwrap(), None);
    assert_eq!(
        outbox
            .commit_page(page(0..200))
            .await
            .unwrap()
            .withdrawn_unsent,
        200
    );
}
