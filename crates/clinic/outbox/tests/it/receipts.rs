//! Receipts: settled once, whenever they come, and sent again when they do not.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    Answer, BatchId, Event, RefusalReason, RefusedEvent, StoredAnswer, UnreadableReason, Verdict,
};
use outbox::{DeadLetterFilter, Leased, Outbox, OutboxOptions, Settled, SettledVerdicts};

use crate::support::{LEASE, Place, asserted, at, delivered, digest, failed, page, version};

pub(crate) fn refused(code: &str) -> RefusalReason {
    RefusalReason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == code)
        .unwrap()
}

pub(crate) fn stored(answer: StoredAnswer) -> Verdict {
    Verdict::Answered(Answer::Stored(answer))
}

fn accepted(accepted: u32) -> Verdict {
    stored(StoredAnswer {
        accepted,
        ..StoredAnswer::default()
    })
}

/// Leases, delivers and answers everything; `refuse` says which events, and why. What it came to,
/// and what was sent.
pub(crate) async fn settle(
    place: &Place,
    outbox: &Outbox,
    now: DateTime<Utc>,
    refuse: impl Fn(&Event) -> Option<RefusalReason>,
) -> (SettledVerdicts, Vec<Event>) {
    let leased = outbox.lease(1000, now, LEASE).await.unwrap();
    outbox.settle(&delivered(&leased), now).await.unwrap();
    let mut verdicts = Vec::new();
    let mut sent = Vec::new();
    for one in &leased {
        let events = place.opened(std::slice::from_ref(one));
        let mut answer = StoredAnswer::default();
        for (event, index) in events.iter().zip(0..) {
            match refuse(event) {
                None => answer.accepted += 1,
                Some(reason) => {
                    let record = Some(event.record);
                    let version = Some(event.version);
                    answer.refused.push(RefusedEvent {
                        index,
                        record,
                        version,
                        reason,
                    });
                }
            }
        }
        verdicts.push((one.batch.id, stored(answer)));
        sent.extend(events);
    }
    (outbox.settle_verdicts(&verdicts, now).await.unwrap(), sent)
}

fn one_batch(leased: &[Leased]) -> BatchId {
    assert_eq!(leased.len(), 1);
    leased[0].batch.id
}

#[tokio::test]
async fn delivered_batch_stays_until_its_receipt() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    outbox
        .commit_page(page(vec![asserted(1, 1), asserted(2, 1)], "a"))
        .await
        .unwrap();
    let leased = outbox.lease(5, at(0), LEASE).await.unwrap();
    let id = one_batch(&leased);
    assert_eq!(
        outbox.settle(&delivered(&leased), at(1)).await.unwrap(),
        Settled {
            delivered: 1,
            ..Settled::default()
        }
    );
    let backlog = outbox.backlog().await.unwrap();
    assert_eq!(
        (
            backlog.batches,
            backlog.events,
            backlog.awaiting_receipt_batches
        ),
        (0, 0, 1)
    );
    assert_eq!(
        backlog.bytes,
        leased[0].batch.bytes.len() as u64,
        "it still takes its room"
    );

    let strangers = BatchId([9; 16]);
    let keys = outbox.answer_keys(&[id, strangers]).await.unwrap();
    let opened = place.key.open(&leased[0].batch.bytes).unwrap();
    assert_eq!(
        (keys.len(), keys[&id].expose()),
        (1, opened.answer_key.expose())
    );

    let done = outbox
        .settle_verdicts(&[(id, accepted(2)), (strangers, accepted(7))], at(2))
        .await
        .unwrap();
    assert_eq!(
        done,
        SettledVerdicts {
            batches: 1,
            accepted_events: 2,
            ..SettledVerdicts::default()
        }
    );
    let again = outbox
        .settle_verdicts(&[(id, accepted(2)), (id, accepted(2))], at(3))
        .await
        .unwrap();
    assert_eq!(again, SettledVerdicts::default(), "twice is once");
    let status = outbox.reader().status().await.unwrap();
    assert_eq!(
        (
            status.backlog.bytes,
            status.backlog.awaiting_receipt_batches
        ),
        (0, 0)
    );
    let publisher = status.publisher;
    assert_eq!(
        (publisher.delivered_batches, publisher.accepted_events),
        (1, 2)
    );
    assert_eq!(publisher.last_receipt_at, Some(at(2)));
}

