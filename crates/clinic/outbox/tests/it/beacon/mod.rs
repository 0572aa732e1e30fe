//! The beacon: a restored state is noticed whatever happened to rows, and of two gateways on copies
//! of one state one stops.

mod kept;
mod put_back;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contract::{
    Answer, BatchId, Body, Event, RecordDigest, RefusalReason, RefusedEvent, StoredAnswer,
    Superseded, Verdict,
};
use outbox::{
    BEACON_PAUSE_MS, BeaconOccasion, MAX_BEACON_RAISES, MAX_BEACON_STEP, OTHER_GATEWAY_MS, Outbox,
    OutboxError, OutboxOptions, SettledVerdicts, accept_state,
};
use record_secrets::Revision;

use crate::support::{
    LEASE, Place, asserted, at, delivered, digest, page, revision, revision_of, secrets, withdrawn,
};

/// A registry that keeps the highest version of each record, and answers as the real one does.
#[derive(Default)]
struct Registry {
    held: HashMap<RecordDigest, Event>,
}

impl Registry {
    fn answer(&mut self, events: Vec<Event>) -> StoredAnswer {
        let mut answer = StoredAnswer::default();
        for (event, index) in events.into_iter().zip(0..) {
            let record = event.record;
            let Some(held) = self.held.get(&record) else {
                self.held.insert(record, event);
                answer.accepted += 1;
                continue;
            };
            if event.version < held.version {
                let held = held.version;
                answer.superseded.push(Superseded { record, held });
            } else if event.version == held.version && event.content != held.content {
                answer.refused.push(RefusedEvent {
                    index,
                    record: Some(record),
                    version: Some(event.version),
                    reason: RefusalReason::VersionReused,
                });
            } else {
                self.held.insert(record, event);
                answer.accepted += 1;
            }
        }
        answer
    }

    /// Publishes all that waits, and settles the answers.
    async fn exchange(&mut self, place: &Place, outbox: &Outbox, now: i64) -> SettledVerdicts {
        let verdicts = self.take(place, outbox, now).await;
        outbox.settle_verdicts(&verdicts, at(now)).await.unwrap()
    }

    /// Publishes all that waits; returns the answers.
    async fn take(&mut self, place: &Place, outbox: &Outbox, now: i64) -> Vec<(BatchId, Verdict)> {
        let leased = outbox.lease(1000, at(now), LEASE).await.unwrap();
        outbox.settle(&delivered(&leased), at(now)).await.unwrap();
        let mut verdicts = Vec::new();
        for one in &leased {
            let answer = self.answer(place.opened(std::slice::from_ref(one)));
            verdicts.push((one.batch.id, Verdict::Answered(Answer::Stored(answer))));
        }
        verdicts
    }

    fn asserts(&self, record: u32) -> bool {
        let held = self.held.get(&digest(record));
        held.is_some_and(|event| matches!(event.body, Body::Asserted { .. }))
    }
}

/// State folder of a gateway: the place's own, or a copy of it.
struct State<'a> {
    place: &'a Place,
    path: PathBuf,
}

impl<'a> State<'a> {
    fn new(place: &'a Place) -> Self {
        Self {
            place,
            path: place.path.clone(),
        }
    }

    /// Copies the state, which must be closed.
    fn copy(&self, name: &str) -> Self {
        let folder = self.place.folder.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("outbox.db");
        copy_state(&self.path, &path);
        Self {
            place: self.place,
            path,
        }
    }

    async fn try_open(&self, now: i64) -> Result<Outbox, OutboxError> {
        let options = OutboxOptions {
            receipts: true,
            resend_after: Duration::from_secs(60),
            ..self.place.options()
        };
        Outbox::open(&self.path, options, at(now)).await
    }

    /// One run: asks whether it is the latest, reads the rows, exchanges, and again after a raise.
    async fn run(
        &self,
        registry: &mut Registry,
        rows: &[draft::Draft],
        now: i64,
    ) -> SettledVerdicts {
        let outbox = self.try_open(now).await.unwrap();
        let mut all = SettledVerdicts::default();
        beacon(&outbox, BeaconOccasion::Start, now).await;
        for _ in 0..3 {
            outbox.commit_page(page(rows.to_vec(), "a")).await.ok();
            beacon(&outbox, BeaconOccasion::BatchesLeave, now).await;
            let first = registry.exchange(self.place, &outbox, now).await;
            beacon(&outbox, BeaconOccasion::End, now).await;
            let last = registry.exchange(self.place, &outbox, now).await;
            all.raised |= first.raised || last.raised;
            all.raise_waits |= first.raise_waits || last.raise_waits;
            all.other_gateway |= first.other_gateway || last.other_gateway;
            if !(first.raised || last.raised) {
                break;
            }
        }
        outbox.close().await.unwrap();
        all
    }
}

