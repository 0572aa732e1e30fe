//! Reconciliation: probes ask about every record once; the repair sends what differs above whatever
//! is held.

use std::collections::BTreeMap;

use contract::wire::{self, Message, Probed};
use contract::{
    Answer, Body, Difference, DifferenceKind, ProbeAnswer, RecordDigest, RefusalReason,
    StoredAnswer, Superseded, UnreadableReason, Verdict, Version,
};
use outbox::{
    DeadLetterFilter, FOREIGN_VERSION, Outbox, OutboxError, RepairPlan, SettledVerdicts,
    VERSIONS_EXHAUSTED,
};
use record_secrets::MAX_COUNT;

use crate::receipts::settle;
use crate::support::{
    FREELY, LEASE, Place, Source, asserted, at, delivered, digest, finish, page, revision,
    revision_of, version, withdrawn,
};

/// Delivers the probes and answers them: records in `differing` so, the rest as equal.
pub(crate) async fn answer(
    place: &Place,
    outbox: &Outbox,
    differing: &BTreeMap<RecordDigest, (DifferenceKind, Option<Version>)>,
) -> (Vec<Probed>, SettledVerdicts) {
    let leased = outbox.lease(100, at(50), LEASE).await.unwrap();
    outbox.settle(&delivered(&leased), at(50)).await.unwrap();
    let mut all = Vec::new();
    let mut verdicts = Vec::new();
    for one in &leased {
        let encoded = place.key.open(&one.batch.bytes).unwrap().encoded;
        let Message::Probe(probed) = wire::decode_message(&encoded).unwrap() else {
            panic!("a probe")
        };
        let mut answer = ProbeAnswer::default();
        for Probed { record, .. } in &probed {
            match differing.get(record) {
                None => answer.equal += 1,
                Some((what, held)) => {
                    answer.differences.push(Difference {
                        record: *record,
                        what: *what,
                        held: *held,
                    });
                }
            }
        }
        verdicts.push((one.batch.id, Verdict::Answered(Answer::Probed(answer))));
        all.extend(probed);
    }
    (
        all,
        outbox.settle_verdicts(&verdicts, at(51)).await.unwrap(),
    )
}

pub(crate) async fn probe_all(outbox: &Outbox, source: Option<&str>) -> i64 {
    let id = outbox.begin_reconciliation(source, at(40)).await.unwrap();
    while !outbox.add_probes(id, at(41)).await.unwrap() {}
    id
}

#[tokio::test]
async fn every_record_is_asked_about_once_and_counted() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let mut source = Source::of(0..20_000);
    source.bad.insert(7);
    source.pull(&outbox).await;
    outbox
        .commit_page(page(vec![withdrawn(5, false)], "b"))
        .await
        .unwrap();
    let mut elsewhere = Source::of([90_000]).page([90_000]);
    elsewhere.source = "other".into();
    outbox.commit_page(elsewhere).await.unwrap();
    let refuse =
        |event: &contract::Event| (event.record == digest(8)).then_some(RefusalReason::BadDate);
    settle(&place, &outbox, at(1), refuse).await;

    let id = probe_all(&outbox, Some("mis")).await;
    let backlog = outbox.backlog().await.unwrap();
    assert_eq!((backlog.batches, backlog.events), (5, 0), "4,000 a probe");
    let held = |record| Some(version(record, 1, 1));
    let differing = BTreeMap::from([
        (digest(1), (DifferenceKind::Missing, None)),
        (digest(2), (DifferenceKind::Stale, held(2))),
        (digest(3), (DifferenceKind::Newer, Some(version(3, 3, 9)))),
        (digest(4), (DifferenceKind::Conflicting, held(4))),
        // Sent after the probe, so to speak: no more than what is known here.
        (digest(6), (DifferenceKind::Newer, held(6))),
    ]);
    let (probed, settled) = answer(&place, &outbox, &differing).await;
    assert_eq!(
        (probed.len(), settled.batches),
        (19_998, 5),
        "not 7, which was never sent, nor 8, which was refused"
    );
    let withdrawn = probed
        .iter()
        .find(|probed| probed.record == digest(5))
        .unwrap();
    assert_eq!(
        (withdrawn.withdrawn, withdrawn.version),
        (true, version(5, 1, 2))
    );

    let report = outbox.reader().reconciliation(id).await.unwrap().unwrap();
    assert_eq!(
        (report.probes, report.answered, report.equal),
        (19_998, 19_998, 19_994)
    );
    assert_eq!(
        (
            report.missing,
            report.stale,
            report.extra,
            report.conflicting
        ),
        (1, 1, 1, 1)
    );
    assert_eq!(
        (report.started_at, report.finished_at),
        (Some(at(40)), Some(at(51)))
    );
    assert_eq!(
        outbox
            .reader()
            .last_reconciliation(Some("mis"))
            .await
            .unwrap(),
        Some(report)
    );
    assert_eq!(
        outbox.reader().last_reconciliation(None).await.unwrap(),
        None,
        "never of all"
    );
    assert_eq!(outbox.generation(), 1);
}

