//! The relay between queue directories: no server, the same promises.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use broker::{Consumer, DirectoryConfig, QueueConfig};
use clock::SystemClock;
use contract::{PrivateKey, PublicKey, SealedBatch};
use mix_relay::{Config, Mixer, Relay};
use telemetry::Health;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::commands::run;
use crate::world::{hear, take, until};

const ACCOUNTS: [&str; 2] = ["clinic-1", "clinic-2"];

const CONFIG: &str = "[mix]
slot_seconds = 1
minimum_pool = 1
minimum_accounts = 1
maximum_delay_seconds = 1
held_batches = 2
[[accounts]]
name = \"clinic-1\"
[[accounts]]
name = \"clinic-2\"
[outside.directory]
path = \"clinics\"
[inside.directory]
path = \"registry\"
";

/// Folder of both queues and of the relay.
struct Place {
    folder: tempfile::TempDir,
    key: PublicKey,
}

/// Relay that runs in this process; its slots begin when the test says so.
struct RunningRelay {
    mixer: Arc<Mixer>,
    health: Health,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mix-relay.toml"), CONFIG).unwrap();
        Self {
            folder,
            key: PrivateKey::generate().public(),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn queue(&self, name: &str) -> QueueConfig {
        QueueConfig::Directory(DirectoryConfig::at(self.path().join(name)))
    }

    /// Puts batches into the directory of an account; returns their bytes.
    async fn send(&self, account: &str, number: usize) -> BTreeSet<Vec<u8>> {
        let queue = self.queue(&format!("clinics/{account}"));
        let publisher = broker::publisher(&queue, self.path()).unwrap();
        let mut sent = BTreeSet::new();
        for number in 0..number {
            let content = format!("{account} {number}");
            let batch: SealedBatch = self.key.seal(content.as_bytes()).unwrap().0;
            publisher.publish(&batch).await.unwrap();
            sent.insert(batch.bytes);
        }
        publisher.close().await;
        sent
    }

    fn start(&self) -> RunningRelay {
        let config: Config = settings::parse(CONFIG, Path::new("mix-relay.toml")).unwrap();
        assert_eq!(config.mistake(), None);
        let health = Health::default();
        let clock = Arc::new(SystemClock::default());
        let relay = Relay::open(&config, self.path(), clock, &health).unwrap();
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        RunningRelay {
            mixer: relay.begin(&tasks, &stop),
            health,
            tasks,
            stop,
        }
    }

    fn registry(&self) -> Box<dyn Consumer> {
        broker::consumer(&self.queue("registry"), self.path()).unwrap()
    }

    /// Number of batches that wait, or are being worked on, in the directory of an account.
    fn left(&self, account: &str) -> usize {
        let account = self.path().join("clinics").join(account);
        let in_folder = |folder: std::path::PathBuf| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            names.filter(|name| name.ends_with(".batch")).count()
        };
        let work = std::fs::read_dir(account.join("work")).into_iter();
        let work = work.flatten().flatten().map(|entry| entry.path());
        let working: usize = work.filter(|path| path.is_dir()).map(in_folder).sum();
        working + in_folder(account.join("incoming"))
    }
}

impl RunningRelay {
    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_go_from_directory_to_directory_and_receipts_come_back() {
    let place = Place::new();
    let mut sent = place.send("clinic-1", 5).await;
    sent.extend(place.send("clinic-2", 1).await);
    let relay = place.start();
    let mut registry = place.registry();
    let mut arrived = BTreeSet::new();
    until("all batches arrive", async || {
        relay.mixer.slot().await;
        arrived.extend(take(&mut registry).await);
        (arrived == sent).then_some(())
    })
    .await;
    until("all are acknowledged", async || {
        let left = ACCOUNTS.map(|account| place.left(account));
        (left == [0, 0]).then_some(())
    })
    .await;
    until("the relay is ready", async || {
        relay.mixer.slot().await;
        relay.health.reason_unready().is_none().then_some(())
    })
    .await;

    let receipts = broker::receipt_publisher(&place.queue("registry"), place.path()).unwrap();
    receipts.broadcast(b"a receipt".to_vec()).await.unwrap();
    for account in ACCOUNTS {
        let queue = place.queue(&format!("clinics/{account}"));
        let mut subscriber = broker::receipt_subscriber(&queue, place.path()).unwrap();
        hear(&mut subscriber, "a receipt").await;
    }
    relay.end().await;
    registry.close().await;
    let config = place.path().join("mix-relay.toml");
    let (code, out, _) = run(&config, &["check"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.contains("whoever may enter them sees who sends"),
        "{out}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_registrys_directory_does_not_take_is_not_acknowledged() {
    let place = Place::new();
    let sent = place.send("clinic-1", 3).await;
    // A file stands where the directory should be.
    std::fs::write(place.path().join("registry"), "in the way").unwrap();
    let relay = place.start();
    until("a slot fails", async || {
        let report = relay.mixer.slot().await;
        assert_eq!(report.published, 0);
        (report.failed > 0).then_some(())
    })
    .await;
    assert_eq!(place.left("clinic-1"), 3);
    let told = relay.health.reason_unready().unwrap_or_default();
    assert!(!told.is_empty());
    // They are given back, and the next start finds them.
    relay.end().await;
    assert_eq!(place.left("clinic-1"), 3);

    std::fs::remove_file(place.path().join("registry")).unwrap();
    let relay = place.start();
    let mut registry = place.registry();
    let mut arrived = BTreeSet::new();
    until("all batches arrive", async || {
        relay.mixer.slot().await;
        arrived.extend(take(&mut registry).await);
        (arrived == sent).then_some(())
    })
    .await;
    until("all are acknowledged", async || {
        (place.left("clinic-1") == 0).then_some(())
    })
    .await;
    relay.end().await;
    registry.close().await;
}
