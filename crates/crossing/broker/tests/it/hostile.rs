//! Hostile messages at a real RabbitMQ: none stops the reader, costs another message a delivery, or
//! stays in the queue for ever.

use std::time::Duration;

use broker::{AmqpConfig, QueueConfig};
use testbed::rabbitmq::RabbitMq;
use testbed::rabbitmq::raw::{RawClient, RawMessage, text_entry};

use crate::amqp::{at, base};
use crate::{PATIENCE, batch};

/// The longest header that RabbitMQ 3.10 takes from a client that agreed to its usual frames.
const LARGEST_HEADER: usize = 131_013;

fn to_queue(config: &AmqpConfig, body: &[u8]) -> RawMessage {
    RawMessage::new(&config.exchange, &config.queue, body)
}

/// Messages that a driver may choke on, each with a name.
fn hostile(config: &AmqpConfig) -> Vec<(&'static str, RawMessage)> {
    let mut odd_key = to_queue(config, b"a key of no text").with_copies_to(&config.queue);
    odd_key.routing_key = b"\xff\xfe\x1b[31m".to_vec();
    let message = |body: &[u8]| to_queue(config, body);
    vec![
        (
            "largest header",
            message(b"big").with_headers_of(LARGEST_HEADER),
        ),
        ("deep headers", message(b"deep").with_nested_headers(18_000)),
        ("routing key of no text", odd_key),
        (
            "id of no text",
            message(b"id").with_message_id(b"\xff\x00\x1b[2J"),
        ),
        (
            "header of no text",
            message(b"header").with_headers(&text_entry(b"\xff\xfe", b"\xff")),
        ),
        (
            "forged counts",
            message(b"forged").with_headers(&text_entry(b"x-delivery-count", b"99")),
        ),
        ("largest body", message(&vec![7; 20 << 20])),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_stops_the_reader_or_counts_against_others() {
    let broker = RabbitMq::start().await.unwrap();
    let config = at(&broker.amqp_url());
    let queue = QueueConfig::Amqp(config.clone());
    broker::check(&queue, base()).await.unwrap();
    let publisher = broker::publisher(&queue, base()).unwrap();
    let mut account = RawClient::connect(broker.port(), "guest", "guest")
        .await
        .unwrap();
    let bad = hostile(&config);
    for (name, message) in &bad {
        publisher.publish(&batch(b"honest")).await.unwrap();
        account
            .publish(message)
            .await
            .unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
    }
    let mut consumer = broker::consumer(&queue, base()).unwrap();
    let mut honest = 0;
    let mut others = 0;
    while honest < bad.len() || others < bad.len() {
        let some = consumer.receive(100, PATIENCE).await.unwrap();
        assert!(!some.is_empty(), "{honest} honest, {others} others");
        for delivery in some {
            assert!(!delivery.redelivered, "handed out once");
            if delivery.bytes == b"honest" {
                honest += 1;
                consumer.ack(vec![delivery.token]).await.unwrap();
            } else {
                others += 1;
                consumer.dead_letter(delivery, "not-a-batch").await.unwrap();
            }
        }
    }
    let rest = consumer.receive(1, Duration::from_millis(300)).await;
    assert!(rest.unwrap().is_empty());
    consumer.close().await;
    publisher.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_dead_letters_are_listed_retried_and_discarded() {
    let broker = RabbitMq::start().await.unwrap();
    let config = at(&broker.amqp_url());
    let queue = QueueConfig::Amqp(config.clone());
    broker::check(&queue, base()).await.unwrap();
    let mut account = RawClient::connect(broker.port(), "guest", "guest")
        .await
        .unwrap();
    // As the broker would move them there: with everything that their sender wrote.
    let dead = AmqpConfig {
        exchange: config.dead_letters_exchange.clone(),
        queue: config.dead_letters.clone(),
        ..config.clone()
    };
    let bad = hostile(&dead);
    for (name, message) in &bad {
        account
            .publish(message)
            .await
            .unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
    }
    // Looked at more often than RabbitMQ 4 would allow.
    for _ in 0..25 {
        let mut letters = broker::dead_letters(&queue, base()).await.unwrap();
        let mut seen = 0;
        loop {
            let some = letters.take(2).await.unwrap();
            if some.is_empty() || seen >= bad.len() {
                break;
            }
            seen += some.len();
            let bytes: usize = some.iter().map(|letter| letter.bytes.len()).sum();
            assert!(bytes <= 2 * 4096);
        }
        assert!(seen >= bad.len(), "{seen}");
        letters.close().await;
    }
    let mut letters = broker::dead_letters(&queue, base()).await.unwrap();
    let mut long = 0;
    loop {
        let some = letters.take(10).await.unwrap();
        if some.is_empty() {
            break;
        }
        for letter in some {
            let is_long = letter.cut_from.is_some();
            if is_long && long == 0 {
                let error = letters.retry(letter).await.unwrap_err();
                assert!(error.to_string().contains("discard it"), "{error}");
                long += 1;
            } else if letter.bytes == b"big" {
                letters.retry(letter).await.unwrap();
            } else {
                letters.discard(letter).await.unwrap();
            }
        }
    }
    letters.close().await;
    let depth = broker::depth(&queue, base()).await.unwrap();
    assert_eq!((depth.waiting, depth.dead <= 1), (1, true), "{depth:?}");
}