#[tokio::test]
async fn repair_sends_what_differs_above_what_is_held() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let source = Source::of(0..10);
    source.pull(&outbox).await;
    outbox
        .commit_page(page(
            vec![
                withdrawn(20, false),
                withdrawn(21, false),
                withdrawn(22, false),
            ],
            "b",
        ))
        .await
        .unwrap();
    settle(&place, &outbox, at(1), |_| None).await;
    let id = probe_all(&outbox, None).await;
    let differing = BTreeMap::from([
        (digest(1), (DifferenceKind::Missing, None)),
        (digest(2), (DifferenceKind::Newer, Some(version(2, 3, 9)))),
        (digest(20), (DifferenceKind::Missing, None)),
        (digest(21), (DifferenceKind::Newer, Some(version(21, 1, 7)))),
    ]);
    answer(&place, &outbox, &differing).await;

    let plan = outbox.prepare_repair(id, at(60)).await.unwrap();
    assert_eq!(
        plan,
        RepairPlan {
            resent_withdrawals: 2,
            parked: 0,
            by_sweep: vec![("mis".into(), "recoveries".into())]
        }
    );
    assert_eq!(
        outbox.prepare_repair(id, at(60)).await.unwrap(),
        RepairPlan::default(),
        "once"
    );
    assert_eq!(source.sweep_pass(&outbox).await, [1, 2]);
    finish(&outbox, FREELY).await.unwrap();
    let (_, sent) = settle(&place, &outbox, at(70), |_| None).await;
    let sent: BTreeMap<_, _> = sent
        .into_iter()
        .map(|event| (event.record, event))
        .collect();
    let sent_revision = |record: u32| revision_of(&sent[&digest(record)]);
    assert_eq!(sent.len(), 4);
    assert_eq!(sent_revision(1), revision(1, 2));
    assert_eq!(sent_revision(2), revision(3, 10), "adopted and counted up");
    assert_eq!(sent_revision(20), revision(1, 2));
    assert_eq!(sent_revision(21), revision(1, 8));
    assert!(matches!(sent[&digest(21)].body, Body::Withdrawn { .. }));
    // From now on the record lives in the generation it was found in.
    let mut changed = source.clone();
    changed.rows.insert(2, (2, Some(500)));
    changed.pull(&outbox).await;
    let (_, sent) = settle(&place, &outbox, at(80), |_| None).await;
    assert_eq!(revision_of(&sent[0]), revision(3, 11));
}

#[tokio::test]
async fn records_gone_at_the_source_are_withdrawn_above_what_the_registry_holds() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    Source::of(0..10).pull(&outbox).await;
    settle(&place, &outbox, at(1), |_| None).await;
    let id = probe_all(&outbox, None).await;
    let held = version(4, 2, 3);
    answer(
        &place,
        &outbox,
        &BTreeMap::from([(digest(4), (DifferenceKind::Newer, Some(held)))]),
    )
    .await;
    outbox.prepare_repair(id, at(60)).await.unwrap();
    let mut rest = Source::of(0..10);
    rest.rows.remove(&4);
    rest.sweep(&outbox, FREELY).await;
    let (_, sent) = settle(&place, &outbox, at(70), |_| None).await;
    assert_eq!((sent.len(), revision_of(&sent[0])), (1, revision(2, 4)));
    assert!(matches!(sent[0].body, Body::Withdrawn { .. }));
}

