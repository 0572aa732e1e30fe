//! The programs under test: run as their users do it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clock::Clock;
use serde_json::Value;

use crate::error::Error;
use crate::processes::build::BuiltPrograms;
use crate::processes::child::{self, Background, CompletedRun};
use crate::processes::config::{
    self, ClinicServer, GatewaySizes, KEY_FILE, ProgramFolder, Queue, ServiceConfig,
};

/// The programs, and a folder with the keys of one clinic and one registry.
pub(crate) struct Programs {
    gateway: PathBuf,
    registry: PathBuf,
    key_service: PathBuf,
    folder: PathBuf,
    /// The registry's keys, as lines for a gateway's `[registry]` section.
    public_keys: String,
    /// Records in a page of a gateway; `None`: its default.
    page_records: Option<u32>,
    clock: Arc<dyn Clock>,
}

impl Programs {
    /// Makes keys in `folder` with the programs' own commands.
    pub(crate) async fn set_up(
        built: BuiltPrograms,
        folder: &Path,
        page_records: Option<u32>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let BuiltPrograms {
            gateway,
            registry,
            key_service,
        } = built;
        let keys = folder.join("keys");
        let new_ring: [&OsStr; 4] = [
            "keys".as_ref(),
            "new".as_ref(),
            "--out".as_ref(),
            keys.as_ref(),
        ];
        child::run(&gateway, &new_ring, &*clock).await?;
        let home = folder.join("registry");
        child::run(&registry, &[Path::new("init"), &home], &*clock).await?;
        let config = home.join("city-registry.toml");
        let public = arguments(&config, &["keys", "public"]);
        let shown = child::run(&registry, &public, &*clock).await?;
        Ok(Self {
            gateway,
            registry,
            key_service,
            folder: folder.to_owned(),
            public_keys: shown.output,
            page_records,
            clock,
        })
    }

    /// A gateway with an empty outbox; `batch_events`: `None` is its default.
    pub(crate) fn gateway(
        &self,
        name: &str,
        source: &ClinicServer,
        queue: Queue,
        batch_events: Option<u32>,
    ) -> Result<ProgramFolder, Error> {
        let sizes = GatewaySizes {
            page_records: self.page_records,
            batch_events,
        };
        let config = config::gateway(source, queue, &self.public_keys, sizes);
        ProgramFolder::create(self.folder.join(name), &config)
    }

    /// A gateway with an empty outbox and the sections of this source.
    pub(crate) fn gateway_of(
        &self,
        name: &str,
        source: &str,
        queue: Queue,
    ) -> Result<ProgramFolder, Error> {
        let config = config::gateway_of(source, queue, &self.public_keys, None);
        ProgramFolder::create(self.folder.join(name), &config)
    }

    /// A registry that stores in the database behind `url`.
    pub(crate) fn registry(
        &self,
        name: &str,
        url: &str,
        queue: Queue,
    ) -> Result<ProgramFolder, Error> {
        ProgramFolder::create(self.folder.join(name), &config::registry(url, queue))
    }

    /// Makes the key ring of a gateway whose pseudonyms are evaluated by key services.
    pub(crate) async fn make_record_ring(&self) -> Result<(), Error> {
        let ring = self.folder.join("record-keys");
        let words = ["keys", "new", "--record-only", "--out"].map(PathBuf::from);
        let arguments: Vec<PathBuf> = words.into_iter().chain([ring]).collect();
        child::run(&self.gateway, &arguments, &*self.clock).await?;
        Ok(())
    }

    /// A key service or token issuer with a key number 1 of its own, and the public key.
    pub(crate) async fn key_service(
        &self,
        name: &str,
        service: &ServiceConfig,
    ) -> Result<(ProgramFolder, String), Error> {
        let path = self.folder.join(name);
        let folder = ProgramFolder::create(path, &service.text)?;
        let key = folder.path().join(KEY_FILE);
        let words = ["keys", "new", "--number", "1"].into_iter();
        let words = words.chain(service.key_options.iter().copied());
        let words = words.chain(["--out"]).map(PathBuf::from);
        let new: Vec<PathBuf> = words.chain([key]).collect();
        let made = child::run(&self.key_service, &new, &*self.clock).await?;
        let mut words = made.output.split_whitespace();
        let public_key = words.find(|word| word.starts_with(service.public_key));
        let public_key = public_key
            .ok_or_else(|| Error::WrongResult("key-service has printed no public key".into()))?;
        Ok((folder, public_key.to_owned()))
    }

