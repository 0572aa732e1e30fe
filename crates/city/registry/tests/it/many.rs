//! Test that two consumers on one queue and one PostgreSQL, with everything that makes batches come
//! again, store the same content as one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker::QueueConfig;
use clock::{Clock, ManualClock};
use contract::{Event, FactKind, PrivateKey, SealedBatch, Vaccine, wire};
use registry::{ConsumeConfig, ConsumeStep, Keys, Reader, Registry, SecondLayerKey, StoreConfig};
use testbed::postgres::Postgres;
use testbed::proxy::TcpProxy;
use testbed::rabbitmq::RabbitMq;

use crate::world::{NOW, amqp, asserted, dose, negative, postgres_store};

/// Pseudo-random numbers (xorshift64*); the printed seed decides what happens.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            let other = self.roll(index as u64 + 1);
            items.swap(index, usize::try_from(other).unwrap());
        }
    }
}

/// History of corrections, withdrawals, refused dates: 40 persons, 160 records of up to 5 versions.
/// All versions of a record name its person, and record `person` stands to the end, so that no
/// order of arrival shows.
fn history(dice: &mut Dice) -> Vec<Event> {
    let mut events = Vec::new();
    for number in 0..160_u16 {
        let versions = 1 + u32::try_from(dice.roll(5)).unwrap();
        for count in 1..=versions {
            let person = number % 40;
            let day = 1 + dice.roll(28);
            let date = if dice.roll(12) == 0 {
                "2022-01-01".into()
            } else {
                format!("2021-05-{day:02}")
            };
            let fact = if number % 2 == 0 {
                dose(Vaccine::SputnikV, &date)
            } else {
                negative(&date)
            };
            let kind = if number % 2 == 0 {
                FactKind::Vaccination
            } else {
                FactKind::Test
            };
            let withdraws = number >= 40 && dice.roll(4) == 0;
            events.push(if withdraws {
                crate::world::withdrawn(number, count, kind)
            } else {
                asserted(number, count, person, fact)
            });
        }
        if number < 40 {
            let fact = if number % 2 == 0 {
                dose(Vaccine::SputnikV, "2021-05-30")
            } else {
                negative("2021-05-30")
            };
            events.push(asserted(number, versions + 1, number, fact));
        }
    }
    events
}

/// Rows of the store, without the ids that are drawn at random.
async fn content(postgres: &Postgres, database: &str) -> Vec<String> {
    let mut tables = Vec::new();
    for sql in [
        "SELECT * FROM fact ORDER BY record",
        "SELECT string_agg(concat_ws('/', suite, scheme, epoch, encode(value, 'hex')), ' ' ORDER \
         BY value) AS person
            FROM pseudonym GROUP BY subject_id ORDER BY 1",
        "SELECT count(*) FROM subject",
        "SELECT name, kind FROM contest ORDER BY name, kind",
        "SELECT * FROM name_set ORDER BY id",
        "SELECT * FROM link ORDER BY pseudonym, name_set",
        "SELECT * FROM refusal ORDER BY batch_id, event_index",
    ] {
        tables.push(postgres.psql(database, sql).await.unwrap());
    }
    tables
}

/// Keys that every registry of the test has.
struct TestKeys {
    private: PrivateKey,
    second_layer: SecondLayerKey,
}

async fn registry(
    store: &StoreConfig,
    queue: &QueueConfig,
    keys: &TestKeys,
    base: &Path,
) -> Registry {
    let second_layer = SecondLayerKey::from_text(&keys.second_layer.to_text()).unwrap();
    let keys = Keys::new(keys.private.clone(), Vec::new(), second_layer)
        .with_receipt_key(contract::ReceiptSigner::generate());
    let reader = Reader::open(store, keys, base).await.unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW.parse().unwrap()));
    let settings = ConsumeConfig {
        max_batches: 3.try_into().unwrap(),
        max_events: 40.try_into().unwrap(),
        max_wait_ms: 300.try_into().unwrap(),
        ..ConsumeConfig::default()
    };
    Registry::new(reader, queue, settings, base, clock).unwrap()
}

