//! The two programs under test: built, configured and run as their users do it.

use std::fs::{self, DirBuilder};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clock::Clock;
use serde_json::Value;

use super::child::{self, Background, Run};
use super::clinic::{TESTS, VACCINATIONS};
use crate::error::Error;

/// Where sealed batches go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Queue {
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
            Self::RabbitMq(port) => {
                format!(
                    "[queue.amqp]\nurl = \"amqp://127.0.0.1:{port}/%2f\"\nmax_backoff_seconds = 1\n"
                )
            }
        }
    }
}

/// The clinic a gateway pulls from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// Port of the clinic's server on the loopback address.
    pub port: u16,
    /// Name of the clinic's database.
    pub database: String,
}

/// The programs, and a folder with the keys of one clinic and one registry.
pub(super) struct Programs {
    gateway: PathBuf,
    registry: PathBuf,
    folder: PathBuf,
    /// The registry's keys, as lines for a gateway's `[registry]` section.
    public_keys: String,
    /// Records in a page of a gateway; `None`: its default.
    page_records: Option<u32>,
}

/// Room for the sealed batches of the largest clinic: no registry answers while it is loaded.
/// Default: 1024.
const OUTBOX_MEBIBYTES: u32 = 16_384;

/// Folder of a configured program and its state.
pub(super) struct Place {
    folder: PathBuf,
    config: PathBuf,
}

impl Place {
    /// The configuration's folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds a section to the configuration.
    pub(super) fn add(&self, section: &str) -> Result<(), Error> {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(&self.config)
            .map_err(Error::io("open a configuration"))?;
        file.write_all(section.as_bytes())
            .map_err(Error::io("add to a configuration"))
    }

    /// Bytes of the files of the gateway's state, its write-ahead log with them.
    pub(super) fn state_bytes(&self) -> Result<u64, Error> {
        let entries = fs::read_dir(&self.folder)
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
    pub(super) fn remove(self) -> Result<(), Error> {
        fs::remove_dir_all(&self.folder).map_err(Error::io("remove a finished run's folder"))
    }
}

impl Programs {
    /// Makes keys in `folder` with the programs' own commands.
    pub(super) async fn set_up(
        (gateway, registry): (PathBuf, PathBuf),
        folder: &Path,
        page_records: Option<u32>,
        clock: &dyn Clock,
    ) -> Result<Self, Error> {
        let keys = folder.join("keys");
        let home = folder.join("registry");
        child::run(
            &gateway,
            &[Path::new("keys"), "new".as_ref(), "--out".as_ref(), &keys],
            clock,
        )
        .await?;
        child::run(&registry, &[Path::new("init"), &home], clock).await?;
        let config = home.join("city-registry.toml");
        let shown = child::run(
            &registry,
            &[
                Path::new("--config"),
                &config,
                "keys".as_ref(),
                "public".as_ref(),
            ],
            clock,
        )
        .await?;
        Ok(Self {
            gateway,
            registry,
            folder: folder.to_owned(),
            public_keys: shown.output,
            page_records,
        })
    }

    /// A gateway of a PostgreSQL clinic, with an empty outbox. `batch_events`: `None` is the
    /// gateway's default.
    pub(super) fn gateway(
        &self,
        name: &str,
        source: &Source,
        queue: Queue,
        batch_events: impl Into<Option<u32>>,
    ) -> Result<Place, Error> {
        self.gateway_of(
            name,
            ("postgres", "postgres"),
            source,
            queue,
            batch_events.into(),
        )
    }

    /// A gateway of a MariaDB clinic, with an empty outbox.
    pub(super) fn mariadb_gateway(
        &self,
        name: &str,
        source: &Source,
        queue: Queue,
        batch_events: Option<u32>,
    ) -> Result<Place, Error> {
        self.gateway_of(name, ("mysql", "root"), source, queue, batch_events)
    }

