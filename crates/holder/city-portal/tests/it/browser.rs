//! A browser as far as HTTP/1.1 goes, and what it posts.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest time that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Key of the action that asks for codes.
pub(crate) const KEY: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

/// Key of another action.
const OTHER_KEY: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3302";

pub(crate) async fn within_patience<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.unwrap_or_else(|_| panic!("not within {} s: {what}", PATIENCE.as_secs()))
}

/// What a citizen types.
pub(crate) fn citizen() -> Value {
    json!({
        "document": "snils", "number": "612-480-911 69", "given_name": "Ольга",
        "family_name": "Орлова", "birth_date": "14.07.1990",
    })
}

/// Answer of the portal.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub(crate) fn outcome(&self) -> String {
        self.json()["outcome"].as_str().unwrap().to_owned()
    }

    pub(crate) fn code(&self) -> String {
        let answer = self.json();
        assert_eq!(answer["outcome"], "problem", "{answer}");
        for language in ["ru", "en"] {
            assert!(answer[language].as_str().unwrap().len() > 20, "{answer}");
        }
        answer["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Posts as the portal's own page does.
pub(crate) async fn post(port: u16, path: &str, body: &Value) -> Answer {
    let key = if path == "/api/codes" { KEY } else { OTHER_KEY };
    post_under(port, path, body, key).await
}

/// The same under a key.
pub(crate) async fn post_under(port: u16, path: &str, body: &Value, key: &str) -> Answer {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n\
         Sec-Fetch-Site: same-origin\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Idempotency-Key: {key}\r\n",
        body.len()
    );
    send(port, &head, &body).await
}

/// Asks for a certificate.
pub(crate) fn certificate(kind: &str) -> Value {
    json!({ "kind": kind, "citizen": citizen() })
}

pub(crate) async fn get(port: u16, path: &str) -> Answer {
    let head = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
    send(port, &head, "").await
}

/// Sends one request and reads the answer to its end.
pub(crate) async fn send(port: u16, head: &str, body: &str) -> Answer {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    exchange(stream, head, body).await.unwrap()
}

pub(crate) async fn exchange<S>(mut stream: S, head: &str, body: &str) -> std::io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = format!("{head}Connection: close\r\n\r\n{body}");
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
