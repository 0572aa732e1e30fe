//! `city-registry` as an operator runs it: exit codes, files, words.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use broker::{DirectoryConfig, QueueConfig};
use contract::{PublicKey, Scheme, wire};

use crate::world::{asserted, negative, pseudonym};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_city-registry"))
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .env_remove("CITY_REGISTRY_CONFIG")
        .args(arguments)
        .output()
        .unwrap()
}

fn words(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

async fn send(folder: &Path, public: &str) {
    let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
    let batch = PublicKey::from_text(public).unwrap().seal(&wire::encode(&[asserted(
        1,
        1,
        7,
        negative("2021-06-01"),
    )]));
    broker::publisher(&queue, folder).unwrap().publish(&batch.unwrap()).await.unwrap();
}

#[tokio::test]
async fn from_init_to_show() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (code, printed, _) = words(&run(folder, &["init", "."]));
    assert_eq!(code, Some(0));
    let public = printed.lines().find(|line| line.starts_with("cgpk1:")).unwrap().to_owned();
    assert_eq!(words(&run(folder, &["keys", "public"])).1.trim(), public);
    let again = words(&run(folder, &["init", "."]));
    assert!(again.0 == Some(78) && again.2.contains("exists already"), "{again:?}");
    let (code, printed, _) = words(&run(folder, &["check"]));
    assert!(code == Some(0) && printed.contains("ok      store: SQLite"), "{printed}");

    send(folder, &public).await;
    let (code, printed, _) = words(&run(folder, &["run", "--drain"]));
    assert!(code == Some(0) && printed.contains("1 applied, 0 unchanged, 0 refused; 0 batches"), "{printed}");
    let (_, stats, _) = words(&run(folder, &["show", "--stats", "--json"]));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&stats).unwrap()["asserted"]["test"], 1);
    let name = format!("hmac/snils/1/{}", hex::encode(pseudonym(Scheme::Snils, 7).value));
    let (code, shown, _) = words(&run(folder, &["show", "--subject", &name]));
    assert!(code == Some(0) && shown.contains("2021-06-01") && shown.contains("not-detected"), "{shown}");
    let stranger = format!("hmac/snils/1/{}", "00".repeat(32));
    assert_eq!(words(&run(folder, &["show", "--subject", &stranger])).0, Some(1));
}

#[test]
fn a_wrong_configuration_ends_with_78_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "."]);
    let path = folder.path().join("city-registry.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    for (from, to, said) in [
        ("second_layer =", "second_layr =", "did you mean `second_layer`?"),
        ("second-layer.key\"", "nowhere.key\"", "keys.second_layer"),
        ("second-layer.key\"", "registry.key\"", "64 hex characters"),
        ("registry.sqlite\"", "missing/registry.sqlite\"", "cannot be opened"),
    ] {
        std::fs::write(&path, good.replace(from, to)).unwrap();
        let (code, printed, complaint) = words(&run(folder.path(), &["check"]));
        assert_eq!(code, Some(78), "{to}");
        assert!(format!("{printed}{complaint}").contains(said), "{to}: {printed}{complaint}");
    }
    let (code, ..) = words(&run(folder.path(), &["--config", "none.toml", "check"]));
    assert_eq!(code, Some(78));
    assert_eq!(words(&run(folder.path(), &["show"])).0, Some(2));
}

#[tokio::test]
async fn a_refused_account_ends_with_78_and_a_server_away_with_1() {
    let mut postgres = testbed::postgres::Postgres::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(folder, &["init", "."]);
    postgres
        .psql("postgres", "CREATE ROLE clerk LOGIN PASSWORD 'right'; CREATE DATABASE registry OWNER clerk")
        .await
        .unwrap();
    let password = folder.join("password");
    let write = |text: &str| {
        std::fs::write(&password, text).unwrap();
        std::fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    let path = folder.join("city-registry.toml");
    let section = format!(
        "[store.postgres]\nport = {}\nuser = \"clerk\"\npassword = {{ file = \"password\" }}\ntls = \"off\"\n",
        postgres.port()
    );
    let sqlite = "[store.sqlite]\npath = \"registry.sqlite\"";
    std::fs::write(&path, std::fs::read_to_string(&path).unwrap().replace(sqlite, &section)).unwrap();
    write("wrong");
    let (code, printed, _) = words(&run(folder, &["check"]));
    assert!(code == Some(78) && printed.contains("SQLSTATE 28P01"), "{code:?} {printed}");
    write("right");
    let (code, printed, _) = words(&run(folder, &["check"]));
    assert!(code == Some(0) && printed.contains("store: PostgreSQL"), "{code:?} {printed}");
    postgres.stop().await.unwrap();
    let (code, printed, _) = words(&run(folder, &["check"]));
    assert!(code == Some(1) && printed.contains("does not answer"), "{code:?} {printed}");
}

#[tokio::test]
async fn the_daemon_stores_what_arrives_serves_metrics_and_ends_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_, printed, _) = words(&run(folder, &["init", "."]));
    let public = printed.lines().find(|line| line.starts_with("cgpk1:")).unwrap().to_owned();
    let port = testbed::ports::free_port();
    let config = folder.join("city-registry.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[listen]\naddress = \"127.0.0.1:{port}\"\n")).unwrap();
    let mut daemon = tokio::process::Command::new(env!("CARGO_BIN_EXE_city-registry"))
        .current_dir(folder)
        .args(["run"])
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    send(folder, &public).await;
    let seen = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let page = page(port, "/metrics").await.unwrap_or_default();
            if page.contains("registry_events_total{outcome=\"applied\"} 1") {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(seen.await.expect("the fact is counted in time").contains("registry_commit_seconds"));
    assert!(page(port, "/health/ready").await.unwrap().contains("200 OK"));
    let id = daemon.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let ended = tokio::time::timeout(Duration::from_secs(30), daemon.wait()).await;
    assert_eq!(ended.expect("it ends in time").unwrap().code(), Some(0));
    let (_, stats, _) = words(&run(folder, &["show", "--stats"]));
    assert!(stats.contains("asserted    test 1"), "{stats}");
}

async fn page(port: u16, path: &str) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
        .await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    Ok(page)
}
