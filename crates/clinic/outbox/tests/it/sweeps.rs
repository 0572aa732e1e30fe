//! Key sweeps: what is gone at the source is withdrawn, what is there never is, and the safety
//! catch holds.

use contract::{Body, FactKind};
use outbox::{
    OutboxError, OutboxOptions, RemovedFeed, ShownMissing, Sweep, SweepEnd, SweepKind, SweepLimits,
    SweepStatus,
};

use crate::support::{
    FREELY, Place, Source, asserted, at, digest, finish, page, revision, revision_of, secrets,
};

async fn status(outbox: &outbox::Outbox) -> SweepStatus {
    outbox.reader().status().await.unwrap().feeds[0]
        .sweep
        .clone()
        .unwrap()
}

/// Withdrawals among the events that leave.
async fn withdrawn(place: &Place, outbox: &outbox::Outbox) -> Vec<u32> {
    let sent = place.deliver_all(outbox, at(1)).await;
    let gone = sent
        .iter()
        .filter(|event| matches!(event.body, Body::Withdrawn { .. }));
    let mut gone: Vec<u32> = gone
        .map(|event| {
            let content = secrets().withdrawal_content(&event.record, FactKind::Recovery);
            assert_eq!(event.content, content);
            u32::from_be_bytes(event.record.0[28..].try_into().unwrap())
        })
        .collect();
    gone.sort_unstable();
    gone
}

#[tokio::test]
async fn unchanged_source_costs_one_pass_and_no_event() {
    let place = Place::new();
    let outbox = place.open().await;
    let source = Source::of(0..50);
    source.pull(&outbox).await;
    place.deliver_all(&outbox, at(0)).await;
    assert!(
        source.sweep_pass(&outbox).await.is_empty(),
        "stamps are as remembered: nothing is read"
    );
    let done = SweepEnd::Done {
        seen: 50,
        withdrawn: 0,
        dead_letters_closed: 0,
    };
    assert_eq!(finish(&outbox, FREELY).await.unwrap(), done);
    assert_eq!(outbox.backlog().await.unwrap().batches, 0);
    assert!(
        matches!(finish(&outbox, FREELY).await, Err(OutboxError::NoSweep)),
        "one end a sweep"
    );
}

#[tokio::test]
async fn deleted_rows_are_withdrawn_after_a_second_look() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut source = Source::of(0..50);
    source.pull(&outbox).await;
    place.deliver_all(&outbox, at(0)).await;
    source.rows.retain(|record, _| record % 10 != 3);
    source.sweep_pass(&outbox).await;
    assert_eq!(
        finish(&outbox, FREELY).await.unwrap(),
        SweepEnd::LookAgain { missing: 5 }
    );
    assert_eq!(
        outbox.backlog().await.unwrap().batches,
        0,
        "nothing before the second look"
    );
    assert!(
        matches!(finish(&outbox, FREELY).await, Err(OutboxError::NoSweep)),
        "its keys are not read yet"
    );
    source.sweep_pass(&outbox).await;
    let done = SweepEnd::Done {
        seen: 45,
        withdrawn: 5,
        dead_letters_closed: 0,
    };
    assert_eq!(finish(&outbox, FREELY).await.unwrap(), done);
    assert_eq!(withdrawn(&place, &outbox).await, [3, 13, 23, 33, 43]);
    assert_eq!(status(&outbox).await.withdrawn_total, 5);
    assert_eq!(
        source.sweep(&outbox, FREELY).await,
        SweepEnd::Done {
            seen: 45,
            withdrawn: 0,
            dead_letters_closed: 0
        }
    );

    // A restored backup brings them back exactly as they were, stamps included.
    let again = Source::of(0..50);
    assert_eq!(again.sweep_pass(&outbox).await, [3, 13, 23, 33, 43]);
    finish(&outbox, FREELY).await.unwrap();
    let sent = place.deliver_all(&outbox, at(2)).await;
    assert!(
        sent.iter()
            .all(|event| revision_of(event) == revision(1, 3))
    );
    assert_eq!((sent.len(), status(&outbox).await.missed_total), (5, 5));
}

