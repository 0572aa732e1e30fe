//! Sets the stage: a folder, keys, and the same configuration files that real clinics would start
//! from.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker::QueueConfig;
use chrono::NaiveDate;
use clinic_gateway::config::{self, LoadedConfig};
use clock::{Clock, SystemClock};
use contract::{PrivateKey, ReceiptSigner};
use pseudonym::KeyRing;
use registry::{ConsumeConfig, Keys, Reader, Registry, Rekeying, SecondLayerKey, StoreConfig};
use secrecy::SecretString;
use toml::{Table, Value};

use crate::arguments::Arguments;
use crate::files::{cannot, make_private_folder, write_secret};
use crate::operators::{EPOCH, NEXT_EPOCH, Operators};
use crate::relayed::Relayed;

const FSB_TWIN: &str = include_str!("../../../../config/clinics/fsb-polyclinic-sqlite.toml");
/// Names of the clinics at the relay and at the token issuer.
pub(crate) const CLINICS: [&str; 2] = ["fsb", "fso"];

const FSO: &str = include_str!("../../../../config/clinics/fso-polyclinic.toml");

/// A folder with everything in it, and the city's side made ready.
pub(crate) struct Stage {
    /// Where everything lies; removed at the end unless it is to be kept.
    pub folder: PathBuf,
    /// The registry.
    pub registry: Registry,
    /// The registry's private key, to show what crossed.
    pub private: PrivateKey,
    /// The queue both sides use.
    pub queue: QueueConfig,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Who holds the keys of pseudonyms.
    pub keys: KeyHolders,
    /// Relay between the clinics' queues and this one: strong mode.
    pub relay: Option<Relayed>,
    /// UTC day on which the play began.
    pub first_day: NaiveDate,
    receipt_key: String,
    queue_table: Table,
    _temporary: Option<tempfile::TempDir>,
}

/// Who holds the keys of pseudonyms.
pub(crate) enum KeyHolders {
    /// Every clinic and the portal hold these: the embedded default.
    Clinics(SecretString),
    /// Operators of key services, and no clinic: strong mode.
    Operators(Box<Operators>),
}

impl Stage {
    /// Makes folder, keys, queue and registry.
    pub(crate) async fn set(arguments: &Arguments) -> Result<Self, String> {
        let (folder, temporary) = folder(arguments)?;
        let queue_table = queue_table(arguments, &folder)?;
        let queue: QueueConfig = Value::Table(queue_table.clone())
            .try_into()
            .map_err(|error| format!("queue: {error}"))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let private = PrivateKey::generate();
        let signer = ReceiptSigner::generate();
        let receipt_key = signer.verifier().to_text();
        let second_layer = SecondLayerKey::generate();
        let mut open_epochs = vec![EPOCH];
        let (holders, rekeyings) = if arguments.strong {
            open_epochs.push(NEXT_EPOCH);
            let operators = Operators::start(&folder, &CLINICS, clock.now()).await?;
            let change = operators.next_factor();
            let rekeying = Rekeying::new(&second_layer, EPOCH, NEXT_EPOCH, &change);
            (KeyHolders::Operators(Box::new(operators)), vec![rekeying])
        } else {
            let shared = KeyRing::generate().shared().to_text();
            (KeyHolders::Clinics(shared), Vec::new())
        };
        let keys = Keys::new(private.clone(), Vec::new(), second_layer)
            .with_receipt_key(signer)
            .with_open_epochs(open_epochs)
            .with_rekeyings(rekeyings);
        let store = store(arguments, &folder)?;
        let mut reader = Reader::open(&store, keys, &folder)
            .await
            .map_err(|error| format!("registry: {error}"))?;
        if let KeyHolders::Operators(operators) = &holders {
            reader.verify_by(operators.issuer.registry_keys()?);
        }
        let mut relay = None;
        if arguments.strong {
            let started = Relayed::start(&folder, &CLINICS, &queue, Arc::clone(&clock))?;
            let laid_down = reader.lay_down(&started.registry_escrow(), &store, &folder);
            laid_down.map_err(|error| format!("registry: {error}"))?;
            relay = Some(started);
        }
        let registry = Registry::new(
            reader,
            &queue,
            ConsumeConfig::default(),
            &folder,
            Arc::clone(&clock),
        )
        .map_err(|error| format!("registry: {error}"))?;
        Ok(Self {
            folder,
            registry,
            private,
            queue,
            first_day: clock.now().date_naive(),
            clock,
            keys: holders,
            relay,
            receipt_key,
            queue_table,
            _temporary: temporary,
        })
    }

