//! What the parts of a city hold once facts of two clinics have gone through the relay to the
//! registry: filled by the programs' own code.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker::{DirectoryConfig, QueueConfig};
use clock::ManualClock;
use contract::wire::encode;
use contract::{PrivateKey, RecordDigest, SealedBatch, Suite, batch_id_of_whole};
use escrow::AuditorKey;
use hostile::classifier::{Row, rows};
use hostile::people::fact;
use hostile::{Clinic, DATABASE, now};
use registry::{
    ConsumeConfig, EscrowConfig, Keys, Reader, Registry, SecondLayerKey, SqliteConfig, StoreConfig,
};

use super::keys::{PseudonymKeys, persons};
use crate::relayed::{Brokers, Inner, Passed, Relayed};

/// Batches of a slot, half of them of each clinic.
const SLOT_BATCHES: usize = 20;

/// Everything that a city's parts hold.
pub(crate) struct Loot {
    pub(super) keys: PseudonymKeys,
    /// Names of the two accounts.
    pub(super) accounts: [&'static str; 2],
    /// Messages of both brokers, and the keys of relay and auditor.
    pub(super) passed: Passed,
    /// The registry's keys: of the seal, and of the second layer.
    pub(super) private: PrivateKey,
    pub(super) second_layer: SecondLayerKey,
    /// Rows of the registry's database.
    pub(super) rows: Vec<Row>,
    /// Truth: place of the account that sent a record, and the record's digest.
    pub(super) stated: Vec<(usize, RecordDigest)>,
    folder: tempfile::TempDir,
}

impl Loot {
    /// Fills a city of this suite, whose clinics have these accounts of the brokers.
    pub(crate) async fn fill(brokers: &Brokers, suite: Suite, accounts: [&'static str; 2]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = PseudonymKeys::new(suite);
        let auditor = AuditorKey::generate();
        let place = folder.path().join("relay");
        let relay = Relayed::start(brokers, &place, &accounts, SLOT_BATCHES, &auditor);
        let mut relay = relay.await;
        let mut city = City::open(folder.path(), &auditor).await;
        let mut clinics = [Clinic::new(1), Clinic::new(2)];
        let mut stated = Vec::new();
        let numbers: Vec<u32> = persons().collect();
        for numbers in numbers.chunks(SLOT_BATCHES) {
            for (place, number) in numbers.iter().enumerate() {
                let name = keys.pseudonym(*number, |_| true).unwrap();
                let account = place % 2;
                let event = clinics[account].state(*number, &[name], fact(*number));
                stated.push((account, event.record));
                let sealed = city.private.public().seal(&encode(&[event])).unwrap();
                relay.send(account, sealed.0).await;
            }
            let before = relay.inner.len();
            relay.slot().await;
            city.take(&relay.inner[before..]).await;
        }
        city.registry.close().await;
        let rows = rows(&folder.path().join("registry").join(DATABASE)).await;
        Self {
            keys,
            accounts,
            passed: relay.end().await,
            private: city.private,
            second_layer: city.second_layer,
            rows: rows.unwrap(),
            stated,
            folder,
        }
    }

    /// Folder of what the relay has laid down.
    pub(super) fn relay_escrow(&self) -> PathBuf {
        self.folder.path().join("relay/escrow")
    }

    /// Folder of what the registry has laid down.
    pub(super) fn registry_escrow(&self) -> PathBuf {
        self.folder.path().join("registry-escrow")
    }

    /// Bytes of the relay's configuration and of its state.
    pub(super) fn relay_disk(&self) -> Vec<Vec<u8>> {
        let place = self.folder.path().join("relay");
        let mut files = files(&place.join("state"));
        files.push(fs::read(place.join("mix-relay.toml")).unwrap());
        files
    }

    /// Bytes of the registry's database.
    pub(super) fn database(&self) -> Vec<Vec<u8>> {
        let place = self.folder.path().join("registry");
        files(&place)
    }
}

/// Bytes of all files of a folder.
pub(super) fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.is_file());
    files.map(|path| fs::read(path).unwrap()).collect()
}

/// Registry on a directory, which is handed what came to its broker.
struct City {
    registry: Registry,
    queue: Arc<dyn broker::Publisher>,
    private: PrivateKey,
    second_layer: SecondLayerKey,
}

impl City {
    async fn open(folder: &Path, auditor: &AuditorKey) -> Self {
        let base = folder.join("registry");
        fs::create_dir(&base).unwrap();
        let private = PrivateKey::generate();
        let second_layer = SecondLayerKey::generate();
        let again = SecondLayerKey::from_text(&second_layer.to_text()).unwrap();
        let keys = Keys::new(private.clone(), Vec::new(), again);
        let store = StoreConfig::Sqlite(SqliteConfig {
            path: DATABASE.into(),
        });
        let escrow = EscrowConfig {
            folder: folder.join("registry-escrow"),
            public_key: auditor.public().to_text(),
            max_mib: 100.try_into().unwrap(),
        };
        let mut reader = Reader::open(&store, keys, &base).await.unwrap();
        reader.lay_down(&escrow, &store, &base).unwrap();
        let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
        // A slot is one transaction, also where the machine is slow to claim its files.
        let settings = ConsumeConfig {
            max_wait_ms: 1000.try_into().unwrap(),
            ..ConsumeConfig::default()
        };
        let clock = Arc::new(ManualClock::at(now()));
        let registry = Registry::new(reader, &queue, settings, &base, clock);
        Self {
            registry: registry.unwrap(),
            queue: broker::publisher(&queue, &base).unwrap(),
            private,
            second_layer,
        }
    }

    /// Has the registry store what came in a slot, in its order.
    async fn take(&mut self, messages: &[Inner]) {
        for message in messages {
            let batch = SealedBatch {
                id: batch_id_of_whole(&message.bytes).unwrap(),
                bytes: message.bytes.clone(),
            };
            self.queue.publish(&batch).await.unwrap();
        }
        let drained = self.registry.drain().await.unwrap();
        assert_eq!(drained.1, 0, "no dead letters");
        assert_eq!(drained.0.refused, 0);
    }
}
