//! Key services of two operators and an issuer of tokens, in this process and on loopback ports, as
//! strong mode has them.

mod audit_log;
mod issuer;
mod running;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveTime, Utc};
use clock::{Clock, ManualClock};
use key_client::{KeyClient, KeyServicesConfig};
use oprf::{Factor, PublicKey, ServiceKey};
use toml::{Table, Value};

use crate::files::{make_private_folder, write_secret};

pub(crate) use audit_log::{Seen, seen};
pub(crate) use issuer::{DAILY_TOKENS, TokenIssuer};
use running::{LOOPBACK, Running};

/// Most elements that each key service evaluates in a UTC day. Without TLS all programs of a machine
/// are one client to it, so that this is for both clinics and the portal together.
pub(crate) const DAILY_CEILING: u32 = 512;

/// Epoch of the city's pseudonyms.
pub(crate) const EPOCH: u16 = 1;

/// Epoch of the city's pseudonyms once the second service has changed its key.
pub(crate) const NEXT_EPOCH: u16 = 2;

/// Number that each key service gives its key.
const KEY_NUMBER: u16 = 1;

/// Number that the second key service gives its next key.
const NEXT_KEY_NUMBER: u16 = 2;

/// The city's key services, and its issuer of tokens.
pub(crate) struct Operators {
    /// Service that is asked first.
    pub first: Operator,
    /// Service that is asked second.
    pub second: Operator,
    /// Issuer of the clinics' tokens.
    pub issuer: TokenIssuer,
    /// Time of all of them. It stands still, so that no midnight comes unasked.
    clock: Arc<ManualClock>,
}

/// Operator of one key service.
pub(crate) struct Operator {
    /// Folder of the service: its key, its counts and its audit log.
    folder: PathBuf,
    address: SocketAddr,
    key: ServiceKey,
    /// Key that this one is to be changed for, and whether the service has it already.
    next: Option<NextKey>,
    running: Option<Running>,
}

/// Key that another one is to be changed for.
struct NextKey {
    key: ServiceKey,
    is_there: bool,
}

impl Operators {
    /// Makes two key services and an issuer for these clinics in folders of their own, and starts
    /// them.
    pub(crate) async fn start(
        folder: &Path,
        clinics: &[&'static str],
        now: DateTime<Utc>,
    ) -> Result<Self, String> {
        let clock = Arc::new(ManualClock::at(now));
        let mut first = Operator::new(folder.join("key-service-1"), LOOPBACK)?;
        first.start(&clock).await?;
        let mut second = Operator::new(folder.join("key-service-2"), LOOPBACK)?;
        second.start(&clock).await?;
        second.next = Some(NextKey {
            key: ServiceKey::generate(),
            is_there: false,
        });
        let issuer = TokenIssuer::start(folder.join("token-issuer"), clinics, &clock).await?;
        Ok(Self {
            first,
            second,
            issuer,
            clock,
        })
    }

    /// `[[keys.services]]` of a clinic, which asks both and pins the public key of each.
    pub(crate) fn section(&self) -> Value {
        let each = [&self.first, &self.second].map(|operator| Value::Table(operator.section()));
        Value::Array(each.into())
    }

    /// The same with the next epoch beside the present one: the first service keeps its key.
    pub(crate) fn section_of_both(&self) -> Value {
        let each = [&self.first, &self.second].map(|operator| {
            let mut section = operator.section();
            let next = operator.next.as_ref();
            let (number, key) = match next {
                Some(next) => (NEXT_KEY_NUMBER, next.key.public_key()),
                None => (KEY_NUMBER, operator.key.public_key()),
            };
            if let Some(Value::Array(pinned)) = section.get_mut("public_keys") {
                pinned.push(pinned_key(NEXT_EPOCH, number, &key));
            }
            Value::Table(section)
        });
        Value::Array(each.into())
    }

    /// Factor by which the second service's next key differs from its present one.
    pub(crate) fn next_factor(&self) -> Factor {
        match &self.second.next {
            Some(next) => next.key.factor_from(&self.second.key),
            None => self.second.key.factor_from(&self.second.key),
        }
    }

    /// Starts the second service anew with its next key beside the present one.
    pub(crate) async fn put_next_key_in(&mut self) -> Result<(), String> {
        let second = &mut self.second;
        second.stop().await?;
        if let Some(next) = &mut second.next {
            let file = format!("key-{NEXT_KEY_NUMBER}.key");
            write_secret(&second.folder.join(file), &next.key.to_text())?;
            next.is_there = true;
        }
        second.start(&self.clock).await
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

    /// Lets the next UTC day begin at all of them.
    pub(crate) fn begin_next_day(&self) -> DateTime<Utc> {
        let today = self.clock.now().date_naive();
        let next = today.checked_add_days(Days::new(1)).unwrap_or(today);
        let midnight = next.and_time(NaiveTime::MIN).and_utc();
        self.clock.set(midnight);
        midnight
    }

    /// Stops all of them, and each writes what it has counted.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        self.first.stop().await?;
        self.second.stop().await?;
        self.issuer.stop().await
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
            key,
            next: None,
            running: None,
        })
    }

    /// Starts the service, with the counts and the audit log that it left.
    async fn start(&mut self, clock: &Arc<ManualClock>) -> Result<(), String> {
        let text = |address| self.config_text(address);
        let file = "key-service.toml";
        let running = Running::start(&self.folder, file, self.address, text, clock).await?;
        self.address = running.address();
        self.running = Some(running);
        Ok(())
    }

    /// Stops the service; it writes what it has counted.
    pub(crate) async fn stop(&mut self) -> Result<(), String> {
        match self.running.take() {
            Some(running) => running.stop().await,
            None => Ok(()),
        }
    }

    /// Address of the service.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Public key of the service.
    pub(crate) fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    /// What the service has written into its audit log.
    pub(crate) fn seen(&self) -> Result<Seen, String> {
        seen(&self.folder.join("audit"))
    }

    fn config_text(&self, address: SocketAddr) -> String {
        let mut numbers = vec![KEY_NUMBER];
        if self.next.as_ref().is_some_and(|next| next.is_there) {
            numbers.push(NEXT_KEY_NUMBER);
        }
        let keys = numbers.iter().map(|number| {
            format!("[[keys]]\nnumber = {number}\nkey = {{ file = \"key-{number}.key\" }}\n\n")
        });
        format!(
            "[service]\nlisten = \"{address}\"\n\n{}[[clients]]\nname = \"this-machine\"\n\
             daily_ceiling = {DAILY_CEILING}\n",
            keys.collect::<String>()
        )
    }

    /// Section of a clinic's configuration about this service.
    fn section(&self) -> Table {
        let pinned = pinned_key(EPOCH, KEY_NUMBER, &self.key.public_key());
        let mut section = Table::new();
        section.insert("url".to_owned(), format!("http://{}", self.address).into());
        let pinned = Value::Array(vec![pinned]);
        section.insert("public_keys".to_owned(), pinned);
        section
    }
}

/// Entry of `public_keys`.
fn pinned_key(epoch: u16, number: u16, public_key: &PublicKey) -> Value {
    let mut pinned = Table::new();
    pinned.insert("epoch".to_owned(), i64::from(epoch).into());
    pinned.insert("key".to_owned(), i64::from(number).into());
    pinned.insert("public_key".to_owned(), public_key.to_string().into());
    Value::Table(pinned)
}