fn copy_state(from: &Path, to: &Path) {
    for suffix in ["", ".generation"] {
        let name = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        std::fs::copy(name(from), name(to)).unwrap();
    }
}

/// Gives the beacon out; one that has stopped gives none.
async fn beacon(outbox: &Outbox, occasion: BeaconOccasion, now: i64) -> bool {
    match outbox.give_out_beacon(occasion, at(now)).await {
        Err(OutboxError::OtherGateway) => false,
        result => result.unwrap(),
    }
}

fn rows(records: std::ops::Range<u32>) -> Vec<draft::Draft> {
    records.map(|record| asserted(record, 1)).collect()
}

/// The rows with the first cancelled.
fn cancelled() -> Vec<draft::Draft> {
    let mut rows = rows(0..3);
    rows[0] = withdrawn(0, true);
    rows
}

const SETTLED: SettledVerdicts = SettledVerdicts {
    batches: 0,
    accepted_events: 0,
    refused_events: 0,
    unreadable: 0,
    raised: false,
    raise_waits: false,
    other_gateway: false,
};

#[tokio::test]
async fn restored_state_is_noticed_though_its_rows_are_as_it_knows_them() {
    // A second, idle run before the copy leaves nothing given out since the last beacon.
    for idle_runs in 0..3 {
        let place = Place::new();
        let state = State::new(&place);
        let mut registry = Registry::default();
        for run in 0..=idle_runs {
            assert_eq!(state.run(&mut registry, &rows(0..3), run).await, SETTLED);
        }
        let copy = state.copy("copy");
        assert_eq!(state.run(&mut registry, &cancelled(), 100).await, SETTLED);
        assert!(!registry.asserts(0));
        copy_state(&copy.path, &state.path);
        assert!(state.run(&mut registry, &rows(0..3), 200).await.raised);
        assert!((0..3).all(|record| registry.asserts(record)));
        let outbox = state.try_open(300).await.unwrap();
        let status = outbox.reader().status().await.unwrap();
        outbox.close().await.unwrap();
        let why = status.generation_raised_why.unwrap();
        assert!(why.contains("restored"), "{why}");
        assert_eq!((status.generation, status.other_gateway_at), (2, None));
        // It has come to rest.
        assert_eq!(state.run(&mut registry, &rows(0..3), 400).await, SETTLED);
    }
}

#[tokio::test]
async fn lost_state_is_noticed_though_nothing_leaves_of_the_new_one() {
    let place = Place::new();
    let state = State::new(&place);
    let mut registry = Registry::default();
    state.run(&mut registry, &rows(0..3), 0).await;
    for suffix in ["", ".generation"] {
        std::fs::remove_file(format!("{}{suffix}", state.path.display())).unwrap();
    }
    let no_facts: Vec<_> = (0..3).map(|record| withdrawn(record, true)).collect();
    assert!(state.run(&mut registry, &no_facts, 100).await.raised);
    assert!((0..3).all(|record| !registry.asserts(record)));
}

#[tokio::test]
async fn copy_from_after_a_raise_that_comes_back_within_the_day_is_noticed_too() {
    let place = Place::new();
    let state = State::new(&place);
    let mut registry = Registry::default();
    state.run(&mut registry, &rows(0..3), 0).await;
    for round in 1..i64::from(MAX_BEACON_RAISES) {
        let copy = state.copy("copy");
        let now = round * 60;
        state.run(&mut registry, &cancelled(), now).await;
        copy_state(&copy.path, &state.path);
        let done = state.run(&mut registry, &rows(0..3), now + 1).await;
        assert!(done.raised && registry.asserts(0), "{round}");
    }
}

#[tokio::test]
async fn answers_to_beacons_raise_so_many_times_a_day_and_so_far_at_once() {
    let place = Place::new();
    let state = State::new(&place);
    let mut registry = Registry::default();
    state.run(&mut registry, &rows(0..1), 0).await;
    let mut records = registry.held.keys();
    let record = *records.find(|record| **record != digest(0)).unwrap();
    // A registry that claims a later beacon at every start.
    let claim = |registry: &mut Registry, revision: Revision| {
        let version = secrets().version(&record, revision).unwrap();
        registry.held.get_mut(&record).unwrap().version = version;
    };
    let mut generation = 1;
    for run in 0..MAX_BEACON_RAISES {
        claim(&mut registry, revision(generation, 1000));
        let done = state.run(&mut registry, &rows(0..1), run.into()).await;
        generation += 1;
        assert!(done.raised && !done.raise_waits, "{run}");
    }
    claim(&mut registry, revision(generation, 1000));
    let done = state.run(&mut registry, &rows(0..1), 100).await;
    assert!(!done.raised && done.raise_waits);
    let day = 24 * 60 * 60 + 100;
    claim(&mut registry, revision(generation, 1000 + 1));
    let outbox = state.try_open(day).await.unwrap();
    assert_eq!(outbox.generation(), generation + 1, "its day has come");
    outbox.close().await.unwrap();
    let far = generation + 1 + 10 * MAX_BEACON_STEP;
    claim(&mut registry, revision(far, 1));
    let outbox = state.try_open(day).await.unwrap();
    beacon(&outbox, BeaconOccasion::Start, day).await;
    assert!(registry.exchange(&place, &outbox, day).await.raised);
    assert_eq!(outbox.generation(), generation + 1 + MAX_BEACON_STEP);
}