#[tokio::test]
async fn receipt_may_overtake_the_confirm() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    let leased = outbox.lease(5, at(0), LEASE).await.unwrap();
    let done = outbox
        .settle_verdicts(&[(one_batch(&leased), accepted(1))], at(1))
        .await
        .unwrap();
    assert_eq!(done.batches, 1);
    assert_eq!(
        outbox
            .settle(&delivered(&leased), at(2))
            .await
            .unwrap()
            .stale,
        1
    );
    let publisher = outbox.reader().status().await.unwrap().publisher;
    assert_eq!(
        (publisher.delivered_batches, publisher.delivered_events),
        (1, 1),
        "counted all the same"
    );
}

#[tokio::test]
async fn unreceipted_batch_is_sent_again_after_doubling_waits() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    let mut now = 0;
    let mut first = None;
    let day = 24 * 60 * 60;
    for wait in [
        60, 120, 240, 480, 960, 1920, 3840, 7680, 15_360, 30_720, 61_440, day, day,
    ] {
        let leased = outbox.lease(5, at(now), LEASE).await.unwrap();
        let sent = first.get_or_insert_with(|| leased[0].batch.clone());
        assert_eq!(
            (leased.len(), &leased[0].batch),
            (1, &*sent),
            "the very same bytes"
        );
        outbox.settle(&delivered(&leased), at(now)).await.unwrap();
        assert!(
            outbox
                .lease(5, at(now + wait - 1), LEASE)
                .await
                .unwrap()
                .is_empty()
        );
        now += wait;
    }
    assert_eq!(
        outbox
            .reader()
            .status()
            .await
            .unwrap()
            .publisher
            .delivered_batches,
        1
    );
    let late = outbox
        .settle_verdicts(&[(first.unwrap().id, accepted(1))], at(now))
        .await
        .unwrap();
    assert_eq!(late.batches, 1, "never too late");
    assert!(outbox.lease(5, at(now), LEASE).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_operator_has_what_waits_for_receipts_sent_again_at_once() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    assert_eq!(outbox.resend().await.unwrap(), 0);
    let facts = page(vec![asserted(1, 1)], "a");
    outbox.commit_page(facts).await.unwrap();
    assert_eq!(
        outbox.resend().await.unwrap(),
        0,
        "it was not delivered yet"
    );
    let mut now = 0;
    let mut sent = Vec::new();
    for wait in [60, 120, 240, 480] {
        sent = outbox.lease(5, at(now), LEASE).await.unwrap();
        outbox.settle(&delivered(&sent), at(now)).await.unwrap();
        now += wait;
    }
    // The next would come after 16 minutes.
    let lease = async |now| outbox.lease(5, at(now), LEASE).await.unwrap();
    assert_eq!(lease(now - 1).await, []);
    assert_eq!(outbox.resend().await.unwrap(), 1);
    let again = lease(now - 1).await;
    assert_eq!(one_batch(&again), one_batch(&sent));
    assert_eq!(again[0].batch.bytes, sent[0].batch.bytes, "the very same");
    outbox.settle(&delivered(&again), at(now)).await.unwrap();
    assert_eq!(lease(now + 119).await, [], "the waits begin anew");
    assert_eq!(lease(now + 120).await.len(), 1);
    let status = outbox.reader().status().await.unwrap();
    assert_eq!(status.publisher.delivered_batches, 1, "counted once");
}

#[tokio::test]
async fn resend_is_not_lost_to_a_failed_try_a_restart_or_a_clock_set_back() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    let leased = outbox.lease(5, at(0), LEASE).await.unwrap();
    outbox.settle(&delivered(&leased), at(0)).await.unwrap();
    drop(outbox);
    let outbox = place.open_with_receipts().await;
    assert!(
        outbox.lease(5, at(59), LEASE).await.unwrap().is_empty(),
        "a restart is no reason to send again"
    );
    let again = outbox.lease(5, at(60), LEASE).await.unwrap();
    outbox
        .settle(&failed(&again, at(70)), at(61))
        .await
        .unwrap();
    let again = outbox.lease(5, at(70), LEASE).await.unwrap();
    outbox.settle(&delivered(&again), at(70)).await.unwrap();
    assert!(
        outbox
            .lease(5, at(70 + 119), LEASE)
            .await
            .unwrap()
            .is_empty(),
        "the second delivery: two minutes"
    );
    // Within a day the wait is believed; beyond, only a clock set back can say so.
    assert!(
        outbox
            .lease(5, at(0) - TimeDelta::hours(23), LEASE)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        outbox
            .lease(5, at(0) - TimeDelta::hours(24), LEASE)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn older_batches_come_first_whether_new_or_sent_again() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    for record in 0..3 {
        outbox
            .commit_page(page(vec![asserted(record, 1)], "a"))
            .await
            .unwrap();
    }
    let first = outbox.lease(2, at(0), LEASE).await.unwrap();
    outbox.settle(&delivered(&first), at(0)).await.unwrap();
    let due = outbox.lease(9, at(60), LEASE).await.unwrap();
    let order: Vec<_> = place
        .opened(&due)
        .into_iter()
        .map(|event| event.record)
        .collect();
    assert_eq!(order, (0..3).map(digest).collect::<Vec<_>>());
}

