//! What the parts of a city hold once facts of two clinics have gone through the relay to the
//! registry: filled by the programs' own code.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker::{DirectoryConfig, QueueConfig};
use clock::ManualClock;
use contract::wire::encode;
use contract::{
    Event, PrivateKey, Pseudonym, RecordDigest, SealedBatch, SealedTokens, Suite, batch_id_of_whole,
};
use escrow::AuditorKey;
use hostile::classifier::{Row, rows};
use hostile::people::fact;
use hostile::{Clinic, DATABASE, now};
use oprf::Token;
use registry::{
    ConsumeConfig, EscrowConfig, Keys, Reader, Registry, SecondLayerKey, SqliteConfig, StoreConfig,
    TokenKeys,
};

use super::issuer::{Issued, Issuer};
use super::keys::{PseudonymKeys, persons};
use super::refused::{Refusal, refusals};
use super::tokens::{SpentToken, spent_tokens};
use crate::relayed::{Brokers, Inner, Passed, Relayed};

/// Batches of a slot, half of them of each clinic.
const SLOT_BATCHES: usize = 20;

/// Epoch of pseudonyms that no registry has open, so that their events are refused.
const CLOSED_EPOCH: u16 = 9;
/// Beginning of the numbers of records whose events are refused.
const REFUSED: u32 = 1_000_000;

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
    /// Everything that the token issuer leaves.
    pub(super) issuer: Issued,
    /// Rows of the registry's database: facts, tokens that were spent, events that were refused.
    pub(super) rows: Vec<Row>,
    pub(super) spent: Vec<SpentToken>,
    pub(super) refusals: Vec<Refusal>,
    /// Truth about each batch, and about the tokens of the accounts' day.
    pub(super) sent: Vec<Sent>,
    pub(super) day_nonces: Vec<[u8; 32]>,
    folder: tempfile::TempDir,
}

/// Truth about a batch. It states one record, and another one that the registry refuses.
pub(super) struct Sent {
    /// Place of the account.
    pub(super) account: usize,
    pub(super) record: RecordDigest,
    pub(super) refused: RecordDigest,
    /// Nonce of its token.
    pub(super) nonce: [u8; 32],
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
        let place = folder.path().join("issuer");
        let mut issuer = Issuer::start(place, &accounts, &relay.clock).await;
        let mut city = City::open(folder.path(), &auditor, issuer.verifying()).await;
        let mut clinics = [Clinic::new(1), Clinic::new(2)];
        // Each gateway's token of the day goes with its first batch.
        let mut days = Vec::new();
        for account in 0..accounts.len() {
            days.push(issuer.day_token(account).await);
        }
        let mut sent: Vec<Sent> = Vec::new();
        let numbers: Vec<u32> = persons().collect();
        for numbers in numbers.chunks(SLOT_BATCHES) {
            for (place, number) in numbers.iter().enumerate() {
                let name = keys.pseudonym(*number, |_| true).unwrap();
                let account = place % 2;
                let events = batch(&mut clinics[account], *number, name);
                let token = issuer.batch_token(account).await;
                let is_first = sent.iter().all(|sent| sent.account != account);
                let tokens = SealedTokens {
                    batch: token.to_bytes(),
                    day: is_first.then(|| days[account].to_bytes()),
                };
                sent.push(Sent {
                    account,
                    record: events[0].record,
                    refused: events[1].record,
                    nonce: token.nonce(),
                });
                let key = city.private.public();
                let sealed = key.seal_with_tokens(&encode(&events), &tokens).unwrap();
                relay.send(account, sealed.0).await;
            }
            let before = relay.inner.len();
            relay.slot().await;
            city.take(&relay.inner[before..]).await;
        }
        city.registry.close().await;
        let database = folder.path().join("registry").join(DATABASE);
        Self {
            keys,
            accounts,
            passed: relay.end().await,
            private: city.private,
            second_layer: city.second_layer,
            issuer: issuer.end().await,
            rows: rows(&database).await.unwrap(),
            spent: spent_tokens(&database).await,
            refusals: refusals(&database).await,
            sent,
            day_nonces: days.iter().map(Token::nonce).collect(),
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

/// Events of a batch: one that is stored, and one that is refused.
fn batch(clinic: &mut Clinic, number: u32, name: Pseudonym) -> [Event; 2] {
    let closed = Pseudonym {
        epoch: CLOSED_EPOCH,
        ..name
    };
    [
        clinic.state(number, &[name], fact(number)),
        clinic.state(REFUSED + number, &[closed], fact(number)),
    ]
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
    async fn open(folder: &Path, auditor: &AuditorKey, tokens: TokenKeys) -> Self {
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
        reader.verify_by(tokens);
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
        assert_eq!(drained.0.refused, messages.len(), "one of each batch");
    }
}
