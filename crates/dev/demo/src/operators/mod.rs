//! Key services of two operators, in this process and on loopback ports, as strong mode has them.

mod audit_log;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveTime, Utc};
use clock::{Clock, ManualClock};
use key_client::{KeyClient, KeyServicesConfig};
use key_service::{Config, KeyService, open_door, serve};
use oprf::{PublicKey, ServiceKey};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use toml::{Table, Value};

use crate::files::{cannot, make_private_folder, write_secret};

pub(crate) use audit_log::{Seen, seen};

/// Most elements that each key service evaluates in a UTC day. Without TLS all programs of a machine
/// are one client to it, so that this is for both clinics and the portal together.
pub(crate) const DAILY_CEILING: u32 = 512;

/// Epoch of the city's pseudonyms.
pub(crate) const EPOCH: u16 = 1;

/// Number that each key service gives its key.
const KEY_NUMBER: u16 = 1;

/// Any free port of this machine.
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The city's key services.
pub(crate) struct Operators {
    /// Service that is asked first.
    pub first: Operator,
    /// Service that is asked second.
    pub second: Operator,
    /// Time of the key services. It stands still, so that no midnight comes unasked.
    clock: Arc<ManualClock>,
}

/// Operator of one key service.
pub(crate) struct Operator {
    /// Folder of the service: its key, its counts and its audit log.
    folder: PathBuf,
    address: SocketAddr,
    public_key: PublicKey,
    running: Option<Running>,
}

/// Service that answers.
struct Running {
    service: Arc<KeyService>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Operators {
    /// Makes two key services in folders of their own and starts them.
    pub(crate) async fn start(folder: &Path, now: DateTime<Utc>) -> Result<Self, String> {
        let clock = Arc::new(ManualClock::at(now));
        let mut first = Operator::new(folder.join("key-service-1"), LOOPBACK)?;
        first.start(&clock).await?;
        let mut second = Operator::new(folder.join("key-service-2"), LOOPBACK)?;
        second.start(&clock).await?;
        Ok(Self {
            first,
            second,
            clock,
        })
    }

    /// `[[keys.services]]` of a clinic, which asks both and pins the public key of each.
    pub(crate) fn section(&self) -> Value {
        let each = [&self.first, &self.second].map(|operator| Value::Table(operator.section()));
        Value::Array(each.into())
    }

    /// Client of both, as clinics and portal have it.
    pub(crate) fn client(&self) -> Result<KeyClient, String> {
        let config: Result<KeyServicesConfig, _> = self.section().try_into();
        let config = config.map_err(|error| format!("key services: {error}"))?;
        KeyClient::new(&config, Path::new(".")).map_err(|error| error.to_string())
    }

    /// Starts the second service again after it was stopped.
    pub(crate) async fn start_second(&mut self) -> Result<(), String> {
        self.second.start(&self.clock).await
    }

    /// Starts both services again after they were stopped.
    #[cfg(feature = "serve")]
    pub(crate) async fn start_both(&mut self) -> Result<(), String> {
        self.first.start(&self.clock).await?;
        self.start_second().await
    }

    /// Starts a service with a key of its own at the address of the second, which is stopped.
    pub(crate) async fn start_impostor(&self, folder: &Path) -> Result<Operator, String> {
        let address = self.second.address;
        let mut impostor = Operator::new(folder.join("key-service-impostor"), address)?;
        impostor.start(&self.clock).await?;
        Ok(impostor)
    }

    /// Lets the next UTC day begin at both services.
    pub(crate) fn begin_next_day(&self) -> DateTime<Utc> {
        let today = self.clock.now().date_naive();
        let next = today.checked_add_days(Days::new(1)).unwrap_or(today);
        let midnight = next.and_time(NaiveTime::MIN).and_utc();
        self.clock.set(midnight);
        midnight
    }

    /// Stops both services, which write what they have counted.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        self.first.stop().await?;
        self.second.stop().await
    }
}

impl Operator {
    /// Makes the folder and a key.
    fn new(folder: PathBuf, address: SocketAddr) -> Result<Self, String> {
        make_private_folder(&folder)?;
        let key = ServiceKey::generate();
        write_secret(&folder.join("key-1.key"), &key.to_text())?;
        Ok(Self {
            folder,
            address,
            public_key: key.public_key(),
            running: None,
        })
    }

    /// Starts the service, with the counts and the audit log that it left.
    async fn start(&mut self, clock: &Arc<ManualClock>) -> Result<(), String> {
        let mut config: Config =
            toml::from_str(&self.config_text()).map_err(|error| format!("key service: {error}"))?;
        if let Some((what, help)) = config.mistake() {
            return Err(format!("key service: {what}; {help}"));
        }
        let door = open_door(&config.service, &self.folder).await;
        let door = door.map_err(|error| error.to_string())?;
        self.address = door.address();
        config.service.listen = self.address;
        // With its port, for whoever keeps the folder.
        let path = self.folder.join("key-service.toml");
        fs::write(&path, self.config_text()).map_err(|error| cannot(&path, &error))?;
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
        let service = KeyService::open(&config, &self.folder, clock);
        let service = service.map_err(|error| error.to_string())?;
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(door, Arc::clone(&service), stop.clone()));
        self.running = Some(Running {
            service,
            stop,
            serving,
        });
        Ok(())
    }

    /// Stops the service; it writes what it has counted.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        let Some(running) = self.running.take() else {
            return Ok(());
        };
        running.stop.cancel();
        running.serving.await.map_err(|error| error.to_string())?;
        running.service.stop().map_err(|error| error.to_string())
    }

    /// Address of the service.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Public key of the service.
    pub(crate) const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// What the service has written into its audit log.
    pub(crate) fn seen(&self) -> Result<Seen, String> {
        seen(&self.folder.join("audit"))
    }

    fn config_text(&self) -> String {
        format!(
            "[service]\nlisten = \"{}\"\n\n[[keys]]\nnumber = {KEY_NUMBER}\nkey = {{ file = \
             \"key-1.key\" }}\n\n[[clients]]\nname = \"this-machine\"\ndaily_ceiling = \
             {DAILY_CEILING}\n",
            self.address
        )
    }

    /// Section of a clinic's configuration about this service.
    fn section(&self) -> Table {
        let mut pinned = Table::new();
        pinned.insert("epoch".to_owned(), i64::from(EPOCH).into());
        pinned.insert("key".to_owned(), i64::from(KEY_NUMBER).into());
        let public_key = self.public_key.to_string();
        pinned.insert("public_key".to_owned(), public_key.into());
        let mut section = Table::new();
        section.insert("url".to_owned(), format!("http://{}", self.address).into());
        let pinned = Value::Array(vec![pinned.into()]);
        section.insert("public_keys".to_owned(), pinned);
        section
    }
}
