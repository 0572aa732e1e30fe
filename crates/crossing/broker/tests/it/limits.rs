//! Limits of a real broker that it tells by AMQP code 406: the length of a message, the time of an
//! acknowledgement, the arguments of a queue. None is told as another, and nothing is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use broker::{BrokerError, QueueConfig};
use contract::{BatchId, SealedBatch};
use testbed::rabbitmq::{Options, RabbitMq};

use crate::amqp::{at, base, drain};
use crate::{PATIENCE, batch, until};

/// Time in which nothing is expected, or in which what comes later is looked for again.
const BRIEF: Duration = Duration::from_millis(500);

fn of_length(bytes: usize) -> SealedBatch {
    SealedBatch {
        id: BatchId::random(),
        bytes: vec![7; bytes],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_above_the_broker_s_length_is_kept_and_stops_no_other() {
    const LIMIT: usize = 20_000;
    let options = Options {
        config: vec![format!("max_message_size = {LIMIT}")],
        ..Options::default()
    };
    let broker = RabbitMq::start_with(options).await.unwrap();
    let config = QueueConfig::Amqp(at(&broker.amqp_url()));
    let publisher = broker::publisher(&config, base()).unwrap();
    publisher.publish(&of_length(LIMIT)).await.unwrap();
    let too_long = of_length(LIMIT + 1);
    let error = publisher.publish(&too_long).await.unwrap_err();
    for phrase in ["20001 bytes", "max_message_size, 20000", "rabbitmq.conf"] {
        assert!(error.to_string().contains(phrase), "{phrase}: {error}");
    }
    assert!(!error.is_retry() && !error.to_string().contains("delete"));

    // Others get there, though the long one is tried beside each of them.
    let mut expected = BTreeSet::from([vec![7; LIMIT]]);
    for number in 0..20_u8 {
        let short = batch(&[number]);
        expected.insert(short.bytes.clone());
        let publishing = until("a short batch to arrive", async || {
            publisher.publish(&short).await.ok()
        });
        let (again, ()) = tokio::join!(publisher.publish(&too_long), publishing);
        let again = again.unwrap_err().to_string();
        assert!(again.contains("20001 bytes"), "{again}");
    }
    let arrived: BTreeSet<Vec<u8>> = drain(&config).await.into_iter().collect();
    assert_eq!(arrived, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_not_acknowledged_in_time_comes_again_and_the_setting_is_named() {
    let broker = RabbitMq::start().await.unwrap();
    // Looked at once a minute otherwise, which rabbitmq.conf cannot change.
    let soon = "application:set_env(rabbit, consumer_timeout, 1000), \
                application:set_env(rabbit, channel_tick_interval, 500).";
    broker.ctl(&["eval", soon]).await.unwrap();
    let config = QueueConfig::Amqp(at(&broker.amqp_url()));
    let publisher = broker::publisher(&config, base()).unwrap();
    publisher.publish(&batch(b"slow")).await.unwrap();
    let mut consumer = broker::consumer(&config, base()).unwrap();
    let first = consumer.receive(1, PATIENCE).await.unwrap();
    assert_eq!(first.len(), 1);
    let error: BrokerError = until("the broker to take it back", async || {
        consumer.receive(1, PATIENCE).await.err()
    })
    .await;
    for phrase in ["consumer_timeout", "come again", "prefetch"] {
        assert!(error.to_string().contains(phrase), "{phrase}: {error}");
    }
    assert!(error.is_retry() && !error.to_string().contains("delete"));
    let late = "application:set_env(rabbit, consumer_timeout, 1800000).";
    broker.ctl(&["eval", late]).await.unwrap();
    // A channel has the timeout of its opening, so that one or two more may be closed by the old
    // one before the message is acknowledged.
    until("it to come again and go", async || {
        for delivery in consumer.receive(1, BRIEF).await.ok()? {
            assert_eq!(delivery.bytes, b"slow");
            assert!(delivery.redelivered);
            consumer.ack(vec![delivery.token]).await.unwrap();
        }
        let left = broker.queue_depth("clinic.facts.intake").await.unwrap();
        (left == 0).then_some(())
    })
    .await;
    consumer.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_other_arguments_is_never_to_be_deleted() {
    let broker = RabbitMq::start().await.unwrap();
    let config = at(&broker.amqp_url());
    let first = QueueConfig::Amqp(config.clone());
    let publisher = broker::publisher(&first, base()).unwrap();
    publisher.publish(&batch(b"waits")).await.unwrap();
    let other = broker::AmqpConfig {
        delivery_limit: 7.try_into().unwrap(),
        ..config
    };
    let other = QueueConfig::Amqp(other);
    let error = broker::check(&other, base()).await.unwrap_err().to_string();
    for phrase in [
        "exists with other arguments, x-delivery-limit among them",
        "rabbitmqctl list_queues",
        "policy",
        "run --drain",
        "declare = false",
    ] {
        assert!(error.contains(phrase), "{phrase}: {error}");
    }
    assert!(!error.contains("delete"), "{error}");
}
