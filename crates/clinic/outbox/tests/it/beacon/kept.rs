//! Beacons that the queue does not take, or that nobody answers: a restored state does not count on
//! past what it would be noticed by.

use super::*;
use crate::support::failed;

/// Pause after which batches that leave are followed by another beacon, in seconds.
const PAUSE: i64 = BEACON_PAUSE_MS / 1000;

/// Makes a state with a copy that the registry is `ahead` beacons of, copied back.
async fn restored<'a>(place: &'a Place, registry: &mut Registry, ahead: u32) -> State<'a> {
    let state = State::new(place);
    state.run(registry, &rows(0..3), 0).await;
    let copy = state.copy("copy");
    for more in 1..=ahead {
        let done = state.run(registry, &rows(0..3 + more), more.into()).await;
        assert_eq!(done, SETTLED);
    }
    copy_state(&copy.path, &state.path);
    state
}

/// Gives out versions and whatever beacon is due then; returns whether one was.
async fn work(outbox: &Outbox, round: u32, now: i64) -> bool {
    let rows = rows(0..20 + round);
    outbox.commit_page(page(rows, "a")).await.unwrap();
    let first = beacon(outbox, BeaconOccasion::BatchesLeave, now).await;
    first | beacon(outbox, BeaconOccasion::End, now).await
}

/// Tries to publish all that waits, in vain; returns the revisions of the beacons, and the number
/// of other batches.
async fn in_vain(place: &Place, outbox: &Outbox, now: i64) -> (Vec<Revision>, usize) {
    let mut leased = outbox.lease(1000, at(now), LEASE).await.unwrap();
    let settled = outbox.settle(&failed(&leased, at(now)), at(now)).await;
    assert_eq!(settled.unwrap().failed, leased.len() as u64);
    let all = leased.len();
    leased.retain(|one| one.is_beacon);
    let events = place.opened(&leased);
    (events.iter().map(revision_of).collect(), all - leased.len())
}

#[tokio::test]
async fn restored_state_is_noticed_though_the_queue_took_nothing_for_several_attempts() {
    for ahead in 1..=4 {
        let place = Place::new();
        let mut registry = Registry::default();
        let state = restored(&place, &mut registry, ahead).await;
        let mut now = 100;
        for start in 0..3 {
            let outbox = state.try_open(now).await.unwrap();
            beacon(&outbox, BeaconOccasion::Start, now).await;
            for round in 0..3 {
                work(&outbox, 3 * start + round, now).await;
                let (beacons, others) = in_vain(&place, &outbox, now).await;
                assert_eq!(beacons, [revision(1, 2)], "one, and the same");
                assert_eq!(others, 1 + 3 * start as usize + round as usize);
                now += PAUSE;
            }
            outbox.close().await.unwrap();
        }
        let done = state.run(&mut registry, &rows(0..3), now).await;
        assert!(done.raised && !done.other_gateway, "{ahead}");
        let last = state.run(&mut registry, &rows(0..3), now + 1).await;
        assert_eq!(last, SETTLED);
    }
}

#[tokio::test]
async fn revision_that_is_held_and_has_not_left_from_here_shows_another_state() {
    for is_tried in [false, true] {
        let place = Place::new();
        let mut registry = Registry::default();
        let state = restored(&place, &mut registry, 1).await;
        let outbox = state.try_open(100).await.unwrap();
        assert!(beacon(&outbox, BeaconOccasion::Start, 100).await);
        let answers = registry.take(&place, &outbox, 100).await;
        let mut now = 100;
        for round in 0..3 {
            assert_eq!(work(&outbox, round, now).await, round == 0);
            if is_tried {
                in_vain(&place, &outbox, now).await;
            }
            now += PAUSE;
        }
        let mut done = outbox.settle_verdicts(&answers, at(now)).await.unwrap();
        if is_tried {
            // It may be the one from here, and its own answer tells.
            assert!(!done.raised);
            done = registry.exchange(&place, &outbox, now).await;
        }
        assert!(done.raised && !done.other_gateway, "{is_tried}");
        outbox.close().await.unwrap();
    }
}

#[tokio::test]
async fn beacon_that_arrived_though_nobody_confirmed_it_shows_nothing() {
    let place = Place::new();
    let state = State::new(&place);
    let mut registry = Registry::default();
    state.run(&mut registry, &rows(0..3), 0).await;
    let outbox = state.try_open(1).await.unwrap();
    assert!(work(&outbox, 0, 1).await);
    let unanswered = outbox.lease(1000, at(1), LEASE).await.unwrap();
    let settled = outbox.settle(&delivered(&unanswered), at(1)).await;
    assert_eq!(settled.unwrap().delivered, 2);
    assert!(work(&outbox, 1, 1).await);
    let unconfirmed = outbox.lease(1000, at(1), LEASE).await.unwrap();
    registry.answer(place.opened(&unconfirmed));
    let failures = failed(&unconfirmed, at(1));
    outbox.settle(&failures, at(1)).await.unwrap();
    // Answered out of their order, the older one by itself.
    let mut answers = Vec::new();
    for one in &unanswered {
        let answer = registry.answer(place.opened(std::slice::from_ref(one)));
        assert_eq!(answer.superseded.len(), usize::from(one.is_beacon));
        answers.push((one.batch.id, Verdict::Answered(Answer::Stored(answer))));
    }
    let done = outbox.settle_verdicts(&answers, at(2)).await.unwrap();
    assert!(!done.raised && !done.raise_waits);
    let done = registry.exchange(&place, &outbox, 2).await;
    assert!(!done.raised && !outbox.awaits_answer().await.unwrap());
}