/// Does steps until all was sent and the queue is empty; at random moments it gives back what is
/// pending and starts anew.
async fn consume(
    mut registry: Registry,
    mut dice: Dice,
    rabbit: Arc<RabbitMq>,
    sent: Arc<AtomicBool>,
) {
    let now = NOW.parse().unwrap();
    loop {
        let all = sent.load(Ordering::Acquire);
        let step = registry.consume_ahead(now).await;
        let idle = matches!(step, Ok(ConsumeStep::Idle)) && registry.queue_connected();
        // Of a connection that was cut the broker takes back, some time later, what it has sent
        // over it: that is counted, too.
        if all && idle && rabbit.queue_depth("clinic.facts.intake").await.unwrap() == 0 {
            break;
        }
        if !all && dice.roll(6) == 0 {
            let mut next = registry.additional_consumer().unwrap();
            std::mem::swap(&mut registry, &mut next);
            next.close().await;
        }
    }
    registry.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_consumers_and_every_kind_of_redelivery_come_to_what_one_consumer_does() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5eed_2021_u64);
    println!("SEED={seed}");
    let (rabbit, postgres) = tokio::join!(RabbitMq::start(), Postgres::start());
    let rabbit = Arc::new(rabbit.unwrap());
    let postgres = postgres.unwrap();
    let proxy = TcpProxy::start(rabbit.port()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let keys = TestKeys {
        private: PrivateKey::generate(),
        second_layer: SecondLayerKey::generate(),
    };
    let mut dice = Dice(seed);
    let events = history(&mut dice);
    let mut batches: Vec<SealedBatch> = events
        .chunks(9)
        .map(|events| keys.private.public().seal(&wire::encode(events)).unwrap().0)
        .collect();

    let alone = postgres_store(&postgres, "alone").await;
    let queue = QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
    let publisher = broker::publisher(&queue, folder.path()).unwrap();
    for batch in &batches {
        publisher.publish(batch).await.unwrap();
    }
    registry(&alone, &queue, &keys, folder.path())
        .await
        .drain()
        .await
        .unwrap();

    let shared = postgres_store(&postgres, "shared").await;
    let at = |url| {
        let QueueConfig::Amqp(mut settings) = amqp(&rabbit) else {
            unreachable!()
        };
        settings.max_backoff_seconds = 1.try_into().unwrap();
        settings.delivery_limit = 1000.try_into().unwrap();
        QueueConfig::Amqp(broker::AmqpConfig { url, ..settings })
    };
    let direct = at(rabbit.amqp_url());
    let through = at(RabbitMq::url_on(proxy.port()));
    let one = registry(&shared, &through, &keys, folder.path()).await;
    let other = one.additional_consumer().unwrap();
    let publisher = broker::publisher(&direct, folder.path()).unwrap();
    let sent = Arc::new(AtomicBool::new(false));
    let start = |registry, seed| {
        tokio::spawn(consume(
            registry,
            Dice(seed),
            Arc::clone(&rabbit),
            Arc::clone(&sent),
        ))
    };
    let consumers = [start(one, seed ^ 1), start(other, seed ^ 2)];
    // Everything twice, in two orders, while connections to both servers are cut.
    for round in 0..2 {
        dice.shuffle(&mut batches);
        for (index, batch) in batches.iter().enumerate() {
            publisher.publish(batch).await.unwrap();
            match index % 12 {
                4 => proxy.cut(),
                7 => proxy.restore(),
                _ => {}
            }
            if index % 12 == 10 + round {
                let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname \
                    = 'shared'";
                postgres.psql("postgres", kill).await.unwrap();
            }
        }
        proxy.restore();
    }
    sent.store(true, Ordering::Release);
    for consumer in consumers {
        let ended = tokio::time::timeout(Duration::from_secs(120), consumer).await;
        ended.expect("the queue is emptied in time").unwrap();
    }
    rabbit.until_depth("clinic.facts.intake", 0).await.unwrap();
    assert_eq!(rabbit.queue_depth("clinic.facts.dead").await.unwrap(), 0);
    let expected = content(&postgres, "alone").await;
    let found = content(&postgres, "shared").await;
    assert!(
        expected
            .iter()
            .map(|table| table.lines().count())
            .sum::<usize>()
            > 200,
        "there is something to compare"
    );
    assert_eq!(expected, found);
}