    /// Starts `key-service run`, until it is dropped.
    pub(crate) fn start_key_service(&self, service: &ProgramFolder) -> Result<Background, Error> {
        child::start(&self.key_service, &arguments(&service.config(), &["run"]))
    }

    /// `clinic-gateway sync`: the run, and its summary.
    pub(crate) async fn sync(
        &self,
        gateway: &ProgramFolder,
    ) -> Result<(CompletedRun, Value), Error> {
        // No registry runs meanwhile: there is no receipt to wait for.
        let words = ["sync", "--json", "--wait-receipts", "0"];
        self.ask(gateway, &words).await
    }

    /// `clinic-gateway sync --full`: the run, and its summary.
    pub(crate) async fn sync_full(
        &self,
        gateway: &ProgramFolder,
    ) -> Result<(CompletedRun, Value), Error> {
        let words = ["sync", "--json", "--wait-receipts", "0", "--full"];
        self.ask(gateway, &words).await
    }

    /// `clinic-gateway sweep`: the run, and its answer about each source.
    pub(crate) async fn sweep(
        &self,
        gateway: &ProgramFolder,
    ) -> Result<(CompletedRun, Value), Error> {
        self.ask(gateway, &["sweep", "--json"]).await
    }

    /// `clinic-gateway sweep --contents`: the run, and its answer about each source.
    pub(crate) async fn sweep_contents(
        &self,
        gateway: &ProgramFolder,
    ) -> Result<(CompletedRun, Value), Error> {
        self.ask(gateway, &["sweep", "--contents", "--json"]).await
    }

    /// `clinic-gateway reconcile`: the run, and the registry's answer.
    pub(crate) async fn reconcile(
        &self,
        gateway: &ProgramFolder,
    ) -> Result<(CompletedRun, Value), Error> {
        let words = ["reconcile", "--json", "--wait", "3600"];
        self.ask(gateway, &words).await
    }

    /// `clinic-gateway status`: its answer.
    pub(crate) async fn status(&self, gateway: &ProgramFolder) -> Result<Value, Error> {
        let (_, mut answer) = self.ask(gateway, &["status", "--json"]).await?;
        Ok(answer["status"].take())
    }

    async fn ask(
        &self,
        gateway: &ProgramFolder,
        words: &[&str],
    ) -> Result<(CompletedRun, Value), Error> {
        let arguments = arguments(&gateway.config(), words);
        let run = child::run(&self.gateway, &arguments, &*self.clock).await?;
        let answer = parse(&run.output)?;
        Ok((run, answer))
    }

    /// Starts `clinic-gateway run`, until it is dropped.
    pub(crate) fn start_gateway(&self, gateway: &ProgramFolder) -> Result<Background, Error> {
        child::start(&self.gateway, &arguments(&gateway.config(), &["run"]))
    }

    /// Starts `city-registry run`, until it is dropped.
    pub(crate) fn start_registry(&self, registry: &ProgramFolder) -> Result<Background, Error> {
        child::start(&self.registry, &arguments(&registry.config(), &["run"]))
    }

    /// `city-registry run --drain`.
    pub(crate) async fn drain(&self, registry: &ProgramFolder) -> Result<CompletedRun, Error> {
        let arguments = arguments(&registry.config(), &["run", "--drain"]);
        child::run(&self.registry, &arguments, &*self.clock).await
    }

    /// The gateway's own value of a setting that is not set, from its JSON Schema.
    pub(crate) async fn default_of(&self, setting: &str) -> Result<Option<u64>, Error> {
        let schema = parse(
            &child::run(&self.gateway, &["schema"], &*self.clock)
                .await?
                .output,
        )?;
        Ok(find_default(&schema, setting))
    }

    /// Number of facts that a registry holds, as `city-registry show --stats` counts them.
    pub(crate) async fn facts(&self, registry: &ProgramFolder) -> Result<u64, Error> {
        let arguments = arguments(&registry.config(), &["show", "--stats", "--json"]);
        let stats = parse(
            &child::run(&self.registry, &arguments, &*self.clock)
                .await?
                .output,
        )?;
        let kinds = stats["asserted"].as_object().into_iter().flatten();
        Ok(kinds.filter_map(|(_, count)| count.as_u64()).sum())
    }
}

/// Arguments of a program with this configuration.
fn arguments(config: &Path, words: &[&str]) -> Vec<PathBuf> {
    let mut arguments = vec![PathBuf::from("--config"), config.to_owned()];
    arguments.extend(words.iter().map(PathBuf::from));
    arguments
}

/// Finds the default of the property of this name, wherever in a JSON Schema it stands.
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
