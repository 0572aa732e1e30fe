//! What the end-to-end tests stand on: folders of configuration, the two programs, the example
//! clinics.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clinic_gateway::config::{self, LoadedConfig};
use clinic_gateway::gateway::Gateway;
use clinic_gateway::pull::Counters;
use clinic_gateway::sync::{SyncOptions, SyncReport, sync};
use clock::SystemClock;
use contract::{PrivateKey, ReceiptSigner};
use pseudonym::{KeyRing, SharedKeys};
use registry::{Keys, Reader, SecondLayerKey, StoreConfig};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

/// DDL and rows of the example MIS.
pub(crate) const MIS: &str = include_str!("../../config/clinics/fsb-mis.sql");
/// The example configuration that reads it from PostgreSQL.
pub(crate) const FSB: &str = include_str!("../../config/clinics/fsb-polyclinic.toml");

/// The city: a registry's keys and a folder for its configuration.
pub(crate) struct City {
    pub folder: tempfile::TempDir,
    pub private: PrivateKey,
    pub receipts: ReceiptSigner,
    second_layer: SecretString,
    shared: SecretString,
}

impl City {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let private = PrivateKey::generate();
        let second_layer = SecondLayerKey::generate().to_text();
        secret(
            &folder.path().join("private.key"),
            private.to_text().expose_secret(),
        );
        secret(
            &folder.path().join("second-layer.key"),
            second_layer.expose_secret(),
        );
        let receipts = ReceiptSigner::generate();
        secret(
            &folder.path().join("receipt.key"),
            receipts.to_text().expose_secret(),
        );
        Self {
            folder,
            private,
            receipts,
            second_layer,
            shared: KeyRing::generate().shared().to_text(),
        }
    }

    /// Writes `city-registry.toml` with this store and queue (`[store.…]` and `[queue.…]`
    /// sections).
    pub(crate) fn configure(&self, store: &str, queue: &str) -> PathBuf {
        let path = self.folder.path().join("city-registry.toml");
        let keys = "[keys]\nprivate_key = { file = \"private.key\" }\nsecond_layer = { file \
            = \"second-layer.key\" }\n\
                    receipt_key = { file = \"receipt.key\" }\n";
        fs::write(&path, format!("{keys}{store}\n{queue}\n"))
            .expect("the registry's configuration is written");
        path
    }

    /// Looks into the store.
    pub(crate) async fn reader(&self, store: &StoreConfig) -> Reader {
        let second =
            SecondLayerKey::from_text(&self.second_layer).expect("the key just made is one");
        let keys = Keys::new(self.private.clone(), Vec::new(), second);
        Reader::open(store, keys, self.folder.path())
            .await
            .expect("the store opens")
    }

    /// The pseudonym keys all clinics of this city hold.
    pub(crate) fn ring(&self) -> KeyRing {
        KeyRing::from_shared(SharedKeys::parse(&self.shared).expect("the keys just made are some"))
    }
}

/// A clinic's gateway: a folder with `clinic-gateway.toml`, keys and state.
pub(crate) struct Clinic {
    pub folder: tempfile::TempDir,
}

impl Clinic {
    /// Writes the folder; `queue` and `source` are the sections of that name, `extra` anything
    /// more.
    pub(crate) fn new(city: &City, queue: &str, source: &str, extra: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        secret(
            &folder.path().join("keys"),
            city.ring().to_text().expose_secret(),
        );
        fs::create_dir(folder.path().join("state")).expect("the state folder is made");
        let clinic = Self { folder };
        clinic.configure(city, queue, source, extra);
        clinic
    }

    /// Writes the configuration; see [`Self::new`].
    pub(crate) fn configure(&self, city: &City, queue: &str, source: &str, extra: &str) {
        let head = format!(
            "[keys]\nring = {{ file = \"keys\" }}\n[registry]\npublic_key = \"{}\"\nreceipt_keys \
             = [\"{}\"]\n",
            city.private.public().to_text(),
            city.receipts.verifier().to_text()
        );
        fs::write(
            self.config_path(),
            format!("{head}{queue}\n{source}\n{extra}\n"),
        )
        .expect("the gateway's configuration is written");
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.folder.path().join("clinic-gateway.toml")
    }

    /// Writes a secret beside the configuration.
    pub(crate) fn secret(&self, name: &str, text: &str) {
        secret(&self.folder.path().join(name), text);
    }

