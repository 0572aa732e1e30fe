//! City of which on one day both clinics send, and on two days one of them alone: relay over
//! directories, key service, token issuer, and a registry on PostgreSQL, all by one clock that the test moves.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use broker::{DirectoryConfig, Publisher, QueueConfig};
use chrono::{DateTime, NaiveDate, Utc};
use clock::{Clock as _, ManualClock};
use contract::wire::encode;
use contract::{PrivateKey, Scheme, SealedTokens};
use escrow::AuditorKey;
use hostile::people::{fact, name};
use hostile::{Clinic, now};
use mix_relay::{Config, Mixer, Relay};
use oprf::{Blinding, ServiceKey};
use registry::{
    ConsumeConfig, EscrowConfig, Keys, PostgresConfig, Reader, Registry, SecondLayerKey,
    StoreConfig, TlsMode,
};
use secrecy::ExposeSecret as _;
use telemetry::Health;
use testbed::postgres::Postgres;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::door::{Door, Left};
use super::issuer::{Issued, Issuer};
use crate::relayed::secret;

pub(super) const ACCOUNTS: [&str; 2] = ["clinic-1", "clinic-2"];

/// Places of the accounts that send on each day.
const SENDERS: [&[usize]; 3] = [&[0, 1], &[0], &[1]];
/// Batches of an account on a day on which it sends, and records of a batch.
const BATCHES: usize = 2;
const RECORDS: u32 = 20;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const SLOT: Duration = Duration::from_secs(1);
/// Upper bound of any wait that is expected to end, and the pause between two looks.
const PATIENCE: Duration = Duration::from_secs(600);
const MOMENT: Duration = Duration::from_millis(20);

const DATABASE: &str = "days";

/// Records of a day, as the database has them, with the place of the account that stated them.
pub(super) struct Truth {
    pub(super) day: NaiveDate,
    pub(super) account: usize,
    pub(super) record: [u8; 32],
}

/// Everything that such a city leaves.
pub(super) struct Days {
    pub(super) truth: Vec<Truth>,
    pub(super) auditor: AuditorKey,
    pub(super) issuer: Issued,
    /// What a key service leaves, by the place of the account. The other one is asked alike.
    pub(super) key_service: Vec<Left>,
    pub(super) postgres: Postgres,
    /// Beginning and end of the work of each day.
    pub(super) spans: Vec<Range<DateTime<Utc>>>,
    folder: tempfile::TempDir,
}

impl Days {
    pub(super) async fn play() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(now()));
        let auditor = AuditorKey::generate();
        let postgres = Postgres::start().await.unwrap();
        let url = postgres.create_database(DATABASE).await.unwrap();
        let issuer = Issuer::start(folder.path().join("issuer"), &ACCOUNTS, &clock);
        let mut city = City {
            issuer: issuer.await,
            key_service: key_service(&folder.path().join("key-service"), &clock).await,
            relay: RunningRelay::start(folder.path(), &clock, &auditor),
            private: PrivateKey::generate(),
            second_layer: SecondLayerKey::generate(),
            clinics: [Clinic::new(1), Clinic::new(2)],
            next_record: 0,
            truth: Vec::new(),
            clock,
        };
        let mut registry = city.registry(folder.path(), url, &auditor).await;
        let mut spans = Vec::new();
        for senders in SENDERS {
            let begin = city.clock.now();
            city.day(senders, folder.path()).await;
            let drained = registry.drain().await.unwrap();
            assert_eq!((drained.0.refused, drained.1), (0, 0));
            spans.push(begin..city.clock.now());
            for pause in [HOUR, DAY.saturating_sub(HOUR)] {
                city.clock.advance(pause);
                city.issuer.step();
                city.key_service.iter().for_each(Door::step);
            }
        }
        registry.close().await;
        registry.reader().close().await;
        city.relay.end().await;
        let mut left = Vec::new();
        for door in city.key_service {
            left.push(door.end().await);
        }
        Self {
            truth: city.truth,
            auditor,
            issuer: city.issuer.end().await,
            key_service: left,
            postgres,
            spans,
            folder,
        }
    }

    /// The relay's file of days.
    pub(super) fn relay_state(&self) -> PathBuf {
        self.folder.path().join("state/accounts.json")
    }

    /// Folder of what the relay has laid down.
    pub(super) fn relay_escrow(&self) -> PathBuf {
        self.folder.path().join("escrow")
    }

    /// Folder of what the registry has laid down.
    pub(super) fn registry_escrow(&self) -> PathBuf {
        self.folder.path().join("registry-escrow")
    }

    /// Rows of a query to the registry's database.
    pub(super) async fn query(&self, sql: &str) -> Vec<String> {
        let printed = self.postgres.psql(DATABASE, sql).await.unwrap();
        printed.lines().map(str::to_owned).collect()
    }
}

struct City {
    issuer: Issuer,
    key_service: [Door; 2],
    relay: RunningRelay,
    private: PrivateKey,
    second_layer: SecondLayerKey,
    clinics: [Clinic; 2],
    next_record: u32,
    truth: Vec<Truth>,
    clock: Arc<ManualClock>,
}