#[tokio::test]
async fn second_look_finds_what_the_first_had_missed() {
    let place = Place::new();
    let outbox = place.open().await;
    let whole = Source::of(0..20);
    whole.pull(&outbox).await;
    place.deliver_all(&outbox, at(0)).await;
    let mut partial = whole.clone();
    partial.rows.remove(&4);
    partial.sweep_pass(&outbox).await;
    assert_eq!(
        finish(&outbox, FREELY).await.unwrap(),
        SweepEnd::LookAgain { missing: 1 }
    );
    whole.sweep_pass(&outbox).await;
    assert!(matches!(
        finish(&outbox, FREELY).await.unwrap(),
        SweepEnd::Done { withdrawn: 0, .. }
    ));
    assert_eq!(withdrawn(&place, &outbox).await, [0; 0]);
}

#[tokio::test]
async fn late_unseen_and_stepped_back_rows_are_read_again() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut source = Source::of(10..20);
    source.pull(&outbox).await;
    // Row 11 changed though its stamp went back; 12 has no stamp any more; 30 was committed late.
    source.rows.insert(11, (2, Some(5)));
    source.rows.insert(12, (1, None));
    source.rows.insert(30, (1, Some(1)));
    let keys: Vec<_> = source
        .rows
        .iter()
        .map(|(record, (_, stamp))| (digest(*record), *stamp))
        .collect();
    let found = outbox
        .sweep_look_up("mis", "recoveries", &keys)
        .await
        .unwrap();
    assert_eq!(
        (found.reread.as_slice(), found.went_back, found.unknown),
        ([1, 2, 10].as_slice(), 1, 1)
    );
    assert_eq!(source.sweep_pass(&outbox).await, [11, 12, 30]);
    finish(&outbox, FREELY).await.unwrap();
    assert_eq!(
        status(&outbox).await.missed_total,
        2,
        "12 says what it said before"
    );
    assert_eq!(
        source.sweep_pass(&outbox).await,
        [12],
        "what has no stamp is read every time"
    );
    finish(&outbox, FREELY).await.unwrap();
}

#[tokio::test]
async fn rows_pulled_while_a_sweep_runs_are_safe() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut source = Source::of(0..20);
    source.pull(&outbox).await;
    place.deliver_all(&outbox, at(0)).await;
    source.rows.remove(&2);
    source.rows.remove(&3);
    source.sweep_pass(&outbox).await;
    finish(&outbox, FREELY).await.unwrap();
    source.sweep_pass(&outbox).await;
    // Back again, one as it was and one changed, and a new one; the sweep has passed their places.
    let back = Source {
        rows: [(2, (1, Some(2))), (3, (2, Some(99))), (40, (1, Some(40)))].into(),
        ..Source::default()
    };
    back.pull(&outbox).await;
    assert!(matches!(
        finish(&outbox, FREELY).await.unwrap(),
        SweepEnd::Done { withdrawn: 0, .. }
    ));
    assert_eq!(withdrawn(&place, &outbox).await, [0; 0]);
}

#[tokio::test]
async fn sweep_goes_on_where_a_killed_process_left_it() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut source = Source::of(0..30);
    source.pull(&outbox).await;
    place.deliver_all(&outbox, at(0)).await;
    source.rows.remove(&1);
    source.sweep_page(&outbox, 10).await;
    drop(outbox);
    let outbox = place.open().await;
    let resumed = outbox
        .begin_or_resume_sweep("mis", "recoveries", SweepKind::Keys, at(9))
        .await
        .unwrap();
    let expected = Sweep {
        kind: SweepKind::Keys,
        is_new: false,
        pass: 1,
        cursor: Some("10".into()),
        all_read: false,
        seen: 10,
        changed: 0,
        withdrawn: 0,
        begun_at: Some(at(0)),
    };
    assert_eq!(resumed, expected);
    source.sweep_pass(&outbox).await;
    drop(outbox);
    let outbox = place.open().await;
    assert!(
        outbox
            .begin_or_resume_sweep("mis", "recoveries", SweepKind::Keys, at(9))
            .await
            .unwrap()
            .all_read
    );
    assert_eq!(
        finish(&outbox, FREELY).await.unwrap(),
        SweepEnd::LookAgain { missing: 1 }
    );
    source.sweep_pass(&outbox).await;
    assert!(matches!(
        finish(&outbox, FREELY).await.unwrap(),
        SweepEnd::Done { withdrawn: 1, .. }
    ));
    assert_eq!(withdrawn(&place, &outbox).await, [1]);
}

