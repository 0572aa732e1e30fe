//! Restored states, as receipts show them: what is told as refused, and the generation that rises
//! by one, once a day.

use contract::{Event, RefusalReason, RefusedEvent, StoredAnswer, Superseded, Version};
use outbox::{
    DeadLetterFilter, Leased, Outbox, OutboxOptions, RECEIPT_RAISE_PAUSE_MS, SUPERSEDED,
    SettledVerdicts,
};
use record_secrets::MAX_GENERATION;

use crate::receipts::{settle, stored};
use crate::support::{
    LEASE, Place, Source, asserted, at, delivered, digest, page, revision, revision_of, version,
    withdrawn,
};

/// Commits `content` of record 1, delivers it, and says what the registry answers.
async fn answered(
    outbox: &Outbox,
    content: u16,
    answer: impl FnOnce(&Leased) -> StoredAnswer,
) -> SettledVerdicts {
    answered_at(outbox, content, 7, answer).await
}

async fn answered_at(
    outbox: &Outbox,
    content: u16,
    now: i64,
    answer: impl FnOnce(&Leased) -> StoredAnswer,
) -> SettledVerdicts {
    outbox
        .commit_page(page(vec![asserted(1, content)], "a"))
        .await
        .unwrap();
    let leased = outbox.lease(9, at(0), LEASE).await.unwrap();
    let last = leased.last().unwrap();
    outbox.settle(&delivered(&leased), at(0)).await.unwrap();
    outbox
        .settle_verdicts(&[(last.batch.id, stored(answer(last)))], at(now))
        .await
        .unwrap()
}

fn superseded_by(record: u32, generation: u32, count: u32) -> StoredAnswer {
    superseded(record, version(record, generation, count))
}

fn superseded(record: u32, held: Version) -> StoredAnswer {
    StoredAnswer {
        superseded: vec![Superseded {
            record: digest(record),
            held,
        }],
        ..StoredAnswer::default()
    }
}

#[tokio::test]
async fn newer_version_at_the_registry_shows_a_restored_state() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    outbox
        .commit_page(page(vec![asserted(2, 1)], "a"))
        .await
        .unwrap();
    let done = answered(&outbox, 1, |_| superseded_by(1, 1, 4)).await;
    assert!(done.raised);
    assert_eq!(
        (
            outbox.generation(),
            outbox.cursor("mis", "recoveries").await.unwrap()
        ),
        (2, None)
    );
    let status = outbox.reader().status().await.unwrap();
    assert_eq!(
        (status.generation, status.generation_raised_at),
        (2, Some(at(7)))
    );
    let all = vec![asserted(1, 1), asserted(2, 1)];
    assert_eq!(
        outbox.commit_page(page(all, "b")).await.unwrap().resent,
        2,
        "everything is said again"
    );
    let sent = settle(&place, &outbox, at(8), |_| None).await.1;
    assert!(
        sent.iter()
            .all(|event| revision_of(event) == revision(2, 1))
    );

    // The generation file followed: neither another start nor a lost file falls back.
    outbox.close().await.unwrap();
    assert_eq!(place.open_with_receipts().await.generation(), 2);
    std::fs::remove_file(&place.path).unwrap();
    assert_eq!(place.open_with_receipts().await.generation(), 3);
}

/// Reasons of the open dead letters.
async fn reasons(outbox: &Outbox) -> Vec<String> {
    let open = DeadLetterFilter::default();
    let letters = outbox.reader().dead_letters(&open).await.unwrap();
    letters.into_iter().map(|letter| letter.reason).collect()
}

async fn raise_waits(outbox: &Outbox) -> Option<u32> {
    let status = outbox.reader().status().await.unwrap();
    status.raise_waits.map(|waits| waits.needed)
}