    /// The operators of key services; an error where there are none.
    pub(crate) fn operators(&mut self) -> Result<&mut Operators, String> {
        match &mut self.keys {
            KeyHolders::Operators(operators) => Ok(operators),
            KeyHolders::Clinics(_) => Err("the clinics hold the keys of pseudonyms".to_owned()),
        }
    }

    /// Writes a clinic's folder: its key ring, and its example configuration with this stage's
    /// addresses.
    pub(crate) fn clinic(&self, example: Example, address: &str) -> Result<LoadedConfig, String> {
        let folder = self.folder.join(example.name());
        make_private_folder(&folder)?;
        write_secret(&folder.join("keys"), &self.new_ring()?.to_text())?;
        make_private_folder(&folder.join("state"))?;

        let mut table: Table = example
            .text()
            .parse()
            .map_err(|error| format!("{}: {error}", example.name()))?;
        set(
            &mut table,
            &["keys"],
            "ring",
            toml::toml! { file = "keys" }.into(),
        );
        if let KeyHolders::Operators(operators) = &self.keys {
            set(&mut table, &["keys"], "suite", "voprf".into());
            set(&mut table, &["keys"], "services", operators.section());
            let tokens = operators.issuer.section(example.name())?;
            table.insert("tokens".to_owned(), Value::Table(tokens));
        }
        set(
            &mut table,
            &["registry"],
            "public_key",
            self.private.public().to_text().into(),
        );
        let receipt_keys = vec![Value::from(self.receipt_key.as_str())];
        set(
            &mut table,
            &["registry"],
            "receipt_keys",
            receipt_keys.into(),
        );
        let queue = match &self.relay {
            None => self.queue_table.clone(),
            Some(relay) => {
                let key = relay.public_key();
                set(&mut table, &["relay"], "public_key", key.into());
                relay.queue_of(example.name())?
            }
        };
        table.insert("queue".to_owned(), Value::Table(queue));
        match example {
            Example::Fsb => set(
                &mut table,
                &["source", "mis", "sqlite"],
                "path",
                address.into(),
            ),
            Example::Fso => {
                let fhir = section(&mut table, &["source", "clinic", "fhir"]);
                fhir.remove("auth");
                fhir.remove("ca_file");
                fhir.insert("base_url".to_owned(), address.into());
            }
        }
        let path = folder.join("clinic-gateway.toml");
        fs::write(&path, table.to_string()).map_err(|error| cannot(&path, &error))?;
        config::load(&path).map_err(|error| error.to_string())
    }

    /// Has a gateway pin the key services' next keys beside the present ones.
    pub(crate) fn pin_next_keys(&self, loaded: &LoadedConfig) -> Result<LoadedConfig, String> {
        let path = loaded.base.join("clinic-gateway.toml");
        let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let mut table: Table = text.parse().map_err(|error| format!("{error}"))?;
        let KeyHolders::Operators(operators) = &self.keys else {
            return Err("the clinics hold the keys of pseudonyms".to_owned());
        };
        set(
            &mut table,
            &["keys"],
            "services",
            operators.section_of_both(),
        );
        fs::write(&path, table.to_string()).map_err(|error| cannot(&path, &error))?;
        config::load(&path).map_err(|error| error.to_string())
    }

    /// Waits until the relay, where there is one, has passed on so many batches more.
    pub(crate) async fn pass_on(&self, batches: usize) -> Result<(), String> {
        match &self.relay {
            None => Ok(()),
            Some(relay) => {
                relay.note(batches);
                relay.pass_on().await
            }
        }
    }