#[tokio::test]
async fn withdrawing_goes_on_after_a_full_outbox_and_a_killed_process() {
    let place = Place::new();
    let outbox = place.open().await;
    // More than one transaction's worth, over two blocks of the bitmap: the rows begin near the end
    // of the first.
    Source::of([7]).pull(&outbox).await;
    outbox.close().await.unwrap();
    let number_32000 = "INSERT INTO record_block (block, unplaced, slots) \
        SELECT 32000 / 58, 0, unhex(hex(zeroblob(32000 % 58 * 69)) || hex(substr(slots, 70))) \
        FROM record_block; \
        DELETE FROM record_block WHERE block = 0";
    place.meddle(number_32000).await;
    let outbox = place.open().await;
    Source::of(0..12_000).pull(&outbox).await;
    place.deliver_all(&outbox, at(0)).await;
    drop(outbox);
    let options = OutboxOptions {
        max_bytes: 100_000,
        ..place.options()
    };
    let mut outbox = outbox::Outbox::open(&place.path, options.clone(), at(0))
        .await
        .unwrap();
    let rest = Source::of([7]);
    rest.sweep_pass(&outbox).await;
    finish(&outbox, FREELY).await.unwrap();
    rest.sweep_pass(&outbox).await;
    let mut calls = 0;
    let mut gone = Vec::new();
    loop {
        calls += 1;
        match finish(&outbox, FREELY).await {
            Ok(end) => {
                let done = SweepEnd::Done {
                    seen: 1,
                    withdrawn: 11_999,
                    dead_letters_closed: 0,
                };
                assert_eq!(end, done, "counted over all calls");
                break;
            }
            Err(error) => assert!(matches!(error, OutboxError::Full { .. }), "{error}"),
        }
        gone.extend(withdrawn(&place, &outbox).await);
        drop(outbox);
        outbox = outbox::Outbox::open(&place.path, options.clone(), at(0))
            .await
            .unwrap();
    }
    gone.extend(withdrawn(&place, &outbox).await);
    gone.sort_unstable();
    assert!(calls > 2, "{calls}");
    assert_eq!(
        gone,
        (0..12_000)
            .filter(|record| *record != 7)
            .collect::<Vec<_>>(),
        "each once"
    );
}

#[tokio::test]
async fn safety_catch_holds_at_its_edge_until_an_operator_says_so() {
    let place = Place::new();
    let outbox = place.open().await;
    Source::of(0..100).pull(&outbox).await;
    place.deliver_all(&outbox, at(0)).await;
    let limits = SweepLimits {
        percent: 5,
        always: 2,
    };
    // 5 of 100 are 5 percent; of the 95 that are left, 5 are more.
    assert!(matches!(
        Source::of(5..100).sweep(&outbox, limits).await,
        SweepEnd::Done { withdrawn: 5, .. }
    ));
    assert_eq!(
        Source::of(10..100).sweep(&outbox, limits).await,
        SweepEnd::Held {
            missing: 5,
            known: 95
        }
    );
    assert!(matches!(
        Source::of(7..100).sweep(&outbox, limits).await,
        SweepEnd::Done { withdrawn: 2, .. }
    ));
    assert_eq!(status(&outbox).await.held, None, "a later sweep was fine");
    assert_eq!(withdrawn(&place, &outbox).await, [0, 1, 2, 3, 4, 5, 6]);

    assert_eq!(
        outbox.confirm_withdrawals("mis", None).await.unwrap(),
        0,
        "nothing is held"
    );
    assert_eq!(
        Source::of(50..100).sweep(&outbox, limits).await,
        SweepEnd::Held {
            missing: 43,
            known: 93
        }
    );
    assert_eq!(
        (status(&outbox).await.held, status(&outbox).await.held_of),
        (Some(43), Some(93))
    );
    assert_eq!(outbox.confirm_withdrawals("other", None).await.unwrap(), 0);
    assert_eq!(outbox.confirm_withdrawals("mis", None).await.unwrap(), 43);
    assert_eq!(
        Source::of(60..100).sweep(&outbox, limits).await,
        SweepEnd::Held {
            missing: 53,
            known: 93
        },
        "more than permitted"
    );
    assert_eq!(status(&outbox).await.permitted, 0, "the permit is used up");
    assert_eq!(outbox.confirm_withdrawals("mis", None).await.unwrap(), 53);
    assert!(matches!(
        Source::of(60..100).sweep(&outbox, limits).await,
        SweepEnd::Done { withdrawn: 53, .. }
    ));
    assert_eq!(
        (status(&outbox).await.held, status(&outbox).await.permitted),
        (None, 0)
    );
}

