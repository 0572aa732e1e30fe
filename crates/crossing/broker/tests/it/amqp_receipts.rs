//! Receipts and dead letters at RabbitMQ: outages, alarms, accounts, and what is worn out by
//! looking.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use broker::{AmqpConfig, QueueConfig, QueueState};
use lapin::options::BasicGetOptions;
use lapin::types::AMQPValue;
use settings::SecretSource;
use testbed::rabbitmq::RabbitMq;

use crate::amqp::{at, base, drain, raw};
use crate::conformance::{hear, subscribe};
use crate::{PATIENCE, batch, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_makes_publishes_wait_and_ends_by_itself() {
    let broker = RabbitMq::start().await.unwrap();
    let config = AmqpConfig {
        confirm_timeout_seconds: 600.try_into().unwrap(),
        ..at(&broker.amqp_url())
    };
    let config = QueueConfig::Amqp(config);
    let publisher = broker::publisher(&config, base()).unwrap();
    publisher.publish(&batch(b"before")).await.unwrap();
    let mut subscriber = subscribe(&config).await;
    let hasty = AmqpConfig {
        confirm_timeout_seconds: 2.try_into().unwrap(),
        ..at(&broker.amqp_url())
    };
    let receipts = broker::receipt_publisher(&QueueConfig::Amqp(hasty), base()).unwrap();
    receipts.broadcast(b"before".to_vec()).await.unwrap();
    hear(&mut subscriber, 1).await;

    broker.set_memory_watermark(10_000_000).await.unwrap();
    let waiting: Vec<_> = (0..20_u8)
        .map(|number| {
            let publisher = Arc::clone(&publisher);
            tokio::spawn(async move { publisher.publish(&batch(&[number])).await })
        })
        .collect();
    until("the alarm to show", async || {
        (publisher.state() == QueueState::Blocked).then_some(())
    })
    .await;
    // A receipt is given up within its time, while batches keep waiting.
    let broadcast = tokio::time::timeout(PATIENCE, receipts.broadcast(b"lost".to_vec()));
    let error = broadcast.await.expect("bounded").unwrap_err();
    assert!(error.is_retry(), "{error}");
    until("the alarm to be told", async || {
        let broadcast = tokio::time::timeout(PATIENCE, receipts.broadcast(b"lost".to_vec()));
        let error = broadcast.await.expect("bounded").unwrap_err();
        error.to_string().contains("alarm is on").then_some(())
    })
    .await;
    assert_eq!(receipts.state(), QueueState::Blocked);
    assert!(waiting.iter().all(|publish| !publish.is_finished()));
    assert_eq!(broker.queue_depth("clinic.facts.intake").await.unwrap(), 1);

    broker.clear_memory_watermark().await.unwrap();
    for publish in waiting {
        publish.await.unwrap().expect("the very same call succeeds");
    }
    until("the end of the alarm to show", async || {
        (publisher.state() == QueueState::Connected).then_some(())
    })
    .await;
    until("receipts to go on", async || {
        receipts.broadcast(b"after".to_vec()).await.ok()
    })
    .await;
    until("the receipt after the alarm", async || {
        let some = subscriber.receive(10, PATIENCE).await.unwrap();
        some.iter().any(|message| message == b"after").then_some(())
    })
    .await;
    let mut arrived = drain(&config).await;
    arrived.sort();
    arrived.dedup();
    assert_eq!(arrived.len(), 21, "nothing is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_come_back_after_the_broker_and_leave_nothing_behind() {
    let mut broker = RabbitMq::start().await.unwrap();
    let config = QueueConfig::Amqp(at(&broker.amqp_url()));
    let mut subscriber = subscribe(&config).await;
    let publisher = broker::receipt_publisher(&config, base()).unwrap();
    publisher.broadcast(b"one".to_vec()).await.unwrap();
    assert_eq!(hear(&mut subscriber, 1).await.first().unwrap(), b"one");
    let queues = broker
        .ctl(&[
            "list_queues",
            "name",
            "exclusive",
            "auto_delete",
            "arguments",
        ])
        .await
        .unwrap();
    assert!(
        queues.contains("amq.gen-") && queues.contains("x-max-length-bytes"),
        "{queues}"
    );
    let exchange = broker
        .ctl(&["list_exchanges", "name", "type", "durable"])
        .await
        .unwrap();
    assert!(
        exchange.contains("clinic.receipts\tfanout\ttrue"),
        "{exchange}"
    );

    broker.kill();
    until("the loss to be noticed", async || {
        subscriber.receive(1, PATIENCE).await.err()
    })
    .await;
    assert!(!subscriber.connected());
    broker.restart().await.unwrap();
    until("a new subscription", async || {
        drop(subscriber.receive(1, Duration::from_millis(50)).await);
        subscriber.connected().then_some(())
    })
    .await;
    until("the next receipt to go", async || {
        publisher.broadcast(b"two".to_vec()).await.ok()
    })
    .await;
    assert!(hear(&mut subscriber, 1).await.contains(b"two".as_slice()));
    subscriber.close().await;
    until("its queue to go", async || {
        let queues = broker.ctl(&["list_queues", "name"]).await.unwrap();
        (!queues.contains("amq.gen-")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_dead_letters_and_their_count() {
    let broker = RabbitMq::start().await.unwrap();
    the_accounts_rights_are_named(&broker).await;
    looking_does_not_wear_letters_out(&broker).await;
    a_letter_that_no_queue_takes_stays(&broker).await;
}

async fn the_accounts_rights_are_named(broker: &RabbitMq) {
    let secret = tempfile::tempdir().unwrap();
    let password = secret.path().join("password");
    fs::write(&password, "right-horse").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let full = QueueConfig::Amqp(at(&broker.amqp_url()));
    let url = format!("amqp://gateway@127.0.0.1:{}", broker.port());
    let own = AmqpConfig {
        password: Some(SecretSource::File(password)),
        declare: false,
        ..at(&url)
    };
    let own = QueueConfig::Amqp(own);
    broker
        .ctl(&["add_user", "gateway", "right-horse"])
        .await
        .unwrap();
    broker
        .ctl(&["set_permissions", "gateway", "^$", "^clinic\\.facts$", "^$"])
        .await
        .unwrap();

    let mut subscriber = broker::receipt_subscriber(&own, base()).unwrap();
    let error = subscriber.receive(1, PATIENCE).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the exchange clinic.receipts does not exist"),
        "{error}"
    );
    let publisher = broker::receipt_publisher(&full, base()).unwrap();
    publisher.broadcast(b"made".to_vec()).await.unwrap();
    let error = subscriber.receive(1, PATIENCE).await.unwrap_err();
    assert!(
        !error.is_retry() && error.to_string().contains("amq\\.gen-"),
        "{error}"
    );

    // What the words say is enough.
    let configure = "^amq\\.gen-";
    let write = "^(clinic\\.facts$|amq\\.gen-)";
    let read = "^(clinic\\.receipts$|amq\\.gen-)";
    broker
        .ctl(&["set_permissions", "gateway", configure, write, read])
        .await
        .unwrap();
    let mut subscriber = subscribe(&own).await;
    broker::check(&full, base()).await.unwrap();
    broker::publisher(&own, base())
        .unwrap()
        .publish(&batch(b"sent"))
        .await
        .unwrap();
    assert_eq!(drain(&full).await, [b"sent"]);
    publisher.broadcast(b"received".to_vec()).await.unwrap();
    assert!(
        hear(&mut subscriber, 1)
            .await
            .contains(b"received".as_slice())
    );
    let error = broker::receipt_publisher(&own, base())
        .unwrap()
        .broadcast(b"forged".to_vec())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("may not publish to the exchange clinic.receipts"),
        "{error}"
    );
}

async fn put_dead_letter(config: &QueueConfig, content: &[u8]) {
    let publisher = broker::publisher(config, base()).unwrap();
    publisher.publish(&batch(content)).await.unwrap();
    let mut consumer = broker::consumer(config, base()).unwrap();
    let delivery = consumer.receive(1, PATIENCE).await.unwrap().remove(0);
    consumer.dead_letter(delivery, "not-a-batch").await.unwrap();
    consumer.close().await;
}

async fn looking_does_not_wear_letters_out(broker: &RabbitMq) {
    let config = QueueConfig::Amqp(at(&broker.amqp_url()));
    put_dead_letter(&config, b"kept").await;
    for _ in 0..25 {
        let mut dead = broker::dead_letters(&config, base()).await.unwrap();
        let letters = until("the letter", async || {
            let letters = dead.take(10).await.unwrap();
            (!letters.is_empty()).then_some(letters)
        })
        .await;
        assert_eq!(letters.len(), 1);
        assert_eq!(
            (letters[0].bytes.as_slice(), letters[0].reason.as_deref()),
            (&b"kept"[..], Some("not-a-batch"))
        );
        dead.close().await;

        // RabbitMQ 4 would throw it away beyond 20.
        let (connection, channel) = raw(broker).await;
        let options = BasicGetOptions::default();
        let got = until("the letter to be back", async || {
            channel
                .basic_get("clinic.facts.dead".into(), options)
                .await
                .unwrap()
        })
        .await;
        let headers = got.properties.headers().clone().unwrap();
        let Some(AMQPValue::LongLongInt(count)) = headers.inner().get("x-delivery-count") else {
            panic!("RabbitMQ counts deliveries: {headers:?}")
        };
        assert!(*count < 15, "handed out {count} times");
        connection.close(200, "".into()).await.unwrap();
    }
    let mut dead = broker::dead_letters(&config, base()).await.unwrap();
    let letter = until("the letter", async || dead.take(10).await.unwrap().pop()).await;
    dead.discard(letter).await.unwrap();
    dead.close().await;
    broker.until_depth("clinic.facts.dead", 0).await.unwrap();
}

async fn a_letter_that_no_queue_takes_stays(broker: &RabbitMq) {
    let config = QueueConfig::Amqp(at(&broker.amqp_url()));
    put_dead_letter(&config, b"homeless").await;
    let (_connection, channel) = raw(broker).await;
    let mut dead = broker::dead_letters(
        &QueueConfig::Amqp(AmqpConfig {
            declare: false,
            ..at(&broker.amqp_url())
        }),
        base(),
    )
    .await
    .unwrap();
    let name = "clinic.facts.intake";
    channel
        .queue_unbind(
            name.into(),
            "clinic.facts".into(),
            name.into(),
            Default::default(),
        )
        .await
        .unwrap();
    let letter = until("the letter", async || dead.take(10).await.unwrap().pop()).await;
    let error = dead.retry(letter).await.unwrap_err();
    assert!(error.to_string().contains("no queue bound"), "{error}");
    dead.close().await;
    until("the letter to be back", async || {
        (broker::depth(&config, base()).await.unwrap().dead == 1).then_some(())
    })
    .await;
    // Bound again by whoever declares.
    let mut dead = broker::dead_letters(&config, base()).await.unwrap();
    let letter = until("the letter", async || dead.take(10).await.unwrap().pop()).await;
    dead.retry(letter).await.unwrap();
    dead.close().await;
    assert_eq!(drain(&config).await, [b"homeless"]);
}
