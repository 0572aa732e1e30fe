//! The RabbitMQ transport: the suite, outages, refusals in words, and what a message shows.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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
use crate::drained::drain_at;
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
    batches: impl IntoIterator<Item = SealedBatch>,
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
    drain_at(config, base()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_loses_nothing_it_confirmed() {
    let mut broker = RabbitMq::start().await.unwrap();
    let config = QueueConfig::Amqp(at(&broker.amqp_url()));
    let publisher = broker::publisher(&config, base()).unwrap();
    broker::check(&config, base()).await.unwrap();
    queues_are_registered(&broker).await;
    // It publishes until it has been killed twice, however long that takes.
    let made = Arc::new(AtomicU32::new(0));
    let is_enough = Arc::new(AtomicBool::new(false));
    let batches = {
        let made = Arc::clone(&made);
        let is_enough = Arc::clone(&is_enough);
        std::iter::from_fn(move || {
            if is_enough.load(Ordering::SeqCst) {
                return None;
            }
            Some(numbered(made.fetch_add(1, Ordering::SeqCst)))
        })
    };

    let publishing = tokio::spawn(publish_stubbornly(Arc::clone(&publisher), batches));
    for step in [300, 1200] {
        until("publishing", async || {
            let depth = broker.queue_depth("clinic.facts.intake").await.unwrap_or(0);
            (depth >= step).then_some(())
        })
        .await;
        broker.kill();
        until("the loss is noticed", async || {
            (publisher.state() == QueueState::Down).then_some(())
        })
        .await;
        broker.restart().await.unwrap();
    }
    is_enough.store(true, Ordering::SeqCst);
    let failures = tokio::time::timeout(PATIENCE * 2, publishing)
        .await
        .unwrap()
        .unwrap();
    assert!(failures > 0, "in-flight batches were failed and sent again");
    let expected: BTreeSet<_> = (0..made.load(Ordering::SeqCst))
        .map(|number| numbered(number).bytes)
        .collect();
    let arrived: BTreeSet<_> = drain(&config).await.into_iter().collect();
    assert!(
        arrived == expected,
        "{} of {}",
        arrived.len(),
        expected.len()
    );
}

fn numbered(number: u32) -> SealedBatch {
    batch(format!("batch {number}").as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_broker_and_one_out_of_memory_are_waited_out() {
    let broker = RabbitMq::start().await.unwrap();
    let patient = AmqpConfig {
        confirm_timeout_seconds: 2.try_into().unwrap(),
        connect_timeout_seconds: 2.try_into().unwrap(),
        heartbeat_seconds: 60.try_into().unwrap(),
        ..at(&broker.amqp_url())
    };
    let config = QueueConfig::Amqp(AmqpConfig {
        heartbeat_seconds: 1.try_into().unwrap(),
        ..patient.clone()
    });
    let patient = broker::publisher(&QueueConfig::Amqp(patient), base()).unwrap();
    let publisher = broker::publisher(&config, base()).unwrap();
    let mut consumer = broker::consumer(&config, base()).unwrap();
    publisher.publish(&batch(b"before")).await.unwrap();
    patient.publish(&batch(b"before too")).await.unwrap();
    assert_eq!(publisher.state(), QueueState::Connected);
    let held = consumer.receive(1, PATIENCE).await.unwrap().remove(0);

    broker.pause().unwrap();
    // The heartbeat may end the connection before the time for a confirm is over, or after it.
    let error = publisher.publish(&batch(b"silence")).await.unwrap_err();
    assert!(error.is_retry(), "{error}");
    let error = patient.publish(&batch(b"silence")).await.unwrap_err();
    assert!(
        error.is_retry() && error.to_string().contains("2 s"),
        "{error}"
    );
    patient.close().await;
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
    // It stays so past several heartbeats, and reading goes on. What the broker stops reading first
    // fails by its time for a confirm, before the alarm is known.
    for _ in 0..4 {
        let error = until("the alarm", async || {
            let error = publisher.publish(&batch(b"alarm")).await.err()?;
            error.to_string().contains("alarm is on").then_some(error)
        })
        .await;
        assert!(error.is_retry(), "{error}");
    }
    until("the alarm in the state", async || {
        (publisher.state() == QueueState::Blocked).then_some(())
    })
    .await;
    consumer.ack(vec![seen.token]).await.unwrap();
    broker.clear_memory_watermark().await.unwrap();
    publish_stubbornly(Arc::clone(&publisher), vec![batch(b"at last")]).await;
    until("the end of the alarm in the state", async || {
        (publisher.state() == QueueState::Connected).then_some(())
    })
    .await;
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
        assert_eq!(
            again.to_string(),
            error.to_string(),
            "the publisher says the same"
        );
        let again = broker::consumer(&config, base())
            .unwrap()
            .receive(1, PATIENCE)
            .await
            .unwrap_err();
        assert_eq!(again.to_string(), error.to_string(), "and the consumer");
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
    // While many are on the way, until one has come back: whatever was confirmed must be in the
    // queue, whatever came back must not.
    let came_back = AtomicBool::new(false);
    let batches = (0..)
        .take_while(|_| !came_back.load(Ordering::SeqCst))
        .map(numbered);
    let publishing = stream::iter(batches)
        .map(async |batch| {
            let outcome = publisher.publish(&batch).await;
            if outcome.is_err() {
                came_back.store(true, Ordering::SeqCst);
            }
            (batch.bytes, outcome)
        })
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

#[tokio::test]
async fn a_publisher_tells_that_its_broker_is_away_before_anything_is_published() {
    let port = testbed::ports::free_port();
    let config = QueueConfig::Amqp(at(&RabbitMq::url_on(port)));
    let publisher = broker::publisher(&config, base()).unwrap();
    assert_eq!(publisher.state(), QueueState::Idle);
    publisher.connect();
    until("the broker is known to be away", async || {
        (publisher.state() == QueueState::Down).then_some(())
    })
    .await;
    publisher.close().await;
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