#[tokio::test]
async fn later_reconciliation_replaces_an_unanswered_one() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    Source::of(0..10).pull(&outbox).await;
    settle(&place, &outbox, at(1), |_| None).await;
    let first = probe_all(&outbox, None).await;
    let second = probe_all(&outbox, None).await;
    assert_eq!(
        outbox.backlog().await.unwrap().batches,
        1,
        "its probes need no answer any more"
    );
    answer(&place, &outbox, &BTreeMap::new()).await;
    assert_eq!(
        outbox
            .reader()
            .reconciliation(first)
            .await
            .unwrap()
            .unwrap()
            .finished_at,
        None
    );
    assert!(
        outbox
            .reader()
            .reconciliation(second)
            .await
            .unwrap()
            .unwrap()
            .finished_at
            .is_some()
    );
    assert!(matches!(
        outbox.add_probes(999, at(9)).await,
        Err(OutboxError::NoReconciliation)
    ));
    let nothing = probe_all(&outbox, Some("nobody")).await;
    assert!(
        outbox
            .reader()
            .reconciliation(nothing)
            .await
            .unwrap()
            .unwrap()
            .finished_at
            .is_some(),
        "nothing to ask"
    );
}

#[tokio::test]
async fn unreadable_batches_go_once_everything_in_them_was_asked_about() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    outbox
        .commit_page(page(vec![asserted(1, 1), withdrawn(20, false)], "a"))
        .await
        .unwrap();
    let lost = outbox.lease(5, at(0), LEASE).await.unwrap();
    outbox.settle(&delivered(&lost), at(0)).await.unwrap();
    let unreadable = Verdict::Unreadable(UnreadableReason::OtherKey);
    outbox
        .settle_verdicts(&[(lost[0].batch.id, unreadable)], at(1))
        .await
        .unwrap();
    let unreadable = async || outbox.backlog().await.unwrap().unreadable_batches;

    // Of one source only, or without every answer: what is in the batch may still be known from
    // nowhere else.
    let of_one = probe_all(&outbox, Some("mis")).await;
    answer(&place, &outbox, &BTreeMap::new()).await;
    outbox.prepare_repair(of_one, at(52)).await.unwrap();
    let unanswered = probe_all(&outbox, None).await;
    outbox.prepare_repair(unanswered, at(52)).await.unwrap();
    assert_eq!(unreadable().await, 1);

    let missing = [digest(1), digest(20)].map(|record| (record, (DifferenceKind::Missing, None)));
    answer(&place, &outbox, &BTreeMap::from(missing)).await;
    let plan = outbox.prepare_repair(unanswered, at(60)).await.unwrap();
    assert_eq!(
        (
            plan.resent_withdrawals,
            plan.by_sweep.len(),
            unreadable().await
        ),
        (1, 1, 0)
    );
    assert!(
        outbox
            .answer_keys(&[lost[0].batch.id])
            .await
            .unwrap()
            .is_empty(),
        "it is not sent again"
    );
    let done = outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    assert_eq!(done.unchanged, 0, "the record is sent again as it is");
}

#[tokio::test]
async fn answer_of_the_wrong_kind_is_not_taken() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    Source::of(0..10).pull(&outbox).await;
    let leased = outbox.lease(1, at(0), LEASE).await.unwrap();
    let wrong = Verdict::Answered(Answer::Probed(ProbeAnswer::default()));
    let done = outbox
        .settle_verdicts(&[(leased[0].batch.id, wrong)], at(1))
        .await
        .unwrap();
    assert_eq!((done.batches, done.unreadable), (0, 1));
    assert_eq!(outbox.backlog().await.unwrap().batches, 1);
}