#[tokio::test]
async fn restored_state_rises_above_several_raises_at_once() {
    let place = Place::new();
    let state = State::new(&place);
    let mut registry = Registry::default();
    state.run(&mut registry, &rows(0..3), 0).await;
    let copy = state.copy("copy");
    let outbox = state.try_open(1).await.unwrap();
    assert!(outbox.raise_generation(7, "a test", at(1)).await.unwrap());
    outbox.close().await.unwrap();
    state.run(&mut registry, &cancelled(), 2).await;
    copy_state(&copy.path, &state.path);
    assert!(state.run(&mut registry, &rows(0..3), 3).await.raised);
    assert_eq!(state.try_open(4).await.unwrap().generation(), 8);
    assert!(registry.asserts(0));
}

#[tokio::test]
async fn of_two_gateways_that_run_in_turns_the_one_that_rose_first_stops() {
    let place = Place::new();
    let original = State::new(&place);
    let mut registry = Registry::default();
    original.run(&mut registry, &rows(0..3), 0).await;
    let copy = original.copy("copy");
    original.run(&mut registry, &rows(0..4), 1).await;
    assert!(copy.run(&mut registry, &rows(0..5), 2).await.raised);
    assert!(original.run(&mut registry, &rows(0..5), 3).await.raised);
    let done = copy.run(&mut registry, &rows(0..6), 4).await;
    assert!(done.other_gateway && !done.raised);
    assert!(matches!(
        copy.try_open(5).await,
        Err(OutboxError::OtherGateway)
    ));
    // The survivor has read whatever the other one had.
    assert_eq!(original.run(&mut registry, &rows(0..6), 6).await, SETTLED);
    assert!((0..6).all(|record| registry.asserts(record)));

    // An operator may let the other one go on: it rises above the survivor, which stops in turn.
    assert!(accept_state(&copy.path, "test").await.unwrap());
    assert!(!accept_state(&copy.path, "test").await.unwrap());
    assert!(copy.run(&mut registry, &rows(0..6), 7).await.raised);
    let done = original.run(&mut registry, &rows(0..6), 8).await;
    assert!(done.other_gateway);
    assert_eq!(copy.run(&mut registry, &rows(0..6), 9).await, SETTLED);
}

#[tokio::test]
async fn of_two_gateways_that_run_at_once_the_copy_that_was_started_later_stops() {
    let place = Place::new();
    let state = State::new(&place);
    let mut registry = Registry::default();
    state.run(&mut registry, &rows(0..3), 0).await;
    let copy = state.copy("copy");
    let original = state.try_open(1).await.unwrap();
    beacon(&original, BeaconOccasion::Start, 1).await;
    original.commit_page(page(rows(0..4), "a")).await.unwrap();
    beacon(&original, BeaconOccasion::End, 1).await;
    registry.exchange(&place, &original, 1).await;

    let later = copy.try_open(2).await.unwrap();
    beacon(&later, BeaconOccasion::Start, 2).await;
    assert!(registry.exchange(&place, &later, 2).await.raised);
    beacon(&later, BeaconOccasion::End, 3).await;
    assert_eq!(registry.exchange(&place, &later, 3).await, SETTLED);

    original.commit_page(page(rows(0..5), "b")).await.unwrap();
    beacon(&original, BeaconOccasion::End, 4).await;
    let done = registry.exchange(&place, &original, 4).await;
    assert!(done.raised && !done.other_gateway);
    beacon(&original, BeaconOccasion::End, 5).await;
    registry.exchange(&place, &original, 5).await;

    later.commit_page(page(rows(0..5), "b")).await.unwrap();
    beacon(&later, BeaconOccasion::End, 6).await;
    assert!(registry.exchange(&place, &later, 6).await.other_gateway);
    let refused = later.commit_page(page(rows(0..6), "c")).await;
    assert!(matches!(refused, Err(OutboxError::OtherGateway)));
    let status = later.reader().status().await.unwrap();
    assert_eq!(status.other_gateway_at, Some(at(6)));
}