#[tokio::test]
async fn switching_receipts_off_settles_what_the_broker_has() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    for record in 0..2 {
        outbox
            .commit_page(page(vec![asserted(record, 1)], "a"))
            .await
            .unwrap();
    }
    let first = outbox.lease(1, at(0), LEASE).await.unwrap();
    outbox.settle(&delivered(&first), at(0)).await.unwrap();
    outbox.close().await.unwrap();
    let outbox = place.open().await;
    let backlog = outbox.backlog().await.unwrap();
    assert_eq!(
        (backlog.batches, backlog.awaiting_receipt_batches),
        (1, 0),
        "the other still has to leave"
    );
}

#[tokio::test]
async fn batches_from_before_answer_keys_are_settled_by_the_confirm() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    place.meddle("UPDATE batch SET answer_key = NULL").await;
    let leased = outbox.lease(1, at(0), LEASE).await.unwrap();
    assert!(
        outbox
            .answer_keys(&[leased[0].batch.id])
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        outbox
            .settle(&delivered(&leased), at(0))
            .await
            .unwrap()
            .delivered,
        1
    );
    assert_eq!(
        outbox.backlog().await.unwrap().bytes,
        0,
        "nobody could read its receipt"
    );
}

#[tokio::test]
async fn batches_waiting_for_receipts_count_towards_the_limit() {
    let place = Place::new();
    let resend_after = std::time::Duration::from_secs(60);
    let options = OutboxOptions {
        receipts: true,
        resend_after,
        max_bytes: 4000,
        ..place.options()
    };
    let outbox = Outbox::open(&place.path, options, at(0)).await.unwrap();
    outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    let leased = outbox.lease(1, at(0), LEASE).await.unwrap();
    outbox.settle(&delivered(&leased), at(0)).await.unwrap();
    assert!(outbox.is_full().await.unwrap());
    outbox
        .settle_verdicts(&[(leased[0].batch.id, accepted(1))], at(1))
        .await
        .unwrap();
    assert!(!outbox.is_full().await.unwrap());
}

#[tokio::test]
async fn unreadable_batch_stays_visible_and_waits_for_its_resend() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    let leased = outbox.lease(1, at(0), LEASE).await.unwrap();
    outbox.settle(&delivered(&leased), at(0)).await.unwrap();
    let unreadable = [(
        one_batch(&leased),
        Verdict::Unreadable(UnreadableReason::OtherKey),
    )];
    assert_eq!(
        outbox
            .settle_verdicts(&unreadable, at(1))
            .await
            .unwrap()
            .unreadable,
        1
    );
    let status = outbox.reader().status().await.unwrap();
    assert_eq!(
        (
            status.backlog.unreadable_batches,
            status.backlog.awaiting_receipt_batches
        ),
        (1, 1)
    );
    assert_eq!(
        status.publisher.unreadable.as_deref(),
        Some(UnreadableReason::OtherKey.as_str())
    );
    assert!(outbox.lease(1, at(59), LEASE).await.unwrap().is_empty());
    assert_eq!(
        outbox.lease(1, at(60), LEASE).await.unwrap()[0].batch,
        leased[0].batch
    );
    // The registry has found its old key again.
    outbox
        .settle_verdicts(&[(leased[0].batch.id, accepted(1))], at(61))
        .await
        .unwrap();
    assert_eq!(
        outbox.reader().status().await.unwrap().publisher.unreadable,
        None
    );
}