#[tokio::test]
async fn event_overtaken_by_a_later_one_of_this_outbox_counts_as_accepted() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    for content in 1..=3 {
        // The registry holds the very version, or one before the last.
        let held = content.min(2).into();
        let done = answered(&outbox, content, |_| superseded_by(1, 1, held)).await;
        assert_eq!(
            (done.accepted_events, done.refused_events, done.raised),
            (1, 0, false)
        );
    }
    assert!(reasons(&outbox).await.is_empty());
    let publisher = outbox.reader().status().await.unwrap().publisher;
    assert_eq!(
        (publisher.accepted_events, publisher.refused_events),
        (3, 0)
    );
}

#[tokio::test]
async fn event_superseded_by_what_was_never_given_out_is_told_as_refused() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let done = answered(&outbox, 1, |_| superseded_by(1, 1, 2)).await;
    assert_eq!(
        (done.accepted_events, done.refused_events, done.raised),
        (0, 1, true)
    );
    assert_eq!(reasons(&outbox).await, [SUPERSEDED]);
    let status = outbox.reader().status().await.unwrap();
    assert_eq!(
        (
            status.publisher.accepted_events,
            status.publisher.refused_events
        ),
        (0, 1)
    );
    assert_eq!(
        (
            status.dead_letters[0].reason.as_str(),
            status.dead_letters[0].count
        ),
        (SUPERSEDED, 1)
    );
    // Its row is read again, above that.
    assert_eq!(
        answered(&outbox, 1, |_| StoredAnswer {
            accepted: 1,
            ..StoredAnswer::default()
        })
        .await
        .accepted_events,
        1
    );
    assert!(reasons(&outbox).await.is_empty());
}

#[tokio::test]
async fn version_that_is_not_of_this_clinic_parks_its_record_and_raises_nothing() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let foreign = [Version::MAX, Version::new(1).unwrap()];
    for (held, content) in foreign.into_iter().zip(1..) {
        let done = answered(&outbox, content, |_| superseded(1, held)).await;
        assert_eq!(
            (done.refused_events, done.raised, done.raise_waits),
            (1, false, false)
        );
        assert_eq!(reasons(&outbox).await, [SUPERSEDED]);
    }
    assert_eq!(outbox.generation(), 1);
}

#[tokio::test]
async fn receipt_raises_by_one_however_far_the_registry_is_ahead() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let day = RECEIPT_RAISE_PAUSE_MS / 1000;
    let ahead = |_: &Leased| superseded_by(1, 4, 9);
    let done = answered_at(&outbox, 1, 0, ahead).await;
    assert_eq!((done.raised, done.raise_waits), (true, false));
    assert_eq!(outbox.generation(), 2);
    assert_eq!(raise_waits(&outbox).await, Some(5), "it is not enough");

    let done = answered_at(&outbox, 2, day - 1, ahead).await;
    assert_eq!((done.raised, done.raise_waits), (false, true));
    assert_eq!((outbox.generation(), reasons(&outbox).await.len()), (2, 1));

    // A restart forgets nothing of it.
    outbox.close().await.unwrap();
    let outbox = place.open_with_receipts().await;
    assert_eq!(
        (outbox.generation(), raise_waits(&outbox).await),
        (2, Some(5))
    );

    // A day later any receipt will do.
    let accepted = |_: &Leased| StoredAnswer {
        accepted: 1,
        ..StoredAnswer::default()
    };
    let done = answered_at(&outbox, 3, day, accepted).await;
    assert_eq!((done.raised, outbox.generation()), (true, 3));
    let done = answered_at(&outbox, 4, day + 1, accepted).await;
    assert_eq!(
        (done.raised, done.raise_waits),
        (false, false),
        "told before"
    );
    assert_eq!(raise_waits(&outbox).await, Some(5));
    let permitted_at = outbox.reader().status().await.unwrap().raise_waits.unwrap();
    assert_eq!(permitted_at.permitted_at, Some(at(2 * day)));

    // An operator's word raises above all of it at once.
    outbox.close().await.unwrap();
    let options = OutboxOptions {
        receipts: true,
        min_generation: 5,
        ..place.options()
    };
    let outbox = Outbox::open(&place.path, options, at(day + 2))
        .await
        .unwrap();
    assert_eq!((outbox.generation(), raise_waits(&outbox).await), (5, None));
    let done = answered_at(&outbox, 5, day + 3, |_| superseded_by(1, 5, 1)).await;
    assert_eq!((done.accepted_events, done.raised), (1, false));
}

