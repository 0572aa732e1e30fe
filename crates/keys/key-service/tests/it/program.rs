//! Key service that is started as a program.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tokio::process::Child;

use crate::tls::{Answer, exchange, post_head, within_patience};

pub(crate) const CONFIG: &str = "key-service.toml";

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_key-service"))
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .env_remove("KEY_SERVICE_CONFIG")
        .env("EMPTY_KEY", "")
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let out = text(&output.stdout);
    let err = text(&output.stderr);
    (output.status.code(), out, err)
}

/// Folder of `init`, with free ports for the interface and for the metrics.
pub(crate) struct Installed {
    pub folder: tempfile::TempDir,
    pub port: u16,
    pub metrics: u16,
}

/// Changes a file of the folder.
pub(crate) fn change(folder: &Path, change: impl FnOnce(String) -> String) {
    let path = folder.join(CONFIG);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, change(text)).unwrap();
}

/// Gives the interface a port of its own: that of the example may be in use.
pub(crate) fn take_free_port(folder: &Path, file: &str) {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let port = format!("127.0.0.1:{}", testbed::ports::free_port());
    std::fs::write(&path, text.replace("127.0.0.1:9480", &port)).unwrap();
}

impl Installed {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (code, _, err) = run(folder.path(), &["init", "."]);
        assert_eq!(code, Some(0), "{err}");
        let port = testbed::ports::free_port();
        let metrics = testbed::ports::free_port();
        change(folder.path(), |text| {
            let listen = format!("\n[listen]\naddress = \"127.0.0.1:{metrics}\"\n");
            text.replace("127.0.0.1:9480", &format!("127.0.0.1:{port}")) + &listen
        });
        Self {
            folder,
            port,
            metrics,
        }
    }

    /// Starts the service, and waits until it answers.
    pub(crate) async fn start(&self) -> Child {
        let child = tokio::process::Command::new(env!("CARGO_BIN_EXE_key-service"))
            .current_dir(self.folder.path())
            .env_remove("KEY_SERVICE_CONFIG")
            .arg("run")
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.page_with("/health/ready", "200 OK").await;
        child
    }

    /// Page of the metrics' address, once it holds `text`.
    pub(crate) async fn page_with(&self, path: &str, text: &str) -> String {
        within_patience(&format!("{path} has {text}"), async {
            loop {
                if let Ok(page) = page(self.metrics, path).await
                    && page.contains(text)
                {
                    return page;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    }

    pub(crate) async fn post(&self, body: &[u8]) -> Answer {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await;
        let answer = exchange(stream.unwrap(), &post_head(body.len()), body).await;
        answer.unwrap()
    }

    pub(crate) async fn used_today(&self) -> u64 {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await;
        let head = "GET /v1/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let answer = exchange(stream.unwrap(), head, b"").await.unwrap();
        answer.json()["used_today"].as_u64().unwrap()
    }
}

async fn page(port: u16, path: &str) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    Ok(page)
}

/// Asks the service to stop, and returns its exit code.
pub(crate) async fn terminate(service: &mut Child) -> Option<i32> {
    let id = service.id().unwrap().to_string();
    let asked = Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(asked.success());
    let ended = within_patience("the service ends", service.wait()).await;
    ended.unwrap().code()
}
