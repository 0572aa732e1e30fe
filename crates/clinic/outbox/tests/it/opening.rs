//! Opening: whose file it is, which schema, which rights; and that nothing readable is in it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use contract::RecordDigest;
use outbox::{Outbox, OutboxError, OutboxOptions, OutboxReader, PageCommit, Refused};

use crate::support::{Place, asserted, asserted_body, at, page};

#[tokio::test]
async fn second_process_learns_who_owns_the_outbox() {
    let place = Place::new();
    let options = OutboxOptions {
        owner: "run",
        ..place.options()
    };
    let first = Outbox::open(&place.path, options, at(0)).await.unwrap();
    let refused = place.try_open().await.unwrap_err();
    assert!(
        matches!(&refused, OutboxError::Locked { owner } if owner.starts_with("run, process ")),
        "{refused}"
    );
    let reader = OutboxReader::open(&place.path).await.unwrap();
    assert_eq!(
        reader.status().await.unwrap().generation,
        1,
        "looking needs no lock"
    );
    first.close().await.unwrap();
    place.open().await;
}

#[tokio::test]
async fn reader_looks_into_an_outbox_nobody_has_open() {
    let place = Place::new();
    assert!(matches!(
        OutboxReader::open(&place.path).await,
        Err(OutboxError::Missing)
    ));
    assert!(
        matches!(
            OutboxReader::open(&place.path.with_file_name("nowhere/outbox.db")).await,
            Err(OutboxError::NoFolder)
        ),
        "a file that nobody has made yet is another matter than a folder that is gone"
    );
    let outbox = place.open().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    outbox.close().await.unwrap();
    assert!(!place.sibling("-wal").exists(), "closed tidily");
    let status = OutboxReader::open(&place.path)
        .await
        .unwrap()
        .status()
        .await
        .unwrap();
    assert_eq!(status.backlog.batches, 1);
}

#[tokio::test]
async fn newer_schema_is_refused_untouched() {
    let place = Place::new();
    place.open().await.close().await.unwrap();
    place
        .meddle(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
            execution_time) VALUES (9999, 'later', true, x'00', 0)",
        )
        .await;
    let before = fs::read(&place.path).unwrap();
    let refused = place.try_open().await.unwrap_err();
    assert!(
        matches!(refused, OutboxError::NewerSchema { found: 9999, .. }),
        "{refused}"
    );
    assert!(matches!(
        OutboxReader::open(&place.path).await,
        Err(OutboxError::NewerSchema { .. })
    ));
    assert_eq!(fs::read(&place.path).unwrap(), before);
}

#[tokio::test]
async fn foreign_files_are_refused_untouched() {
    let place = Place::new();
    fs::write(&place.path, b"").unwrap();
    place.meddle("CREATE TABLE patients (name TEXT)").await;
    let before = fs::read(&place.path).unwrap();
    assert!(matches!(
        place.try_open().await,
        Err(OutboxError::NotAnOutbox)
    ));
    assert!(matches!(
        OutboxReader::open(&place.path).await,
        Err(OutboxError::NotAnOutbox)
    ));
    assert_eq!(fs::read(&place.path).unwrap(), before);

    fs::write(
        &place.path,
        "no database at all, but text that is long enough to look like one".repeat(20),
    )
    .unwrap();
    assert!(matches!(
        place.try_open().await,
        Err(OutboxError::NotAnOutbox)
    ));
}

#[tokio::test]
async fn files_are_their_owners_alone() {
    let place = Place::new();
    fs::write(&place.path, b"").unwrap();
    fs::set_permissions(&place.path, fs::Permissions::from_mode(0o644)).unwrap();
    let outbox = place.open().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    for suffix in ["", "-wal", "-shm", ".lock", ".generation"] {
        let mode = fs::metadata(place.sibling(suffix))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "outbox.db{suffix}");
    }
}

#[tokio::test]
async fn missing_folder_and_bad_options_are_errors() {
    let place = Place::new();
    let nowhere = place.folder.path().join("no-such-folder/outbox.db");
    let error = Outbox::open(&nowhere, place.options(), at(0))
        .await
        .unwrap_err();
    assert!(matches!(&error, OutboxError::NoFolder), "{error}");
    for (batch_events, max_bytes, min_generation) in [
        (0, 1, 1),
        (1001, 1, 1),
        (1, 0, 1),
        (1, 1, 0),
        (1, 1, 1 << 31),
    ] {
        let options = OutboxOptions {
            batch_events,
            max_bytes,
            min_generation,
            ..place.options()
        };
        let refused = Outbox::open(&place.path, options, at(0)).await;
        assert!(matches!(refused, Err(OutboxError::BadOption { .. })));
    }
}

#[tokio::test]
async fn damaged_file_is_an_error() {
    let place = Place::new();
    let outbox = place.open().await;
    outbox
        .commit_page(page(
            (0..500).map(|record| asserted(record, 1)).collect(),
            "a",
        ))
        .await
        .unwrap();
    outbox.close().await.unwrap();
    let mut bytes = fs::read(&place.path).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(&place.path, bytes).unwrap();
    let error = place.try_open().await.unwrap_err();
    assert!(matches!(error, OutboxError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn nothing_readable_rests_in_the_file() {
    let place = Place::new();
    let outbox = place.open().await;
    let drafts: Vec<_> = (0..300).map(|record| asserted(record, 1)).collect();
    let refused = vec![Refused {
        value: None,
        record_id: "row-77".into(),
        reason: "bad-snils",
        record: RecordDigest([7; 32]),
        stamp: None,
    }];
    outbox
        .commit_page(PageCommit {
            refused,
            ..page(drafts.clone(), "a")
        })
        .await
        .unwrap();
    let mut stored = Vec::new();
    for suffix in ["", "-wal", ".generation", ".lock"] {
        stored.extend(fs::read(place.sibling(suffix)).unwrap());
    }
    let holds = |needle: &[u8]| stored.windows(needle.len()).any(|window| window == needle);
    assert!(holds(b"row-77"), "the search can find what is there");
    for word in [
        "Patient",
        "Condition",
        "resourceType",
        "specversion",
        "1950-01-02",
    ] {
        assert!(!holds(word.as_bytes()), "{word}");
    }
    assert!(holds(&drafts[5].record.0), "record digests do stand there");
    // Pseudonyms are sealed, in whatever form the contract writes them.
    let contract::Body::Asserted { subject, .. } = asserted_body(5, 1) else {
        panic!("an assertion")
    };
    let pseudonym = subject.pseudonyms()[0].value;
    assert!(!holds(&pseudonym));
    assert!(!holds(RecordDigest(pseudonym).to_hex().as_bytes()));
}
