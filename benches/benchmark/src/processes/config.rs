//! Configurations of the programs, as their users would write them, and the folders they lie
//! in.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::clinics::{TESTS, VACCINATIONS};
use crate::error::Error;

/// Room for the sealed batches of the largest clinic: no registry answers while it is loaded.
/// Default: 1024.
const OUTBOX_MEBIBYTES: u32 = 16_384;

/// Place that sealed batches go to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Queue {
    /// A directory beside the configuration.
    Directory,
    /// The broker on this port of the loopback address.
    RabbitMq(u16),
}

impl Queue {
    fn section(self) -> String {
        match self {
            Self::Directory => "[queue.directory]\npath = \"queue\"\n".to_owned(),
            // A broker that is back should be found at once: the pause between two tries is no
            // work.
            Self::RabbitMq(port) => format!(
                "[queue.amqp]\nurl = \"amqp://127.0.0.1:{port}/%2f\"\nmax_backoff_seconds = 1\n"
            ),
        }
    }
}

/// The clinic a gateway pulls from, on a server of the loopback address.
#[derive(Debug, Clone)]
pub(crate) struct ClinicServer {
    kind: &'static str,
    user: &'static str,
    port: u16,
    database: String,
}

impl ClinicServer {
    /// A clinic on PostgreSQL.
    pub(crate) fn postgres(port: u16, database: &str) -> Self {
        Self {
            kind: "postgres",
            user: "postgres",
            port,
            database: database.to_owned(),
        }
    }

    /// A clinic on MariaDB.
    pub(crate) fn mariadb(port: u16, database: &str) -> Self {
        Self {
            kind: "mysql",
            user: "root",
            port,
            database: database.to_owned(),
        }
    }
}

/// Settings of a gateway that the benchmark's own options may set; `None`: the gateway's default.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GatewaySizes {
    /// Records in a page.
    pub page_records: Option<u32>,
    /// Most events in a sealed batch.
    pub batch_events: Option<u32>,
}

/// Configuration of a gateway; `public_keys` are the lines of its `[registry]` section.
pub(crate) fn gateway(
    source: &ClinicServer,
    queue: Queue,
    public_keys: &str,
    sizes: GatewaySizes,
) -> String {
    let ClinicServer {
        kind,
        user,
        port,
        database,
    } = source;
    let page = setting("page_records", sizes.page_records);
    let source = format!(
        r#"[source.clinic]
{page}[source.clinic.policy.codes]
vaccines = {{ sputnik = "sputnik-v", epivac = "epivaccorona", covivac = "covivac" }}
tests = {{ pcr = "94500-6" }}
results = {{ neg = "not-detected", pos = "detected" }}
[source.clinic.{kind}]
host = "127.0.0.1"
port = {port}
database = "{database}"
user = "{user}"
tls = {{ mode = "disable" }}
[source.clinic.{kind}.vaccinations]
query = "{VACCINATIONS}"
status_words = {{ done = "final" }}
[source.clinic.{kind}.tests]
query = "{TESTS}"
status_words = {{ done = "final" }}
"#
    );
    gateway_of(&source, queue, public_keys, sizes.batch_events)
}

/// Configuration of a gateway with the sections of this source.
pub(crate) fn gateway_of(
    source: &str,
    queue: Queue,
    public_keys: &str,
    batch_events: Option<u32>,
) -> String {
    let queue = queue.section();
    let batch = setting("batch_events", batch_events);
    format!(
        r#"[keys]
{RING_LINE}
[registry]
{public_keys}{queue}[outbox]
path = "outbox.db"
max_mebibytes = {OUTBOX_MEBIBYTES}
{batch}[log]
filter = "warn"
{source}"#
    )
}

/// Line of a gateway's configuration that names its key ring.
const RING_LINE: &str = "ring = { file = \"../keys\" }";

/// Key service as a gateway's configuration names it.
#[derive(Debug, Clone)]
pub(crate) struct KeyServiceAddress {
    /// Its port of the loopback address.
    pub port: u16,
    /// Public key of its key number 1.
    pub public_key: String,
}

/// Name of the file of a service's private key.
pub(crate) const KEY_FILE: &str = "key-1.key";

/// Configuration of a key service or token issuer, and how its key is made.
pub(crate) struct ServiceConfig {
    /// Text of the file.
    pub text: String,
    /// Options of `keys new` beside the number.
    pub key_options: &'static [&'static str],
    /// First characters of the public key.
    pub public_key: &'static str,
}

/// Configuration of a key service whose ceiling nobody reaches.
pub(crate) fn key_service(port: u16) -> ServiceConfig {
    ServiceConfig {
        text: service(port, "keys", ""),
        key_options: &[],
        public_key: "cgov1:",
    }
}

/// Configuration of an issuer of tokens of batches whose ceiling nobody reaches.
pub(crate) fn token_issuer(port: u16) -> ServiceConfig {
    ServiceConfig {
        text: service(port, "token_keys", "use = \"batch\"\n"),
        key_options: &["--tokens", "batch"],
        public_key: "cgtv1:",
    }
}

fn service(port: u16, keys: &str, key_use: &str) -> String {
    let ceiling = u32::MAX;
    format!(
        r#"[service]
listen = "127.0.0.1:{port}"
[[{keys}]]
number = 1
key = {{ file = "{KEY_FILE}" }}
{key_use}[[clients]]
name = "gateway"
daily_ceiling = {ceiling}
[log]
filter = "warn"
"#
    )
}

