//! Dead letters: found by every property, discarded for as long as nothing changes, retried with
//! what that takes.

use outbox::{DeadLetter, DeadLetterFilter, Origin, Outbox, PageCommit, RetryPlan};

use crate::receipts::{refused, settle};
use crate::support::{FREELY, Place, Source, at, digest, finish, revision, revision_of};

async fn list(outbox: &Outbox, filter: DeadLetterFilter) -> Vec<DeadLetter> {
    outbox.reader().dead_letters(&filter).await.unwrap()
}

fn of_reason(reason: &str) -> DeadLetterFilter {
    DeadLetterFilter {
        reason: Some(reason.into()),
        ..DeadLetterFilter::default()
    }
}

fn discarded() -> DeadLetterFilter {
    DeadLetterFilter {
        discarded: true,
        ..DeadLetterFilter::default()
    }
}

/// Rows 1 and 2 refused here, row 3 by the registry; the rest is well.
async fn with_letters(place: &Place) -> (Outbox, Source) {
    let outbox = place.open_with_receipts().await;
    let mut source = Source::of(0..6);
    source.bad.extend([1, 2]);
    source.pull(&outbox).await;
    settle(place, &outbox, at(5), |event| {
        (event.record == digest(3)).then(|| refused("kind-changed"))
    })
    .await;
    (outbox, source)
}

#[tokio::test]
async fn letters_are_found_by_every_property() {
    let place = Place::new();
    let (outbox, _) = with_letters(&place).await;
    let all = list(&outbox, DeadLetterFilter::default()).await;
    assert_eq!(all.len(), 3);
    let registry = all
        .iter()
        .find(|letter| letter.origin == Origin::Registry)
        .unwrap();
    assert_eq!(
        (registry.reason.as_str(), registry.record_id.as_deref()),
        ("registry:kind-changed", None)
    );
    assert_eq!(registry.record, digest(3).to_hex()[..16]);
    assert_eq!(
        (registry.source.as_str(), registry.first_seen_at),
        ("mis", Some(at(5)))
    );
    let by = |filter| async { list(&outbox, filter).await.len() };
    let any = DeadLetterFilter::default;
    assert_eq!(
        by(DeadLetterFilter {
            source: Some("other".into()),
            ..any()
        })
        .await,
        0
    );
    assert_eq!(
        by(DeadLetterFilter {
            feed: Some("recoveries".into()),
            ..any()
        })
        .await,
        3
    );
    assert_eq!(
        by(DeadLetterFilter {
            origin: Some(Origin::Clinic),
            ..any()
        })
        .await,
        2
    );
    assert_eq!(by(of_reason("bad-snils")).await, 2);
    assert_eq!(
        by(DeadLetterFilter {
            older_than: Some(at(5)),
            ..any()
        })
        .await,
        2,
        "first seen before"
    );
    assert_eq!(
        by(DeadLetterFilter {
            ids: vec![registry.id, 9999],
            ..any()
        })
        .await,
        1
    );
    assert_eq!(by(DeadLetterFilter { limit: 2, ..any() }).await, 2);
    assert_eq!(by(discarded()).await, 0);
}

#[tokio::test]
async fn discarded_letters_stay_so_until_the_row_or_the_reason_changes() {
    let place = Place::new();
    let (outbox, mut source) = with_letters(&place).await;
    assert_eq!(
        outbox
            .discard_dead_letters(&of_reason("bad-snils"), at(7))
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        outbox
            .discard_dead_letters(&of_reason("bad-snils"), at(8))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        list(&outbox, discarded()).await[0].discarded_at,
        Some(at(7))
    );
    let counts = outbox.reader().status().await.unwrap().dead_letters;
    assert_eq!(
        (counts.len(), counts[0].origin),
        (1, Origin::Registry),
        "status tells of open ones"
    );

    source.pull(&outbox).await;
    outbox.forget_cursors("mis").await.unwrap();
    assert_eq!(source.pull(&outbox).await.refused_new, 0);
    assert_eq!(
        list(&outbox, discarded()).await.len(),
        2,
        "read again, refused again, unchanged"
    );

    source.rows.insert(1, (1, Some(77)));
    let mut other_reason = source.page([2]);
    other_reason.refused[0].reason = "future-date";
    outbox.commit_page(source.page([1])).await.unwrap();
    outbox.commit_page(other_reason).await.unwrap();
    assert!(list(&outbox, discarded()).await.is_empty());
    assert_eq!(list(&outbox, DeadLetterFilter::default()).await.len(), 3);

    source.bad.clear();
    assert!(outbox.has_dead_letters("mis", "recoveries").await.unwrap());
    assert_eq!(source.pull(&outbox).await.cleared, 2);
    assert!(
        !outbox.has_dead_letters("mis", "recoveries").await.unwrap(),
        "the registry's need no accepted ids"
    );
}

