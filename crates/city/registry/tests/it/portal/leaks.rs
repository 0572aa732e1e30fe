//! Test of the program `city-registry portal`: what it says of the people it is asked about.

use std::process::Stdio;

use broker::{DirectoryConfig, QueueConfig};
use clock::{Clock as _, SystemClock};
use contract::{PublicKey, wire};
use serde_json::json;
use tokio::net::TcpStream;

use super::http::{Answer, exchange};
use super::{order, question};
use crate::installed::{Installed, install, page_with, run, terminate, words};
use crate::world::{asserted, pseudonym, recovery};

/// Initials and a day that occur nowhere else.
const HOLDER: &str = "ZQ-INITIAL";

async fn post(port: u16, path: &str, body: &str) -> Answer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Idempotency-Key: planted-key-{}\r\n",
        body.len(),
        body.len()
    );
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    exchange(stream, &head, body).await.unwrap()
}

/// Registry with a recovery of person 1, thirty days ago.
async fn installed() -> Installed {
    let installed = install(None);
    let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
    let day = SystemClock::default().now() - chrono::TimeDelta::days(30);
    let fact = recovery(None, &day.date_naive().to_string());
    let encoded = wire::encode(&[asserted(1, 1, 1, fact)]);
    let public = PublicKey::from_text(&installed.public).unwrap();
    let (batch, _) = public.seal(&encoded).unwrap();
    let publisher = broker::publisher(&queue, installed.folder.path()).unwrap();
    publisher.publish(&batch).await.unwrap();
    let (code, printed, _) = words(&run(installed.folder.path(), &["run", "--drain"]));
    assert!(
        code == Some(0) && printed.contains("1 applied"),
        "{printed}"
    );
    installed
}

#[tokio::test]
async fn neither_log_nor_metrics_say_who_was_asked_about() {
    let installed = installed().await;
    let folder = installed.folder.path();
    let port = testbed::ports::free_port();
    let metrics = testbed::ports::free_port();
    let config = folder.join("city-registry.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let section = format!(
        "\n[portal]\naddress = \"127.0.0.1:{port}\"\n[portal.listen]\naddress = \
         \"127.0.0.1:{metrics}\"\n"
    );
    std::fs::write(&config, text + &section).unwrap();
    let log = folder.join("log");
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_city-registry"))
        .current_dir(folder)
        .env("RUST_LOG", "trace")
        .arg("portal")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    page_with(metrics, "/health/ready", "200 OK").await;
    let asked = post(port, "/v1/eligibility", &question(1)).await;
    assert_eq!(asked.json()["reasons"], json!([]));
    let issued = post(port, "/v1/passes", &order(1, "days")).await.json();
    let text = super::strips(&issued)[0]["text"]
        .as_str()
        .unwrap()
        .to_owned();
    let malformed = order(1, "days").replace("\"A\"", &format!("\"{HOLDER}\""));
    assert_eq!(post(port, "/v1/passes", &malformed).await.code(), "form");
    let broken = question(1).replace('}', HOLDER);
    assert_eq!(
        post(port, "/v1/eligibility", &broken).await.code(),
        "not-json"
    );
    let page = page_with(metrics, "/metrics", "outcome=\"issued\"} 1").await;
    assert_eq!(terminate(&mut program).await, Some(0));
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(
        log.contains("outcome=\"issued\"") && log.contains("outcome=\"form\""),
        "{log}"
    );
    let value = pseudonym(contract::Scheme::Snils, 1).value;
    let hex = hex::encode(value);
    let bytes = format!("{:?}", &value[..8]);
    let bytes = bytes.trim_matches(['[', ']']);
    let planted = [
        // As far as `Debug` of a pseudonym shows it.
        &hex[..8],
        &hex[48..],
        bytes,
        HOLDER,
        &text[4..24],
        "planted-key",
    ];
    for planted in planted {
        for (place, text) in [("the log", &log), ("the metrics", &page)] {
            let found = text.find(planted);
            let around = found.map(|at| &text[at.saturating_sub(300)..(at + 60).min(text.len())]);
            assert_eq!(around, None, "{planted} is in {place}");
        }
    }
}
