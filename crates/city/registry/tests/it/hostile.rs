//! Honest batches beside messages of a hostile account: all of the former are stored, none is a
//! dead letter, and what is kept of the latter is bounded.

use broker::{AmqpConfig, QueueConfig};
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;
use testbed::rabbitmq::raw::{RawClient, RawMessage};

use crate::world::{World, doses};

/// Number of unreadable batches that are kept at once.
const KEPT: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_account_holds_up_nobody() {
    let (rabbit, postgres) = tokio::join!(RabbitMq::start(), Postgres::start());
    let rabbit = rabbit.unwrap();
    let postgres = postgres.unwrap();
    let mut world = World::large(&rabbit, &postgres).await;
    let QueueConfig::Amqp(queue) = world.queue.clone() else {
        panic!("a broker")
    };
    broker::check(&world.queue, world.folder.path())
        .await
        .unwrap();
    let mut account = RawClient::connect(rabbit.port(), "guest", "guest")
        .await
        .unwrap();
    let honest = doses(60, 20);
    let mut replayed = None;
    for (number, events) in honest.iter().enumerate() {
        let (batch, _) = world.send(events).await;
        for message in attack(number, &queue) {
            account.send(&message).await.unwrap();
        }
        // Somebody else's batch, again and again.
        let batch = replayed.get_or_insert(batch);
        account
            .send(&RawMessage::new(
                &queue.exchange,
                &queue.queue,
                &batch.bytes,
            ))
            .await
            .unwrap();
    }
    account.flush().await.unwrap();

    let (outcome, _) = world.registry.drain().await.unwrap();
    assert_eq!(outcome.applied, 60 * 20);
    assert_eq!(outcome.refused, 0);
    let stats = world.registry.reader().stats().await.unwrap();
    assert_eq!(stats.asserted["vaccination"], 60 * 20);
    let depth = world.depth().await;
    assert_eq!(depth.waiting, 0);
    let mut letters = broker::dead_letters(&world.queue, world.folder.path())
        .await
        .unwrap();
    let mut kept = 0;
    for letter in letters.take(1000).await.unwrap() {
        match letter.reason.as_deref() {
            Some("not-a-sealed-batch" | "too-large") => kept += 1,
            // By the broker, at the sender's wish.
            Some("expired") => assert_eq!(letter.bytes, b"short-lived"),
            other => panic!("{other:?}"),
        }
        letters.discard(letter).await.unwrap();
    }
    // The test's clock stands still, so that nothing is added to what is kept at once.
    assert_eq!(kept, KEPT);
    letters.close().await;
    world.registry.close().await;
}

/// Messages that follow an honest batch.
fn attack(number: usize, queue: &AmqpConfig) -> Vec<RawMessage> {
    let message = |body: &[u8]| RawMessage::new(&queue.exchange, &queue.queue, body);
    let mut messages = vec![message(b"garbage"); 20];
    match number % 7 {
        5 => messages.push(message(b"short-lived").with_expiration("0")),
        0 => messages.push(message(b"large header").with_headers_of(131_013)),
        1 => messages.push(message(b"deep headers").with_nested_headers(15_000)),
        2 => messages.push(message(&vec![0; 5 << 20])),
        3 => messages.push(message(b"an id").with_message_id(b"\xff\x1b[2J")),
        4 => messages.push(RawMessage::new(&queue.exchange, "another key", b"x")),
        _ => {
            let mut odd = message(b"odd key").with_copies_to(&queue.queue);
            odd.routing_key = b"\xfe\xff".to_vec();
            messages.push(odd);
        }
    }
    messages
}