#[tokio::test]
async fn raise_of_somebody_else_long_after_ones_own_is_no_other_gateway() {
    let place = Place::new();
    let state = State::new(&place);
    let mut registry = Registry::default();
    state.run(&mut registry, &rows(0..3), 0).await;
    let first = state.copy("first");
    state.run(&mut registry, &cancelled(), 1).await;
    copy_state(&first.path, &state.path);
    assert!(state.run(&mut registry, &rows(0..3), 2).await.raised);
    let second = state.copy("second");
    copy_state(&first.path, &state.path);
    assert!(state.run(&mut registry, &rows(0..3), 3).await.raised);
    copy_state(&second.path, &state.path);
    let later = OTHER_GATEWAY_MS / 1000 + 2;
    assert!(state.run(&mut registry, &rows(0..3), later).await.raised);
    // Within that time an operator is asked.
    copy_state(&second.path, &state.path);
    let done = state.run(&mut registry, &rows(0..3), later - 1).await;
    assert!(done.other_gateway);
}

#[tokio::test]
async fn beacon_goes_out_only_where_rows_were_read_and_receipts_come() {
    let place = Place::new();
    let state = State::new(&place);
    let outbox = state.try_open(0).await.unwrap();
    let pause = BEACON_PAUSE_MS / 1000;
    assert!(
        !beacon(&outbox, BeaconOccasion::Start, 0).await,
        "nothing yet"
    );
    outbox.commit_page(page(rows(0..3), "a")).await.unwrap();
    assert!(beacon(&outbox, BeaconOccasion::BatchesLeave, 0).await);
    assert!(
        !beacon(&outbox, BeaconOccasion::End, 0).await,
        "nothing since"
    );
    outbox.commit_page(page(rows(0..4), "b")).await.unwrap();
    place.deliver_all(&outbox, at(0)).await;
    assert!(!beacon(&outbox, BeaconOccasion::BatchesLeave, pause - 1).await);
    assert!(beacon(&outbox, BeaconOccasion::BatchesLeave, pause).await);
    outbox.commit_page(page(rows(0..5), "c")).await.unwrap();
    place.deliver_all(&outbox, at(pause)).await;
    assert!(beacon(&outbox, BeaconOccasion::End, pause).await);
    place.deliver_all(&outbox, at(pause)).await;
    assert!(
        beacon(&outbox, BeaconOccasion::Start, pause).await,
        "once more"
    );
    outbox.close().await.unwrap();

    let outbox = place.open().await;
    outbox.commit_page(page(rows(0..6), "d")).await.unwrap();
    for occasion in [BeaconOccasion::Start, BeaconOccasion::End] {
        assert!(!beacon(&outbox, occasion, 99).await, "receipts are off");
    }
}

#[tokio::test]
async fn beacon_is_one_padded_event_and_is_counted_nowhere() {
    let place = Place::new();
    let state = State::new(&place);
    let outbox = state.try_open(0).await.unwrap();
    outbox.commit_page(page(rows(0..3), "a")).await.unwrap();
    beacon(&outbox, BeaconOccasion::End, 0).await;
    let backlog = outbox.backlog().await.unwrap();
    assert_eq!((backlog.batches, backlog.events), (1, 3));
    let leased = outbox.lease(9, at(0), LEASE).await.unwrap();
    outbox.settle(&delivered(&leased), at(0)).await.unwrap();
    assert_eq!(outbox.backlog().await.unwrap().awaiting_receipt_batches, 1);
    assert!(outbox.awaits_answer().await.unwrap());
    let beacon = leased.iter().find(|one| one.is_beacon).unwrap();
    let events = place.opened(std::slice::from_ref(beacon));
    assert_eq!(
        (events.len(), beacon.batch.bytes.len()),
        (1, leased[0].batch.bytes.len())
    );
    assert_eq!(revision_of(&events[0]), revision(1, 1));
    assert!(matches!(events[0].body, Body::Withdrawn { .. }));

    let mut registry = Registry::default();
    let verdicts: Vec<_> = leased
        .iter()
        .map(|one| {
            let answer = registry.answer(place.opened(std::slice::from_ref(one)));
            (one.batch.id, Verdict::Answered(Answer::Stored(answer)))
        })
        .collect();
    let done = outbox.settle_verdicts(&verdicts, at(1)).await.unwrap();
    assert_eq!((done.batches, done.accepted_events), (1, 3));
    assert!(!outbox.awaits_answer().await.unwrap());
    let publisher = outbox.reader().status().await.unwrap().publisher;
    assert_eq!(
        (publisher.delivered_batches, publisher.delivered_events),
        (1, 3)
    );
    assert_eq!(
        (publisher.accepted_events, publisher.refused_events),
        (3, 0)
    );

    let id = outbox.begin_reconciliation(None, at(2)).await.unwrap();
    assert!(outbox.add_probes(id, at(2)).await.unwrap());
    let report = outbox.reader().reconciliation(id).await.unwrap().unwrap();
    assert_eq!(report.probes, 3, "the beacon is no record");
}
