//! The verifier page beside the portal: what a verifier is given, also while the registry is away.

use std::path::Path;

use pass::keys::{PublicKey, SigningKey, read_jwk_set};
use pass::revocation::RevocationPayload;
use pass::trust::TrustBundle;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::browser::{get, within_patience};
use crate::double::{Behaviour, Double};
use crate::program::{Portal, configured, run};
use crate::real::City;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../verifier/page");

/// Section of the configuration, with a root that lies beside it.
fn section(port: u16) -> String {
    format!("[verifier]\naddress = \"127.0.0.1:{port}\"\npage = \"{PAGE}\"\nroot = \"root.json\"\n")
}

/// Portal with the verifier page at a port of its own.
async fn started(registry: &str, root: &str) -> (Portal, u16) {
    let verifier = testbed::ports::free_port();
    let (folder, port, metrics) = configured(registry, &section(verifier));
    std::fs::write(folder.path().join("root.json"), root).unwrap();
    let portal = Portal::start(folder, port, metrics).await;
    within_patience("the verifier page listens", async {
        while TcpStream::connect(("127.0.0.1", verifier)).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    (portal, verifier)
}

fn root_of(text: &str) -> (PublicKey, String) {
    let root: Value = serde_json::from_str(text).unwrap();
    let keys = read_jwk_set(&json!({ "keys": [root["key"]] }).to_string()).unwrap();
    (keys[0], root["issuer"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_verifier_is_given_what_the_registry_signed_also_while_that_is_away() {
    let mut city = City::new();
    city.serve().await;
    let root = city.output(&["keys", "root"]);
    let (_portal, port) = started(&city.base_url(), &root).await;
    let page = get(port, "/").await;
    assert_eq!(page.status, 200);
    assert!(String::from_utf8(page.body).unwrap().contains("main.js"));
    let served = get(port, "/data/root.json").await.body;
    assert_eq!(String::from_utf8(served).unwrap(), root);
    let (key, issuer) = root_of(&root);
    let bundle = get(port, "/data/trust.cose").await.body;
    let trust = TrustBundle::open(&bundle, &key, &issuer).unwrap();
    let whole = get(port, "/data/revocations.cose").await.body;
    let RevocationPayload::Whole(list) = trust.open_revocations(&whole).unwrap() else {
        panic!("a difference from nothing");
    };
    let newest = format!("/data/revocations.cose?after={}", list.edition().sequence());
    assert_eq!(get(port, &newest).await.status, 204);
    city.stop().await;
    let older = get(port, "/data/revocations.cose?after=1").await;
    assert_eq!((older.status, older.body == whole), (200, true));
    assert_eq!(get(port, "/data/trust.cose").await.body, bundle);
}

#[tokio::test]
async fn another_root_than_the_registrys_is_told_by_check_and_by_the_log() {
    let mut city = City::new();
    city.serve().await;
    let root = city.output(&["keys", "root"]);
    let other = SigningKey::generate()
        .public()
        .pinned("RU-MOW", "Europe/Moscow");
    let (portal, port) = started(&city.base_url(), &other.to_string()).await;
    let told = "verifier.root is not the root of the registry's passes";
    assert!(run(portal.folder.path(), &["check"]).1.contains(told));
    assert_eq!(get(port, "/data/trust.cose").await.status, 200);
    assert!(portal.log().contains(told));
    std::fs::write(portal.folder.path().join("root.json"), root).unwrap();
    assert!(!run(portal.folder.path(), &["check"]).1.contains(told));
}

#[tokio::test]
async fn what_is_no_file_of_the_page_is_not_served() {
    let double = Double::start(Behaviour::Entitled).await;
    let registry = format!("http://127.0.0.1:{}", double.port);
    let root = SigningKey::generate()
        .public()
        .pinned("RU-MOW", "Europe/Moscow");
    let (_portal, port) = started(&registry, &root.to_string()).await;
    for path in [
        "/../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "/README.md",
        "/data/",
        "//index.html",
    ] {
        assert_eq!(get(port, path).await.status, 404, "{path}");
    }
    for after in ["x", "-1", "18446744073709551616"] {
        let path = format!("/data/revocations.cose?after={after}");
        assert_eq!(get(port, &path).await.status, 400, "{after}");
    }
}

#[tokio::test]
async fn a_registry_that_never_answered_is_said_to_be_away() {
    let unused = testbed::ports::free_port();
    let root = SigningKey::generate()
        .public()
        .pinned("RU-MOW", "Europe/Moscow");
    let registry = format!("http://127.0.0.1:{unused}");
    let (portal, port) = started(&registry, &root.to_string()).await;
    assert_eq!(get(port, "/data/trust.cose").await.status, 503);
    assert_eq!(get(port, "/data/revocations.cose").await.status, 503);
    assert!(portal.log().contains("the registry cannot be connected to"));
}

#[tokio::test]
async fn check_tells_what_is_wrong_with_page_and_root() {
    let checked = |root: &str, section: &str| {
        let (folder, _, _) = configured("http://127.0.0.1:1", section);
        std::fs::write(folder.path().join("root.json"), root).unwrap();
        run(folder.path(), &["check"]).1
    };
    let key = SigningKey::generate();
    let root = key.public().pinned("RU-MOW", "Europe/Moscow").to_string();
    let good = section(testbed::ports::free_port());
    assert!(checked(&root, &good).contains("the page and its root can be read"));
    let pem = key.to_pem().expose_secret().to_owned();
    assert!(checked(&pem, &good).contains("as `city-registry keys root` prints it"));
    let elsewhere = good.replace(PAGE, env!("CARGO_MANIFEST_DIR"));
    assert!(checked(&root, &elsewhere).contains("has no file index.html"));
    let outside = good.replace("127.0.0.1", "0.0.0.0");
    assert!(checked(&root, &outside).contains("verifier.address is 0.0.0.0"));
    let (folder, port, _) = configured("http://127.0.0.1:1", "");
    let config = folder.path().join("city-portal.toml");
    let text = std::fs::read_to_string(&config).unwrap() + &section(port);
    std::fs::write(&config, text).unwrap();
    let told = run(folder.path(), &["check"]).1;
    assert!(told.contains("which is portal.address too"), "{told}");
    assert!(Path::new(PAGE).is_dir());
}
