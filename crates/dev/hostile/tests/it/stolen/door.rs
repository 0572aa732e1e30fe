//! Key service or token issuer that one clinic asks over HTTP, by the program's own code, and all
//! that it keeps and sees. Without TLS such a service has one client, so each clinic has one of its
//! own under the same keys.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clock::{Clock, ManualClock};
use key_service::{Config, KeyService, open_door, serve};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::loot::files;

/// Service that one clinic asks.
pub(super) struct Door {
    base: PathBuf,
    service: Arc<KeyService>,
    address: SocketAddr,
    serving: JoinHandle<()>,
    stop: CancellationToken,
    /// Everything that was asked and answered, in its order.
    seen: Vec<Vec<u8>>,
}

/// What a service that has ended leaves.
pub(super) struct Left {
    /// Everything that it was asked and has answered, in its order.
    pub(super) seen: Vec<Vec<u8>>,
    /// Configuration, and files of the state.
    pub(super) disk: Vec<Vec<u8>>,
    /// Files of the audit log.
    pub(super) audit: Vec<Vec<u8>>,
}

impl Left {
    /// All of it.
    pub(super) fn all(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.seen.iter().chain(&self.disk).chain(&self.audit)
    }

    /// Lines of the audit log.
    pub(super) fn audited(&self) -> Vec<Value> {
        let texts = self.audit.iter();
        let lines = texts.flat_map(|text| text.split(|byte| *byte == b'\n'));
        let lines = lines.filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }
}

impl Door {
    /// Starts a service in a new folder of the account's name, with these sections of keys.
    pub(super) async fn open(
        folder: &Path,
        account: &str,
        keys: &str,
        clock: &Arc<ManualClock>,
    ) -> Self {
        let base = folder.join(account);
        fs::create_dir(&base).unwrap();
        let path = base.join("key-service.toml");
        let text = format!(
            "[service]\nlisten = \"127.0.0.1:0\"\n{keys}[[clients]]\nname = \
             \"{account}\"\ndaily_ceiling = 4096\n"
        );
        fs::write(&path, text).unwrap();
        let loaded: settings::Loaded<Config> = settings::Loaded::read(&path).unwrap();
        assert_eq!(loaded.config.mistake(), None);
        let clock = Arc::clone(clock) as Arc<dyn Clock>;
        let service = KeyService::open(&loaded.config, &loaded.base, clock).unwrap();
        let door = open_door(&loaded.config.service, &loaded.base).await;
        let door = door.unwrap();
        let address = door.address();
        let stop = CancellationToken::new();
        let serving = serve(door, Arc::clone(&service), stop.clone());
        Self {
            base,
            service,
            address,
            serving: tokio::spawn(serving),
            stop,
            seen: Vec::new(),
        }
    }

    /// Sends a request for an evaluation; returns the answer.
    pub(super) async fn ask(&mut self, request: Vec<u8>) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "POST /v1/evaluate HTTP/1.1\r\nHost: localhost\r\nContent-Type: \
             application/octet-stream\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            request.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        assert!(read.starts_with(b"HTTP/1.1 200"));
        let end = read.windows(4).position(|window| window == b"\r\n\r\n");
        let answer = read.split_off(end.unwrap() + 4);
        self.seen.extend([request, answer.clone()]);
        answer
    }

    /// Writes the counts of an hour that has ended, as the program does every few seconds.
    pub(super) fn step(&self) {
        assert_eq!(self.service.step(), None);
    }

    /// Ends in good order, so that everything is written.
    pub(super) async fn end(self) -> Left {
        self.stop.cancel();
        self.serving.await.unwrap();
        self.service.stop().unwrap();
        let mut disk = files(&self.base);
        disk.extend(files(&self.base.join("state")));
        Left {
            seen: self.seen,
            disk,
            audit: files(&self.base.join("audit")),
        }
    }
}