#[tokio::test]
async fn without_receipts_there_is_no_reconciliation() {
    let place = Place::new();
    let outbox = place.open().await;
    assert!(matches!(
        outbox.begin_reconciliation(None, at(0)).await,
        Err(OutboxError::ReceiptsOff)
    ));
}

#[tokio::test]
async fn repair_parks_what_cannot_be_exceeded_and_goes_on() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let source = Source::of(0..10);
    source.pull(&outbox).await;
    let drafts = (20..22).map(|record| withdrawn(record, false)).collect();
    outbox.commit_page(page(drafts, "b")).await.unwrap();
    settle(&place, &outbox, at(1), |_| None).await;
    let id = probe_all(&outbox, None).await;
    let newer = |version| (DifferenceKind::Newer, Some(version));
    let legacy = Version::new(3 << 32 | 5).unwrap();
    let differing = BTreeMap::from([
        (digest(1), newer(Version::MAX)),
        (digest(2), newer(version(2, 1, MAX_COUNT))),
        (digest(3), newer(version(3, 1, MAX_COUNT - 1))),
        (digest(4), (DifferenceKind::Stale, Some(legacy))),
        (digest(20), newer(Version::MAX)),
        (digest(21), (DifferenceKind::Stale, Some(legacy))),
    ]);
    answer(&place, &outbox, &differing).await;
    let report = outbox.reader().reconciliation(id).await.unwrap().unwrap();
    assert_eq!((report.extra, report.stale, report.equal), (4, 2, 6));

    let plan = outbox.prepare_repair(id, at(60)).await.unwrap();
    assert_eq!(
        plan,
        RepairPlan {
            resent_withdrawals: 1,
            parked: 3,
            by_sweep: vec![("mis".into(), "recoveries".into())]
        }
    );
    let open = DeadLetterFilter::default();
    let letters = outbox.reader().dead_letters(&open).await.unwrap();
    let letters: BTreeMap<_, _> = letters
        .iter()
        .map(|letter| (letter.record.as_str(), letter.reason.as_str()))
        .collect();
    let digests = [1, 2, 20].map(|record| digest(record).to_hex());
    let [foreign, exhausted, withdrawn] = digests.each_ref().map(|digest| &digest[..16]);
    assert_eq!(
        letters,
        BTreeMap::from([
            (foreign, FOREIGN_VERSION),
            (exhausted, VERSIONS_EXHAUSTED),
            (withdrawn, FOREIGN_VERSION)
        ])
    );
    assert_eq!(source.sweep_pass(&outbox).await, [3, 4]);
    finish(&outbox, FREELY).await.unwrap();
    let (_, sent) = settle(&place, &outbox, at(70), |_| None).await;
    let sent: BTreeMap<_, _> = sent
        .iter()
        .map(|event| (event.record, revision_of(event)))
        .collect();
    assert_eq!(
        sent,
        BTreeMap::from([
            (digest(3), revision(1, MAX_COUNT)),
            (digest(4), revision(1, 2)),
            (digest(21), revision(1, 2))
        ])
    );
}

#[tokio::test]
async fn repair_of_all_sources_frees_superseded_records_without_a_raise() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let source = Source::of(0..3);
    source.pull(&outbox).await;
    let leased = outbox.lease(9, at(0), LEASE).await.unwrap();
    outbox.settle(&delivered(&leased), at(0)).await.unwrap();
    let held = version(1, 4, 9);
    let superseded = Superseded {
        record: digest(1),
        held,
    };
    let answered = Verdict::Answered(Answer::Stored(StoredAnswer {
        accepted: 2,
        superseded: vec![superseded],
        ..StoredAnswer::default()
    }));
    let done = outbox
        .settle_verdicts(&[(leased[0].batch.id, answered)], at(1))
        .await
        .unwrap();
    assert!(done.raised);
    let raise_waits = async || outbox.reader().status().await.unwrap().raise_waits;
    assert_eq!(raise_waits().await.map(|waits| waits.needed), Some(5));

    let id = probe_all(&outbox, None).await;
    let newer = BTreeMap::from([(digest(1), (DifferenceKind::Newer, Some(held)))]);
    let (probed, _) = answer(&place, &outbox, &newer).await;
    assert_eq!(probed.len(), 3, "its letter does not keep it out");
    outbox.prepare_repair(id, at(60)).await.unwrap();
    assert_eq!(raise_waits().await, None);
    source.sweep_pass(&outbox).await;
    let (_, sent) = settle(&place, &outbox, at(70), |_| None).await;
    let sent = sent.iter().find(|event| event.record == digest(1)).unwrap();
    assert_eq!(revision_of(sent), revision(4, 10));
    assert_eq!(outbox.generation(), 2);
}

