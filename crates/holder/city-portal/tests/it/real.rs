//! The portal in front of the registry itself, where its program is built.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::browser::{citizen, get, post, post_under, within_patience};
use crate::program::{Portal, configured};

/// Program of the registry, beside the portal's own.
fn program() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_BIN_EXE_city-portal"));
    let registry = own.with_file_name("city-registry");
    registry.is_file().then_some(registry)
}

#[tokio::test]
async fn a_citizen_without_facts_is_told_so_by_the_registry_itself() {
    // `scripts/test` builds every program first; a test of this crate alone may have none.
    let Some(program) = program() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(folder.path()).args(arguments);
        command.env_remove("CITY_REGISTRY_CONFIG");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    assert!(run(&["init", "."]).status().unwrap().success());
    let port = testbed::ports::free_port();
    let config = folder.path().join("city-registry.toml");
    let mut text = std::fs::read_to_string(&config).unwrap();
    text.push_str(&format!("\n[portal]\naddress = \"127.0.0.1:{port}\"\n"));
    std::fs::write(&config, text).unwrap();
    let mut registry = tokio::process::Command::from(run(&["portal"]));
    let _registry = registry.kill_on_drop(true).spawn().unwrap();
    within_patience("the registry answers", async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
        {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        while get(port, "/v1/trust").await.status != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
    let (folder, page, metrics) = configured(&format!("http://127.0.0.1:{port}"), "");
    let portal = Portal::start(folder, page, metrics).await;
    portal.page_with("/health/ready", "ready").await;
    let status = post(portal.port, "/api/status", &citizen()).await.json();
    assert_eq!(status["entitled"], false, "{status}");
    assert_eq!(status["reasons"][0]["code"], "no-facts-yet");
    let refused = post(portal.port, "/api/codes", &citizen()).await.json();
    assert_eq!(refused["outcome"], "refused", "{refused}");
    assert_eq!(refused["reasons"], status["reasons"]);
    let mut foreign = citizen();
    foreign["document"] = json!("passport-foreign");
    foreign["number"] = json!("12AB34567");
    foreign["country"] = json!("FR");
    let other = post(portal.port, "/api/status", &foreign).await.json();
    assert_eq!(other["reasons"], status["reasons"]);
    let refused = post(portal.port, "/api/sheet", &foreign).await.json();
    assert_eq!(refused["outcome"], "refused", "{refused}");
    // A registry without certificates refuses the form; one with them has no fact.
    let asked = Value::from_iter([("kind", json!("test")), ("citizen", foreign)]);
    let other = "3f2504e0-4f89-41d3-9a0c-0305e82c3303";
    let none = post_under(portal.port, "/api/certificate", &asked, other).await;
    let none = none.json();
    let told = [&none["outcome"], &none["code"]];
    assert!(
        told == [&json!("refused"), &json!(null)]
            || told == [&json!("problem"), &json!("registry-refused")],
        "{none}"
    );
}