#[tokio::test]
async fn no_more_withdrawals_are_permitted_than_were_shown() {
    let place = Place::new();
    let outbox = place.open().await;
    Source::of(0..100).pull(&outbox).await;
    let limits = SweepLimits {
        percent: 5,
        always: 2,
    };
    let shown = |count| ShownMissing::from_iter([("recoveries".to_owned(), count)]);
    let confirm = async |shown: ShownMissing| {
        let confirmed = outbox.confirm_withdrawals("mis", Some(&shown)).await;
        confirmed.unwrap()
    };
    let held = |missing| SweepEnd::Held {
        missing,
        known: 100,
    };
    assert_eq!(Source::of(30..100).sweep(&outbox, limits).await, held(30));
    // Before the operator answers, another sweep holds more.
    assert_eq!(Source::of(60..100).sweep(&outbox, limits).await, held(60));
    assert_eq!(confirm(ShownMissing::default()).await, 0);
    assert_eq!(confirm(shown(30)).await, 30);
    assert_eq!(Source::of(60..100).sweep(&outbox, limits).await, held(60));
    let status = status(&outbox).await;
    assert_eq!((status.held, status.permitted), (Some(60), 0));
    // Fewer are held than were shown.
    assert_eq!(Source::of(20..100).sweep(&outbox, limits).await, held(20));
    assert_eq!(confirm(shown(60)).await, 20);
    assert!(matches!(
        Source::of(20..100).sweep(&outbox, limits).await,
        SweepEnd::Done { withdrawn: 20, .. }
    ));
}

#[tokio::test]
async fn emptied_source_is_always_held() {
    let place = Place::new();
    let outbox = place.open().await;
    Source::of(0..2).pull(&outbox).await;
    assert_eq!(
        Source::default().sweep(&outbox, FREELY).await,
        SweepEnd::Held {
            missing: 2,
            known: 2
        }
    );
    assert_eq!(outbox.confirm_withdrawals("mis", None).await.unwrap(), 2);
    assert!(matches!(
        Source::default().sweep(&outbox, FREELY).await,
        SweepEnd::Done { withdrawn: 2, .. }
    ));
    assert!(matches!(
        Source::default().sweep(&outbox, FREELY).await,
        SweepEnd::Done { withdrawn: 0, .. }
    ));
}

#[tokio::test]
async fn other_feeds_and_records_never_sent_are_left_alone() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut source = Source::of(0..5);
    source.bad.insert(2);
    source.pull(&outbox).await;
    let mut elsewhere = Source::of(100..105).page(100..105);
    elsewhere.feed = "tests".into();
    outbox.commit_page(elsewhere).await.unwrap();
    // Records from before feeds were remembered.
    outbox
        .commit_page(page(vec![asserted(50, 1)], "a"))
        .await
        .unwrap();
    place
        .meddle(
            "UPDATE record_block SET unplaced = 1, slots = unhex(hex(substr(slots, 1, \
             length(slots) - 13)) || '00000000' || \
             hex(substr(slots, length(slots) - 8)))",
        )
        .await;
    place.deliver_all(&outbox, at(0)).await;
    let rest = Source::of([0]);
    let done = SweepEnd::Done {
        seen: 1,
        withdrawn: 3,
        dead_letters_closed: 1,
    };
    assert_eq!(
        rest.sweep(&outbox, FREELY).await,
        done,
        "1, 3 and 4; the refused row's dead letter is closed"
    );
    assert_eq!(withdrawn(&place, &outbox).await, [1, 3, 4]);
    let status = outbox.reader().status().await.unwrap();
    assert_eq!((status.unplaced_records, status.dead_letters.len()), (1, 0));
}