#[tokio::test]
async fn raise_that_receipts_asked_for_since_the_comparison_began_is_not_forgotten() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let supersede = async |record: u32| {
        let drafts = vec![asserted(record, 1)];
        outbox.commit_page(page(drafts, "a")).await.unwrap();
        let leased = outbox.lease(9, at(0), LEASE).await.unwrap();
        outbox.settle(&delivered(&leased), at(0)).await.unwrap();
        let event = leased.iter().find(|one| {
            let opened = place.opened(std::slice::from_ref(one));
            opened.iter().any(|event| event.record == digest(record))
        });
        let superseded = Superseded {
            record: digest(record),
            held: version(record, 4, 9),
        };
        let answered = Verdict::Answered(Answer::Stored(StoredAnswer {
            superseded: vec![superseded],
            ..StoredAnswer::default()
        }));
        let verdicts = [(event.unwrap().batch.id, answered)];
        outbox.settle_verdicts(&verdicts, at(1)).await.unwrap();
    };
    let raise_waits = async || outbox.reader().status().await.unwrap().raise_waits;
    supersede(1).await;
    let id = outbox.begin_reconciliation(None, at(40)).await.unwrap();
    while !outbox.add_probes(id, at(41)).await.unwrap() {}
    let newer = |record| {
        let held = Some(version(record, 4, 9));
        (digest(record), (DifferenceKind::Newer, held))
    };
    let (probed, _) = answer(&place, &outbox, &BTreeMap::from([newer(1)])).await;
    assert_eq!(probed.len(), 1);
    // Nothing was asked about this one, and no higher generation than before is needed for it.
    supersede(2).await;
    outbox.prepare_repair(id, at(60)).await.unwrap();
    assert_eq!(raise_waits().await.map(|waits| waits.needed), Some(5));

    let id = probe_all(&outbox, None).await;
    answer(&place, &outbox, &BTreeMap::from([newer(2)])).await;
    outbox.prepare_repair(id, at(61)).await.unwrap();
    assert_eq!(raise_waits().await, None);
}

#[tokio::test]
async fn repair_owes_a_sweep_until_one_that_began_after_it_has_ended() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let source = Source::of(0..20);
    source.pull(&outbox).await;
    settle(&place, &outbox, at(0), |_| None).await;
    let owes = async || {
        let owes = outbox.owes_sweep("mis", "recoveries").await.unwrap();
        let status = outbox.reader().status().await.unwrap();
        assert_eq!(status.feeds[0].sweep_owed, owes);
        owes
    };
    assert!(!owes().await);
    // A sweep that is under way has passed the record already.
    assert!(!source.sweep_page(&outbox, 7).await.0);
    let id = probe_all(&outbox, None).await;
    let differing = BTreeMap::from([(digest(3), (DifferenceKind::Missing, None))]);
    answer(&place, &outbox, &differing).await;
    outbox.prepare_repair(id, at(60)).await.unwrap();
    assert!(owes().await && !outbox.owes_sweep("mis", "tests").await.unwrap());
    source.sweep(&outbox, FREELY).await;
    assert!(owes().await, "that sweep began before");
    assert_eq!(outbox.backlog().await.unwrap().events, 0);
    source.sweep(&outbox, FREELY).await;
    assert!(!owes().await);
    assert_eq!(outbox.backlog().await.unwrap().events, 1);
}