#[tokio::test]
async fn beacon_of_an_earlier_generation_that_has_not_left_gives_way_to_one_of_the_present() {
    let place = Place::new();
    let state = State::new(&place);
    let outbox = state.try_open(0).await.unwrap();
    assert!(work(&outbox, 0, 0).await);
    assert!(!work(&outbox, 1, PAUSE).await);
    assert!(outbox.raise_generation(5, "a test", at(0)).await.unwrap());
    assert!(beacon(&outbox, BeaconOccasion::BatchesLeave, 0).await);
    assert!(!work(&outbox, 2, PAUSE).await, "kept in its turn");
    let (beacons, _) = in_vain(&place, &outbox, PAUSE).await;
    assert_eq!(beacons, [revision(5, 1)]);
}

#[tokio::test]
async fn no_more_than_sixteen_wait_for_their_answers_and_none_is_forgotten() {
    for ahead in [3, 15, 16, 17] {
        let place = Place::new();
        let mut registry = Registry::default();
        let state = restored(&place, &mut registry, ahead).await;
        let outbox = state.try_open(100).await.unwrap();
        let mut answers = Vec::new();
        for round in 0..20 {
            let is_due = work(&outbox, round, 100).await;
            assert_eq!(is_due, round < 16, "{round}");
            answers.extend(registry.take(&place, &outbox, 100).await);
        }
        outbox.close().await.unwrap();
        // Asked again at a start nevertheless, and once however often it starts.
        for _ in 0..2 {
            let outbox = state.try_open(100).await.unwrap();
            assert!(beacon(&outbox, BeaconOccasion::Start, 100).await);
            let (beacons, _) = in_vain(&place, &outbox, 100).await;
            assert_eq!(beacons, [revision(1, 17)]);
            outbox.close().await.unwrap();
        }
        let outbox = state.try_open(100).await.unwrap();
        let done = outbox.settle_verdicts(&answers, at(101)).await.unwrap();
        assert!(done.raised && !done.other_gateway, "{ahead}");
        outbox.close().await.unwrap();
    }
}

#[tokio::test]
async fn another_leaves_once_one_of_the_sixteen_is_answered() {
    let place = Place::new();
    let state = State::new(&place);
    let mut registry = Registry::default();
    let outbox = state.try_open(0).await.unwrap();
    let mut answers = Vec::new();
    for round in 0..17 {
        assert_eq!(work(&outbox, round, 0).await, round < 16);
        answers.push(registry.take(&place, &outbox, 0).await);
    }
    let done = outbox.settle_verdicts(&answers[3], at(1)).await.unwrap();
    assert!(!done.raised);
    assert!(work(&outbox, 17, 1).await);
}

#[tokio::test]
async fn second_restore_to_a_copy_from_after_a_raise_is_no_other_gateway() {
    for is_together in [true, false] {
        let place = Place::new();
        let mut registry = Registry::default();
        let state = restored(&place, &mut registry, 1).await;
        assert!(state.run(&mut registry, &rows(0..3), 100).await.raised);
        let copy = state.copy("second");
        let done = state.run(&mut registry, &rows(0..4), 101).await;
        assert_eq!(done, SETTLED);
        copy_state(&copy.path, &state.path);

        // The last one once more, the one that the lost state gave out too, and one above that.
        let outbox = state.try_open(102).await.unwrap();
        assert!(beacon(&outbox, BeaconOccasion::Start, 102).await);
        let mut answers = registry.take(&place, &outbox, 102).await;
        for round in 0..2 {
            assert!(work(&outbox, round, 102).await);
            answers.extend(registry.take(&place, &outbox, 102).await);
        }
        if !is_together {
            let accepted = answers.split_off(answers.len() - 2);
            let done = outbox.settle_verdicts(&accepted, at(103)).await.unwrap();
            assert!(!done.raised && !done.other_gateway);
        }
        let done = outbox.settle_verdicts(&answers, at(104)).await.unwrap();
        assert!(done.raised && !done.other_gateway, "{is_together}");
        assert_eq!(outbox.generation(), 3);
        outbox.close().await.unwrap();
    }
}
