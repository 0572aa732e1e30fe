//! Two brokers that the scripts have set up, gateways' and the registry's ends, and a
//! configuration.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use broker::{AmqpConfig, Consumer, Publisher, QueueConfig, ReceiptSubscriber};
use contract::{PrivateKey, PublicKey, RelayPrivateKey, RelaySealer, SealedBatch};
use secrecy::ExposeSecret as _;
use settings::SecretSource;
use testbed::rabbitmq::{Options, RabbitMq};

const OUTSIDE: &str = include_str!("../../../../../config/strong/clinic-broker-setup.sh");
const INSIDE: &str = include_str!("../../../../../config/rabbitmq-setup.sh");
pub(crate) const PASSWORD: &str = "right-horse";
pub(crate) const INTAKE: &str = "clinic.facts.intake";

/// Upper bound of any wait that is expected to end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Wait for messages in one go.
const MOMENT: Duration = Duration::from_millis(300);

/// Repeats `step` until it gives something, failing after [`PATIENCE`].
pub(crate) async fn until<T>(what: &str, mut step: impl AsyncFnMut() -> Option<T>) -> T {
    tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = step().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{what} did not happen"))
}

/// Two brokers, and a folder for the relay.
pub(crate) struct World {
    pub outside: RabbitMq,
    pub inside: RabbitMq,
    pub folder: tempfile::TempDir,
    key: PublicKey,
}

impl World {
    /// World with these accounts outside, set up by the scripts that operators run.
    pub(crate) async fn new(accounts: &[&str]) -> Self {
        let start = || {
            let config = ["max_message_size = 4194304", "channel_max = 64"];
            RabbitMq::start_with(Options {
                config: config.map(str::to_owned).to_vec(),
                ..Options::default()
            })
        };
        let (outside, inside) = tokio::join!(start(), start());
        let world = Self {
            outside: outside.unwrap(),
            inside: inside.unwrap(),
            folder: tempfile::tempdir().unwrap(),
            key: PrivateKey::generate().public(),
        };
        let clinics: String = accounts
            .iter()
            .map(|name| format!("echo {PASSWORD} | clinic_account {name}\n"))
            .collect();
        let outside_script =
            format!("{OUTSIDE}\nrelay_base\necho {PASSWORD} | relay_account mix-relay\n{clinics}");
        let inside_script =
            format!("{INSIDE}\ncity_policies\necho {PASSWORD} | gateway_account mix-relay\n");
        // The registry makes its queues itself.
        broker::check(&world.registry(), Path::new("/"))
            .await
            .unwrap();
        let (outside, inside) = tokio::join!(
            world.outside.shell(&outside_script),
            world.inside.shell(&inside_script)
        );
        outside.unwrap();
        inside.unwrap();
        let password = world.password();
        fs::write(&password, PASSWORD).unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
        world
    }

    fn password(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// Writes `mix-relay.toml` with these settings of `[mix]` and whatever else.
    pub(crate) fn configure(&self, accounts: &[&str], mix: &str, more: &str) -> PathBuf {
        let side = |name: &str, port: u16, more: &str| {
            format!(
                "[{name}.amqp]\nurl = \"amqp://mix-relay@127.0.0.1:{port}/%2f\"\npassword = {{ \
                 file = \"password\" }}\ndeclare = false\nmax_backoff_seconds = \
                 1\nconfirm_timeout_seconds = 5\n{more}\n"
            )
        };
        let accounts: String = accounts
            .iter()
            .map(|name| format!("[[accounts]]\nname = \"{name}\"\n"))
            .collect();
        let receipts = "receipts_queue = \"clinic.receipts.mix-relay\"";
        let text = format!(
            "[mix]\n{mix}\n{accounts}{}{}{more}",
            side("outside", self.outside.port(), ""),
            side("inside", self.inside.port(), receipts)
        );
        let path = self.folder.path().join("mix-relay.toml");
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes the key of the relay's outer seal, and returns the sealer to it.
    pub(crate) fn relay_key(&self) -> RelaySealer {
        let key = RelayPrivateKey::generate();
        let path = self.folder.path().join("relay.key");
        fs::write(&path, key.to_text().expose_secret()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        RelaySealer::new(key.public())
    }

    /// Batch with a content of its own.
    pub(crate) fn seal(&self, content: &str) -> SealedBatch {
        self.key.seal(content.as_bytes()).unwrap().0
    }

    /// Settings of a gateway with this account: only the names of exchange and queues are others
    /// than without a relay.
    pub(crate) fn gateway(&self, account: &str) -> QueueConfig {
        QueueConfig::Amqp(AmqpConfig {
            url: format!("amqp://{account}@127.0.0.1:{}/%2f", self.outside.port()),
            password: Some(SecretSource::File(self.password())),
            declare: false,
            exchange: format!("clinic.relay.{account}"),
            queue: format!("clinic.relay.{account}.intake"),
            receipts_queue: Some(format!("clinic.receipts.{account}")),
            max_backoff_seconds: 1.try_into().unwrap(),
            ..AmqpConfig::default()
        })
    }

    /// Settings of the registry.
    pub(crate) fn registry(&self) -> QueueConfig {
        QueueConfig::Amqp(AmqpConfig {
            url: self.inside.amqp_url(),
            max_backoff_seconds: 1.try_into().unwrap(),
            ..AmqpConfig::default()
        })
    }

    pub(crate) fn publisher(&self, account: &str) -> Arc<dyn Publisher> {
        broker::publisher(&self.gateway(account), Path::new("/")).unwrap()
    }

    pub(crate) fn consumer(&self) -> Box<dyn Consumer> {
        broker::consumer(&self.registry(), Path::new("/")).unwrap()
    }

    pub(crate) fn subscriber(&self, account: &str) -> Box<dyn ReceiptSubscriber> {
        broker::receipt_subscriber(&self.gateway(account), Path::new("/")).unwrap()
    }
}

/// Broadcasts what the registry would sign, until the broker has it.
pub(crate) async fn broadcast(world: &World, text: &str) {
    let publisher = broker::receipt_publisher(&world.registry(), Path::new("/")).unwrap();
    until("the receipt is broadcast", async || {
        publisher.broadcast(text.into()).await.ok()
    })
    .await;
    publisher.close().await;
}

/// Waits until a gateway has heard this, and counts how often each message was heard till then.
pub(crate) async fn hear(
    subscriber: &mut Box<dyn ReceiptSubscriber>,
    text: &str,
) -> BTreeMap<Vec<u8>, u32> {
    let mut heard = BTreeMap::new();
    until("a receipt comes", async || {
        for message in subscriber.receive(16, MOMENT).await.unwrap_or_default() {
            *heard.entry(message).or_insert(0) += 1;
        }
        heard.contains_key(text.as_bytes()).then_some(())
    })
    .await;
    heard
}

/// Takes what is in the registry's queue now, and acknowledges it.
pub(crate) async fn take(consumer: &mut Box<dyn Consumer>) -> Vec<Vec<u8>> {
    let received = consumer.receive(64, MOMENT).await.unwrap_or_default();
    let mut all = Vec::new();
    for delivery in received {
        all.push(delivery.bytes);
        consumer.ack(vec![delivery.token]).await.ok();
    }
    all
}
