//! Portal that is served to a test, and a client of plain HTTP/1.1.

use std::net::SocketAddr;
use std::sync::Arc;

use clock::Clock;
use registry::passes::Passes;
use registry::portal::{Door, Portal, PortalConfig};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::passes::{long, passes};
use crate::world::{World, within_patience};

/// Answer of a portal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Code of the problem.
    pub(crate) fn code(&self) -> String {
        assert!(self.head.contains("content-type: application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        problem["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Portal over a world's store, which answers until this is dropped.
pub(crate) struct Served {
    pub portal: Arc<Portal>,
    pub address: SocketAddr,
    _stop: DropGuard,
}

impl Served {
    /// Portal on a free port of this machine.
    pub(crate) async fn over(world: &World, config: PortalConfig) -> Self {
        Self::of(world, passes(world, long()), config).await
    }

    pub(crate) async fn of(world: &World, passes: Passes, config: PortalConfig) -> Self {
        let config = PortalConfig {
            address: "127.0.0.1:0".parse().unwrap(),
            ..config
        };
        let clock: Arc<dyn Clock> = Arc::<clock::ManualClock>::clone(&world.clock);
        let portal = Portal::new(passes, &config, clock);
        let door = Door::open(&config, world.base()).await.unwrap();
        let address = door.address();
        let stop = CancellationToken::new();
        tokio::spawn(door.serve(Arc::clone(&portal), stop.clone()));
        Self {
            portal,
            address,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\n"), "").await
    }

    pub(crate) async fn post(&self, path: &str, headers: &str, body: &str) -> Answer {
        let head = format!(
            "POST {path} HTTP/1.1\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{headers}",
            body.len()
        );
        self.send(&head, body).await
    }

    /// Asks for strips under an Idempotency-Key.
    pub(crate) async fn ask(&self, key: &str, body: &str) -> Answer {
        let header = format!("Idempotency-Key: {key}\r\n");
        self.post("/v1/passes", &header, body).await
    }

    pub(crate) async fn send(&self, head: &str, body: &str) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        exchange(stream, head, body).await.unwrap()
    }
}

/// Sends one request and reads the answer to its end.
pub(crate) async fn exchange<S>(mut stream: S, head: &str, body: &str) -> std::io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = format!("{head}Host: portal\r\nConnection: close\r\n\r\n{body}");
    let mut read = Vec::new();
    within_patience("the portal answers", async {
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_end(&mut read).await
    })
    .await?;
    let end = read.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    Ok(Answer {
        status: head[9..12].parse().unwrap(),
        head,
        body: read[end + 4..].to_vec(),
    })
}