#[tokio::test]
async fn retry_reads_the_clinics_rows_by_id_and_the_registrys_by_a_sweep() {
    let place = Place::new();
    let (outbox, source) = with_letters(&place).await;
    let plan = outbox
        .prepare_retry(&DeadLetterFilter::default(), at(9))
        .await
        .unwrap();
    let mut by_id = plan.by_id;
    by_id.sort_unstable();
    let row = |id: &str| ("mis".to_owned(), "recoveries".to_owned(), id.to_owned());
    assert_eq!(by_id, [row("1"), row("2")]);
    assert_eq!(plan.by_sweep, [("mis".into(), "recoveries".into())]);

    assert_eq!(
        source.sweep_pass(&outbox).await,
        [1, 2, 3],
        "what was forgotten is read again"
    );
    finish(&outbox, FREELY).await.unwrap();
    let sent = place.deliver_all(&outbox, at(9)).await;
    let versions: Vec<_> = sent
        .iter()
        .map(|event| (event.record, revision_of(event)))
        .collect();
    assert_eq!(
        versions,
        [(digest(3), revision(1, 2))],
        "sent again as it is, above its refused version"
    );
    assert!(
        list(
            &outbox,
            DeadLetterFilter {
                origin: Some(Origin::Registry),
                ..DeadLetterFilter::default()
            }
        )
        .await
        .is_empty()
    );
    assert_eq!(
        outbox.reader().status().await.unwrap().feeds[0]
            .sweep
            .as_ref()
            .unwrap()
            .missed_total,
        0,
        "it was asked for"
    );
}

#[tokio::test]
async fn registrys_letters_are_named_by_a_sweep_and_open_again_if_refused_again() {
    let place = Place::new();
    let (outbox, mut source) = with_letters(&place).await;
    source.sweep_pass(&outbox).await;
    finish(&outbox, FREELY).await.unwrap();
    let of_registry = || DeadLetterFilter {
        origin: Some(Origin::Registry),
        ..DeadLetterFilter::default()
    };
    let named = list(&outbox, of_registry()).await;
    assert_eq!(named[0].record_id.as_deref(), Some("3"));
    let plan = outbox.prepare_retry(&of_registry(), at(9)).await.unwrap();
    let by_id = vec![("mis".into(), "recoveries".into(), "3".into())];
    assert_eq!(
        plan,
        RetryPlan {
            by_id,
            ..RetryPlan::default()
        }
    );

    source.rows.insert(3, (2, Some(50)));
    outbox
        .commit_page(PageCommit {
            now: at(20),
            ..source.page([3])
        })
        .await
        .unwrap();
    assert!(
        list(&outbox, of_registry()).await.is_empty(),
        "a newer version is on its way"
    );
    settle(&place, &outbox, at(30), |_| Some(refused("bad-date"))).await;
    assert_eq!(
        list(&outbox, of_registry()).await[0].reason,
        "registry:bad-date"
    );
}

/// Takes every letter off the list, as if the list had been full.
async fn unlist(place: &Place) {
    let unlist = "INSERT INTO unlisted_refusal (record, origin, feed_id, reason) \
                  SELECT record, origin, feed_id, reason FROM dead_letter; \
                  DELETE FROM dead_letter";
    place.meddle(unlist).await;
}

