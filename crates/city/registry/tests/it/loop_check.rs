//! Probe that the programs' `check` sends: it finds out whether a registry runs, opens and answers.

use std::slice;

use broker::{DirectoryConfig, LoopOutcome, QueueConfig};
use contract::{PrivateKey, PublicKey, UnreadableReason};
use registry::{SqliteConfig, StoreConfig};
use testbed::rabbitmq::RabbitMq;

use crate::world::{NOW, World, amqp};

/// Checks while the registry does its steps.
async fn check_beside(world: &mut World, key: &PublicKey) -> LoopOutcome {
    let now = NOW.parse().unwrap();
    let base = world.folder.path().to_path_buf();
    let queue = world.queue.clone();
    let verifier = world.verifier.clone();
    let checking = broker::check_loop(&queue, &base, key, slice::from_ref(&verifier), None);
    let consuming = async {
        loop {
            world.registry.consume_once(now).await.unwrap();
        }
    };
    tokio::select! {
        outcome = checking => outcome.unwrap(),
        () = consuming => unreachable!("it goes on for ever"),
    }
}

async fn both_ends_are_found(queue: QueueConfig) {
    let store = StoreConfig::Sqlite(SqliteConfig {
        path: "registry.sqlite".into(),
    });
    let mut world = World::new(&store, queue).await;
    broker::check(&world.queue, world.folder.path())
        .await
        .unwrap();
    let key = world.public.clone();
    let base = world.folder.path();
    let verifier = slice::from_ref(&world.verifier);
    let nobody = broker::check_loop(&world.queue, base, &key, verifier, None).await;
    assert_eq!(nobody, Ok(LoopOutcome::NoReader));
    assert_eq!(world.depth().await.waiting, 0, "nothing was sent");

    world.read_queue().await;
    assert_eq!(check_beside(&mut world, &key).await, LoopOutcome::Answered);
    let other = PrivateKey::generate().public();
    assert_eq!(
        check_beside(&mut world, &other).await,
        LoopOutcome::Unreadable(UnreadableReason::OtherKey)
    );
    assert_eq!(world.registry.reader().facts().await.unwrap().len(), 0);
    world.registry.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_goes_through_rabbitmq_and_back() {
    let rabbit = RabbitMq::start().await.unwrap();
    both_ends_are_found(amqp(&rabbit)).await;
}

#[tokio::test]
async fn a_probe_goes_through_a_directory_and_back() {
    both_ends_are_found(QueueConfig::Directory(DirectoryConfig::at("queue"))).await;
}
