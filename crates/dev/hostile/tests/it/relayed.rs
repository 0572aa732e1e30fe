//! Two brokers with the relay between them, in this process, and every message that passes.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use broker::{AmqpConfig, Publisher, QueueConfig};
use clock::ManualClock;
use contract::{RelayPrivateKey, RelaySealer, SealedBatch};
use escrow::AuditorKey;
use hostile::now;
use mix_relay::{Config, Mixer, Relay};
use secrecy::ExposeSecret as _;
use settings::SecretSource;
use telemetry::Health;
use testbed::rabbitmq::raw::RawClient;
use testbed::rabbitmq::{Options, RabbitMq};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const OUTSIDE: &str = include_str!("../../../../../config/strong/clinic-broker-setup.sh");
const INSIDE: &str = include_str!("../../../../../config/rabbitmq-setup.sh");
const PASSWORD: &str = "right-horse";
const INTAKE: &str = "clinic.facts.intake";

/// Upper bound of any wait that is expected to end.
const PATIENCE: Duration = Duration::from_secs(600);
/// Pause between two looks.
const MOMENT: Duration = Duration::from_millis(20);

/// Length of a slot, and the age at which a batch leaves whatever else waits.
const SLOT: Duration = Duration::from_secs(30);
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// The clinics' broker and the registry's, set up by the commands that operators run.
pub(crate) struct Brokers {
    outside: RabbitMq,
    inside: RabbitMq,
}

impl Brokers {
    /// Starts both, with these accounts of clinics outside.
    pub(crate) async fn start(accounts: &[&str]) -> Self {
        let start = || {
            let config = ["max_message_size = 4194304", "channel_max = 64"];
            RabbitMq::start_with(Options {
                config: config.map(str::to_owned).to_vec(),
                ..Options::default()
            })
        };
        let (outside, inside) = tokio::join!(start(), start());
        let brokers = Self {
            outside: outside.unwrap(),
            inside: inside.unwrap(),
        };
        let registry = QueueConfig::Amqp(AmqpConfig {
            url: brokers.inside.amqp_url(),
            ..AmqpConfig::default()
        });
        // The registry makes its queues itself.
        broker::check(&registry, Path::new("/")).await.unwrap();
        let clinics: String = accounts
            .iter()
            .map(|name| format!("echo {PASSWORD} | clinic_account {name}\n"))
            .collect();
        let outside =
            format!("{OUTSIDE}\nrelay_base\necho {PASSWORD} | relay_account mix-relay\n{clinics}");
        let inside =
            format!("{INSIDE}\ncity_policies\necho {PASSWORD} | gateway_account mix-relay\n");
        let (outside, inside) = tokio::join!(
            brokers.outside.shell(&outside),
            brokers.inside.shell(&inside)
        );
        outside.unwrap();
        inside.unwrap();
        brokers
    }

    /// Publisher of a clinic's account.
    fn publisher(&self, account: &str, base: &Path) -> Arc<dyn Publisher> {
        let queue = QueueConfig::Amqp(AmqpConfig {
            url: format!("amqp://{account}@127.0.0.1:{}/%2f", self.outside.port()),
            password: Some(SecretSource::File("password".into())),
            declare: false,
            exchange: format!("clinic.relay.{account}"),
            queue: format!("clinic.relay.{account}.intake"),
            receipts_queue: Some(format!("clinic.receipts.{account}")),
            ..AmqpConfig::default()
        });
        broker::publisher(&queue, base).unwrap()
    }

    /// Writes `mix-relay.toml` into the folder, whose slots wait until so many batches are there.
    fn configure(
        &self,
        base: &Path,
        accounts: &[&str],
        batches: usize,
        auditor: &AuditorKey,
    ) -> PathBuf {
        let side = |name: &str, port: u16, more: &str| {
            format!(
                "[{name}.amqp]\nurl = \"amqp://mix-relay@127.0.0.1:{port}/%2f\"\npassword = {{ \
                 file = \"password\" }}\ndeclare = false\n{more}\n"
            )
        };
        let listed: String = accounts
            .iter()
            .map(|name| format!("[[accounts]]\nname = \"{name}\"\n"))
            .collect();
        let text = format!(
            "[relay]\nprivate_keys = [{{ file = \"relay.key\" }}]\n[mix]\nslot_seconds = \
             {}\nmaximum_delay_seconds = {}\nbatches_per_slot = {batches}\nminimum_pool = \
             {batches}\nminimum_accounts = {}\nheld_batches = {batches}\n[escrow]\nfolder = \
             \"escrow\"\npublic_key = \"{}\"\n{listed}{}{}",
            SLOT.as_secs(),
            LONGEST_DELAY.as_secs(),
            accounts.len(),
            auditor.public().to_text(),
            side("outside", self.outside.port(), ""),
            side(
                "inside",
                self.inside.port(),
                "receipts_queue = \"clinic.receipts.mix-relay\""
            ),
        );
        let path = base.join("mix-relay.toml");
        fs::write(&path, text).unwrap();
        path
    }
}

/// Message at the clinics' broker.
pub(crate) struct Outer {
    /// Place of the account, in whose queue it stands.
    pub(crate) account: usize,
    /// The message's id, and its bytes.
    pub(crate) message: SealedBatch,
    /// The batch before the outer seal, which shows nowhere; for the truth of a test.
    pub(crate) batch: SealedBatch,
}

