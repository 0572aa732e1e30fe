//! Receipts: settled once, whenever they come; sent again when they do not; and what restored
//! states give away.

use chrono::{DateTime, TimeDelta, Utc};
use contract::{
    Answer, BatchId, Event, RefusalReason, RefusedEvent, StoredAnswer, Superseded,
    UnreadableReason, Verdict, Version,
};
use outbox::{DeadLetterFilter, Leased, Outbox, OutboxOptions, Settled, SettledVerdicts};

use crate::support::{LEASE, Place, Source, asserted, at, delivered, digest, failed, page};

pub(crate) fn refused(code: &str) -> RefusalReason {
    RefusalReason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == code)
        .unwrap()
}

fn stored(answer: StoredAnswer) -> Verdict {
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

/// Commits `content` of record 1, delivers it, and says what the registry answers.
async fn answered(
    outbox: &Outbox,
    content: u16,
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
        .settle_verdicts(&[(last.batch.id, stored(answer(last)))], at(7))
        .await
        .unwrap()
}

fn superseded_by(record: u32, generation: u32, count: u32) -> StoredAnswer {
    let held = Version { generation, count };
    StoredAnswer {
        accepted: 1,
        superseded: vec![Superseded {
            record: digest(record),
            held,
        }],
        ..StoredAnswer::default()
    }
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
        let version = Some(Version {
            generation: 1,
            count,
        });
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
    assert!(sent.iter().all(|event| event.version
        == Version {
            generation: 2,
            count: 1
        }));

    // The generation file followed: neither another start nor a lost file falls back.
    outbox.close().await.unwrap();
    assert_eq!(place.open_with_receipts().await.generation(), 2);
    std::fs::remove_file(&place.path).unwrap();
    assert_eq!(place.open_with_receipts().await.generation(), 3);
}

#[tokio::test]
async fn generation_rises_above_what_is_held_and_only_for_what_was_never_sent() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    assert!(
        !answered(&outbox, 1, |_| superseded_by(1, 1, 1))
            .await
            .raised,
        "our own version"
    );
    let mine = answered(&outbox, 2, |_| superseded_by(1, 1, 2)).await;
    assert!(
        !mine.raised,
        "the later one of our own overtook the earlier"
    );
    assert!(
        answered(&outbox, 3, |_| superseded_by(99, 5, 1))
            .await
            .raised,
        "a record that was forgotten"
    );
    assert_eq!(outbox.generation(), 6);
    let before = answered(&outbox, 4, |_| superseded_by(99, 5, 9)).await;
    assert!(!before.raised, "what is sent now is above that anyway");
    assert!(
        answered(&outbox, 5, |_| superseded_by(99, 6, 1))
            .await
            .raised
    );
    assert_eq!(outbox.generation(), 7);
    assert!(
        !answered(&outbox, 6, |_| superseded_by(99, u32::MAX, 1))
            .await
            .raised,
        "there is none above that"
    );
}

#[tokio::test]
async fn version_used_twice_shows_a_restored_state() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let reuse = |leased: &Leased| {
        let event = place.opened(std::slice::from_ref(leased)).remove(0);
        let record = Some(event.record);
        let version = Some(event.version);
        let refused = vec![RefusedEvent {
            index: 0,
            record,
            version,
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
    assert!(sent.iter().all(|event| event.version > held[0].version));
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
        .map(|event| event.version)
        .collect();
    assert_eq!(
        versions,
        [
            Version {
                generation: 1,
                count: 1
            },
            Version {
                generation: 4,
                count: 1
            }
        ]
    );
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