#[tokio::test]
async fn step_without_a_sweep_is_refused_whole() {
    let place = Place::new();
    let outbox = place.open().await;
    let step = outbox::PageCommit {
        sweep: Some(outbox::SweepStep::default()),
        ..page(vec![asserted(1, 1)], "a")
    };
    assert!(matches!(
        outbox.commit_page(step).await,
        Err(OutboxError::NoSweep)
    ));
    assert_eq!(outbox.backlog().await.unwrap().batches, 0);
    assert_eq!(outbox.cursor("mis", "recoveries").await.unwrap(), None);
}

#[tokio::test]
async fn step_whose_keys_were_looked_up_before_the_sweep_began_is_refused_whole() {
    let place = Place::new();
    let outbox = place.open().await;
    Source::of(0..3).pull(&outbox).await;
    let keys: Vec<_> = (0..5).map(|record| (digest(record), Some(1))).collect();
    let early = outbox
        .sweep_look_up("mis", "recoveries", &keys)
        .await
        .unwrap();
    Source::of(0..5).pull(&outbox).await;
    outbox
        .begin_or_resume_sweep("mis", "recoveries", SweepKind::Keys, at(0))
        .await
        .unwrap();
    let noted = async |seen| {
        let step = outbox::SweepStep {
            seen,
            ..outbox::SweepStep::default()
        };
        outbox
            .commit_page(outbox::PageCommit {
                sweep: Some(step),
                ..page(Vec::new(), "a")
            })
            .await
    };
    // Two of its records are below the sweep's horizon, and it does not know their numbers.
    assert!(matches!(noted(early.seen).await, Err(OutboxError::NoSweep)));
    assert_eq!(status(&outbox).await.seen, 0);
    let found = outbox
        .sweep_look_up("mis", "recoveries", &keys)
        .await
        .unwrap();
    noted(found.seen).await.unwrap();
    assert!(matches!(
        finish(&outbox, FREELY).await.unwrap(),
        SweepEnd::Done {
            seen: 5,
            withdrawn: 0,
            ..
        }
    ));
}

#[tokio::test]
async fn removed_source_is_withdrawn_when_the_operator_has_confirmed() {
    let place = Place::new();
    let outbox = place.open().await;
    Source::of(0..30).pull(&outbox).await;
    place.deliver_all(&outbox, at(0)).await;
    let removed = [RemovedFeed {
        feed: "recoveries".into(),
        kind: FactKind::Recovery,
    }];
    let remove = async || {
        outbox
            .withdraw_removed_source("mis", &removed, at(3))
            .await
            .unwrap()
    };
    assert_eq!(
        remove().await,
        SweepEnd::Held {
            missing: 30,
            known: 30
        }
    );
    assert_eq!(
        remove().await,
        SweepEnd::Held {
            missing: 30,
            known: 30
        }
    );
    assert_eq!(outbox.confirm_withdrawals("mis", None).await.unwrap(), 30);
    assert_eq!(
        remove().await,
        SweepEnd::Done {
            seen: 0,
            withdrawn: 30,
            dead_letters_closed: 0
        }
    );
    assert_eq!(
        withdrawn(&place, &outbox).await,
        (0..30).collect::<Vec<_>>()
    );
    assert_eq!(
        remove().await,
        SweepEnd::Done {
            seen: 0,
            withdrawn: 0,
            dead_letters_closed: 0
        }
    );
    assert_eq!(outbox.cursor("mis", "recoveries").await.unwrap(), None);
    assert_eq!(
        Source::of(0..30).pull(&outbox).await.corrected,
        30,
        "a source that comes back is sent again"
    );
}

#[tokio::test]
async fn surprises_are_counted() {
    let place = Place::new();
    let outbox = place.open().await;
    for (code, count, second) in [
        ("stamps-went-back", 2, 1),
        ("stamps-went-back", 3, 5),
        ("free text!", 1, 6),
    ] {
        outbox
            .note_surprise("mis", "tests", code, count, at(second))
            .await
            .unwrap();
    }
    let surprises = outbox.reader().status().await.unwrap().surprises;
    let [other, back] = surprises.as_slice() else {
        panic!("{surprises:?}")
    };
    assert_eq!(
        (other.code.as_str(), back.code.as_str(), back.count),
        ("other", "stamps-went-back", 5)
    );
    assert_eq!(
        (back.first_seen_at, back.last_seen_at),
        (Some(at(1)), Some(at(5)))
    );
}
