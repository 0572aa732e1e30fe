//! Tests of `city-registry` as an operator runs it: exit codes, files, printed text.

use std::path::Path;
use std::process::Command;

use broker::{DirectoryConfig, QueueConfig};
use contract::{Scheme, wire};

use crate::installed::{page_with, public_key, run, send, words};
use crate::world::{asserted, negative, pseudonym, within_patience};

#[tokio::test]
async fn from_init_to_show() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (code, printed, _) = words(&run(folder, &["init", "."]));
    assert_eq!(code, Some(0));
    let public = public_key(&printed);
    let (_, lines, _) = words(&run(folder, &["keys", "public"]));
    assert_eq!(
        (public_key(&lines), lines.lines().count()),
        (public.clone(), 2)
    );
    lines.parse::<toml::Table>().expect("it can be pasted");
    let again = words(&run(folder, &["init", "."]));
    assert!(
        again.0 == Some(78) && again.2.contains("exists already"),
        "{again:?}"
    );
    let (code, printed, _) = words(&run(folder, &["check"]));
    assert!(
        code == Some(0)
            && printed.contains("ok      store: SQLite")
            && printed.contains("no registry runs"),
        "{printed}"
    );

    send(folder, &public).await;
    let (code, printed, _) = words(&run(folder, &["run", "--drain"]));
    assert!(
        code == Some(0)
            && printed.contains("1 applied, 0 unchanged, 0 superseded, 0 refused; 0 batches"),
        "{printed}"
    );
    let (_, stats, _) = words(&run(folder, &["show", "--stats", "--json"]));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&stats).unwrap()["asserted"]["test"],
        1
    );
    let name = format!(
        "hmac/snils/1/{}",
        hex::encode(pseudonym(Scheme::Snils, 7).value)
    );
    let (code, shown, _) = words(&run(folder, &["show", "--subject", &name]));
    assert!(
        code == Some(0) && shown.contains("2021-06-01") && shown.contains("not-detected"),
        "{shown}"
    );
    let stranger = format!("hmac/snils/1/{}", "00".repeat(32));
    assert_eq!(
        words(&run(folder, &["show", "--subject", &stranger])).0,
        Some(1)
    );
}

#[test]
fn a_wrong_configuration_ends_with_78_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "."]);
    let path = folder.path().join("city-registry.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    for (from, to, said) in [
        (
            "second_layer =",
            "second_layr =",
            "did you mean `second_layer`?",
        ),
        ("second-layer.key\"", "nowhere.key\"", "keys.second_layer"),
        ("second-layer.key\"", "registry.key\"", "64 hex characters"),
        (
            "registry.sqlite\"",
            "missing/registry.sqlite\"",
            "cannot be opened",
        ),
    ] {
        std::fs::write(&path, good.replace(from, to)).unwrap();
        let (code, printed, complaint) = words(&run(folder.path(), &["check"]));
        assert_eq!(code, Some(78), "{to}");
        assert!(
            format!("{printed}{complaint}").contains(said),
            "{to}: {printed}{complaint}"
        );
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
        .psql(
            "postgres",
            "CREATE ROLE clerk LOGIN PASSWORD 'right'; CREATE DATABASE registry OWNER clerk",
        )
        .await
        .unwrap();
    let password = folder.join("password");
    let write = |text: &str| {
        std::fs::write(&password, text).unwrap();
        std::fs::set_permissions(
            &password,
            std::os::unix::fs::PermissionsExt::from_mode(0o600),
        )
        .unwrap();
    };
    let path = folder.join("city-registry.toml");
    let section = format!(
        "[store.postgres]\nport = {}\nuser = \"clerk\"\npassword = {{ file = \"password\" }}\ntls \
         = \"off\"\n",
        postgres.port()
    );
    let sqlite = "[store.sqlite]\npath = \"registry.sqlite\"";
    std::fs::write(
        &path,
        std::fs::read_to_string(&path)
            .unwrap()
            .replace(sqlite, &section),
    )
    .unwrap();
    write("wrong");
    let (code, printed, _) = words(&run(folder, &["check"]));
    assert!(
        code == Some(78) && printed.contains("SQLSTATE 28P01"),
        "{code:?} {printed}"
    );
    write("right");
    let (code, printed, _) = words(&run(folder, &["check"]));
    assert!(
        code == Some(0) && printed.contains("store: PostgreSQL"),
        "{code:?} {printed}"
    );
    postgres.stop().await.unwrap();
    let (code, printed, _) = words(&run(folder, &["check"]));
    assert!(
        code == Some(1) && printed.contains("does not answer"),
        "{code:?} {printed}"
    );
}