#[tokio::test]
async fn last_generation_is_neither_exceeded_nor_asked_for() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let last = answered(&outbox, 1, |_| superseded_by(1, MAX_GENERATION, 1)).await;
    assert_eq!(
        (last.refused_events, last.raised, last.raise_waits),
        (1, false, false)
    );
    assert_eq!(reasons(&outbox).await, [SUPERSEDED]);
    let before_last = answered(&outbox, 2, |_| superseded_by(1, MAX_GENERATION - 1, 1)).await;
    assert!(before_last.raised);
    assert_eq!(raise_waits(&outbox).await, Some(MAX_GENERATION));
}

#[tokio::test]
async fn version_of_an_earlier_generation_needs_no_raise() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    outbox
        .commit_page(page(vec![asserted(2, 1)], "a"))
        .await
        .unwrap();
    assert!(outbox.raise_generation(6, "a test", at(0)).await.unwrap());
    let done = answered(&outbox, 1, |_| superseded_by(2, 5, 9)).await;
    assert_eq!((done.refused_events, done.raised), (1, false));
    assert_eq!(
        reasons(&outbox).await,
        [SUPERSEDED],
        "until it is sent again"
    );
    outbox
        .commit_page(page(vec![asserted(2, 1)], "a"))
        .await
        .unwrap();
    assert!(reasons(&outbox).await.is_empty());
}

#[tokio::test]
async fn version_used_twice_shows_a_restored_state() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let reuse = |leased: &Leased| {
        let event = place.opened(std::slice::from_ref(leased)).remove(0);
        let refused = vec![RefusedEvent {
            index: 0,
            record: Some(event.record),
            version: Some(event.version),
            reason: RefusalReason::VersionReused,
        }];
        StoredAnswer {
            refused,
            ..StoredAnswer::default()
        }
    };
    let done = answered(&outbox, 1, reuse).await;
    assert_eq!(
        (done.raised, done.refused_events, outbox.generation()),
        (true, 1, 2)
    );
    assert_eq!(reasons(&outbox).await, ["registry:version-reused"]);
    let done = answered(&outbox, 1, reuse).await;
    assert_eq!(
        (done.raised, done.raise_waits, outbox.generation()),
        (false, true, 2),
        "not again within the day"
    );
    assert_eq!(raise_waits(&outbox).await, Some(3));
}

#[tokio::test]
async fn restored_outbox_and_generation_file_end_above_what_the_registry_holds() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    Source::of(0..3).pull(&outbox).await;
    settle(&place, &outbox, at(0), |_| None).await;
    outbox.close().await.unwrap();
    let backup =
        [".generation", ""].map(|suffix| (suffix, std::fs::read(place.sibling(suffix)).unwrap()));
    let outbox = place.open_with_receipts().await;
    outbox
        .commit_page(page(vec![asserted(1, 2)], "b"))
        .await
        .unwrap();
    let (_, held) = settle(&place, &outbox, at(1), |_| None).await;
    outbox.close().await.unwrap();
    for (suffix, bytes) in backup {
        std::fs::write(place.sibling(suffix), bytes).unwrap();
    }

    let outbox = place.open_with_receipts().await;
    assert_eq!(outbox.generation(), 1, "nothing local can notice");
    // The row says something third by now, which would get the version the registry holds already.
    outbox
        .commit_page(page(vec![asserted(1, 3)], "c"))
        .await
        .unwrap();
    let clash =
        |event: &Event| (event.version == held[0].version).then_some(RefusalReason::VersionReused);
    let (done, _) = settle(&place, &outbox, at(2), clash).await;
    assert!(done.raised);
    outbox
        .commit_page(page(
            vec![asserted(0, 1), asserted(1, 3), asserted(2, 1)],
            "d",
        ))
        .await
        .unwrap();
    let (_, sent) = settle(&place, &outbox, at(3), |_| None).await;
    assert!(
        sent.iter()
            .all(|event| revision_of(event) > revision_of(&held[0]))
    );
    assert_eq!(sent.len(), 3);
}

