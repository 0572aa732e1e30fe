//! Tests of a sweep: withdrawals, rows read again, the safety catch, failures.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use connector_kit::Feed;
use contract::{Body, wire};
use outbox::{DeadLetterFilter, Status};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::pull::Counters;
use crate::run::SourceRun;
use crate::testing::{IN_JULY, UNSENDABLE, World};

async fn sweep(world: &World) -> FeedSweep {
    world.gateway.sources[0].request_sweep();
    let summary = world.pull().await;
    let mut feeds = summary.sweep.expect("a sweep was asked for");
    assert_eq!(feeds.len(), 1);
    feeds.remove(0)
}

#[tokio::test]
async fn a_sweep_withdraws_what_is_gone_and_reads_what_pulls_cannot_see() {
    let world = World::new("", 0..4500).await;
    let first = sweep(&world).await;
    assert_eq!(
        (first.keys, first.reread, first.missed, first.withdrawn),
        (4500, 0, 0, 0)
    );
    world.rows.lock().remove(&17);
    world.rows.lock().insert(18, 1);
    let second = sweep(&world).await;
    // Two passes of 4499 keys: something was missing, so all are looked at twice.
    assert_eq!((second.keys, second.reread, second.withdrawn), (4499, 1, 1));
    assert_eq!((second.held, second.finished), (None, true));
    let third = sweep(&world).await;
    assert_eq!((third.keys, third.reread, third.withdrawn), (4499, 0, 0));
    assert_eq!(surprises(&world).await, ["stamps-went-back"]);
}

async fn status(world: &World) -> Status {
    let reader = world.gateway.outbox.reader();
    reader.status().await.expect("the state")
}

/// Codes of the surprises that were noticed, mended or not.
async fn surprises(world: &World) -> Vec<String> {
    let surprises = status(world).await.surprises.into_iter();
    surprises.map(|surprise| surprise.code).collect()
}

/// Returns whether every surprise was seen to be over.
async fn is_all_mended(world: &World) -> bool {
    let mut surprises = status(world).await.surprises.into_iter();
    surprises.all(|surprise| surprise.mended_at.is_some())
}

/// Number of withdrawals among the events that have not left.
async fn withdrawn(world: &World) -> usize {
    let outbox = &world.gateway.outbox;
    let now = world.gateway.clock.now();
    let lease = std::time::Duration::from_secs(60);
    let leased = outbox.lease(1000, now, lease).await.expect("leased");
    let events = leased.iter().flat_map(|one| {
        let opened = world.private.open(&one.batch.bytes).expect("it is ours");
        match wire::decode_message(&opened.encoded).expect("a message") {
            wire::Message::Events(events) => events,
            wire::Message::Probe(_) => Vec::new(),
        }
    });
    events
        .filter(|event| {
            event
                .as_ref()
                .is_ok_and(|event| matches!(event.body, Body::Withdrawn { .. }))
        })
        .count()
}

#[tokio::test]
async fn rows_that_no_list_names_are_asked_for_by_id_before_they_are_withdrawn() {
    let world = World::new("", 0..1000).await;
    sweep(&world).await;
    world.rows.lock().remove(&17);
    world.rows.unlisted.lock().extend([17, 18, 19, 999]);
    world.rows.asked_ids.lock().clear();
    let swept = sweep(&world).await;
    assert_eq!(
        (swept.keys, swept.looks, swept.unlisted, swept.withdrawn),
        (996, 2, 3, 1)
    );
    assert!(swept.finished);
    let questions = std::mem::take(&mut *world.rows.asked_ids.lock());
    let asked: BTreeSet<&str> = questions.iter().flatten().map(String::as_str).collect();
    assert_eq!(asked, BTreeSet::from(["17", "18", "19", "999"]));
    assert_eq!(surprises(&world).await, ["keys-incomplete"]);
    assert_eq!(withdrawn(&world).await, 1);
    world.rows.unlisted.lock().clear();
    world.clock.advance(std::time::Duration::from_secs(60));
    let whole = sweep(&world).await;
    assert_eq!((whole.keys, whole.unlisted, whole.withdrawn), (999, 0, 0));
    assert!(is_all_mended(&world).await);
}

#[tokio::test]
async fn rows_that_get_no_answer_stay_and_stop_neither_the_others_nor_later_sweeps() {
    let world = World::new("", 0..10_000).await;
    sweep(&world).await;
    let gone = 1000..1300;
    world.rows.lock().retain(|id, _| !gone.contains(id));
    // Four that are neighbours, and one that stands alone.
    world
        .rows
        .unanswered
        .lock()
        .extend([1000, 1100, 1101, 1102, 1103]);
    let swept = sweep(&world).await;
    assert_eq!(
        (swept.unanswered, swept.withdrawn, swept.finished),
        (5, 295, true)
    );
    assert_eq!(withdrawn(&world).await, 295);
    assert_eq!(surprises(&world).await, ["rows-unanswered"]);

    // A row that goes later is found all the same.
    world.rows.lock().remove(&5);
    let later = sweep(&world).await;
    assert_eq!((later.unanswered, later.withdrawn), (5, 1));

    world.rows.unanswered.lock().clear();
    world.clock.advance(std::time::Duration::from_secs(60));
    let answered = sweep(&world).await;
    assert_eq!((answered.unanswered, answered.withdrawn), (0, 5));
    assert!(is_all_mended(&world).await);
}

