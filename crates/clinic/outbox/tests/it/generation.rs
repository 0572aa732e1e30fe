//! Lost, copied back and replaced files: the generation rises, and everything is said again above
//! what was said.

use std::fs;

use outbox::{Committed, Outbox, OutboxError, OutboxOptions, PageCommit};
use record_secrets::Revision;

use crate::support::{Place, asserted, at, page, revision, revision_of, withdrawn};

const FIRST: Revision = revision(1, 1);
const RISEN: Revision = revision(2, 1);

/// Copies the outbox as a backup program would while it is closed.
async fn backup(place: &Place, outbox: Outbox) -> Vec<u8> {
    outbox.close().await.unwrap();
    fs::read(&place.path).unwrap()
}

#[tokio::test]
async fn usual_restart_keeps_the_generation() {
    let place = Place::new();
    for round in 1..4 {
        let outbox = place.open().await;
        assert_eq!(outbox.generation(), 1);
        outbox
            .commit_page(page(vec![asserted(1, round)], "a"))
            .await
            .unwrap();
        assert_eq!(
            revision_of(&place.deliver_all(&outbox, at(1)).await[0]).count,
            u32::from(round)
        );
        // Now tidily, now not.
        if round % 2 == 0 {
            outbox.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn lost_file_begins_the_next_generation() {
    let place = Place::new();
    let outbox = place.open().await;
    outbox
        .commit_page(page(vec![asserted(1, 1), asserted(2, 1)], "a"))
        .await
        .unwrap();
    outbox.close().await.unwrap();
    fs::remove_file(&place.path).unwrap();

    let outbox = place.open().await;
    assert_eq!(outbox.generation(), 2);
    assert_eq!(outbox.cursor("mis", "recoveries").await.unwrap(), None);
    // Record 2 became a plan while the outbox was away: nobody here knows it was sent, so it has to
    // be said.
    let drafts = vec![asserted(1, 1), withdrawn(2, true)];
    let done = outbox.commit_page(page(drafts.clone(), "a")).await.unwrap();
    assert_eq!((done.new, done.withdrawn_unsent), (1, 1));
    assert!(
        place
            .deliver_all(&outbox, at(1))
            .await
            .iter()
            .all(|event| revision_of(event) == RISEN)
    );
    assert_eq!(
        outbox
            .commit_page(page(drafts, "b"))
            .await
            .unwrap()
            .unchanged,
        2,
        "said once"
    );

    let status = outbox.reader().status().await.unwrap();
    assert_eq!(status.generation_raised_at, Some(at(0)));
    assert_eq!(
        status.generation_raised_why.as_deref(),
        Some("the outbox file was lost")
    );
    outbox.close().await.unwrap();
    let outbox = place.open().await;
    assert_eq!(outbox.generation(), 2, "and stays");
    assert_eq!(
        outbox.cursor("mis", "recoveries").await.unwrap().as_deref(),
        Some("b")
    );
}

#[tokio::test]
async fn copied_back_file_sends_everything_again() {
    let place = Place::new();
    let outbox = place.open().await;
    let old = vec![asserted(1, 1), asserted(2, 1), asserted(3, 1)];
    outbox.commit_page(page(old, "a")).await.unwrap();
    place.deliver_all(&outbox, at(1)).await;
    let copy = backup(&place, outbox).await;

    // After the copy the registry hears of a correction, a withdrawal and a new record.
    let outbox = place.open().await;
    let latest = vec![
        asserted(1, 2),
        withdrawn(2, true),
        asserted(3, 1),
        asserted(4, 1),
    ];
    outbox.commit_page(page(latest.clone(), "b")).await.unwrap();
    place.deliver_all(&outbox, at(2)).await;
    outbox.close().await.unwrap();
    fs::write(&place.path, copy).unwrap();

    let outbox = place.open().await;
    assert_eq!(outbox.generation(), 2);
    assert_eq!(
        outbox.cursor("mis", "recoveries").await.unwrap(),
        None,
        "everything is read again"
    );
    let done = outbox.commit_page(page(latest.clone(), "b")).await.unwrap();
    let expected = Committed {
        read: 4,
        sent: 4,
        new: 1,
        corrected: 1,
        withdrawn: 1,
        resent: 1,
        batches: 1,
        ..Committed::default()
    };
    assert_eq!(done, expected);
    let sent = place.deliver_all(&outbox, at(3)).await;
    assert!(
        sent.iter()
            .all(|event| revision_of(event) == RISEN && revision_of(event) > FIRST)
    );
    assert_eq!(sent.len(), 4);
    assert_eq!(
        outbox
            .commit_page(page(latest, "c"))
            .await
            .unwrap()
            .unchanged,
        4
    );
}

#[tokio::test]
async fn copy_made_and_restored_within_one_session_is_noticed() {
    let place = Place::new();
    let outbox = place.open().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    let file = fs::read(&place.path).unwrap();
    let wal = fs::read(place.sibling("-wal")).unwrap();
    outbox
        .commit_page(page(vec![asserted(1, 2)], "b"))
        .await
        .unwrap();
    outbox.close().await.unwrap();
    fs::write(&place.path, file).unwrap();
    fs::write(place.sibling("-wal"), wal).unwrap();
    assert_eq!(place.open().await.generation(), 2);
}

#[tokio::test]
async fn copy_that_missed_nothing_is_as_good_as_the_file() {
    let place = Place::new();
    let outbox = place.open().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    let copy = backup(&place, outbox).await;
    // Since the copy, a page with nothing new and a delivery: no version was given out.
    let outbox = place.open().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "b"))
        .await
        .unwrap();
    place.deliver_all(&outbox, at(1)).await;
    outbox.close().await.unwrap();
    fs::write(&place.path, copy).unwrap();
    let outbox = place.open().await;
    assert_eq!(outbox.generation(), 1);
    assert_eq!(
        revision_of(&place.deliver_all(&outbox, at(2)).await[0]),
        FIRST,
        "delivered twice, once in its effect"
    );
}

#[tokio::test]
async fn batches_of_a_copied_back_file_still_leave() {
    let place = Place::new();
    let outbox = place.open().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    let copy = backup(&place, outbox).await;
    let outbox = place.open().await;
    outbox
        .commit_page(page(vec![asserted(1, 2)], "b"))
        .await
        .unwrap();
    outbox.close().await.unwrap();
    fs::write(&place.path, copy).unwrap();
    let outbox = place.open().await;
    assert_eq!(
        (outbox.generation(), outbox.backlog().await.unwrap().events),
        (2, 1)
    );
}

#[tokio::test]
async fn file_of_another_outbox_or_a_lost_generation_file_raises_the_generation() {
    let place = Place::new();
    let other = Place::new();
    for one in [&place, &other] {
        let outbox = one.open().await;
        outbox
            .commit_page(page(vec![asserted(1, 1)], "a"))
            .await
            .unwrap();
        outbox.close().await.unwrap();
    }
    fs::copy(&other.path, &place.path).unwrap();
    let outbox = place.open().await;
    assert_eq!(outbox.generation(), 2);
    outbox.close().await.unwrap();
    assert_eq!(place.open().await.generation(), 2, "settled");

    fs::remove_file(other.sibling(".generation")).unwrap();
    assert_eq!(other.open().await.generation(), 2);
}

#[tokio::test]
async fn operator_can_raise_the_generation_after_losing_everything() {
    let place = Place::new();
    let options = OutboxOptions {
        min_generation: 4,
        ..place.options()
    };
    let outbox = Outbox::open(&place.path, options, at(0)).await.unwrap();
    assert_eq!(outbox.generation(), 4);
    outbox.close().await.unwrap();
    assert_eq!(
        place.open().await.generation(),
        4,
        "the setting may be taken away again"
    );
}

#[tokio::test]
async fn damaged_generation_file_is_an_error_with_the_generation_to_exceed() {
    let place = Place::new();
    place.open().await.close().await.unwrap();
    fs::write(place.sibling(".generation"), "").unwrap();
    assert!(matches!(
        place.try_open().await,
        Err(OutboxError::DamagedGenerationFile { known: 1 })
    ));
}

#[tokio::test]
async fn page_read_before_the_generation_rose_does_not_move_the_cursor() {
    let place = Place::new();
    let outbox = place.open().await;
    let begun = |drafts, resume| PageCommit {
        generation_at_read: Some(1),
        ..page(drafts, resume)
    };
    outbox
        .commit_page(begun(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    assert_eq!(
        outbox.cursor("mis", "recoveries").await.unwrap().as_deref(),
        Some("a")
    );
    // A receipt raises the generation while the run's next page is under way.
    assert!(outbox.raise_generation(2, "a test", at(0)).await.unwrap());
    outbox
        .commit_page(begun(vec![asserted(2, 1)], "b"))
        .await
        .unwrap();
    assert_eq!(
        outbox.cursor("mis", "recoveries").await.unwrap(),
        None,
        "record 1 is still to be sent again"
    );
    let again = PageCommit {
        generation_at_read: Some(2),
        ..page(vec![asserted(1, 1), asserted(2, 1)], "b")
    };
    let done = outbox.commit_page(again).await.unwrap();
    assert_eq!((done.resent, done.unchanged), (1, 1));
    assert_eq!(
        outbox.cursor("mis", "recoveries").await.unwrap().as_deref(),
        Some("b")
    );
}