    pub(crate) fn load(&self) -> LoadedConfig {
        config::load(&self.config_path()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// One pass, in this process.
    pub(crate) async fn sync(&self) -> (SyncReport, Arc<Counters>) {
        let gateway = Gateway::open(&self.load(), Arc::new(SystemClock::default()), "sync")
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let counters = Arc::new(Counters::default());
        let report = sync(
            &gateway,
            &SyncOptions::default(),
            &CancellationToken::new(),
            &counters,
        )
        .await;
        let report = report.expect("the outbox works");
        gateway.close().await;
        (report, counters)
    }

    /// Runs the program itself with these arguments, to its end.
    pub(crate) fn program(&self, arguments: &[&str]) -> Output {
        self.command(arguments)
            .output()
            .expect("the gateway's program starts")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clinic-gateway"));
        command
            .arg("--config")
            .arg(self.config_path())
            .args(arguments)
            .stdin(Stdio::null());
        // No registry runs in most tests: a pass takes the receipts that are there and waits for
        // none.
        command.env("CLINIC_GATEWAY_WAIT_RECEIPTS", "0");
        command
    }
}

/// The registry's program, which `cargo build --workspace --bins` puts beside the gateway's.
pub(crate) fn registry_program() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_clinic-gateway")).with_file_name("city-registry");
    assert!(
        path.exists(),
        "{} is missing: cargo build --workspace --bins (scripts/test does it)",
        path.display()
    );
    path
}

/// The `[source.…]` part of the example FSB configuration, with another database address.
pub(crate) fn fsb_source(port: u16, database: &str) -> String {
    let source = &FSB[FSB
        .find("[source.mis]")
        .expect("the example has its source")..];
    source
        .replace("port = 5432", &format!("port = {port}"))
        .replace("database = \"mis\"", &format!("database = \"{database}\""))
        .replace("user = \"gateway_reader\"", "user = \"postgres\"")
        .replace("password = { file = \"mis-password\" }\n", "")
}

/// A `[source.clinic.fhir]` section.
pub(crate) fn fhir_source(base_url: &str) -> String {
    format!("[source.clinic]\n[source.clinic.fhir]\nbase_url = \"{base_url}\"\n")
}

/// `[queue.amqp]` on a private broker.
pub(crate) fn amqp_queue(port: u16) -> String {
    format!("[queue.amqp]\nurl = \"amqp://127.0.0.1:{port}/%2f\"\n")
}

/// `[queue.directory]` at a path.
pub(crate) fn directory_queue(path: &Path) -> String {
    format!("[queue.directory]\npath = \"{}\"\n", path.display())
}

/// The registry's program with its configuration and these arguments.
pub(crate) fn registry_command(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(registry_program());
    command
        .arg("--config")
        .arg(config)
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// A program in the background; killed on drop.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it; both its outputs are appended to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let open = || {
            fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(log)
                .expect("a log file")
        };
        let child = command
            .stdout(open())
            .stderr(open())
            .spawn()
            .expect("the program starts");
        Self {
            child,
            log: log.to_owned(),
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log can be read")
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it is dead");
    }

    /// Whether it ends by an abort within that time.
    pub(crate) async fn aborted(&mut self, limit: Duration) -> bool {
        use std::os::unix::process::ExitStatusExt;
        const SIGABRT: i32 = 6;
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                    return status.signal() == Some(SIGABRT);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(limit, ended).await.unwrap_or(false)
    }

    /// SIGTERM, and its exit code once it has ended; `None` when a signal ended it.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        let asked = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(
            asked.is_ok_and(|status| status.success()),
            "the program has ended before: {}",
            self.log()
        );
        let ended = eventually("the program ends after SIGTERM", 40, async || {
            self.child.try_wait().expect("it can be waited for")
        });
        ended.await.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already dead is as good.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Asks again and again until there is an answer; the test fails when that takes longer than
/// `seconds`.
pub(crate) async fn eventually<T>(
    what: &str,
    seconds: u64,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(seconds), asking).await;
    answer.unwrap_or_else(|_| panic!("not within {seconds} s: {what}"))
}

/// Status and body of a page on loopback; `None` while nobody listens.
pub(crate) fn http_get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    let (head, body) = page.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// An invented SNILS with the right control number; `number` is one of 9 digits above 001001998.
pub(crate) fn snils(number: u32) -> String {
    let digits = format!("{number:09}");
    let sum: u32 = digits
        .bytes()
        .zip((1..=9).rev())
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    format!("{digits}{:02}", sum % 101 % 100)
}

fn secret(path: &Path, text: &str) {
    fs::write(path, text).expect("a secret is written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode is set");
}
