//! Registry with its queue and store, and clinics that send to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use broker::{AmqpConfig, DirectoryConfig, Publisher, QueueConfig, ReceiptSubscriber};
use clock::{Clock, ManualClock};
use contract::{
    AnswerKey, Body, ContentDigest, Event, Fact, FactKind, OwnerToken, PartialDate, PrivateKey,
    Pseudonym, PublicKey, Receipt, ReceiptSigner, ReceiptVerifier, RecordDigest, Scheme,
    SealedBatch, SealedTokens, Subject, Suite, TestCode, TestResult, Vaccine, Version, wire,
};
use registry::{
    ConsumeConfig, ConsumeStep, EscrowConfig, Keys, PostgresConfig, Reader, Registry,
    SecondLayerKey, SqliteConfig, StoreConfig, TlsMode,
};
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

pub(crate) const NOW: &str = "2021-07-01T09:00:00Z";

/// Longest time that a test waits for anything, in a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Pause between two markers.
const LOOK: Duration = Duration::from_secs(2);

/// Returns whether a message is the marker of some call: 32 hex digits and no receipt.
fn is_marker(message: &[u8]) -> bool {
    message.len() == 32 && message.iter().all(u8::is_ascii_hexdigit)
}

/// Waits for what must come to pass; a test that would hang fails with its name instead.
pub(crate) async fn within_patience<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.unwrap_or_else(|_| panic!("not within {} s: {what}", PATIENCE.as_secs()))
}

/// Does steps until a registry reads the queue, in which nothing waits.
pub(crate) async fn read_queue(registry: &mut Registry) {
    let now = NOW.parse().unwrap();
    within_patience("the registry reads the queue", async {
        loop {
            let step = registry.consume_once(now).await.unwrap();
            assert_eq!(step, ConsumeStep::Idle);
            if registry.queue_connected() {
                break;
            }
        }
    })
    .await;
}

/// Running registry and the key to seal for it.
pub(crate) struct World {
    pub folder: tempfile::TempDir,
    pub queue: QueueConfig,
    pub public: PublicKey,
    pub registry: Registry,
    pub clock: Arc<ManualClock>,
    /// Subscription to the answers of the registry.
    pub receipts: Box<dyn ReceiptSubscriber>,
    pub verifier: ReceiptVerifier,
    publisher: Arc<dyn Publisher>,
}

/// Keys of a registry, and those that its clinics have.
pub(crate) struct WorldKeys {
    /// Key to seal batches to.
    pub public: PublicKey,
    /// Keys of the registry.
    pub keys: Keys,
    /// Key to verify receipts with.
    pub verifier: ReceiptVerifier,
}

impl World {
    /// World over PostgreSQL, whose store does `fail`, in a trigger, at each fact of the vaccine
    /// qazvac.
    pub(crate) async fn failing_at_qazvac(postgres: &Postgres, fail: &str) -> Self {
        let store = postgres_store(postgres, "registry").await;
        let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
        let world = Self::new(&store, queue).await;
        let trigger = format!(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {fail} END $$;
            CREATE TRIGGER fail BEFORE INSERT ON fact FOR EACH ROW WHEN (NEW.vaccine = 'qazvac') \
             EXECUTE FUNCTION fail()"
        );
        postgres.psql("registry", &trigger).await.unwrap();
        world
    }

    /// Registry on a directory and a SQLite file.
    pub(crate) async fn small() -> Self {
        let store = StoreConfig::Sqlite(SqliteConfig {
            path: "registry.sqlite".into(),
        });
        Self::new(&store, QueueConfig::Directory(DirectoryConfig::at("queue"))).await
    }

    /// Registry on RabbitMQ and PostgreSQL.
    pub(crate) async fn large(rabbit: &RabbitMq, postgres: &Postgres) -> Self {
        Self::new(&postgres_store(postgres, "registry").await, amqp(rabbit)).await
    }

    pub(crate) async fn new(store: &StoreConfig, queue: QueueConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signer = ReceiptSigner::generate();
        let private = PrivateKey::generate();
        let public = private.public();
        let verifier = signer.verifier();
        let keys = Keys::new(private, Vec::new(), SecondLayerKey::generate());
        let keys = WorldKeys {
            public,
            keys: keys.with_receipt_key(signer),
            verifier,
        };
        Self::with_keys(store, queue, keys, folder).await
    }

