//! The relay of strong mode in this process, and the auditor with whom a clinic is undone.
//!
//! Each clinic has a queue directory of its own; behind the relay is the queue of the demo.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use auditor::{Asked, Joined, join};
use broker::QueueConfig;
use chrono::NaiveDate;
use clock::Clock;
use contract::RelayPrivateKey;
use escrow::{Account, AuditorKey};
use mix_relay::{Config, EscrowConfig, Mixer, Relay};
use registry::EscrowConfig as RegistryEscrow;
use telemetry::Health;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use toml::{Table, Value};

use crate::files::{make_private_folder, write_secret};

/// Pause between two slots. A real relay has slots of half a minute, and waits for company.
const SLOT_PAUSE: Duration = Duration::from_millis(200);
/// Longest wait for batches to be passed on.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most that a folder of the auditor's entries may hold, in MiB.
const ESCROW_MIB: std::num::NonZeroU32 = std::num::NonZeroU32::MIN.saturating_add(63);

/// Relay that runs, and the auditor's key.
pub(crate) struct Relayed {
    /// Folder of the clinics' queue directories.
    clinics: PathBuf,
    /// Folder of what the relay has laid down.
    relay_escrow: PathBuf,
    /// Folder of what the registry has laid down.
    registry_escrow: PathBuf,
    auditor: AuditorKey,
    public_key: String,
    /// Number of batches that were confirmed behind the relay.
    published: Arc<AtomicUsize>,
    /// Number of batches that the gateways have handed over.
    handed_over: AtomicUsize,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Relayed {
    /// Makes keys and folders, and starts the relay in front of a queue.
    pub(crate) fn start(
        folder: &Path,
        accounts: &[&str],
        inside: &QueueConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let place = folder.join("relay");
        make_private_folder(&place)?;
        let key = RelayPrivateKey::generate();
        write_secret(&place.join("relay.key"), &key.to_text())?;
        let auditor = AuditorKey::generate();
        let clinics = folder.join("clinics-queues");
        let mut config = config(accounts, &clinics)?;
        config.inside = inside.clone();
        config.escrow = Some(EscrowConfig {
            folder: "escrow".into(),
            public_key: auditor.public().to_text(),
            max_mib: ESCROW_MIB,
        });
        let relay = Relay::open(&config, &place, clock, &Health::default());
        let relay = relay.map_err(|error| format!("relay: {error}"))?;
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let mixer = relay.begin(&tasks, &stop);
        let published = Arc::new(AtomicUsize::new(0));
        tasks.spawn(slots(mixer, Arc::clone(&published), stop.clone()));
        Ok(Self {
            clinics,
            relay_escrow: place.join("escrow"),
            registry_escrow: folder.join("registry-escrow"),
            auditor,
            public_key: key.public().to_text(),
            published,
            handed_over: AtomicUsize::new(0),
            stop,
            tasks,
        })
    }

    /// `[queue]` of a clinic in front of the relay.
    pub(crate) fn queue_of(&self, clinic: &str) -> Result<Table, String> {
        let path = self.clinics.join(clinic);
        let path = path.to_str().ok_or("the folder's path is not UTF-8")?;
        let mut directory = Table::new();
        directory.insert("path".to_owned(), path.into());
        Ok(Table::from_iter([(
            "directory".to_owned(),
            Value::Table(directory),
        )]))
    }

    /// Public key that gateways seal to once more.
    pub(crate) fn public_key(&self) -> &str {
        &self.public_key
    }

    /// `[escrow]` of the registry.
    pub(crate) fn registry_escrow(&self) -> RegistryEscrow {
        RegistryEscrow {
            folder: self.registry_escrow.clone(),
            public_key: self.auditor.public().to_text(),
            max_mib: ESCROW_MIB,
        }
    }

    /// Notes that gateways have handed so many batches over.
    pub(crate) fn note(&self, batches: usize) {
        self.handed_over.fetch_add(batches, Ordering::Relaxed);
    }

    /// Waits until all batches that were handed over are confirmed behind the relay.
    pub(crate) async fn pass_on(&self) -> Result<(), String> {
        let all = async {
            while self.published.load(Ordering::Relaxed) < self.handed_over.load(Ordering::Relaxed)
            {
                sleep(SLOT_PAUSE / 10).await;
            }
        };
        let in_time = timeout(PATIENCE, all).await;
        in_time.map_err(|_| "the relay did not pass the batches on".to_owned())
    }

    /// Has the auditor open which records an account stated from one UTC day to another.
    pub(crate) fn open(
        &self,
        account: &str,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Joined, String> {
        let account = Account::new(account).map_err(|error| error.to_string())?;
        let asked = Asked {
            accounts: [account].into(),
            from,
            to,
        };
        let relays = [self.relay_escrow.clone()];
        let registries = [self.registry_escrow.clone()];
        let joined = join(&self.auditor, &relays, &registries, &asked);
        let joined = joined.map_err(|error| error.to_string())?;
        match joined.unreadable.is_empty() && joined.unknown.is_empty() {
            true => Ok(joined),
            false => Err("parts of what was laid down cannot be read".to_owned()),
        }
    }

    /// Ends the relay: what it has not passed on waits for the next start.
    pub(crate) async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Configuration of the relay for these accounts.
fn config(accounts: &[&str], clinics: &Path) -> Result<Config, String> {
    let mut text = "[relay]\nprivate_keys = [{ file = \"relay.key\" }]\n[mix]\nslot_seconds = \
                    1\nminimum_pool = 1\nminimum_accounts = 1\nmaximum_delay_seconds = \
                    1\n[inside.directory]\npath = \"inside\"\n"
        .to_owned();
    for account in accounts {
        text.push_str(&format!("[[accounts]]\nname = \"{account}\"\n"));
    }
    let clinics = clinics.to_str().ok_or("the folder's path is not UTF-8")?;
    text.push_str(&format!(
        "[outside.directory]\npath = {}\n",
        Value::from(clinics)
    ));
    let config: Config = toml::from_str(&text).map_err(|error| format!("relay: {error}"))?;
    match config.mistake() {
        None => Ok(config),
        Some((what, help)) => Err(format!("relay: {what}; {help}")),
    }
}

/// Publishes in slots that follow each other quickly, so that the play is short.
async fn slots(mixer: Arc<Mixer>, published: Arc<AtomicUsize>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let slot = mixer.slot().await;
        published.fetch_add(slot.published, Ordering::Relaxed);
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(SLOT_PAUSE) => {}
        }
    }
}
