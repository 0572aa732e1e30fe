//! Records that no version is left for: each is a dead letter by itself, and nothing stops for it.

use outbox::{
    Committed, DeadLetterFilter, OlderVersion, Outbox, RemovedFeed, RetryPlan, SweepEnd,
    VERSIONS_EXHAUSTED,
};
use record_secrets::MAX_COUNT;

use crate::corrections::{self, WITHDRAW, noted, withdrawn_and_held};
use crate::receipts::{refused, settle};
use crate::support::{
    FREELY, Place, Source, asserted, at, digest, page, revision, revision_of, withdrawn,
};

/// Beginnings of the records' digests and reasons of the open dead letters.
async fn letters(outbox: &Outbox) -> Vec<(String, String)> {
    let open = DeadLetterFilter::default();
    let letters = outbox.reader().dead_letters(&open).await.unwrap();
    let letters = letters
        .into_iter()
        .map(|letter| (letter.record, letter.reason));
    letters.collect()
}

fn exhausted(record: u32) -> (String, String) {
    let digest = digest(record).to_hex();
    (digest[..16].to_owned(), VERSIONS_EXHAUSTED.to_owned())
}

/// An outbox with records 1 to 3 sent, of which 1 is at so many changes.
async fn outbox_near_the_limit(place: &Place, count: u32) -> Outbox {
    let outbox = place.open_with_receipts().await;
    Source::of(1..=3).pull(&outbox).await;
    settle(place, &outbox, at(0), |_| None).await;
    outbox.close().await.unwrap();
    place.set_revision(1, revision(1, count)).await;
    place.open_with_receipts().await
}

#[tokio::test]
async fn last_version_is_sent_and_the_next_change_parks_the_record_alone() {
    let place = Place::new();
    let outbox = outbox_near_the_limit(&place, MAX_COUNT - 1).await;
    let mut source = Source::of(1..=3);
    source.rows.insert(1, (2, Some(11)));
    source.pull(&outbox).await;
    let (_, sent) = settle(&place, &outbox, at(1), |_| None).await;
    assert_eq!(
        sent.iter().map(revision_of).collect::<Vec<_>>(),
        [revision(1, MAX_COUNT)]
    );

    source.rows.insert(1, (3, Some(12)));
    source.rows.insert(2, (3, Some(12)));
    let done = outbox.commit_page(source.page(1..=3)).await.unwrap();
    assert_eq!(
        done,
        Committed {
            read: 3,
            sent: 1,
            corrected: 1,
            unchanged: 1,
            parked: 1,
            batches: 1,
            ..Committed::default()
        }
    );
    assert_eq!(letters(&outbox).await, [exhausted(1)]);
    let status = outbox.reader().status().await.unwrap();
    assert!(status.feeds[0].has_cursor, "the feed has gone on");
    assert_eq!(
        (
            status.dead_letters[0].feed.as_str(),
            status.dead_letters[0].count
        ),
        ("recoveries", 1)
    );
    assert!(
        source.sweep_pass(&outbox).await.is_empty(),
        "a sweep need not read it again"
    );

    // It says again what stands at the registry.
    source.rows.insert(1, (2, Some(13)));
    source.pull(&outbox).await;
    assert!(letters(&outbox).await.is_empty());
    source.rows.insert(1, (4, Some(14)));
    source.pull(&outbox).await;
    assert_eq!(letters(&outbox).await, [exhausted(1)]);

    // A later generation has versions again.
    assert!(outbox.raise_generation(2, "a test", at(2)).await.unwrap());
    source.pull(&outbox).await;
    assert!(letters(&outbox).await.is_empty());
    let (_, sent) = settle(&place, &outbox, at(3), |_| None).await;
    let first = sent.iter().filter(|event| event.record == digest(1));
    assert_eq!(first.map(revision_of).collect::<Vec<_>>(), [revision(2, 1)]);
}

#[tokio::test]
async fn parked_record_is_prepared_anew_with_its_page() {
    let place = Place::new();
    let outbox = outbox_near_the_limit(&place, MAX_COUNT).await;
    let changed = page(vec![asserted(1, 7), asserted(2, 7)], "a");
    let prepared = outbox.prepare(changed).await.unwrap();
    outbox
        .commit_page(page(vec![asserted(2, 6)], "b"))
        .await
        .unwrap();
    let done = outbox.commit(prepared).await.unwrap();
    assert_eq!((done.parked, done.corrected), (1, 1));
    assert_eq!(letters(&outbox).await, [exhausted(1)]);
}