#[tokio::test]
async fn generation_can_be_raised_by_hand_while_pages_are_committed() {
    let place = Place::new();
    let outbox = place.open().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    assert!(outbox.raise_generation(4, "a test", at(3)).await.unwrap());
    assert!(!outbox.raise_generation(4, "a test", at(4)).await.unwrap());
    assert!(
        outbox
            .raise_generation(u32::MAX, "a test", at(4))
            .await
            .is_err()
    );
    assert_eq!(
        outbox
            .commit_page(page(vec![asserted(1, 1)], "b"))
            .await
            .unwrap()
            .resent,
        1
    );
    let versions: Vec<_> = place
        .deliver_all(&outbox, at(5))
        .await
        .iter()
        .map(revision_of)
        .collect();
    assert_eq!(versions, [revision(1, 1), revision(4, 1)]);
    assert_eq!(
        outbox
            .reader()
            .status()
            .await
            .unwrap()
            .generation_raised_why
            .as_deref(),
        Some("a test")
    );
}

#[tokio::test]
async fn raise_that_had_to_wait_is_made_when_its_day_has_come() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let day = RECEIPT_RAISE_PAUSE_MS / 1000;
    let ahead = |_: &Leased| superseded_by(1, 9, 1);
    assert!(answered_at(&outbox, 1, 0, ahead).await.raised);
    assert!(!outbox.tend_generation(at(day - 1)).await.unwrap());
    assert!(outbox.tend_generation(at(day)).await.unwrap());
    assert!(!outbox.tend_generation(at(day)).await.unwrap());
    assert_eq!(
        (outbox.generation(), raise_waits(&outbox).await),
        (3, Some(10))
    );
    assert_eq!(outbox.cursor("mis", "recoveries").await.unwrap(), None);
    outbox.close().await.unwrap();
    for (now, generation) in [(2 * day - 1, 3), (2 * day, 4)] {
        let options = OutboxOptions {
            receipts: true,
            ..place.options()
        };
        let outbox = Outbox::open(&place.path, options, at(now)).await.unwrap();
        assert_eq!(outbox.generation(), generation);
        outbox.close().await.unwrap();
    }
}

#[tokio::test]
async fn withdrawal_of_a_row_that_is_gone_follows_the_raise() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let drafts = vec![asserted(1, 1), withdrawn(2, false)];
    outbox.commit_page(page(drafts, "a")).await.unwrap();
    let reused =
        |event: &Event| (event.record == digest(2)).then_some(RefusalReason::VersionReused);
    let (done, _) = settle(&place, &outbox, at(1), reused).await;
    assert!(done.raised);
    assert!(reasons(&outbox).await.is_empty(), "it is on its way again");
    let (_, sent) = settle(&place, &outbox, at(2), |_| None).await;
    assert_eq!(
        sent.iter()
            .map(|event| (event.record, revision_of(event)))
            .collect::<Vec<_>>(),
        [(digest(2), revision(2, 1))]
    );
    let status = outbox.reader().status().await.unwrap();
    assert_eq!(status.feeds[0].resent_total, 1);
    // Whoever raises.
    assert!(outbox.raise_generation(3, "a test", at(3)).await.unwrap());
    assert_eq!(outbox.backlog().await.unwrap().events, 1);
    outbox.close().await.unwrap();
    std::fs::remove_file(place.sibling(".generation")).unwrap();
    let outbox = place.open_with_receipts().await;
    assert_eq!(
        (outbox.generation(), outbox.backlog().await.unwrap().events),
        (4, 2)
    );
}