#[tokio::test]
async fn the_daemon_stores_what_arrives_serves_metrics_and_ends_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (_, printed, _) = words(&run(folder, &["init", "."]));
    let public = public_key(&printed);
    let port = testbed::ports::free_port();
    let config = folder.join("city-registry.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        format!("{text}\n[listen]\naddress = \"127.0.0.1:{port}\"\n"),
    )
    .unwrap();
    let mut daemon = tokio::process::Command::new(env!("CARGO_BIN_EXE_city-registry"))
        .current_dir(folder)
        .args(["run"])
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    send(folder, &public).await;
    // The receipt is counted after the commit, and readiness follows the acknowledgement.
    let metrics = page_with(
        port,
        "/metrics",
        "registry_receipts_total{outcome=\"sent\"} 1",
    )
    .await;
    for line in [
        "registry_events_total{outcome=\"applied\"} 1",
        "registry_commit_seconds",
        "registry_circuit_state{endpoint=\"store\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
    page_with(port, "/health/ready", "200 OK").await;
    let (code, printed, _) = words(&run(folder, &["check"]));
    assert!(
        code == Some(0) && printed.contains("its receipt came back"),
        "{printed}"
    );
    let id = daemon.id().unwrap().to_string();
    let limits = std::fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    let ended = within_patience("the daemon ends", daemon.wait()).await;
    assert_eq!(ended.unwrap().code(), Some(0));
    let (_, stats, _) = words(&run(folder, &["show", "--stats"]));
    assert!(stats.contains("asserted    test 1"), "{stats}");
}

#[test]
fn every_command_forbids_core_dumps_first() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "."]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_city-registry"));
    let command = command.current_dir(folder.path()).env("RUST_LOG", "debug");
    let (_, _, logged) = words(&command.arg("check").output().unwrap());
    assert!(logged.contains("core-dumps-forbidden"), "{logged}");
}

/// Puts bytes into the queue.
async fn send_bytes(folder: &Path, bytes: Vec<u8>) {
    let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
    let batch = contract::SealedBatch {
        id: contract::BatchId::random(),
        bytes,
    };
    broker::publisher(&queue, folder)
        .unwrap()
        .publish(&batch)
        .await
        .unwrap();
}

#[tokio::test]
async fn dead_letters_are_listed_looked_into_retried_and_discarded() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    run(folder, &["init", "."]);
    assert_eq!(
        words(&run(folder, &["dead-letters", "list"])).1.trim(),
        "no dead letters"
    );
    // Sealed to a key that the registry has lost for a while.
    let earlier = contract::PrivateKey::generate();
    let tomorrow = asserted(3, 1, 7, negative("2035-01-01"));
    let events = [
        asserted(1, 1, 7, negative("2021-06-01")),
        asserted(2, 1, 7, negative("2021-06-01")),
        tomorrow,
    ];
    let (sealed, _) = earlier.public().seal(&wire::encode(&events)).unwrap();
    send_bytes(folder, sealed.bytes.clone()).await;
    send_bytes(folder, b"what is this".to_vec()).await;
    assert!(
        words(&run(folder, &["run", "--drain"]))
            .1
            .contains("2 batches to the dead letters")
    );
    let (code, table, _) = words(&run(folder, &["dead-letters", "list"]));
    let id = sealed.id.to_hex();
    assert!(
        code == Some(0) && table.contains(&id) && table.contains("sealed-to-another-key"),
        "{table}"
    );
    let (_, json, _) = words(&run(
        folder,
        &[
            "dead-letters",
            "list",
            "--json",
            "--reason",
            "not-a-sealed-batch",
        ],
    ));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["dead_letters"].as_array().unwrap().len(), 1, "{json}");
    let (_, shown, _) = words(&run(folder, &["dead-letters", "show", &id[..6]]));
    assert!(shown.contains("no: sealed-to-another-key"), "{shown}");
    assert!(
        shown.contains(&earlier.public().to_text()[..16]),
        "the operator can tell which key: {shown}"
    );

    // The key is found again.
    let path = folder.join("earlier.key");
    std::fs::write(
        &path,
        secrecy::ExposeSecret::expose_secret(&earlier.to_text()),
    )
    .unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let config = folder.join("city-registry.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let added = "[keys]\nprevious_private_keys = [{ file = \"earlier.key\" }]";
    std::fs::write(&config, text.replace("[keys]", added)).unwrap();
    let (_, shown, _) = words(&run(folder, &["dead-letters", "show", &id, "--json"]));
    let json: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&json[0]["opens"], &json[0]["earlier_key"]),
        (&true.into(), &true.into()),
        "{json}"
    );
    assert_eq!(
        (
            &json[0]["events"]["test"],
            &json[0]["would_be_refused"]["bad-date"]
        ),
        (&2.into(), &1.into())
    );
    let digest = crate::world::record(1).to_hex();
    assert!(
        !shown.contains(&digest[..16])
            && !shown.contains(&hex::encode(pseudonym(Scheme::Snils, 7).value))
    );

    assert_eq!(words(&run(folder, &["dead-letters", "retry"])).0, Some(2));
    let (code, said, _) = words(&run(folder, &["dead-letters", "retry", &id]));
    assert!(code == Some(0) && said.contains("1 put back"), "{said}");
    assert!(
        words(&run(folder, &["run", "--drain"]))
            .1
            .contains("2 applied, 0 unchanged")
    );
    assert_eq!(
        words(&run(folder, &["dead-letters", "show", &id])).0,
        Some(1),
        "it is none any more"
    );
    let (code, _, complaint) = words(&run(folder, &["dead-letters", "discard", "--all"]));
    assert!(
        code == Some(2) && complaint.contains("--yes"),
        "{complaint}"
    );
    let (code, said, _) = words(&run(folder, &["dead-letters", "discard", "--all", "--yes"]));
    assert!(code == Some(0) && said.contains("1 thrown away"), "{said}");
    assert_eq!(
        words(&run(folder, &["dead-letters", "discard", "--all", "--yes"])).0,
        Some(1)
    );
}
