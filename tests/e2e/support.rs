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
use registry::{Keys, Reader, SecondLayerKey, StoreConfig, StoredFact};
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
        eventually("the store opens", 60, async || {
            let keys = Keys::new(self.private.clone(), Vec::new(), self.second_layer());
            told(Reader::open(store, keys, self.folder.path()).await)
        })
        .await
    }

    /// The registry's second layer.
    pub(crate) fn second_layer(&self) -> SecondLayerKey {
        SecondLayerKey::from_text(&self.second_layer).expect("the key just made is one")
    }

    /// The pseudonym keys all clinics of this city hold.
    pub(crate) fn ring(&self) -> KeyRing {
        KeyRing::from_shared(SharedKeys::parse(&self.shared).expect("the keys just made are some"))
    }
}

/// The facts of a store. Its server may be slower to answer than the store waits for it.
pub(crate) async fn stored_facts(reader: &Reader) -> Vec<StoredFact> {
    eventually("the registry can be read", 60, async || {
        told(reader.facts().await)
    })
    .await
}

/// The value, or none and a line that says why.
fn told<T, E: std::fmt::Display>(result: Result<T, E>) -> Option<T> {
    result.inspect_err(|error| println!("{error}")).ok()
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

/// The registry's program.
pub(crate) fn registry_program() -> PathBuf {
    program_beside("city-registry")
}

/// Another program, which `cargo build --workspace --bins` puts beside the gateway's.
pub(crate) fn program_beside(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_clinic-gateway")).with_file_name(name);
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

/// `[queue.amqp]` on a private broker, which may be slow: without this limit, a command that does
/// not try again would fail.
pub(crate) fn amqp_queue(port: u16) -> String {
    amqp_address(port) + "connect_timeout_seconds = 60\n"
}

/// `[queue.amqp]` with the address and nothing else.
pub(crate) fn amqp_address(port: u16) -> String {
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

/// Has the registry's program take in everything that waits in the queue; what it printed. A server
/// that is slow to answer is a failure that may pass, and an operator would try again.
pub(crate) fn drained(config: &Path, filter: Option<&str>) -> Output {
    const MAY_PASS: i32 = 1;
    const TRIES: u32 = 5;
    for attempt in 1.. {
        let mut command = registry_command(config, &["run", "--drain"]);
        command.envs(filter.map(|filter| ("RUST_LOG", filter)));
        let output = command.output().expect("city-registry starts");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            return output;
        }
        let may_pass = output.status.code() == Some(MAY_PASS);
        assert!(may_pass && attempt < TRIES, "{told}");
        println!("{told}");
    }
    unreachable!("the last try returns or panics")
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

    /// Number of lines of its log with this phrase.
    pub(crate) fn lines(&self, phrase: &str) -> usize {
        let log = self.log();
        log.lines().filter(|line| line.contains(phrase)).count()
    }

    /// Waits until so many lines of its log have this phrase: what is told elsewhere may be told
    /// before it is logged.
    pub(crate) async fn until_lines(&self, phrase: &str, number: usize) {
        let what = format!("{number} lines with {phrase}");
        eventually(&what, 60, async || {
            let lines = self.lines(phrase);
            assert!(
                lines <= number,
                "{lines} lines with {phrase}: {}",
                self.log()
            );
            (lines == number).then_some(())
        })
        .await;
    }

    /// Returns whether it has not ended.
    pub(crate) fn runs(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("it can be waited for")
            .is_none()
    }

    /// Stops it as a machine does that is suspended, or lets it go on.
    pub(crate) fn pause(&self, is_paused: bool) {
        let signal = if is_paused { "-STOP" } else { "-CONT" };
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args([signal, &id]).status();
        assert!(
            asked.is_ok_and(|status| status.success()),
            "the program has ended before: {}",
            self.log()
        );
    }

    /// Process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit code once it has ended by itself; `None` when a signal ended it.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let ended = eventually("the program ends", 120, async || {
            self.child.try_wait().expect("it can be waited for")
        });
        ended.await.code()
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
        self.ended().await
    }
}

/// Number of lines of a program's output that a failing test shows.
const LINES_SHOWN: usize = 60;

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
            let state = self.child.try_wait();
            eprintln!("{} ({state:?}):\n{}", self.log.display(), shown.join("\n"));
        }
        // Already dead is as good.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Shortest limit of a wait in these tests. A limit is there so that a test that would hang fails
/// with words; a machine that is busy with other things must not reach it.
pub(crate) const LEAST_PATIENCE: Duration = Duration::from_secs(300);

/// Asks again and again until there is an answer; the test fails when that takes longer than
/// `seconds` and [`LEAST_PATIENCE`].
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
    let limit = Duration::from_secs(seconds).max(LEAST_PATIENCE);
    let answer = tokio::time::timeout(limit, asking).await;
    answer.unwrap_or_else(|_| panic!("not within {} s: {what}", limit.as_secs()))
}

/// Waits until this process has no file of the folder open any more.
///
/// A gateway that is dropped in the midst of its work, as a killed one is, lets go of its state a
/// little later: a commit that has begun runs to its end in a task of its own, and each connection
/// to the database closes in a thread of its own, the last of which takes `-wal` and `-shm` away.
/// Neither holds the outbox's lock all the time, but both hold a file of the folder open until
/// nothing is left to be done.
pub(crate) async fn let_go(folder: &Path) {
    let folder = folder.canonicalize().expect("the folder is there");
    let what = format!("nothing holds a file of {} open", folder.display());
    eventually(&what, 120, async || {
        open_below(&folder).is_empty().then_some(())
    })
    .await;
}

/// Files below the folder that this process has open.
fn open_below(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir("/proc/self/fd")
        .expect("the open files are listed")
        .flatten()
        // A file that is closed meanwhile is none of them.
        .filter_map(|open| fs::read_link(open.path()).ok())
        .filter(|path| path.starts_with(folder))
        .collect()
}

/// Copies the files of a folder that nobody writes to.
pub(crate) fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder for the copy");
    for entry in fs::read_dir(from).expect("the folder to copy") {
        let entry = entry.expect("the folder can be listed");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a file is copied");
    }
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

pub(crate) fn secret(path: &Path, text: &str) {
    fs::write(path, text).expect("a secret is written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode is set");
}