#[tokio::test]
async fn retry_reaches_what_the_list_has_no_room_for() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let mut source = Source::of(0..1_200);
    source.bad.extend([1, 2]);
    source.pull(&outbox).await;
    settle(&place, &outbox, at(5), |_| Some(refused("kind-changed"))).await;
    unlist(&place).await;
    let of_registry = DeadLetterFilter {
        origin: Some(Origin::Registry),
        ..DeadLetterFilter::default()
    };
    let none_of_them = [
        DeadLetterFilter {
            older_than: Some(at(100)),
            ..DeadLetterFilter::default()
        },
        DeadLetterFilter {
            ids: vec![1],
            ..DeadLetterFilter::default()
        },
        DeadLetterFilter {
            source: Some("other".into()),
            ..of_registry.clone()
        },
        DeadLetterFilter {
            feed: Some("tests".into()),
            ..of_registry.clone()
        },
        DeadLetterFilter {
            origin: Some(Origin::Clinic),
            ..of_reason("registry:kind-changed")
        },
    ];
    for filter in none_of_them {
        let plan = outbox.prepare_retry(&filter, at(9)).await.unwrap();
        assert_eq!(plan, RetryPlan::default(), "{filter:?}");
    }
    assert!(!outbox.owes_sweep("mis", "recoveries").await.unwrap());
    assert!(sweep_pass(&source, &outbox).await.is_empty());

    // Those of the registry are sent again as they are.
    let plan_of = |unlisted| RetryPlan {
        by_sweep: vec![("mis".into(), "recoveries".into())],
        unlisted,
        ..RetryPlan::default()
    };
    let plan = outbox.prepare_retry(&of_registry, at(9)).await.unwrap();
    assert_eq!(plan, plan_of(1_198), "more than one part");
    assert!(outbox.owes_sweep("mis", "recoveries").await.unwrap());
    assert_eq!(sweep_pass(&source, &outbox).await.len(), 1_198);
    let (_, sent) = settle(&place, &outbox, at(10), |_| None).await;
    assert_eq!(sent.len(), 1_198);

    // Those refused here are read again, and mended by now.
    source.bad.clear();
    let plan = outbox.prepare_retry(&of_reason("bad-snils"), at(11)).await;
    assert_eq!(plan.unwrap(), plan_of(2));
    assert_eq!(sweep_pass(&source, &outbox).await, [1, 2]);
    let status = outbox.reader().status().await.unwrap();
    assert_eq!(status.dead_letters, []);
}

/// Sweeps one pass in large pages, ends it, and returns the rows read again.
async fn sweep_pass(source: &Source, outbox: &Outbox) -> Vec<u32> {
    let mut reread = Vec::new();
    loop {
        let (all_read, some) = source.sweep_page(outbox, 500).await;
        reread.extend(some);
        if all_read {
            break;
        }
    }
    finish(outbox, FREELY).await.unwrap();
    reread.sort_unstable();
    reread
}

#[tokio::test]
async fn refused_withdrawal_of_a_row_that_is_gone_is_sent_again() {
    for listed in [true, false] {
        refused_withdrawal_is_sent_again(listed).await;
    }
}

async fn refused_withdrawal_is_sent_again(listed: bool) {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let mut source = Source::of(0..6);
    source.pull(&outbox).await;
    settle(&place, &outbox, at(5), |_| None).await;
    source.rows.remove(&3);
    source.sweep_pass(&outbox).await;
    finish(&outbox, FREELY).await.unwrap();
    source.sweep_pass(&outbox).await;
    finish(&outbox, FREELY).await.unwrap();
    let (_, sent) = settle(&place, &outbox, at(6), |_| Some(refused("bad-date"))).await;
    assert_eq!(revision_of(&sent[0]), revision(1, 2));
    let letters = list(&outbox, DeadLetterFilter::default()).await;
    assert_eq!((letters.len(), letters[0].origin), (1, Origin::Registry));
    if !listed {
        unlist(&place).await;
    }

    // No row is left that could be read, by its id or by a sweep.
    let plan = outbox
        .prepare_retry(&DeadLetterFilter::default(), at(9))
        .await
        .unwrap();
    let expected = RetryPlan {
        unlisted: u64::from(!listed),
        ..RetryPlan::default()
    };
    assert_eq!(plan, expected);
    let again = place.deliver_all(&outbox, at(9)).await;
    assert_eq!(again.len(), 1);
    assert_eq!(
        (again[0].record, revision_of(&again[0])),
        (digest(3), revision(1, 3))
    );
    assert!(
        matches!(again[0].body, contract::Body::Withdrawn { .. })
            && again[0].content == sent[0].content
    );
    let status = outbox.reader().status().await.unwrap();
    assert_eq!(status.dead_letters, []);
}
