//! Double of a key service: it evaluates under a real key, and misbehaves as a test wants. It
//! speaks HTTP/1.1 by hand, so that it can break off anywhere and sees every byte of a request.

use std::sync::Arc;

use key_client::{KeyClient, KeyClientError, KeyServicesConfig};
use oprf::{Blinding, Element, Request, ServiceKey, TokenKey};
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Number under which the double has its key.
pub(crate) const KEY_NUMBER: u16 = 7;

/// What the double does with a request.
#[derive(Clone)]
pub(crate) enum Behaviour {
    /// Evaluates as it should.
    Right,
    /// Issues tokens under its token key.
    Tokens,
    /// Evaluates under another key, and proves that.
    OtherKey,
    /// Evaluates, and then changes the answer.
    Changed(fn(&mut Vec<u8>)),
    /// A status with lines of a head and a body.
    Status(u16, String, String),
    /// An answer of status 200 that never ends.
    Endless,
    /// No answer at all.
    Silent,
    /// The connection breaks once the request is there.
    Close,
    /// The connection breaks in the middle of the answer.
    CloseWithin,
}

impl Behaviour {
    /// A problem with a status and a code, whose other words nobody may quote.
    pub(crate) fn problem(status: u16, code: &str) -> Self {
        Self::Status(status, String::new(), problem_body(status, code))
    }
}

/// Body of a problem with a code.
pub(crate) fn problem_body(status: u16, code: &str) -> String {
    format!(
        "{{\"type\":\"about:blank\",\"title\":\"{NOT_TO_QUOTE}\",\"status\":{status},\"code\":\"\
         {code}\"}}"
    )
}

/// Text in problems and lists that no error may quote.
pub(crate) const NOT_TO_QUOTE: &str = "words-of-the-peer";

/// Request that the double has had.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Number of the connection, from 0.
    pub connection: usize,
    /// Request line and header lines.
    pub head: Vec<String>,
    pub body: Vec<u8>,
}

struct Shared {
    key: ServiceKey,
    other_key: ServiceKey,
    token_key: TokenKey,
    behaviours: Mutex<Vec<Behaviour>>,
    asked: Mutex<Vec<Asked>>,
}

/// Double of a key service that answers until this is dropped.
pub(crate) struct Double {
    pub port: u16,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Drop for Double {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Double {
    /// Double that does these one after the other, the last one again and again.
    pub(crate) async fn start(behaviours: &[Behaviour]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut behaviours = behaviours.to_vec();
        behaviours.reverse();
        let shared = Arc::new(Shared {
            key: ServiceKey::generate(),
            other_key: ServiceKey::generate(),
            token_key: TokenKey::generate(),
            behaviours: Mutex::new(behaviours),
            asked: Mutex::default(),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self {
            port,
            shared,
            serving,
        }
    }

    pub(crate) fn key(&self) -> &ServiceKey {
        &self.shared.key
    }

    pub(crate) fn token_key(&self) -> &TokenKey {
        &self.shared.token_key
    }

    /// Lets the double do this from now on.
    pub(crate) fn then(&self, behaviour: Behaviour) {
        *self.shared.behaviours.lock() = vec![behaviour];
    }

    /// Requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().clone()
    }

    /// Table of the configuration, without what comes behind `url`.
    pub(crate) fn pinned(&self) -> String {
        let key = self.key().public_key();
        format!("public_keys = [{{ epoch = 1, key = {KEY_NUMBER}, public_key = \"{key}\" }}]")
    }
}

/// Client of these doubles in turn.
pub(crate) fn client(doubles: &[&Double]) -> KeyClient {
    let services = doubles.iter().map(|double| {
        let port = double.port;
        let pinned = double.pinned();
        format!("[[services]]\nurl = \"http://127.0.0.1:{port}\"\n{pinned}\n")
    });
    let config = read(&services.collect::<String>());
    KeyClient::new(&config, "/".as_ref()).unwrap()
}

/// Reads tables `[[services]]`.
pub(crate) fn read(text: &str) -> KeyServicesConfig {
    let mut table: toml::Table = text.parse().unwrap();
    table.remove("services").unwrap().try_into().unwrap()
}

pub(crate) fn blinding() -> Blinding {
    Blinding::new(&[b"one", b"two"]).unwrap()
}

/// The one answer of a double that behaves so.
pub(crate) async fn answer_of(behaviour: Behaviour) -> Result<Vec<Element>, KeyClientError> {
    let double = Double::start(&[behaviour]).await;
    client(&[&double]).evaluate(blinding(), 1).await
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = 0;
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            while let Some(asked) = read_request(&mut stream, connections).await {
                shared.asked.lock().push(asked.clone());
                if !behave(&mut stream, &shared, &asked).await {
                    break;
                }
            }
        });
        connections += 1;
    }
}

/// Reads a request; `None` where the client has closed the connection.
async fn read_request(stream: &mut BufReader<TcpStream>, connection: usize) -> Option<Asked> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line).await {
            Ok(0) => return None,
            Ok(_) => {}
            Err(_) => {
                // No text: somebody speaks TLS.
                answer(stream, 400, "", b"").await;
                return None;
            }
        }
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked {
        connection,
        head,
        body,
    })
}

/// Does what comes next; returns whether the connection is kept.
async fn behave(stream: &mut BufReader<TcpStream>, shared: &Shared, asked: &Asked) -> bool {
    let behaviour = {
        let mut behaviours = shared.behaviours.lock();
        match behaviours.len() {
            1 => behaviours[0].clone(),
            _ => behaviours.pop().unwrap(),
        }
    };
    let evaluate = |key: &ServiceKey| key.evaluate(&Request::parse(&asked.body).unwrap());
    match behaviour {
        Behaviour::Right => answer(stream, 200, "", &evaluate(&shared.key)).await,
        Behaviour::Tokens => {
            let request = Request::parse(&asked.body).unwrap();
            answer(stream, 200, "", &shared.token_key.evaluate(&request)).await
        }
        Behaviour::OtherKey => answer(stream, 200, "", &evaluate(&shared.other_key)).await,
        Behaviour::Changed(change) => {
            let mut body = evaluate(&shared.key);
            change(&mut body);
            answer(stream, 200, "", &body).await
        }
        Behaviour::Status(status, lines, body) => {
            answer(stream, status, &lines, body.as_bytes()).await
        }
        Behaviour::Endless => {
            let head = "HTTP/1.1 200 OK\r\n\r\n";
            let mut is_open = stream.write_all(head.as_bytes()).await.is_ok();
            while is_open {
                is_open = stream.write_all(&[1; 1000]).await.is_ok();
            }
            false
        }
        Behaviour::Silent => std::future::pending().await,
        Behaviour::Close => false,
        Behaviour::CloseWithin => {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 579\r\n\r\nhalf";
            stream.write_all(head.as_bytes()).await.unwrap();
            false
        }
    }
}

async fn answer(stream: &mut BufReader<TcpStream>, status: u16, lines: &str, body: &[u8]) -> bool {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{lines}\r\n");
    let sent = [head.as_bytes(), body].concat();
    stream.write_all(&sent).await.is_ok()
}