/// Section of a gateway whose batches carry tokens of this issuer.
pub(crate) fn gateway_tokens(issuer: &KeyServiceAddress) -> String {
    let KeyServiceAddress { port, public_key } = issuer;
    format!(
        "[tokens]\nurl = \"http://127.0.0.1:{port}\"\n\
         batch = {{ key = 1, public_key = \"{public_key}\" }}\n"
    )
}

/// Section of a registry that verifies tokens by the issuer's private key in this file.
pub(crate) fn registry_tokens(private_key: &Path) -> String {
    let file = private_key.display();
    format!(
        "[tokens]\nrequired = true\n\
         keys = [{{ number = 1, key = {{ file = \"{file}\" }}, use = \"batch\" }}]\n"
    )
}

fn setting(name: &str, value: Option<u32>) -> String {
    value
        .map(|value| format!("{name} = {value}\n"))
        .unwrap_or_default()
}

/// Configuration of a registry that stores in the database behind `url`.
pub(crate) fn registry(url: &str, queue: Queue) -> String {
    let queue = queue.section();
    format!(
        r#"[store.postgres]
url = "{url}"
tls = "off"
{queue}[keys]
private_key = {{ file = "../registry/registry.key" }}
second_layer = {{ file = "../registry/second-layer.key" }}
receipt_key = {{ file = "../registry/receipt.key" }}
[log]
filter = "warn"
"#
    )
}

/// Folder of a configured program and its state.
pub(crate) struct ProgramFolder(PathBuf);

impl ProgramFolder {
    /// Makes the folder, and the configuration in it.
    pub(crate) fn create(path: PathBuf, config: &str) -> Result<Self, Error> {
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(Error::io("make a run's folder"))?;
        let folder = Self(path);
        fs::write(folder.config(), config).map_err(Error::io("write a configuration"))?;
        Ok(folder)
    }

    /// Path of the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Path of the configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// Adds a section to the configuration.
    pub(crate) fn append_section(&self, section: &str) -> Result<(), Error> {
        let mut file = OpenOptions::new()
            .append(true)
            .open(self.config())
            .map_err(Error::io("open a configuration"))?;
        file.write_all(section.as_bytes())
            .map_err(Error::io("add to a configuration"))
    }

    /// Puts other text in the place of a line of the configuration.
    pub(crate) fn change_line(&self, line: &str, replacement: &str) -> Result<(), Error> {
        let text = fs::read_to_string(self.config()).map_err(Error::io("read a configuration"))?;
        let found = text.lines().filter(|present| *present == line).count();
        if found != 1 {
            return Err(Error::WrongResult(format!(
                "the configuration has {found} lines {line:?} instead of one"
            )));
        }
        let lines = text.lines().map(|present| {
            if present == line {
                replacement
            } else {
                present
            }
        });
        let changed = lines.collect::<Vec<_>>().join("\n") + "\n";
        fs::write(self.config(), changed).map_err(Error::io("change a configuration"))
    }

    /// Has a gateway's pseudonyms computed in another suite; with key services, by these, and with
    /// a key ring that holds a record key alone.
    pub(crate) fn set_suite(
        &self,
        suite: &str,
        services: &[KeyServiceAddress],
    ) -> Result<(), Error> {
        let ring = if services.is_empty() {
            RING_LINE
        } else {
            "ring = { file = \"../record-keys\" }"
        };
        let mut section = format!("{ring}\nsuite = \"{suite}\"");
        for KeyServiceAddress { port, public_key } in services {
            section.push_str(&format!(
                "\n[[keys.services]]\nurl = \"http://127.0.0.1:{port}\"\n\
                 public_keys = [{{ epoch = 1, key = 1, public_key = \"{public_key}\" }}]"
            ));
        }
        self.change_line(RING_LINE, &section)
    }

    /// Bytes of the files of the gateway's state, its write-ahead log with them.
    pub(crate) fn state_bytes(&self) -> Result<u64, Error> {
        let entries = fs::read_dir(&self.0)
            .map_err(Error::io("list a run's folder"))?
            .flatten();
        let state =
            entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("outbox.db"));
        Ok(state
            .filter_map(|entry| entry.metadata().ok())
            .map(|data| data.len())
            .sum())
    }

    /// Removes the configuration and the state beside it.
    pub(crate) fn remove(self) -> Result<(), Error> {
        fs::remove_dir_all(&self.0).map_err(Error::io("remove a finished run's folder"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_and_its_services_stand_in_the_section_of_keys() {
        let folder = tempfile::tempdir().unwrap();
        let config = gateway_of("", Queue::Directory, "", None);
        let gateway = ProgramFolder::create(folder.path().join("gateway"), &config).unwrap();
        let services = [7, 8].map(|port| KeyServiceAddress {
            port,
            public_key: format!("cgov1:{port}"),
        });
        gateway.set_suite("voprf", &services).unwrap();
        let text = fs::read_to_string(gateway.config()).unwrap();
        let read: toml::Value = toml::from_str(&text).unwrap();
        assert_eq!(read["keys"]["suite"].as_str(), Some("voprf"));
        assert_eq!(
            read["keys"]["ring"]["file"].as_str(),
            Some("../record-keys")
        );
        let second = &read["keys"]["services"][1];
        assert_eq!(second["url"].as_str(), Some("http://127.0.0.1:8"));
        let pinned = &second["public_keys"][0]["public_key"];
        assert_eq!(pinned.as_str(), Some("cgov1:8"));
        assert!(read["outbox"].is_table());
    }
}