    /// Key ring of a clinic: a record key of its own, and the city's pseudonym keys where clinics
    /// hold them.
    fn new_ring(&self) -> Result<KeyRing, String> {
        match &self.keys {
            KeyHolders::Clinics(shared) => {
                let shared = pseudonym::SharedKeys::parse(shared);
                shared
                    .map(KeyRing::from_shared)
                    .map_err(|error| error.to_string())
            }
            KeyHolders::Operators(_) => Ok(KeyRing::record_only()),
        }
    }
}

/// The example clinics.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Example {
    /// A Russian-language MIS in a database.
    Fsb,
    /// An FHIR server.
    Fso,
}

impl Example {
    const fn name(self) -> &'static str {
        match self {
            Self::Fsb => "fsb",
            Self::Fso => "fso",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Fsb => FSB_TWIN,
            Self::Fso => FSO,
        }
    }
}

fn folder(arguments: &Arguments) -> Result<(PathBuf, Option<tempfile::TempDir>), String> {
    match &arguments.keep {
        Some(path) => {
            make_private_folder(path)?;
            Ok((
                path.canonicalize().map_err(|error| cannot(path, &error))?,
                None,
            ))
        }
        None => {
            let made = tempfile::Builder::new()
                .prefix("clinic-gateway-demo-")
                .tempdir();
            let made = made.map_err(|error| format!("no temporary folder can be made: {error}"))?;
            Ok((made.path().to_path_buf(), Some(made)))
        }
    }
}

fn queue_table(arguments: &Arguments, folder: &Path) -> Result<Table, String> {
    let mut queue = Table::new();
    let mut inner = Table::new();
    if let Some(url) = &arguments.amqp_url {
        inner.insert("url".to_owned(), url.as_str().into());
        // Everybody in the demo is invented.
        inner.insert("allow_plain".to_owned(), true.into());
        if std::env::var_os("DEMO_AMQP_PASSWORD").is_some() {
            inner.insert(
                "password".to_owned(),
                toml::toml! { env = "DEMO_AMQP_PASSWORD" }.into(),
            );
        }
        queue.insert("amqp".to_owned(), inner.into());
    } else {
        let path = folder.join("queue");
        inner.insert(
            "path".to_owned(),
            path.to_str()
                .ok_or("the folder's path is not UTF-8")?
                .into(),
        );
        queue.insert("directory".to_owned(), inner.into());
    }
    Ok(queue)
}

fn store(arguments: &Arguments, folder: &Path) -> Result<StoreConfig, String> {
    let mut store = Table::new();
    let mut inner = Table::new();
    if let Some(url) = &arguments.registry_url {
        inner.insert("url".to_owned(), url.as_str().into());
        inner.insert("tls".to_owned(), "off".into());
        // Everybody in the demo is invented.
        inner.insert("allow_plain".to_owned(), true.into());
        if std::env::var_os("DEMO_REGISTRY_PASSWORD").is_some() {
            inner.insert(
                "password".to_owned(),
                toml::toml! { env = "DEMO_REGISTRY_PASSWORD" }.into(),
            );
        }
        store.insert("postgres".to_owned(), inner.into());
    } else {
        // A folder of its own: what is laid down for the auditor is apart from the database.
        let place = folder.join("registry");
        make_private_folder(&place)?;
        let path = place.join("registry.db");
        inner.insert(
            "path".to_owned(),
            path.to_str()
                .ok_or("the folder's path is not UTF-8")?
                .into(),
        );
        store.insert("sqlite".to_owned(), inner.into());
    }
    Value::Table(store)
        .try_into()
        .map_err(|error| format!("registry: {error}"))
}

fn section<'a>(table: &'a mut Table, path: &[&str]) -> &'a mut Table {
    path.iter().fold(table, |table, key| {
        table
            .entry(*key)
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .expect("the examples have tables where their sections stand")
    })
}

fn set(table: &mut Table, path: &[&str], key: &str, value: Value) {
    section(table, path).insert(key.to_owned(), value);
}
