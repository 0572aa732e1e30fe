//! Versions that another state has given out with another content: told until they are repaired.

use std::collections::BTreeMap;

use contract::{Body, DifferenceKind, Event, RefusalReason};
use outbox::{DeadLetterFilter, Outbox, RepairPlan, VERSION_REUSED};

use crate::receipts::settle;
use crate::reconciliation::{answer, probe_all};
use crate::support::{
    FREELY, Place, Source, at, digest, finish, page, revision, revision_of, version, withdrawn,
};

async fn reasons(outbox: &Outbox) -> Vec<String> {
    let open = DeadLetterFilter::default();
    let letters = outbox.reader().dead_letters(&open).await.unwrap();
    letters.into_iter().map(|letter| letter.reason).collect()
}

async fn needed(outbox: &Outbox) -> Option<u32> {
    let status = outbox.reader().status().await.unwrap();
    status.raise_waits.map(|waits| waits.needed)
}

#[tokio::test]
async fn records_whose_version_was_used_twice_are_compared_and_repaired() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let mut source = Source::of(0..10);
    source.pull(&outbox).await;
    settle(&place, &outbox, at(1), |_| None).await;
    // The first raise of the day is made.
    let reused = |of: &[u32]| {
        let records: Vec<_> = of.iter().map(|record| digest(*record)).collect();
        move |event: &Event| {
            let is_reused = records.contains(&event.record);
            is_reused.then_some(RefusalReason::VersionReused)
        }
    };
    source.rows.insert(1, (2, Some(100)));
    source.pull(&outbox).await;
    let (done, _) = settle(&place, &outbox, at(2), reused(&[1])).await;
    assert!(done.raised);
    source.pull(&outbox).await;
    settle(&place, &outbox, at(3), |_| None).await;
    assert_eq!(reasons(&outbox).await, [""; 0], "it was sent again");

    // The second one has to wait. One of the refused events is a withdrawal.
    source.rows.insert(3, (2, Some(101)));
    source.pull(&outbox).await;
    let cancelled = page(vec![withdrawn(4, false)], "b");
    outbox.commit_page(cancelled).await.unwrap();
    let (done, _) = settle(&place, &outbox, at(4), reused(&[3, 4])).await;
    assert!(done.raise_waits && !done.raised);
    assert_eq!(reasons(&outbox).await, [VERSION_REUSED; 2]);

    let id = probe_all(&outbox, None).await;
    let held = |record| Some(version(record, 2, 2));
    let differing = BTreeMap::from([
        (digest(3), (DifferenceKind::Conflicting, held(3))),
        (digest(4), (DifferenceKind::Conflicting, held(4))),
    ]);
    let (probed, _) = answer(&place, &outbox, &differing).await;
    assert_eq!(probed.len(), 10, "those that were refused so too");
    let report = outbox.reader().reconciliation(id).await.unwrap().unwrap();
    assert_eq!((report.conflicting, report.differing()), (2, 2));
    assert_eq!(needed(&outbox).await, Some(3), "nothing is repaired yet");

    let plan = outbox.prepare_repair(id, at(60)).await.unwrap();
    let by_sweep = vec![("mis".to_owned(), "recoveries".to_owned())];
    let expected = RepairPlan {
        resent_withdrawals: 1,
        by_sweep,
        ..RepairPlan::default()
    };
    assert_eq!(plan, expected);
    source.rows.remove(&4);
    assert_eq!(source.sweep_pass(&outbox).await, [3]);
    finish(&outbox, FREELY).await.unwrap();
    let (_, sent) = settle(&place, &outbox, at(70), |_| None).await;
    let sent: BTreeMap<_, _> = sent.iter().map(|event| (event.record, event)).collect();
    assert_eq!(sent.len(), 2);
    for record in [3, 4] {
        assert_eq!(revision_of(sent[&digest(record)]), revision(2, 3));
    }
    assert!(matches!(sent[&digest(4)].body, Body::Withdrawn { .. }));
    assert_eq!(reasons(&outbox).await, [""; 0]);
    assert_eq!((needed(&outbox).await, outbox.generation()), (None, 2));
}
