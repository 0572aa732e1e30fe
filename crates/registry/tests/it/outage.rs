//! The store goes away, or refuses a batch for good: nothing is lost, nothing acknowledged early, nothing loops.

use contract::Vaccine;
use registry::{ConsumeError, Step, StoreError};
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use crate::world::{NOW, World, asserted, dose, doses};

#[tokio::test]
async fn a_killed_store_loses_nothing_and_nothing_is_acknowledged_early() {
    let (rabbit, postgres) = tokio::join!(RabbitMq::start(), Postgres::start());
    let (rabbit, mut postgres) = (rabbit.unwrap(), postgres.unwrap());
    let mut world = World::large(&rabbit, &postgres).await;
    for batch in doses(12, 20) {
        world.send(&batch).await;
    }
    let now = NOW.parse().unwrap();
    let mut stored = 0;
    while stored == 0 {
        if let Step::Done { batches, .. } = world.registry.consume_once(now).await.unwrap() {
            stored += batches;
        }
    }
    postgres.kill();
    for _ in 0..3 {
        let error = world.registry.consume_once(now).await.unwrap_err();
        assert!(matches!(error, ConsumeError::Store(StoreError::Unavailable { .. })), "{error}");
    }
    assert_eq!(rabbit.queue_depth("clinic.facts").await.unwrap(), 12 - stored as u64, "acknowledged early");
    postgres.restart().await.unwrap();
    let (outcome, dead) = world.registry.drain().await.unwrap();
    assert_eq!((outcome.applied, dead), ((12 - stored) * 20, 0));
    assert_eq!(world.registry.reader().stats().await.unwrap().asserted["vaccination"], 240);
    assert_eq!(rabbit.queue_depth("clinic.facts").await.unwrap(), 0);
}

#[tokio::test]
async fn batches_held_too_long_go_back_to_the_queue_and_come_again() {
    let mut postgres = Postgres::start().await.unwrap();
    let store = crate::world::postgres_store(&postgres, "registry").await;
    let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
    let mut world = World::new(&store, queue).await;
    world.send(&doses(1, 3).remove(0)).await;
    postgres.kill();
    let now = NOW.parse().unwrap();
    assert!(world.registry.consume_once(now).await.is_err());
    assert_eq!(world.depth().await.waiting, 0, "in hand");
    assert!(world.registry.consume_once(now + chrono::TimeDelta::minutes(11)).await.is_err());
    assert_eq!(world.depth().await.waiting, 1, "given back");
    assert!(world.registry.consume_once(now + chrono::TimeDelta::minutes(12)).await.is_err());
    assert_eq!(world.depth().await.waiting, 1, "nothing is taken while the store is away");
    postgres.restart().await.unwrap();
    assert_eq!(world.registry.drain().await.unwrap().0.applied, 3);
}

#[tokio::test]
async fn a_batch_the_store_refuses_for_good_is_the_only_one_buried() {
    let postgres = Postgres::start().await.unwrap();
    let store = crate::world::postgres_store(&postgres, "registry").await;
    let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
    let mut world = World::new(&store, queue).await;
    postgres.psql("registry", "ALTER TABLE fact ADD CHECK (vaccine <> 'qazvac')").await.unwrap();
    for batch in doses(3, 5) {
        world.send(&batch).await;
    }
    world.send(&[asserted(900, 1, 900, dose(Vaccine::QazVac, "2021-06-01"))]).await;
    let (outcome, dead) = world.registry.drain().await.unwrap();
    assert_eq!((outcome.applied, dead), (15, 1));
    let depth = world.depth().await;
    assert_eq!((depth.waiting, depth.dead), (0, 1));
    assert_eq!(world.registry.reader().stats().await.unwrap().subjects, 15);
}