#[tokio::test]
async fn refusal_of_an_outdated_version_opens_no_dead_letter() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    let first = outbox.lease(1, at(0), LEASE).await.unwrap();
    let event = place.opened(&first).remove(0);
    outbox
        .commit_page(page(vec![asserted(1, 2)], "b"))
        .await
        .unwrap();
    let reason = refused("bad-date");
    let record = Some(event.record);
    let version = Some(event.version);
    let refused = vec![RefusedEvent {
        index: 0,
        record,
        version,
        reason,
    }];
    let verdict = stored(StoredAnswer {
        refused,
        ..StoredAnswer::default()
    });
    let done = outbox
        .settle_verdicts(&[(first[0].batch.id, verdict)], at(1))
        .await
        .unwrap();
    assert_eq!((done.refused_events, done.raised), (1, false));
    assert!(
        outbox
            .reader()
            .dead_letters(&DeadLetterFilter::default())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn refusal_of_an_older_version_hides_none_of_the_newest() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    outbox
        .commit_page(page(vec![asserted(1, 2)], "b"))
        .await
        .unwrap();
    let leased = outbox.lease(2, at(0), LEASE).await.unwrap();
    outbox.settle(&delivered(&leased), at(0)).await.unwrap();
    let refused = |count, code| {
        let version = Some(version(1, 1, count));
        let refused = RefusedEvent {
            index: 0,
            record: Some(digest(1)),
            version,
            reason: refused(code),
        };
        stored(StoredAnswer {
            refused: vec![refused],
            ..StoredAnswer::default()
        })
    };
    let [older, newest] = [leased[0].batch.id, leased[1].batch.id];
    let verdicts = [
        (newest, refused(2, "bad-date")),
        (older, refused(1, "bad-subject")),
    ];
    outbox.settle_verdicts(&verdicts, at(1)).await.unwrap();
    let letters = outbox
        .reader()
        .dead_letters(&DeadLetterFilter::default())
        .await
        .unwrap();
    assert_eq!(
        letters
            .iter()
            .map(|letter| letter.reason.as_str())
            .collect::<Vec<_>>(),
        ["registry:bad-date"]
    );
}

#[tokio::test]
async fn answer_that_leaves_events_out_proves_nothing() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    outbox
        .commit_page(page(vec![asserted(1, 1), asserted(2, 1)], "a"))
        .await
        .unwrap();
    let leased = outbox.lease(5, at(0), LEASE).await.unwrap();
    let id = one_batch(&leased);
    outbox.settle(&delivered(&leased), at(1)).await.unwrap();
    for claimed in [0, 1, 3, u32::MAX] {
        let done = outbox
            .settle_verdicts(&[(id, accepted(claimed))], at(2))
            .await
            .unwrap();
        assert_eq!(
            (done.batches, done.accepted_events, done.unreadable),
            (0, 0, 1)
        );
    }
    let status = outbox.reader().status().await.unwrap();
    assert_eq!(status.backlog.unreadable_batches, 1);
    assert_eq!(
        status.publisher.unreadable.as_deref(),
        Some("answer-does-not-add-up")
    );
    let again = outbox.lease(5, at(90_000), LEASE).await.unwrap();
    assert_eq!(one_batch(&again), id, "it is sent again");
    let done = outbox
        .settle_verdicts(&[(id, accepted(2))], at(3))
        .await
        .unwrap();
    assert_eq!((done.batches, done.accepted_events), (1, 2));
}

#[tokio::test]
async fn switching_receipts_off_keeps_what_the_registry_could_not_read() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    for record in 1..=2 {
        let drafts = vec![asserted(record, 1)];
        outbox.commit_page(page(drafts, "a")).await.unwrap();
    }
    let leased = outbox.lease(5, at(0), LEASE).await.unwrap();
    outbox.settle(&delivered(&leased), at(1)).await.unwrap();
    let unreadable = leased[0].batch.id;
    let verdict = Verdict::Unreadable(UnreadableReason::OtherKey);
    let verdicts = [(unreadable, verdict)];
    outbox.settle_verdicts(&verdicts, at(2)).await.unwrap();
    outbox.close().await.unwrap();

    // Nobody answers any more: the other batch is settled by the confirm it had.
    let outbox = place.open().await;
    let backlog = outbox.backlog().await.unwrap();
    assert_eq!(
        (backlog.unreadable_batches, backlog.awaiting_receipt_batches),
        (1, 1)
    );
    // A confirm does not settle it either: it goes on being sent.
    for day in 1..4 {
        let now = at(day * 90_000);
        let leased = outbox.lease(5, now, LEASE).await.unwrap();
        assert_eq!(one_batch(&leased), unreadable);
        let settled = outbox.settle(&delivered(&leased), now).await.unwrap();
        assert_eq!(settled.delivered, 1);
        assert_eq!(outbox.backlog().await.unwrap().unreadable_batches, 1);
    }
    // Batches of now are settled by their confirm.
    outbox
        .commit_page(page(vec![asserted(3, 1)], "b"))
        .await
        .unwrap();
    place.deliver_all(&outbox, at(91_000 * 3)).await;
    outbox.close().await.unwrap();

    let outbox = place.open_with_receipts().await;
    let done = outbox
        .settle_verdicts(&[(unreadable, accepted(1))], at(3))
        .await
        .unwrap();
    assert_eq!((done.batches, done.accepted_events), (1, 1));
    let backlog = outbox.backlog().await.unwrap();
    assert_eq!(
        (backlog.unreadable_batches, backlog.awaiting_receipt_batches),
        (0, 0)
    );
}
