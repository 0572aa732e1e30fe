//! Support for the tests of this crate: a gateway over a source that a test controls.

mod rows;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use chrono::DateTime;
use clock::ManualClock;
use connector_kit::Feed;
use contract::{PrivateKey, ReceiptSigner};
use pseudonym::KeyRing;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use crate::config::{self, LoadedConfig};
use crate::gateway::{Gateway, read_ring};
use crate::pull::{Counters, FeedRun};
use crate::run::{RunSummary, SourceRun};
use crate::sources::Source;
pub(crate) use rows::{IN_JULY, Rows, RowsConnector, UNSENDABLE, record};

/// A gateway with one source over [`Rows`], the registry's keys, and a clock that a test moves.
pub(crate) struct World {
    pub folder: tempfile::TempDir,
    pub gateway: Gateway,
    pub rows: Arc<Rows>,
    pub clock: Arc<ManualClock>,
    pub private: PrivateKey,
    pub signer: ReceiptSigner,
    pub loaded: LoadedConfig,
}

impl World {
    /// Makes the gateway and the source's first rows; `extra` is put behind the `[registry]` keys.
    pub(crate) async fn new(extra: &str, ids: std::ops::Range<u32>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let private = PrivateKey::generate();
        let signer = ReceiptSigner::generate();
        write_secret(
            &folder.path().join("keys"),
            KeyRing::generate().to_text().expose_secret(),
        );
        fs::create_dir(folder.path().join("state")).expect("the state folder is made");
        let path = folder.path().join("clinic-gateway.toml");
        let text = format!(
            "[keys]\nring = {{ file = \"keys\" }}\n[queue.directory]\npath = \"queue\"\n\
             [source.mis.sqlite]\npath = \"none.db\"\n[source.mis.sqlite.vaccinations]\nquery \
             = \"SELECT 1 AS record_id\"\n\
             [registry]\npublic_key = \"{}\"\nreceipt_keys = [\"{}\"]\n{extra}\n",
            private.public().to_text(),
            signer.verifier().to_text()
        );
        fs::write(&path, text).expect("the configuration is written");
        let loaded = config::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let clock = Arc::new(ManualClock::at(
            DateTime::from_timestamp(1_625_000_000, 0).expect("a moment"),
        ));
        let shared: Arc<dyn clock::Clock> = Arc::<ManualClock>::clone(&clock);
        let mut gateway = Gateway::open(&loaded, shared, "test")
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let rows = Arc::new(Rows::default());
        rows.lock().extend(ids.map(|id| (id, i64::from(id))));
        let world_source = source_over(&loaded, &rows);
        gateway.sources = vec![Arc::new(world_source)];
        Self {
            folder,
            gateway,
            rows,
            clock,
            private,
            signer,
            loaded,
        }
    }

    /// Gives the source a codes file, `codes.csv` in the folder.
    pub(crate) fn add_codes_file(&mut self, text: &str) {
        fs::write(self.folder.path().join("codes.csv"), text).expect("the file is written");
        let config = self
            .loaded
            .config
            .source
            .get_mut("mis")
            .expect("the source");
        config.policy.codes_file = Some("codes.csv".into());
        self.gateway.sources = vec![Arc::new(self.source())];
    }

    /// Makes the source once more, to be given other settings.
    pub(crate) fn source(&self) -> Source {
        source_over(&self.loaded, &self.rows)
    }

    /// Runs the source once, which must succeed.
    pub(crate) async fn pull(&self) -> RunSummary {
        let run = SourceRun {
            gateway: &self.gateway,
            source: &self.gateway.sources[0],
            stop: &CancellationToken::new(),
            counters: &Counters::default(),
        };
        run.scheduled().await.expect("a good run")
    }

    /// A run over the source's one feed, to be given other parts.
    pub(crate) fn feed_run<'a>(
        &'a self,
        source: &'a Source,
        stop: &'a CancellationToken,
        counters: &'a Counters,
    ) -> FeedRun<'a> {
        FeedRun {
            gateway: &self.gateway,
            source,
            feed: Feed::Vaccinations,
            stop,
            counters,
        }
    }

    /// Reads the source's stored cursor.
    pub(crate) async fn stored_cursor(&self) -> Option<String> {
        let source = &self.gateway.sources[0];
        let stored = self.gateway.stored_cursor(source, Feed::Vaccinations).await;
        let stored = stored.expect("the state can be read");
        stored.map(|cursor| cursor.as_str().to_owned())
    }

    /// Opens the batches that lie in the queue's directory.
    pub(crate) fn published(&self) -> Vec<contract::Opened> {
        let incoming = fs::read_dir(self.folder.path().join("queue/incoming")).expect("the queue");
        incoming
            .flatten()
            .map(|file| fs::read(file.path()).expect("a batch can be read"))
            .map(|sealed| {
                self.private
                    .open(&sealed)
                    .expect("it is sealed to this registry")
            })
            .collect()
    }
}

/// Longest time that a test waits for anything, in a machine that is busy with other things.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(300);

/// Waits for what must come to pass; a test that would hang fails with its name instead.
pub(crate) async fn within_patience<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.unwrap_or_else(|_| panic!("not within {} s: {what}", PATIENCE.as_secs()))
}

/// Runs an ignored test in a process of its own with these injection points, which hold for a whole
/// process.
#[cfg(feature = "inject")]
pub(crate) fn succeeds_broken(test: &str, points: &str) {
    let mut command =
        std::process::Command::new(std::env::current_exe().expect("a test has a program"));
    command
        .args([test, "--exact", "--ignored"])
        .env(fault::ENVIRONMENT_VARIABLE, points);
    let output = command.output().expect("the test is started");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{printed}"
    );
}

fn source_over(loaded: &LoadedConfig, rows: &Arc<Rows>) -> Source {
    let config = &loaded.config.source["mis"];
    let ring = read_ring(loaded).expect("a key ring");
    let suites = loaded.config.keys.suites();
    let release = loaded.config.release.facts();
    let source = Source::new("mis", config, &loaded.base, &ring, suites, &release);
    let mut source = source.unwrap_or_else(|error| panic!("{error}"));
    source.connector = Arc::new(RowsConnector(Arc::clone(rows)));
    source
}

fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).expect("a secret is written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode is set");
}
