//! Registry that is started as a program.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use broker::{DirectoryConfig, QueueConfig};
use contract::{PublicKey, wire};

use crate::world::{asserted, negative, within_patience};

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_city-registry"))
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .env_remove("CITY_REGISTRY_CONFIG")
        .args(arguments)
        .output()
        .unwrap()
}

pub(crate) fn words(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

pub(crate) async fn send(folder: &Path, public: &str) {
    let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
    let encoded = wire::encode(&[asserted(1, 1, 7, negative("2021-06-01"))]);
    let (batch, _) = PublicKey::from_text(public)
        .unwrap()
        .seal(&encoded)
        .unwrap();
    broker::publisher(&queue, folder)
        .unwrap()
        .publish(&batch)
        .await
        .unwrap();
}

/// Public key out of the lines for the gateways.
pub(crate) fn public_key(printed: &str) -> String {
    let table: toml::Table = printed
        .lines()
        .filter(|line| line.starts_with("public_key") || line.starts_with("receipt_keys"))
        .collect::<Vec<_>>()
        .join("\n")
        .parse()
        .unwrap();
    let receipt_keys = table["receipt_keys"].as_array().unwrap();
    contract::ReceiptVerifier::from_text(receipt_keys[0].as_str().unwrap()).unwrap();
    table["public_key"].as_str().unwrap().to_owned()
}

/// Folder of a registry that is started as a program, with its endpoint's port and public key.
pub(crate) struct Installed {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
    pub(crate) public: String,
}

/// Sets up a registry with `store` as its section of the store, a directory as its queue.
pub(crate) fn install(store: Option<&str>) -> Installed {
    let folder = tempfile::tempdir().unwrap();
    let (_, printed, _) = words(&run(folder.path(), &["init", "."]));
    let port = testbed::ports::free_port();
    let config = folder.path().join("city-registry.toml");
    let mut text = std::fs::read_to_string(&config).unwrap();
    if let Some(store) = store {
        text = text.replace("[store.sqlite]\npath = \"registry.sqlite\"", store);
    }
    let listen = format!("\n[listen]\naddress = \"127.0.0.1:{port}\"\n");
    std::fs::write(&config, text + &listen).unwrap();
    Installed {
        folder,
        port,
        public: public_key(&printed),
    }
}

impl Installed {
    pub(crate) fn start(&self) -> tokio::process::Child {
        self.start_with(&["run"])
    }

    pub(crate) fn start_with(&self, arguments: &[&str]) -> tokio::process::Child {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_city-registry"))
            .current_dir(self.folder.path())
            .args(arguments)
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }
}

/// Asks the daemon to stop, and waits for its end.
pub(crate) async fn terminate(daemon: &mut tokio::process::Child) -> Option<i32> {
    let id = daemon.id().unwrap().to_string();
    let asked = Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(asked.success());
    let ended = within_patience("the daemon ends", daemon.wait()).await;
    ended.unwrap().code()
}

/// Page of the daemon, once it holds `text`.
pub(crate) async fn page_with(port: u16, path: &str, text: &str) -> String {
    within_patience(&format!("{path} has {text}"), async {
        loop {
            let page = page(port, path).await.unwrap_or_default();
            if page.contains(text) {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}

pub(crate) async fn page(port: u16, path: &str) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream
        .write_all(
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    Ok(page)
}