impl City {
    async fn registry(&self, folder: &Path, url: String, auditor: &AuditorKey) -> Registry {
        let store = StoreConfig::Postgres(Box::new(PostgresConfig {
            url: Some(url),
            tls: Some(TlsMode::Off),
            ..PostgresConfig::default()
        }));
        let second_layer = SecondLayerKey::from_text(&self.second_layer.to_text()).unwrap();
        let keys = Keys::new(self.private.clone(), Vec::new(), second_layer);
        let escrow = EscrowConfig {
            folder: folder.join("registry-escrow"),
            public_key: auditor.public().to_text(),
            max_mib: 100.try_into().unwrap(),
        };
        let mut reader = Reader::open(&store, keys, folder).await.unwrap();
        reader.lay_down(&escrow, &store, folder).unwrap();
        reader.verify_by(self.issuer.verifying());
        let settings = ConsumeConfig {
            max_wait_ms: 50.try_into().unwrap(),
            ..ConsumeConfig::default()
        };
        let clock = Arc::clone(&self.clock);
        Registry::new(reader, &queue("registry"), settings, folder, clock).unwrap()
    }

    /// Has these accounts send, and everything leave.
    async fn day(&mut self, senders: &[usize], folder: &Path) {
        for account in senders {
            let mut day = Some(self.issuer.day_token(*account).await.to_bytes());
            let outside = queue(&format!("clinics/{}", ACCOUNTS[*account]));
            let publisher: Arc<dyn Publisher> = broker::publisher(&outside, folder).unwrap();
            for _ in 0..BATCHES {
                // Persons of new facts are asked for as they come.
                let asked = Blinding::new(&[b"a person"]).unwrap();
                self.key_service[*account].ask(asked.request(1)).await;
                let batch = self.issuer.batch_token(*account).await.to_bytes();
                let day = day.take();
                let events = self.events(*account);
                let key = self.private.public();
                let sealed = key.seal_with_tokens(&events, &SealedTokens { batch, day });
                publisher.publish(&sealed.unwrap().0).await.unwrap();
                self.clock.advance(SLOT);
            }
            publisher.close().await;
        }
        let leaving = self.relay.publish(senders.len() * BATCHES, &self.clock);
        let left = tokio::time::timeout(PATIENCE, leaving).await;
        left.expect("everything that was sent leaves");
    }

    /// Events of a batch, encoded.
    fn events(&mut self, account: usize) -> Vec<u8> {
        let numbers = self.next_record..self.next_record + RECORDS;
        self.next_record = numbers.end;
        let mut events = Vec::new();
        for number in numbers {
            let names = [name(Scheme::Snils, number)];
            let event = self.clinics[account].state(number, &names, fact(number));
            self.truth.push(Truth {
                day: self.clock.now().date_naive(),
                account,
                record: self.second_layer.record(&event.record),
            });
            events.push(event);
        }
        encode(&events)
    }
}

/// Key service with a client for each account.
async fn key_service(folder: &Path, clock: &Arc<ManualClock>) -> [Door; 2] {
    fs::create_dir(folder).unwrap();
    let key = ServiceKey::generate();
    secret(&folder.join("service.key"), key.to_text().expose_secret());
    let keys = "[[keys]]\nnumber = 1\nkey = { file = \"../service.key\" }\n";
    [
        Door::open(folder, ACCOUNTS[0], keys, clock).await,
        Door::open(folder, ACCOUNTS[1], keys, clock).await,
    ]
}

/// Relay whose slots are made by hand.
struct RunningRelay {
    mixer: Arc<Mixer>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl RunningRelay {
    fn start(folder: &Path, clock: &Arc<ManualClock>, auditor: &AuditorKey) -> Self {
        let accounts = ACCOUNTS.map(|name| format!("[[accounts]]\nname = \"{name}\"\n"));
        let text = format!(
            "[mix]\nslot_seconds = 1\nminimum_pool = 1\nminimum_accounts = \
             1\nmaximum_delay_seconds = 1\n[outside.directory]\npath = \
             \"clinics\"\n[inside.directory]\npath = \"registry\"\n[escrow]\nfolder = \
             \"escrow\"\npublic_key = \"{}\"\n{}",
            auditor.public().to_text(),
            accounts.concat()
        );
        let path = folder.join("mix-relay.toml");
        fs::write(&path, text).unwrap();
        let loaded: settings::Loaded<Config> = settings::Loaded::read(&path).unwrap();
        assert_eq!(loaded.config.mistake(), None);
        let clock = Arc::clone(clock) as Arc<dyn clock::Clock>;
        let relay = Relay::open(&loaded.config, folder, clock, &Health::default());
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        Self {
            mixer: relay.unwrap().begin(&tasks, &stop),
            tasks,
            stop,
        }
    }

    /// Makes slots until so many batches have left.
    async fn publish(&self, batches: usize, clock: &ManualClock) {
        let mut left = 0;
        while left < batches {
            left += self.mixer.slot().await.published;
            clock.advance(SLOT);
            tokio::time::sleep(MOMENT).await;
        }
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn queue(path: &str) -> QueueConfig {
    QueueConfig::Directory(DirectoryConfig::at(path))
}