    /// Registry without a key for receipts, on a directory and a SQLite file.
    pub(crate) async fn mute() -> Self {
        let store = StoreConfig::Sqlite(SqliteConfig {
            path: "registry.sqlite".into(),
        });
        let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
        let private = PrivateKey::generate();
        let public = private.public();
        let keys = WorldKeys {
            public,
            keys: Keys::new(private, Vec::new(), SecondLayerKey::generate()),
            verifier: ReceiptSigner::generate().verifier(),
        };
        Self::with_keys(&store, queue, keys, tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn with_keys(
        store: &StoreConfig,
        queue: QueueConfig,
        keys: WorldKeys,
        folder: tempfile::TempDir,
    ) -> Self {
        let WorldKeys {
            public,
            keys,
            verifier,
        } = keys;
        let reader = Reader::open(store, keys, folder.path()).await.unwrap();
        Self::with_reader(reader, queue, public, verifier, folder)
    }

    /// Registry that lays down for an auditor what batches state.
    pub(crate) async fn escrowed(store: &StoreConfig, escrow: &EscrowConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signer = ReceiptSigner::generate();
        let private = PrivateKey::generate();
        let public = private.public();
        let verifier = signer.verifier();
        let keys = Keys::new(private, Vec::new(), SecondLayerKey::generate());
        let keys = keys.with_receipt_key(signer);
        let mut reader = Reader::open(store, keys, folder.path()).await.unwrap();
        reader.lay_down(escrow, store, folder.path()).unwrap();
        let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
        Self::with_reader(reader, queue, public, verifier, folder)
    }

    /// Registry on a directory and a SQLite file, whose reader `set` has set up further.
    pub(crate) async fn set_up(set: impl FnOnce(&mut Reader)) -> Self {
        let store = StoreConfig::Sqlite(SqliteConfig {
            path: "registry.sqlite".into(),
        });
        let folder = tempfile::tempdir().unwrap();
        let signer = ReceiptSigner::generate();
        let private = PrivateKey::generate();
        let public = private.public();
        let verifier = signer.verifier();
        let keys = Keys::new(private, Vec::new(), SecondLayerKey::generate());
        let keys = keys.with_receipt_key(signer);
        let mut reader = Reader::open(&store, keys, folder.path()).await.unwrap();
        set(&mut reader);
        let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
        Self::with_reader(reader, queue, public, verifier, folder)
    }

    fn with_reader(
        reader: Reader,
        queue: QueueConfig,
        public: PublicKey,
        verifier: ReceiptVerifier,
        folder: tempfile::TempDir,
    ) -> Self {
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        let settings = ConsumeConfig {
            max_batches: 4.try_into().unwrap(),
            ..ConsumeConfig::default()
        };
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let registry = Registry::new(reader, &queue, settings, folder.path(), shared).unwrap();
        let publisher = broker::publisher(&queue, folder.path()).unwrap();
        let receipts = broker::receipt_subscriber(&queue, folder.path()).unwrap();
        Self {
            folder,
            queue,
            public,
            registry,
            clock,
            receipts,
            verifier,
            publisher,
        }
    }

    pub(crate) async fn send(&self, events: &[Event]) -> (SealedBatch, AnswerKey) {
        self.send_encoded(&wire::encode(events)).await
    }

    pub(crate) async fn send_encoded(&self, encoded: &[u8]) -> (SealedBatch, AnswerKey) {
        let (batch, key) = self.public.seal(encoded).unwrap();
        self.publisher.publish(&batch).await.unwrap();
        (batch, key)
    }

    pub(crate) async fn send_with_tokens(
        &self,
        encoded: &[u8],
        tokens: &SealedTokens,
    ) -> (SealedBatch, AnswerKey) {
        let (batch, key) = self.public.seal_with_tokens(encoded, tokens).unwrap();
        self.publisher.publish(&batch).await.unwrap();
        (batch, key)
    }

    pub(crate) async fn send_again(&self, batch: &SealedBatch) {
        self.publisher.publish(batch).await.unwrap();
    }

    /// Does steps until the registry reads the queue: one step may end while it still connects.
    pub(crate) async fn read_queue(&mut self) {
        read_queue(&mut self.registry).await;
    }

    /// Receipts that the registry has sent since the last call, however long they take: all are
    /// here once two messages sent after them are. (One may lie before them in a folder's listing;
    /// the next listing comes when that is read.) Whoever has called this listens.
    pub(crate) async fn answers(&mut self) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        for _ in 0..2 {
            let marked = self.receive_until_marked();
            receipts.extend(within_patience("receipts come", marked).await);
        }
        receipts
    }

    /// Broadcasts a message, and receives up to it and whatever comes with it.
    async fn receive_until_marked(&mut self) -> Vec<Receipt> {
        let markers = broker::receipt_publisher(&self.queue, self.folder.path()).unwrap();
        let marker = contract::BatchId::random().to_hex().into_bytes();
        let mut receipts = Vec::new();
        let mut marked = false;
        while !marked {
            // Again as long as it does not come: the subscription may just be made.
            markers.broadcast(marker.clone()).await.ok();
            let messages = self.receipts.receive(100, LOOK).await.unwrap();
            for message in messages {
                if message == marker {
                    marked = true;
                } else if !is_marker(&message) {
                    receipts.extend(self.verifier.open(&message).unwrap());
                }
            }
        }
        markers.close().await;
        receipts
    }

    pub(crate) async fn send_bytes(&self, bytes: Vec<u8>) {
        let batch = SealedBatch {
            id: contract::BatchId::random(),
            bytes,
        };
        self.publisher.publish(&batch).await.unwrap();
    }

    pub(crate) async fn depth(&self) -> broker::Depth {
        broker::depth(&self.queue, self.base()).await.unwrap()
    }

    pub(crate) fn base(&self) -> &Path {
        self.folder.path()
    }
}

pub(crate) fn amqp(rabbit: &RabbitMq) -> QueueConfig {
    QueueConfig::Amqp(AmqpConfig {
        url: rabbit.amqp_url(),
        ..AmqpConfig::default()
    })
}

pub(crate) async fn postgres_store(postgres: &Postgres, database: &str) -> StoreConfig {
    let url = Some(postgres.create_database(database).await.unwrap());
    StoreConfig::Postgres(Box::new(PostgresConfig {
        url,
        tls: Some(TlsMode::Off),
        ..PostgresConfig::default()
    }))
}

pub(crate) fn pseudonym(scheme: Scheme, person: u16) -> Pseudonym {
    let mut value = [0xa5; 32];
    value[..2].copy_from_slice(&person.to_be_bytes());
    Pseudonym {
        scheme,
        suite: Suite::Hmac,
        epoch: 1,
        value,
    }
}

pub(crate) fn record(number: u16) -> RecordDigest {
    let mut digest = [0x5a; 32];
    digest[..2].copy_from_slice(&number.to_be_bytes());
    RecordDigest(digest)
}

pub(crate) fn version(count: u32) -> Version {
    Version::new(u64::from(count)).unwrap()
}

/// Content digest of a version.
pub(crate) fn content(number: u16, count: u32) -> ContentDigest {
    let mut digest = [0xc0; 16];
    digest[..2].copy_from_slice(&number.to_be_bytes());
    digest[2..6].copy_from_slice(&count.to_be_bytes());
    ContentDigest(digest)
}

/// Token of the record's owner.
pub(crate) fn owner(number: u16) -> OwnerToken {
    let mut token = [0x0e; 16];
    token[..2].copy_from_slice(&number.to_be_bytes());
    OwnerToken(token)
}

/// Event about `person`, who has a SNILS and a passport.
pub(crate) fn asserted(number: u16, count: u32, person: u16, fact: Fact) -> Event {
    let subject = Subject::new(vec![
        pseudonym(Scheme::Snils, person),
        pseudonym(Scheme::PassportRu, person),
    ]);
    Event {
        record: record(number),
        version: version(count),
        content: content(number, count),
        owner: owner(number),
        body: Body::Asserted {
            subject: subject.unwrap(),
            fact,
        },
    }
}

/// Event about the person with this SNILS and this passport.
pub(crate) fn asserted_of(number: u16, count: u32, snils: u16, passport: u16, fact: Fact) -> Event {
    let names = vec![
        pseudonym(Scheme::Snils, snils),
        pseudonym(Scheme::PassportRu, passport),
    ];
    Event {
        body: Body::Asserted {
            subject: Subject::new(names).unwrap(),
            fact,
        },
        ..asserted(number, count, snils, negative("2021-06-01"))
    }
}

pub(crate) fn withdrawn(number: u16, count: u32, kind: FactKind) -> Event {
    Event {
        record: record(number),
        version: version(count),
        content: content(number, count),
        owner: owner(number),
        body: Body::Withdrawn { kind },
    }
}

pub(crate) fn dose(vaccine: Vaccine, date: &str) -> Fact {
    Fact::Vaccination {
        vaccine,
        dose_number: Some(1),
        series_doses: Some(2),
        occurred_on: on(date),
    }
}

pub(crate) fn negative(date: &str) -> Fact {
    Fact::Test {
        test: TestCode::RnaRespiratory,
        result: TestResult::NotDetected,
        occurred_on: on(date),
    }
}

pub(crate) fn recovery(began: Option<&str>, date: &str) -> Fact {
    Fact::Recovery {
        began_on: began.map(on),
        occurred_on: on(date),
    }
}

fn on(date: &str) -> PartialDate {
    date.parse().unwrap()
}

/// `batches` batches of `size` first doses, each of a person of its own.
pub(crate) fn doses(batches: u16, size: u16) -> Vec<Vec<Event>> {
    let event = |number| asserted(number, 1, number, dose(Vaccine::SputnikV, "2021-06-01"));
    (0..batches)
        .map(|batch| (batch * size..(batch + 1) * size).map(event).collect())
        .collect()
}