#[tokio::test]
async fn sweep_withdraws_the_others_and_ends() {
    let place = Place::new();
    let outbox = outbox_near_the_limit(&place, MAX_COUNT).await;
    let rest = Source::of([3]);
    for withdrawn in [1, 0] {
        assert_eq!(
            rest.sweep(&outbox, FREELY).await,
            SweepEnd::Done {
                seen: 1,
                withdrawn,
                dead_letters_closed: 0
            }
        );
        assert_eq!(letters(&outbox).await, [exhausted(1)]);
    }
    let sent = place.deliver_all(&outbox, at(1)).await;
    assert_eq!(
        sent.iter().map(|event| event.record).collect::<Vec<_>>(),
        [digest(2)]
    );
}

#[tokio::test]
async fn refused_correction_without_a_version_is_told_as_parked_until_a_later_generation() {
    let place = Place::new();
    let outbox = outbox_near_the_limit(&place, MAX_COUNT).await;
    let mut source = Source::of(1..=3);
    (1..=2).for_each(|record| source.break_row(record));
    source.pull(&outbox).await;
    let of_letters = async || {
        let mut older: Vec<_> = corrections::letters(&outbox)
            .await
            .into_iter()
            .filter_map(|letter| letter.older_version)
            .collect();
        older.sort_unstable_by_key(|older| older.as_str());
        older.dedup();
        older
    };
    for withdrawn in [1, 0] {
        let settled = withdrawn_and_held(&outbox, WITHDRAW).await;
        assert_eq!(settled, (withdrawn, 0));
        let noted = noted(&outbox).await;
        assert_eq!((noted.waiting, noted.withdrawn, noted.parked), (0, 1, 1));
        let both = [OlderVersion::Parked, OlderVersion::Withdrawn];
        assert_eq!(of_letters().await, both);
    }
    assert!(outbox.raise_generation(2, "a test", at(2)).await.unwrap());
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (1, 0));
    let noted = noted(&outbox).await;
    assert_eq!((noted.withdrawn, noted.parked), (2, 0));
    assert_eq!(of_letters().await, [OlderVersion::Withdrawn]);
}

#[tokio::test]
async fn removed_source_is_withdrawn_but_for_what_is_parked() {
    let place = Place::new();
    let outbox = outbox_near_the_limit(&place, MAX_COUNT).await;
    let feeds = [RemovedFeed {
        feed: "recoveries".into(),
        kind: contract::FactKind::Recovery,
    }];
    let withdraw = async || {
        let end = outbox.withdraw_removed_source("mis", &feeds, at(1)).await;
        end.unwrap()
    };
    assert!(matches!(
        withdraw().await,
        SweepEnd::Held { missing: 3, .. }
    ));
    outbox.confirm_withdrawals("mis", None).await.unwrap();
    assert!(matches!(
        withdraw().await,
        SweepEnd::Done { withdrawn: 2, .. }
    ));
    assert_eq!(letters(&outbox).await, [exhausted(1)]);
    assert!(
        matches!(withdraw().await, SweepEnd::Held { missing: 1, .. }),
        "it still stands at the registry, and that is said"
    );
}

#[tokio::test]
async fn retry_of_a_parked_withdrawal_leaves_its_letter() {
    let place = Place::new();
    let outbox = outbox_near_the_limit(&place, MAX_COUNT - 1).await;
    outbox
        .commit_page(page(vec![withdrawn(1, true)], "a"))
        .await
        .unwrap();
    settle(&place, &outbox, at(1), |_| Some(refused("bad-date"))).await;
    let plan = outbox
        .prepare_retry(&DeadLetterFilter::default(), at(2))
        .await
        .unwrap();
    assert_eq!(letters(&outbox).await, [exhausted(1)]);
    assert_eq!(
        plan,
        RetryPlan {
            by_sweep: vec![("mis".into(), "recoveries".into())],
            ..RetryPlan::default()
        }
    );
    assert!(place.deliver_all(&outbox, at(100)).await.is_empty());
}