#[tokio::test]
async fn a_source_that_goes_away_between_the_looks_and_the_questions_withdraws_nothing() {
    let world = World::new("", 0..10_000).await;
    sweep(&world).await;
    world.rows.lock().retain(|id, _| *id >= 300);
    world.rows.leaves_when_asked.store(true, Ordering::Relaxed);
    world.rows.asked_ids.lock().clear();
    world.gateway.sources[0].request_sweep();
    let run = SourceRun {
        gateway: &world.gateway,
        source: &world.gateway.sources[0],
        stop: &CancellationToken::new(),
        counters: &Counters::default(),
    };
    run.scheduled().await.expect_err("nothing is answered");
    assert_eq!(withdrawn(&world).await, 0);
    let asked = world.rows.asked_ids.lock().len();
    assert!(asked <= 12, "a source that is away is left alone: {asked}");

    world.rows.leaves_when_asked.store(false, Ordering::Relaxed);
    world.rows.away.store(false, Ordering::Relaxed);
    let resumed = world.pull().await.sweep.expect("it stayed due");
    assert_eq!((resumed[0].withdrawn, resumed[0].unanswered), (300, 0));
}

#[tokio::test]
async fn a_letter_stays_whose_row_no_list_names_but_the_source_has() {
    let world = World::new("", 0..50).await;
    world.rows.lock().insert(UNSENDABLE, 1);
    world.pull().await;
    let letters = async || {
        let reader = world.gateway.outbox.reader();
        let letters = reader.dead_letters(&DeadLetterFilter::default()).await;
        letters.expect("the letters").len()
    };
    assert_eq!(letters().await, 1);
    world.rows.unlisted.lock().insert(UNSENDABLE);
    let swept = sweep(&world).await;
    assert_eq!((swept.looks, swept.unlisted, swept.withdrawn), (2, 1, 0));
    assert_eq!(letters().await, 1, "the row is there, and still wrong");
    world.rows.lock().remove(&UNSENDABLE);
    sweep(&world).await;
    assert_eq!(letters().await, 0);
}

#[tokio::test]
async fn a_fact_of_the_future_is_sent_by_the_first_sweep_from_its_day_on() {
    let world = World::new("", 0..50).await;
    world.rows.lock().insert(IN_JULY, 1);
    world.pull().await;
    let refused = async || {
        let counts = status(&world).await.dead_letters.into_iter();
        counts
            .map(|count| (count.reason, count.count))
            .collect::<Vec<_>>()
    };
    assert_eq!(refused().await, [(outbox::DATE_FUTURE.to_owned(), 1)]);
    let early = sweep(&world).await;
    assert_eq!((early.reread, refused().await.len()), (1, 1));
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    world.clock.advance(12 * day);
    let sent = sweep(&world).await;
    assert_eq!((sent.reread, refused().await.len()), (1, 0));
    let later = sweep(&world).await;
    assert_eq!((later.keys, later.reread), (51, 0));
}

#[tokio::test]
async fn a_sweep_tells_what_became_of_older_versions() {
    for (broken, withdrawn, held) in [(3, 3, 0), (60, 0, 60)] {
        let world = World::new("", 0..200).await;
        world.pull().await;
        world.rows.unsendable.lock().extend(0..broken);
        for id in 0..broken {
            world.rows.lock().insert(id, 1000);
        }
        let swept = sweep(&world).await;
        assert_eq!(
            (swept.reread, swept.withdrawn, swept.held, swept.finished),
            (u64::from(broken), 0, None, true)
        );
        assert_eq!((swept.older_withdrawn, swept.older_held), (withdrawn, held));
        // They are held until somebody permits it, whenever a sweep looks.
        let again = sweep(&world).await;
        assert_eq!((again.older_withdrawn, again.older_held), (0, held));
    }
}

#[tokio::test]
async fn too_many_withdrawals_are_held_and_a_failed_sweep_stays_due() {
    let world = World::new("", 0..100).await;
    sweep(&world).await;
    world.rows.lock().retain(|id, _| *id >= 50);
    let held = sweep(&world).await;
    assert_eq!(
        (held.held, held.withdrawn, held.finished),
        (Some(50), 0, true)
    );
    let source = &world.gateway.sources[0];
    assert!(
        !source.sweeps.is_asked(Feed::Vaccinations),
        "held is an end"
    );

    source.request_sweep();
    world.rows.away.store(true, Ordering::Relaxed);
    let run = SourceRun {
        gateway: &world.gateway,
        source,
        stop: &CancellationToken::new(),
        counters: &Counters::default(),
    };
    let failure = run.scheduled().await.expect_err("the source is away");
    assert_eq!(failure.code(), "source-away");
    assert!(
        source.sweeps.is_asked(Feed::Vaccinations),
        "no sweep after a failed pull, but after the next good one"
    );
}
