//! A registry with its queue and store, and clinics that send to it.

use std::path::Path;
use std::sync::Arc;

use broker::{AmqpConfig, DirectoryConfig, Publisher, QueueConfig};
use clock::{Clock, ManualClock};
use contract::{
    Body, Event, Fact, FactKind, PartialDate, PrivateKey, Pseudonym, PublicKey, RecordDigest, Scheme,
    Subject, Suite, TestCode, TestResult, Vaccine, Version, wire,
};
use registry::{
    ConsumeConfig, Keys, PostgresConfig, Reader, Registry, SecondLayerKey, SqliteConfig, StoreConfig, TlsMode,
};
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

pub const NOW: &str = "2021-07-01T09:00:00Z";

/// A running registry and the key to seal for it.
pub struct World {
    pub folder: tempfile::TempDir,
    pub queue: QueueConfig,
    pub public: PublicKey,
    pub registry: Registry,
    publisher: Arc<dyn Publisher>,
}

impl World {
    /// On a directory and a SQLite file.
    pub async fn small() -> Self {
        let store = StoreConfig::Sqlite(SqliteConfig { path: "registry.sqlite".into() });
        Self::new(&store, QueueConfig::Directory(DirectoryConfig::at("queue"))).await
    }

    /// On RabbitMQ and PostgreSQL.
    pub async fn large(rabbit: &RabbitMq, postgres: &Postgres) -> Self {
        Self::new(&postgres_store(postgres, "registry").await, amqp(rabbit)).await
    }

    pub async fn new(store: &StoreConfig, queue: QueueConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let private = PrivateKey::generate();
        let public = private.public();
        let keys = Keys::new(private, Vec::new(), SecondLayerKey::generate());
        let reader = Reader::open(store, keys, folder.path()).await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        let settings = ConsumeConfig { max_batches: 4.try_into().unwrap(), ..ConsumeConfig::default() };
        let registry = Registry::new(reader, &queue, settings, folder.path(), clock).unwrap();
        let publisher = broker::publisher(&queue, folder.path()).unwrap();
        Self { folder, queue, public, registry, publisher }
    }

    pub async fn send(&self, events: &[Event]) {
        let batch = self.public.seal(&wire::encode(events)).unwrap();
        self.publisher.publish(&batch).await.unwrap();
    }

    pub async fn send_bytes(&self, bytes: Vec<u8>) {
        let batch = contract::SealedBatch { id: contract::BatchId::random(), bytes };
        self.publisher.publish(&batch).await.unwrap();
    }

    pub async fn depth(&self) -> broker::Depth {
        broker::depth(&self.queue, self.base()).await.unwrap()
    }

    pub fn base(&self) -> &Path {
        self.folder.path()
    }
}

pub fn amqp(rabbit: &RabbitMq) -> QueueConfig {
    QueueConfig::Amqp(AmqpConfig { url: rabbit.amqp_url(), ..AmqpConfig::default() })
}

pub async fn postgres_store(postgres: &Postgres, database: &str) -> StoreConfig {
    let url = Some(postgres.create_database(database).await.unwrap());
    StoreConfig::Postgres(Box::new(PostgresConfig { url, tls: TlsMode::Off, ..PostgresConfig::default() }))
}

pub fn pseudonym(scheme: Scheme, person: u16) -> Pseudonym {
    let mut value = [0xa5; 32];
    value[..2].copy_from_slice(&person.to_be_bytes());
    Pseudonym { scheme, suite: Suite::Hmac, epoch: 1, value }
}

fn record(number: u16) -> RecordDigest {
    let mut digest = [0x5a; 32];
    digest[..2].copy_from_slice(&number.to_be_bytes());
    RecordDigest(digest)
}

fn version(count: u32) -> Version {
    Version { generation: 1, count }
}

/// A fact of `person`, who has a SNILS and a passport.
pub fn asserted(number: u16, count: u32, person: u16, fact: Fact) -> Event {
    let subject = Subject::new(vec![pseudonym(Scheme::Snils, person), pseudonym(Scheme::PassportRu, person)]);
    Event {
        record: record(number),
        version: version(count),
        body: Body::Asserted { subject: subject.unwrap(), fact },
    }
}

pub fn withdrawn(number: u16, count: u32, kind: FactKind) -> Event {
    Event { record: record(number), version: version(count), body: Body::Withdrawn { kind } }
}

pub fn dose(vaccine: Vaccine, date: &str) -> Fact {
    Fact::Vaccination { vaccine, dose_number: Some(1), series_doses: Some(2), occurred_on: on(date) }
}

pub fn negative(date: &str) -> Fact {
    Fact::Test { test: TestCode::RnaRespiratory, result: TestResult::NotDetected, occurred_on: on(date) }
}

pub fn recovery(began: Option<&str>, date: &str) -> Fact {
    Fact::Recovery { began_on: began.map(on), occurred_on: on(date) }
}

fn on(date: &str) -> PartialDate {
    date.parse().unwrap()
}

/// `batches` batches of `size` first doses, each of a person of its own.
pub fn doses(batches: u16, size: u16) -> Vec<Vec<Event>> {
    let event = |number| asserted(number, 1, number, dose(Vaccine::SputnikV, "2021-06-01"));
    (0..batches).map(|batch| (batch * size..(batch + 1) * size).map(event).collect()).collect()
}
