//! Key service of a test, in this process, over mutual TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use audit::AuditError;
use chrono::{DateTime, Utc};
use client_door::TlsConfig;
use clock::{Clock, ManualClock};
use key_service::{
    ClientConfig, Config, KeyConfig, KeyService, OpenError, ServiceConfig, StateError, open_door,
    serve,
};
use oprf::{Blinding, PublicKey, ServiceKey};
use secrecy::ExposeSecret as _;
use settings::SecretSource;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::tls::{
    Answer, Authority, Identity, connect, exchange, post_head, within_patience, write_private,
};

pub(crate) const NOON: &str = "2026-11-30T12:00:00Z";

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Folder, certificates, keys 1 and 2, and two clients, `one` and `two`.
pub(crate) struct World {
    pub folder: tempfile::TempDir,
    pub authority: Authority,
    pub one: Identity,
    pub two: Identity,
    pub keys: [PublicKey; 2],
    pub clock: Arc<ManualClock>,
    pub config: Config,
}

/// Running service.
pub(crate) struct Served<'a> {
    pub service: Arc<KeyService>,
    pub address: SocketAddr,
    world: &'a World,
    stop: DropGuard,
    serving: tokio::task::JoinHandle<()>,
}

fn write_key(folder: &Path, name: &str) -> PublicKey {
    let key = ServiceKey::generate();
    write_private(folder, name, key.to_text().expose_secret());
    key.public_key()
}

impl World {
    /// World whose clients have this ceiling.
    pub(crate) fn new(daily_ceiling: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("the authority");
        let [one, two] = ["one", "two"].map(|name| authority.sign(name));
        let keys = ["key-1.key", "key-2.key"].map(|name| write_key(folder.path(), name));
        let client = |name: &str, identity: &Identity| ClientConfig {
            name: name.to_owned(),
            certificate_fingerprint: Some(identity.fingerprint()),
            daily_ceiling,
        };
        let key = |number: u16| KeyConfig {
            number,
            key: SecretSource::File(format!("key-{number}.key").into()),
            token_use: None,
        };
        let tls: TlsConfig = authority.write_server(folder.path());
        let config = Config {
            service: ServiceConfig {
                listen: "127.0.0.1:0".parse().unwrap(),
                tls: Some(tls),
                ..ServiceConfig::default()
            },
            keys: vec![key(1), key(2)],
            token_keys: Vec::new(),
            clients: vec![client("one", &one), client("two", &two)],
            log: telemetry::LogConfig::default(),
            listen: None,
        };
        assert_eq!(config.mistake(), None);
        Self {
            folder,
            authority,
            one,
            two,
            keys,
            clock: Arc::new(ManualClock::at(at(NOON))),
            config,
        }
    }

    /// Opens the service without its door. A program that is started just now holds the locks of a
    /// killed process for a moment, from its fork to its exec.
    pub(crate) async fn open(&self) -> Result<Arc<KeyService>, OpenError> {
        within_patience("the locks are free", async {
            loop {
                let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
                match KeyService::open(&self.config, self.folder.path(), clock) {
                    Err(
                        OpenError::State(StateError::InUse { .. })
                        | OpenError::Audit(AuditError::InUse { .. }),
                    ) => tokio::task::yield_now().await,
                    opened => return opened,
                }
            }
        })
        .await
    }

    /// Opens the service and answers until the result is dropped.
    pub(crate) async fn serve(&self) -> Served<'_> {
        let service = self.open().await;
        let service = service.unwrap_or_else(|error| panic!("{error}"));
        let door = open_door(&self.config.service, self.folder.path()).await;
        let door = door.unwrap_or_else(|error| panic!("{error}"));
        let address = door.address();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve(door, Arc::clone(&service), stop.clone()));
        Served {
            service,
            address,
            world: self,
            stop: stop.drop_guard(),
            serving,
        }
    }

    /// Text of the audit log, over all its files.
    pub(crate) fn audit_text(&self) -> String {
        let folder = self.folder.path().join("audit");
        let mut paths: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        let texts = paths
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap());
        texts.collect()
    }

    /// Lines of the audit log of an event: their details.
    pub(crate) fn audited(&self, event: &str) -> Vec<serde_json::Value> {
        let text = self.audit_text();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .filter(|line: &serde_json::Value| line["event"] == event)
            .map(|line| line["details"].clone())
            .collect()
    }
}

impl Served<'_> {
    pub(crate) async fn connect(&self, shown: &Identity) -> TlsStream<TcpStream> {
        let connected = connect(self.address, &self.world.authority, Some(shown)).await;
        connected.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Sends a body to `/v1/evaluate`.
    pub(crate) async fn post(&self, shown: &Identity, body: &[u8]) -> Answer {
        let stream = self.connect(shown).await;
        let answer = exchange(stream, &post_head(body.len()), body).await;
        answer.unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) async fn send(&self, shown: &Identity, start: &str) -> Answer {
        let stream = self.connect(shown).await;
        let head = format!("{start} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = exchange(stream, &head, b"").await;
        answer.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Asks for an evaluation of so many elements under key 1.
    pub(crate) async fn ask(&self, shown: &Identity, size: usize) -> Answer {
        self.post(shown, &request(size, 1)).await
    }

    /// Stops in good order.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.serving.await.unwrap();
        self.service
            .stop()
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Stops as a crash does: nothing is written.
    pub(crate) async fn crash(self) {
        drop(self.stop);
        self.serving.await.unwrap();
    }
}

/// Blinding that makes requests of this size.
pub(crate) fn blinding(size: usize) -> Blinding {
    let inputs: Vec<String> = (0..size).map(|at| format!("input {at}")).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(String::as_bytes).collect();
    let blinding = Blinding::new(&inputs).unwrap();
    assert_eq!(blinding.size(), size);
    blinding
}

pub(crate) fn request(size: usize, key_number: u16) -> Vec<u8> {
    blinding(size).request(key_number)
}