/// Message at the registry's broker.
#[derive(Clone)]
pub(crate) struct Inner {
    /// Number of the slot in which it came.
    pub(crate) slot: usize,
    /// Properties as they stand in the header frame.
    pub(crate) properties: Vec<u8>,
    /// Bytes of the batch.
    pub(crate) bytes: Vec<u8>,
}

/// Relay between the brokers. Slots are made by hand, and time goes by slots alone.
pub(crate) struct Relayed {
    key: RelayPrivateKey,
    auditor: AuditorKey,
    outer: Vec<Outer>,
    /// Messages of the registry's broker, in their order there.
    pub(crate) inner: Vec<Inner>,
    publishers: Vec<Arc<dyn Publisher>>,
    sealers: Vec<RelaySealer>,
    inside: RawClient,
    seen: HashSet<Vec<u8>>,
    slots: usize,
    mixer: Arc<Mixer>,
    /// Clock of the relay.
    pub(crate) clock: Arc<ManualClock>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Relayed {
    /// Starts a relay for these accounts of the brokers, each of whose slots has so many batches.
    /// The folder takes its configuration and key, its `state`, and what it lays down in `escrow`.
    pub(crate) async fn start(
        brokers: &Brokers,
        folder: &Path,
        accounts: &[&str],
        batches: usize,
        auditor: &AuditorKey,
    ) -> Self {
        fs::create_dir(folder).unwrap();
        let key = RelayPrivateKey::generate();
        secret(&folder.join("password"), PASSWORD);
        secret(&folder.join("relay.key"), key.to_text().expose_secret());
        let path = brokers.configure(folder, accounts, batches, auditor);
        let loaded: settings::Loaded<Config> = settings::Loaded::read(&path).unwrap();
        assert_eq!(loaded.config.mistake(), None);
        let clock = Arc::new(ManualClock::at(now()));
        let relay = Relay::open(
            &loaded.config,
            &loaded.base,
            Arc::clone(&clock) as Arc<dyn clock::Clock>,
            &Health::default(),
        );
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let mixer = relay.unwrap().begin(&tasks, &stop);
        let accounts = accounts.iter();
        Self {
            publishers: accounts
                .clone()
                .map(|account| brokers.publisher(account, folder))
                .collect(),
            sealers: accounts.map(|_| RelaySealer::new(key.public())).collect(),
            inside: RawClient::connect(brokers.inside.port(), "guest", "guest")
                .await
                .unwrap(),
            key,
            auditor: auditor.clone(),
            outer: Vec::new(),
            inner: Vec::new(),
            seen: HashSet::new(),
            slots: 0,
            mixer,
            clock,
            tasks,
            stop,
        }
    }

    /// Sends a batch as a gateway with this account does.
    pub(crate) async fn send(&mut self, account: usize, batch: SealedBatch) {
        let message = self.sealers[account].seal(&batch).unwrap();
        let publisher = &self.publishers[account];
        let sending = async {
            // A broker on a busy machine may be late with its confirm.
            while publisher.publish(&message).await.is_err() {
                tokio::time::sleep(MOMENT).await;
            }
        };
        let sent = tokio::time::timeout(PATIENCE, sending).await;
        sent.expect("the clinics' broker takes a batch");
        self.outer.push(Outer {
            account,
            message,
            batch,
        });
    }

    /// Has everything that was sent leave in one slot, and takes it at the registry's broker.
    pub(crate) async fn slot(&mut self) {
        let slot = self.publish_all();
        let slot = tokio::time::timeout(PATIENCE, slot).await;
        slot.expect("everything that was sent leaves");
        self.slots += 1;
        self.clock.advance(SLOT);
    }

    async fn publish_all(&mut self) {
        loop {
            let report = self.mixer.slot().await;
            while let Some(message) = self.inside.take(INTAKE).await.unwrap() {
                // What a lost connection brings again is there once.
                if self.seen.insert(message.body.clone()) {
                    self.inner.push(Inner {
                        slot: self.slots,
                        properties: message.properties,
                        bytes: message.body,
                    });
                }
            }
            if self.inner.len() == self.outer.len() {
                return;
            }
            if report.published > 0 {
                // Only where something came twice: what was left behind leaves once it is overdue.
                self.clock.advance(LONGEST_DELAY);
            }
            tokio::time::sleep(MOMENT).await;
        }
    }

    /// Stops the relay.
    pub(crate) async fn end(self) -> Passed {
        for publisher in &self.publishers {
            publisher.close().await;
        }
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        Passed {
            key: self.key,
            auditor: self.auditor,
            outer: self.outer,
            inner: self.inner,
        }
    }
}

/// What has passed a relay that has ended, and its keys.
pub(crate) struct Passed {
    /// Key that takes the outer seal off.
    pub(crate) key: RelayPrivateKey,
    /// Key that opens what the relay has laid down.
    pub(crate) auditor: AuditorKey,
    /// Messages of the clinics' broker, in the order in which they were sent.
    pub(crate) outer: Vec<Outer>,
    /// Messages of the registry's broker, in their order there.
    pub(crate) inner: Vec<Inner>,
}

/// Writes a file that the programs take for a secret.
pub(crate) fn secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
