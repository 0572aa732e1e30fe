//! The RabbitMQ transport: the suite, outages, refusals in words, and what a message shows.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use broker::{AmqpConfig, BrokerError, Publisher, QueueConfig, QueueState};
use contract::SealedBatch;
use futures_util::stream::{self, StreamExt};
use lapin::options::BasicGetOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties};
use settings::SecretSource;
use testbed::proxy::TcpProxy;
use testbed::rabbitmq::RabbitMq;

use crate::conformance::{self, Bench};
use crate::{PATIENCE, batch, until};

const BASE: &str = "/nonexistent";

pub(crate) fn base() -> &'static Path {
    Path::new(BASE)
}

pub(crate) fn at(url: &str) -> AmqpConfig {
    AmqpConfig {
        url: url.into(),
        max_backoff_seconds: 1.try_into().unwrap(),
        ..AmqpConfig::default()
    }
}

pub(crate) async fn raw(broker: &RabbitMq) -> (Connection, Channel) {
    let connection = Connection::connect(&broker.amqp_url(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

struct Queues {
    broker: RabbitMq,
    count: AtomicU32,
}

impl Bench for Queues {
    fn queue(&self) -> QueueConfig {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        QueueConfig::Amqp(AmqpConfig {
            exchange: format!("facts{number}"),
            queue: format!("facts{number}.intake"),
            dead_letters_exchange: format!("dead{number}"),
            dead_letters: format!("facts{number}.dead"),
            receipts: format!("receipts{number}"),
            delivery_limit: 2.try_into().unwrap(),
            ..at(&self.broker.amqp_url())
        })
    }

    async fn dead_letters(&self, config: &QueueConfig) -> Vec<(Vec<u8>, String)> {
        let QueueConfig::Amqp(config) = config else {
            panic!("amqp")
        };
        let (_connection, channel) = raw(&self.broker).await;
        let mut letters = Vec::new();
        let options = BasicGetOptions { no_ack: true };
        while let Some(got) = channel
            .basic_get(config.dead_letters.as_str().into(), options)
            .await
            .unwrap()
        {
            let headers = got.properties.headers().clone().unwrap();
            let Some(AMQPValue::LongString(reason)) = headers.inner().get("x-reason") else {
                panic!("no reason")
            };
            letters.push((got.data.clone(), reason.to_string()));
        }
        letters
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_keeps_the_promises() {
    let queues = Queues {
        broker: RabbitMq::start().await.unwrap(),
        count: AtomicU32::new(0),
    };
    conformance::keeps_the_promises(&queues).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_larger_than_the_drivers_buffers_go_through_the_smallest_frames() {
    let config = vec!["frame_max = 8192".to_owned()];
    let options = testbed::rabbitmq::Options {
        config,
        ..Default::default()
    };
    let broker = RabbitMq::start_with(options).await.unwrap();
    let queue = QueueConfig::Amqp(at(&broker.amqp_url()));
    let publisher = broker::publisher(&queue, base()).unwrap();
    let sent: Vec<SealedBatch> = (0..8)
        .map(|byte| batch(&vec![byte; conformance::LARGEST_BYTES]))
        .collect();
    let publishing = stream::iter(&sent)
        .map(|batch| publisher.publish(batch))
        .buffer_unordered(8);
    let outcomes: Vec<_> = publishing.collect().await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    publisher.close().await;

    let mut consumer = broker::consumer(&queue, base()).unwrap();
    let mut received = BTreeSet::new();
    while received.len() < sent.len() {
        let some = consumer.receive(sent.len(), PATIENCE).await.unwrap();
        assert!(!some.is_empty(), "{} arrived", received.len());
        received.extend(some.into_iter().map(|delivery| delivery.bytes));
    }
    assert_eq!(
        received,
        sent.into_iter().map(|batch| batch.bytes).collect()
    );
    consumer.close().await;
}

/// Publishes until the broker confirmed each; how many attempts failed.
pub(crate) async fn publish_stubbornly(
    publisher: Arc<dyn Publisher>,
    batches: Vec<SealedBatch>,
) -> usize {
    let window = publisher.window();
    stream::iter(batches)
        .map(|batch| {
            let publisher = Arc::clone(&publisher);
            async move {
                let mut failures = 0;
                while let Err(error) = publisher.publish(&batch).await {
                    assert!(error.is_retry(), "{error}");
                    failures += 1;
                }
                failures
            }
        })
        .buffer_unordered(window)
        .fold(0, async |sum, failures| sum + failures)
        .await
}

/// RabbitMQ 3.10 notes a new quorum queue's log some 3 s late; killed before, it forgets what that
/// log holds.
async fn queues_are_registered(broker: &RabbitMq) {
    const NAME: &[u8] = b"%2F_clinic.facts.";
    let quorum = broker.data_dir().join("node/quorum");
    until("the queues' registration", async || {
        let node = fs::read_dir(&quorum).ok()?.next()?.ok()?.path();
        let names = fs::read(node.join("names.dets")).ok()?;
        let count = names
            .windows(NAME.len())
            .filter(|window| *window == NAME)
            .count();
        (count >= 2).then_some(())
    })
    .await;
}

pub(crate) async fn drain(config: &QueueConfig) -> Vec<Vec<u8>> {
    let mut consumer = broker::consumer(config, base()).unwrap();
    let mut all = Vec::new();
    loop {
        let some = match consumer.receive(100, Duration::from_secs(3)).await {
            Ok(some) if some.is_empty() => return all,
            Ok(some) => some,
            Err(error) => panic!("{error}"),
        };
        all.extend(some.iter().map(|delivery| delivery.bytes.clone()));
        consumer
            .ack(some.into_iter().map(|delivery| delivery.token).collect())
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_loses_nothing_it_confirmed() {
    let mut broker = RabbitMq::start().await.unwrap();
    let config = QueueConfig::Amqp(at(&broker.amqp_url()));
    let publisher = broker::publisher(&config, base()).unwrap();
    broker::check(&config, base()).await.unwrap();
    queues_are_registered(&broker).await;
    let batches: Vec<_> = (0..3000)
        .map(|number| batch(format!("batch {number}").as_bytes()))
        .collect();
    let expected: BTreeSet<_> = batches.iter().map(|batch| batch.bytes.clone()).collect();

    let publishing = tokio::spawn(publish_stubbornly(Arc::clone(&publisher), batches));
    for step in [300, 1200] {
        until("publishing", async || {
            let depth = broker.queue_depth("clinic.facts.intake").await.unwrap_or(0);
            (depth >= step || publishing.is_finished()).then_some(())
        })
        .await;
        assert!(!publishing.is_finished(), "killed while it publishes");
        broker.kill();
        until("the loss is noticed", async || {
            (publisher.state() == QueueState::Down).then_some(())
        })
        .await;
        broker.restart().await.unwrap();
    }
    let failures = tokio::time::timeout(PATIENCE * 2, publishing)
        .await
        .unwrap()
        .unwrap();
    assert!(failures > 0, "in-flight batches were failed and sent again");
    let arrived = drain(&config).await;
    assert_eq!(arrived.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_broker_and_one_out_of_memory_are_waited_out() {
    let broker = RabbitMq::start().await.unwrap();
    let config = AmqpConfig {
        confirm_timeout_seconds: 2.try_into().unwrap(),
        ..at(&broker.amqp_url())
    };
    let config = AmqpConfig {
        heartbeat_seconds: 1.try_into().unwrap(),
        ..config
    };
    let config = AmqpConfig {
        connect_timeout_seconds: 2.try_into().unwrap(),
        ..config
    };
    let config = QueueConfig::Amqp(config);
    let publisher = broker::publisher(&config, base()).unwrap();
    let mut consumer = broker::consumer(&config, base()).unwrap();
    publisher.publish(&batch(b"before")).await.unwrap();
    assert_eq!(publisher.state(), QueueState::Connected);
    let held = consumer.receive(1, PATIENCE).await.unwrap().remove(0);

    broker.pause().unwrap();
    let error = publisher.publish(&batch(b"silence")).await.unwrap_err();
    assert!(
        error.is_retry() && error.to_string().contains("2 s"),
        "{error}"
    );
    let error = until("the consumer's loss", async || {
        consumer.receive(1, PATIENCE).await.err()
    })
    .await;
    assert!(error.is_retry(), "{error}");
    let error = broker::check(&config, base()).await.unwrap_err();
    assert!(
        error.to_string().contains("did not answer within 2 s"),
        "{error}"
    );
    broker.resume().unwrap();
    publish_stubbornly(Arc::clone(&publisher), vec![batch(b"after")]).await;

    // A token of the lost connection acknowledges nothing: the message comes again.
    consumer.ack(vec![held.token]).await.unwrap();
    let seen = until("redelivery", async || {
        let some = consumer.receive(10, PATIENCE).await.ok()?;
        some.into_iter()
            .find(|delivery| delivery.bytes == b"before")
    })
    .await;
    assert!(seen.redelivered);

    broker.set_memory_watermark(10_000_000).await.unwrap();
    let error = until("the alarm", async || {
        publisher.publish(&batch(b"alarm")).await.err()
    })
    .await;
    assert!(
        error.is_retry() && error.to_string().contains("alarm is on"),
        "{error}"
    );
    assert_eq!(publisher.state(), QueueState::Blocked);
    // It stays so past several heartbeats, and reading goes on.
    for _ in 0..3 {
        assert!(
            publisher
                .publish(&batch(b"blocked"))
                .await
                .unwrap_err()
                .to_string()
                .contains("alarm is on")
        );
    }
    consumer.ack(vec![seen.token]).await.unwrap();
    broker.clear_memory_watermark().await.unwrap();
    publish_stubbornly(Arc::clone(&publisher), vec![batch(b"at last")]).await;
    assert_eq!(publisher.state(), QueueState::Connected);
    consumer.close().await;
    let left: BTreeSet<_> = drain(&config).await.into_iter().collect();
    assert!(
        left.contains(b"at last".as_slice()) && !left.contains(b"before".as_slice()),
        "{left:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_in_words_and_messages_show_nothing_of_the_sender() {
    let broker = RabbitMq::start().await.unwrap();
    refusals_are_explained(&broker).await;
    an_unroutable_batch_is_a_failure(&broker).await;
    impatient_callers_get_connected_all_the_same(&broker).await;
    messages_and_connections_name_nobody(&broker).await;
}

async fn refusals_are_explained(broker: &RabbitMq) {
    let port = broker.port();
    let secret = tempfile::tempdir().unwrap();
    let password = secret.path().join("password");
    fs::write(&password, "hunter2-right").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let own = |url: &str| AmqpConfig {
        password: Some(SecretSource::File(password.clone())),
        ..at(url)
    };
    broker
        .ctl(&["add_user", "gateway", "hunter2-right"])
        .await
        .unwrap();

    let closed_port = testbed::ports::free_port();
    let host = format!("127.0.0.1:{port}");
    let guest = at(&broker.amqp_url());
    let conflicting = AmqpConfig {
        delivery_limit: 7.try_into().unwrap(),
        ..guest.clone()
    };
    let missing = AmqpConfig {
        declare: false,
        exchange: "nowhere".into(),
        ..guest.clone()
    };
    broker::check(&QueueConfig::Amqp(guest.clone()), base())
        .await
        .unwrap();
    for (config, words) in [
        (own(&format!("amqp://guest@{host}")), "refused the login"),
        (own(&format!("amqp://gateway@{host}")), "does not let user"),
        (
            AmqpConfig {
                url: format!("amqp://guest:guest@{host}/other"),
                ..guest.clone()
            },
            "no virtual host",
        ),
        (
            at(&format!("amqp://guest:guest@127.0.0.1:{closed_port}")),
            "nothing listens",
        ),
        (
            AmqpConfig {
                allow_plain: true,
                ..at("amqp://guest:guest@no-such-host.invalid")
            },
            "cannot be resolved",
        ),
        (
            at(&format!("amqps://guest:guest@{host}")),
            "no TLS is spoken",
        ),
        (
            conflicting.clone(),
            "the queue clinic.facts.intake exists with other arguments",
        ),
        (missing, "does not exist"),
    ] {
        let config = QueueConfig::Amqp(config);
        let error = broker::check(&config, base()).await.unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        let again = broker::publisher(&config, base())
            .unwrap()
            .publish(&batch(b"x"))
            .await
            .unwrap_err();
        assert_eq!(again, error, "the publisher says the same");
        let again = broker::consumer(&config, base())
            .unwrap()
            .receive(1, PATIENCE)
            .await
            .unwrap_err();
        assert_eq!(again, error, "and the consumer");
    }
    let as_it_is = AmqpConfig {
        declare: false,
        ..conflicting
    };
    broker::check(&QueueConfig::Amqp(as_it_is), base())
        .await
        .unwrap();

    broker
        .ctl(&["set_permissions", "gateway", "^$", ".*", ".*"])
        .await
        .unwrap();
    let account = own(&format!("amqp://gateway@{host}"));
    let error = broker::check(&QueueConfig::Amqp(account.clone()), base())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("may not create"), "{error}");
    let account = QueueConfig::Amqp(AmqpConfig {
        declare: false,
        ..account
    });
    broker::publisher(&account, base())
        .unwrap()
        .publish(&batch(b"x"))
        .await
        .unwrap();
    drain(&account).await;
}

async fn an_unroutable_batch_is_a_failure(broker: &RabbitMq) {
    let config = QueueConfig::Amqp(at(&broker.amqp_url()));
    let publisher = broker::publisher(&config, base()).unwrap();
    publisher.publish(&batch(b"bound")).await.unwrap();
    let (_connection, channel) = raw(broker).await;
    let unbind = async || {
        channel
            .queue_unbind(
                "clinic.facts.intake".into(),
                "clinic.facts".into(),
                "clinic.facts.intake".into(),
                FieldTable::default(),
            )
            .await
            .unwrap();
    };
    // While many are on the way: whatever was confirmed must be in the queue, whatever came back
    // must not.
    let batches: Vec<_> = (0..2000)
        .map(|number| batch(format!("b{number}").as_bytes()))
        .collect();
    let publishing = stream::iter(&batches)
        .map(async |batch| (batch.bytes.clone(), publisher.publish(batch).await))
        .buffer_unordered(publisher.window())
        .collect::<Vec<_>>();
    let unbinding = async {
        until("some arrive", async || {
            (broker.queue_depth("clinic.facts.intake").await.unwrap() > 50).then_some(())
        })
        .await;
        unbind().await;
    };
    let (outcomes, ()) = tokio::join!(publishing, unbinding);
    let confirmed: BTreeSet<_> = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.is_ok())
        .map(|(bytes, _)| bytes.clone())
        .collect();
    assert!(outcomes.iter().any(|(_, outcome)| match outcome {
        Err(BrokerError::Misconfigured { what, .. }) => what.contains("no queue bound"),
        _ => false,
    }));
    // Declared anew by the consumer, so bound again.
    let arrived: BTreeSet<_> = drain(&config).await.into_iter().collect();
    assert!(
        confirmed.is_subset(&arrived),
        "{} confirmed, {} arrived",
        confirmed.len(),
        arrived.len()
    );
    publisher.publish(&batch(b"again")).await.unwrap();
    assert_eq!(drain(&config).await, [b"again"]);
}

async fn impatient_callers_get_connected_all_the_same(broker: &RabbitMq) {
    let proxy = TcpProxy::start(broker.port()).await.unwrap();
    proxy.delay(20);
    let config = QueueConfig::Amqp(at(&RabbitMq::url_on(proxy.port())));
    broker::publisher(&config, base())
        .unwrap()
        .publish(&batch(b"patience"))
        .await
        .unwrap();
    let mut consumer = broker::consumer(&config, base()).unwrap();
    // Nothing came, but nothing could.
    assert!(
        consumer
            .receive(1, Duration::from_millis(30))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(!consumer.connected());
    let got = until("a delivery", async || {
        // Shorter than connecting takes.
        consumer
            .receive(1, Duration::from_millis(30))
            .await
            .unwrap()
            .pop()
    })
    .await;
    assert!(consumer.connected());
    consumer.ack(vec![got.token]).await.unwrap();
    consumer.close().await;
}

async fn messages_and_connections_name_nobody(broker: &RabbitMq) {
    let proxy = TcpProxy::start(broker.port()).await.unwrap();
    let config = QueueConfig::Amqp(at(&RabbitMq::url_on(proxy.port())));
    let publisher = broker::publisher(&config, base()).unwrap();
    let sent = batch(b"sealed");
    publisher.publish(&sent).await.unwrap();

    let clients = broker
        .ctl(&["list_connections", "client_properties"])
        .await
        .unwrap();
    for key in ["connection_name", "hostname", "pid", "user"] {
        assert!(!clients.contains(key), "{clients}");
    }
    assert!(
        clients.contains("product") && clients.contains("lapin"),
        "{clients}"
    );

    let (_connection, channel) = raw(broker).await;
    let got = channel
        .basic_get(
            "clinic.facts.intake".into(),
            BasicGetOptions { no_ack: true },
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (got.exchange.as_str(), got.routing_key.as_str()),
        ("clinic.facts", "clinic.facts.intake")
    );
    let properties = &got.properties;
    assert_eq!(properties.delivery_mode(), &Some(2), "persistent");
    assert_eq!(
        properties.message_id().as_ref().unwrap().as_str(),
        sent.id.to_hex()
    );
    assert_eq!(
        properties.content_type().as_ref().unwrap().as_str(),
        "application/octet-stream"
    );
    assert!(properties.headers().as_ref().is_none_or(|headers| {
        // A quorum queue adds its own counter when it hands a message out.
        headers
            .inner()
            .keys()
            .all(|key| key.as_str() == "x-delivery-count")
    }));
    assert!(
        properties.timestamp().is_none()
            && properties.app_id().is_none()
            && properties.user_id().is_none()
    );
    assert!(properties.reply_to().is_none() && properties.correlation_id().is_none());
    assert!(properties.kind().is_none() && properties.cluster_id().is_none());

    // A consumer's bytes on the wire: its tag is the broker's.
    let mut consumer = broker::consumer(&config, base()).unwrap();
    publisher
        .publish(&batch(b"for the consumer"))
        .await
        .unwrap();
    consumer.receive(1, PATIENCE).await.unwrap();
    let tags = broker
        .ctl(&["list_consumers", "consumer_tag"])
        .await
        .unwrap();
    assert!(tags.contains("amq.ctag-"), "{tags}");
}
