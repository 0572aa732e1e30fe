//! Tests of taking the next batches while the store works: in order, nothing twice, nothing early.

use std::sync::Arc;

use clock::ManualClock;
use contract::wire::{Probed, encode_probe};
use registry::{ConsumeConfig, ConsumeStep, Registry};
use testbed::postgres::Postgres;

use crate::world::{NOW, World, content, doses, record, version};

#[tokio::test]
async fn what_is_taken_ahead_is_stored_answered_and_acknowledged_once() {
    let postgres = Postgres::start().await.unwrap();
    let store = crate::world::postgres_store(&postgres, "registry").await;
    let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
    let mut world = World::new(&store, queue).await;
    for batch in doses(60, 5) {
        world.send(&batch).await;
    }
    let now = NOW.parse().unwrap();
    let mut stored = 0;
    let mut reported = 0;
    while stored < 300 {
        let ConsumeStep::Done {
            batches,
            outcome,
            dead,
            ..
        } = world.registry.consume_ahead(now).await.unwrap()
        else {
            panic!("there is something to do");
        };
        assert_eq!((dead, outcome.applied), (0, batches * 5));
        stored += outcome.applied;
        reported += batches;
        let receipts = world.answers().await;
        assert_eq!(receipts.len(), batches, "answered before they are reported");
        // All that is reported is stored; batches that were taken ahead may be pending.
        let facts = world.registry.reader().facts().await.unwrap().len();
        assert_eq!(facts, stored);
    }
    assert_eq!((stored, reported), (300, 60));
    assert_eq!(
        world.registry.consume_ahead(now).await.unwrap(),
        ConsumeStep::Idle
    );
    assert_eq!(
        (world.depth().await.waiting, world.depth().await.dead),
        (0, 0)
    );
}

#[tokio::test]
async fn a_store_that_goes_away_meanwhile_costs_nothing() {
    let mut postgres = Postgres::start().await.unwrap();
    let store = crate::world::postgres_store(&postgres, "registry").await;
    let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
    let mut world = World::new(&store, queue).await;
    for batch in doses(80, 5) {
        world.send(&batch).await;
    }
    let now = NOW.parse().unwrap();
    let ConsumeStep::Done { batches, .. } = world.registry.consume_ahead(now).await.unwrap() else {
        panic!("there is something to do");
    };
    assert!(batches < 80, "a step is bounded");
    postgres.kill();
    assert!(world.registry.consume_ahead(now).await.is_err());
    assert!(world.registry.consume_ahead(now).await.is_err());
    postgres.restart().await.unwrap();
    let (outcome, dead) = world.registry.drain().await.unwrap();
    assert_eq!(
        (batches * 5 + outcome.applied, outcome.unchanged, dead),
        (400, 0, 0)
    );
    assert_eq!(
        world.registry.reader().stats().await.unwrap().asserted["vaccination"],
        400
    );
    // Every batch was answered, whichever way it went.
    assert_eq!(world.answers().await.len(), 80);
}

/// Lets every look at the facts take its time, so that the queue is always the faster.
const SLOW_LOOKS: &str = "ALTER TABLE fact RENAME TO fact_0;
    CREATE VIEW fact AS SELECT f.* FROM (SELECT pg_sleep(0.1) OFFSET 0) AS s CROSS JOIN fact_0 AS \
    f";

/// Probes are settled one by one, so more of them could be taken than settled.
#[tokio::test]
async fn of_many_probes_no_more_are_pending_than_two_takes() {
    let postgres = Postgres::start().await.unwrap();
    let store = crate::world::postgres_store(&postgres, "registry").await;
    let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
    let mut world = World::new(&store, queue).await;
    let settings = ConsumeConfig::default();
    let most = u64::from(settings.max_batches.get());
    let reader = world.registry.reader().clone();
    let clock = Arc::<ManualClock>::clone(&world.clock);
    world.registry = Registry::new(reader, &world.queue, settings, world.base(), clock).unwrap();
    let now = NOW.parse().unwrap();
    // A view of no rows would not be waited for.
    world.send(&doses(1, 2).remove(0)).await;
    world.registry.drain().await.unwrap();
    postgres.psql("registry", SLOW_LOOKS).await.unwrap();
    let probed = Probed {
        record: record(1),
        version: version(1),
        content: content(1, 1),
        withdrawn: false,
    };
    let probe = encode_probe(&[probed]);
    for _ in 0..300 {
        world.send_encoded(&probe).await;
    }
    let mut answered = 0;
    for _ in 0..6 {
        let ConsumeStep::Done { probes, .. } = world.registry.consume_ahead(now).await.unwrap()
        else {
            panic!("there is something to do");
        };
        answered += probes as u64;
        let pending = 300 - answered - world.depth().await.waiting;
        assert!(pending <= 2 * most, "{pending} pending after {answered}");
    }
    assert!(answered > most, "more than one take");
}
