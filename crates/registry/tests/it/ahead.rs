//! Taking the next batches while the store works: in order, nothing twice, nothing early.

use registry::Step;
use testbed::postgres::Postgres;

use crate::world::{NOW, World, doses};

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
    let (mut stored, mut told) = (0, 0);
    while stored < 300 {
        let Step::Done { batches, outcome, dead, .. } = world.registry.consume_ahead(now).await.unwrap()
        else {
            panic!("there is something to do");
        };
        assert_eq!((dead, outcome.applied), (0, batches * 5));
        stored += outcome.applied;
        told += batches;
        let receipts = world.answers().await;
        assert_eq!(receipts.len(), batches, "answered before they are told of");
        // What is told of is stored; what was taken ahead may wait in hand.
        let facts = world.registry.reader().facts().await.unwrap().len();
        assert_eq!(facts, stored);
    }
    assert_eq!((stored, told), (300, 60));
    assert_eq!(world.registry.consume_ahead(now).await.unwrap(), Step::Idle);
    assert_eq!((world.depth().await.waiting, world.depth().await.dead), (0, 0));
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
    let Step::Done { batches, .. } = world.registry.consume_ahead(now).await.unwrap() else {
        panic!("there is something to do");
    };
    assert!(batches < 80, "a step is bounded");
    postgres.kill();
    assert!(world.registry.consume_ahead(now).await.is_err());
    assert!(world.registry.consume_ahead(now).await.is_err());
    postgres.restart().await.unwrap();
    let (outcome, dead) = world.registry.drain().await.unwrap();
    assert_eq!((batches * 5 + outcome.applied, outcome.unchanged, dead), (400, 0, 0));
    assert_eq!(world.registry.reader().stats().await.unwrap().asserted["vaccination"], 400);
    // Every batch was answered, whichever way it went.
    assert_eq!(world.answers().await.len(), 80);
}