    fn gateway_of(
        &self,
        name: &str,
        (kind, user): (&str, &str),
        source: &Source,
        queue: Queue,
        batch_events: Option<u32>,
    ) -> Result<Place, Error> {
        let Source { port, database } = source;
        let queue = queue.section();
        let public_keys = &self.public_keys;
        let set = |name: &str, value: Option<u32>| {
            value
                .map(|value| format!("{name} = {value}\n"))
                .unwrap_or_default()
        };
        let batch = set("batch_events", batch_events);
        let page = set("page_records", self.page_records);
        let text = format!(
            r#"[keys]
ring = {{ file = "../keys" }}
[registry]
{public_keys}{queue}[outbox]
path = "outbox.db"
max_mebibytes = {OUTBOX_MEBIBYTES}
{batch}[log]
filter = "warn"
[source.clinic]
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
        self.place(name, &text)
    }

    /// A registry that stores in the database behind `url`.
    pub(super) fn registry(&self, name: &str, url: &str, queue: Queue) -> Result<Place, Error> {
        let queue = queue.section();
        let text = format!(
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
        );
        self.place(name, &text)
    }

    fn place(&self, name: &str, config: &str) -> Result<Place, Error> {
        let folder = self.folder.join(name);
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(Error::io("make a run's folder"))?;
        let path = folder.join("config.toml");
        fs::write(&path, config).map_err(Error::io("write a configuration"))?;
        Ok(Place {
            folder,
            config: path,
        })
    }

    /// `clinic-gateway sync`: the run, and its summary.
    pub(super) async fn sync(
        &self,
        place: &Place,
        full: bool,
        clock: &dyn Clock,
    ) -> Result<(Run, Value), Error> {
        // No registry runs meanwhile: there is no receipt to wait for.
        let mut words = vec!["sync", "--json", "--wait-receipts", "0"];
        words.extend(full.then_some("--full"));
        self.ask(place, &words, clock).await
    }

    /// `clinic-gateway sweep`: the run, and what it says of each source.
    pub(super) async fn sweep(
        &self,
        place: &Place,
        clock: &dyn Clock,
    ) -> Result<(Run, Value), Error> {
        self.ask(place, &["sweep", "--json"], clock).await
    }

    /// `clinic-gateway reconcile`: the run, and the registry's answer.
    pub(super) async fn reconcile(
        &self,
        place: &Place,
        clock: &dyn Clock,
    ) -> Result<(Run, Value), Error> {
        self.ask(place, &["reconcile", "--json", "--wait", "3600"], clock)
            .await
    }

    /// `clinic-gateway status`.
    pub(super) async fn status(&self, place: &Place, clock: &dyn Clock) -> Result<Value, Error> {
        Ok(self.ask(place, &["status", "--json"], clock).await?.1)
    }

    /// `clinic-gateway run`, until it is dropped.
    pub(super) fn daemon(&self, place: &Place) -> Result<Background, Error> {
        child::start(
            &self.gateway,
            &[Path::new("--config"), &place.config, "run".as_ref()],
        )
    }

    /// `city-registry run`, until it is dropped.
    pub(super) fn consumer(&self, place: &Place) -> Result<Background, Error> {
        child::start(
            &self.registry,
            &[Path::new("--config"), &place.config, "run".as_ref()],
        )
    }

    async fn ask(
        &self,
        place: &Place,
        words: &[&str],
        clock: &dyn Clock,
    ) -> Result<(Run, Value), Error> {
        let mut arguments = vec![Path::new("--config"), &place.config];
        arguments.extend(words.iter().map(Path::new));
        let run = child::run(&self.gateway, &arguments, clock).await?;
        let answer = parse(&run.output)?;
        Ok((run, answer))
    }

    /// `city-registry run --drain`.
    pub(super) async fn drain(&self, place: &Place, clock: &dyn Clock) -> Result<Run, Error> {
        let arguments = [
            Path::new("--config"),
            &place.config,
            "run".as_ref(),
            "--drain".as_ref(),
        ];
        child::run(&self.registry, &arguments, clock).await
    }

    /// The gateway's own value of a setting that is not set, as its JSON Schema tells.
    pub(super) async fn default_of(
        &self,
        setting: &str,
        clock: &dyn Clock,
    ) -> Result<Option<u64>, Error> {
        let schema = parse(&child::run(&self.gateway, &["schema"], clock).await?.output)?;
        Ok(find_default(&schema, setting))
    }

    /// Number of facts that a registry holds, as `city-registry show --stats` counts them.
    pub(super) async fn facts(&self, place: &Place, clock: &dyn Clock) -> Result<u64, Error> {
        let words = ["show", "--stats", "--json"].map(Path::new);
        let arguments = [&[Path::new("--config"), &place.config], &words[..]].concat();
        let stats = parse(&child::run(&self.registry, &arguments, clock).await?.output)?;
        let kinds = stats["asserted"].as_object().into_iter().flatten();
        Ok(kinds.filter_map(|(_, count)| count.as_u64()).sum())
    }
}

/// Builds both programs in the profile and target folder that this one was built in; their paths.
pub(super) fn build() -> Result<(PathBuf, PathBuf), Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--manifest-path",
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"),
    ]);
    command.args([
        "-p",
        "clinic-gateway",
        "-p",
        "registry",
        "--bin",
        "clinic-gateway",
        "--bin",
        "city-registry",
    ]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.status().map_err(Error::io(
        "start cargo; run the benchmark as `cargo xtask bench`",
    ))?;
    if !status.success() {
        let command = "cargo build".to_owned();
        return Err(Error::Program {
            command,
            status: status.to_string(),
            output: "see above".to_owned(),
        });
    }
    let own = std::env::current_exe().map_err(Error::io("find this program's folder"))?;
    Ok((
        own.with_file_name("clinic-gateway"),
        own.with_file_name("city-registry"),
    ))
}

/// The default of the property of this name, wherever in a JSON Schema it stands.
fn find_default(schema: &Value, property: &str) -> Option<u64> {
    match schema {
        Value::Object(members) => {
            let own = members
                .get("properties")
                .and_then(|properties| properties.get(property)?.get("default")?.as_u64());
            own.or_else(|| {
                members
                    .values()
                    .find_map(|member| find_default(member, property))
            })
        }
        Value::Array(members) => members
            .iter()
            .find_map(|member| find_default(member, property)),
        _ => None,
    }
}

fn parse(output: &str) -> Result<Value, Error> {
    serde_json::from_str(output)
        .map_err(|_| Error::WrongResult("a program's --json output is no JSON".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_found_in_a_schema() {
        let schema = serde_json::json!({ "$defs": { "Outbox": { "properties": {
            "path": { "default": "x" }, "batch_events": { "type": "integer", "default": 250 } } } } });
        assert_eq!(find_default(&schema, "batch_events"), Some(250));
        assert_eq!(find_default(&schema, "path"), None);
    }
}
