//! The portal in front of the registry itself: its program, facts that a clinic sent, keys and lists.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use broker::{DirectoryConfig, QueueConfig};
use chrono::TimeDelta;
use clock::{Clock as _, SystemClock};
use contract::{
    Body, ContentDigest, Event, Fact, OwnerToken, PublicKey, RecordDigest, Subject, Version, wire,
};
use pass::keys::SigningKey;
use pass::revocation::RevocationPayload;
use pass::trust::TrustBundle;
use pass::verify::{Held, Verdict, verify};
use pseudonym::{
    CitizenPseudonyms, IdentifierKind, KeyRing, Policy, PolicyConfig, Pseudonym, StatedIdentifier,
    Suite,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Child;

use crate::browser::{citizen, get, post, post_under, within_patience};
use crate::double::ISSUER;
use crate::key_double::{EPOCHS, KeyDouble, evaluated, sections};
use crate::picture::text_of_svg;
use crate::program::{Portal, configured, strong, write_private};

/// Program of the registry, beside the portal's own.
fn program() -> PathBuf {
    let own = Path::new(env!("CARGO_BIN_EXE_city-portal"));
    let program = own.with_file_name("city-registry");
    let is_there = program.is_file();
    assert!(
        is_there,
        "city-registry is needed: cargo build -p registry --bin city-registry"
    );
    program
}

/// Registry of a city, whose clinics share these keys.
pub(crate) struct City {
    folder: TempDir,
    port: u16,
    ring: KeyRing,
    public: String,
    portal: Option<Child>,
}

impl City {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = command(folder.path(), &["init", "."]).output().unwrap();
        assert!(output.status.success());
        let printed = String::from_utf8(output.stdout).unwrap();
        let mut lines = printed.lines();
        let line = lines.find_map(|line| line.trim().strip_prefix("public_key = \""));
        let public = line.unwrap().trim_end_matches('"').to_owned();
        let port = testbed::ports::free_port();
        let config = folder.path().join("city-registry.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let section = format!("\n[portal]\naddress = \"127.0.0.1:{port}\"\n");
        std::fs::write(&config, text + &section).unwrap();
        Self {
            folder,
            port,
            ring: KeyRing::generate(),
            public,
            portal: None,
        }
    }

    /// Writes the open epochs of the clinics' keys into the configuration.
    fn open_epochs(&self, epochs: &[u16]) {
        let config = self.folder.path().join("city-registry.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        assert!(text.contains("[keys]\n"));
        let section = format!("[keys]\npseudonym_epochs = {epochs:?}\n");
        std::fs::write(&config, text.replacen("[keys]\n", &section, 1)).unwrap();
    }

    /// Lets a clinic send that the citizen with this SNILS has recovered, thirty days ago.
    async fn recovered(&self, snils: &str) {
        let policy = Policy::new(&PolicyConfig::default()).unwrap();
        let names = CitizenPseudonyms::new(&self.ring.shared(), Suite::Hmac, policy);
        let stated = StatedIdentifier {
            kind: IdentifierKind::Snils,
            value: SecretString::from(snils),
            country: None,
        };
        self.recovered_of(names.of(vec![stated]).unwrap()).await;
    }

    /// The same of the citizen with these pseudonyms.
    async fn recovered_of(&self, pseudonyms: Vec<Pseudonym>) {
        let subject = Subject::new(pseudonyms).unwrap();
        let day = SystemClock::default().now() - TimeDelta::days(30);
        let fact = Fact::Recovery {
            began_on: None,
            occurred_on: day.date_naive().to_string().parse().unwrap(),
        };
        let event = Event {
            record: RecordDigest([1; 32]),
            version: Version::new(1).unwrap(),
            content: ContentDigest([2; 16]),
            owner: OwnerToken([3; 16]),
            body: Body::Asserted { subject, fact },
        };
        let public = PublicKey::from_text(&self.public).unwrap();
        let (batch, _) = public.seal(&wire::encode(&[event])).unwrap();
        let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
        let publisher = broker::publisher(&queue, self.folder.path()).unwrap();
        publisher.publish(&batch).await.unwrap();
        let drained = command(self.folder.path(), &["run", "--drain"]).status();
        assert!(drained.unwrap().success());
    }

    /// Starts `city-registry portal`, and waits until it has published.
    pub(crate) async fn serve(&mut self) {
        let portal = command(self.folder.path(), &["portal"]);
        let mut portal = tokio::process::Command::from(portal);
        self.portal = Some(portal.kill_on_drop(true).spawn().unwrap());
        let port = self.port;
        within_patience("the registry answers", async {
            let pause = std::time::Duration::from_millis(50);
            while tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_err()
            {
                tokio::time::sleep(pause).await;
            }
            while get(port, "/v1/trust").await.status != 200 {
                tokio::time::sleep(pause).await;
            }
        })
        .await;
    }

    /// Stops `city-registry portal`.
    pub(crate) async fn stop(&mut self) {
        if let Some(mut portal) = self.portal.take() {
            portal.kill().await.unwrap();
        }
    }

    /// Address of the registry's interface.
    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Output of `city-registry` with these arguments.
    pub(crate) fn output(&self, arguments: &[&str]) -> String {
        let output = command(self.folder.path(), arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    /// City portal in front of it.
    async fn portal(&self) -> Portal {
        let (folder, page, metrics) = configured(&self.base_url(), "");
        let keys = self.ring.shared().to_text();
        write_private(folder.path(), "shared.key", keys.expose_secret());
        let portal = Portal::start(folder, page, metrics).await;
        portal.page_with("/health/ready", "ready\n").await;
        portal
    }

    /// City portal in front of it, with these key services.
    async fn strong_portal(&self, services: &[&KeyDouble]) -> Portal {
        let (folder, page, metrics) = configured(&self.base_url(), "");
        strong(folder.path(), &sections(services));
        let portal = Portal::start(folder, page, metrics).await;
        portal.page_with("/health/ready", "ready\n").await;
        portal
    }

    /// Verdict on a pass, by what the registry publishes.
    async fn verdict(&self, text: &str) -> Verdict {
        let root = std::fs::read_to_string(self.folder.path().join("pass-root.key")).unwrap();
        let root = SigningKey::from_pem(&SecretString::from(root)).unwrap();
        let bundle = get(self.port, "/v1/trust").await.body;
        let trust = TrustBundle::open(&bundle, root.public(), ISSUER).unwrap();
        let list = get(self.port, "/v1/revocations/0").await.body;
        let RevocationPayload::Whole(revocations) = trust.open_revocations(&list).unwrap() else {
            panic!("a difference from nothing");
        };
        let held = Held {
            trust: &trust,
            revocations: &revocations,
        };
        verify(text, Some(held), SystemClock::default().now())
    }
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.current_dir(folder).args(arguments);
    command.env_remove("CITY_REGISTRY_CONFIG");
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn asking_for(kind: &str) -> Value {
    json!({ "kind": kind, "citizen": citizen() })
}

#[tokio::test]
async fn a_citizen_with_a_fact_gets_passes_that_hold_at_the_door() {
    let mut city = City::new();
    city.recovered("612-480-911 69").await;
    city.serve().await;
    let portal = city.portal().await;
    let status = post(portal.port, "/api/status", &citizen()).await.json();
    assert_eq!(status["entitled"], true, "{status}");
    let codes = post(portal.port, "/api/codes", &citizen()).await.json();
    let codes = codes["codes"].as_array().unwrap();
    assert_eq!(codes.len(), 3);
    for code in codes {
        let text = text_of_svg(code["svg"].as_str().unwrap());
        assert!(matches!(city.verdict(&text).await, Verdict::Valid(_)));
    }
    let sheet = post(portal.port, "/api/sheet", &citizen()).await.json();
    let text = text_of_svg(sheet["svg"].as_str().unwrap());
    assert!(matches!(city.verdict(&text).await, Verdict::Valid(_)));
    let key = "3f2504e0-4f89-41d3-9a0c-0305e82c3303";
    let asked = asking_for("recovery");
    let certificate = post_under(portal.port, "/api/certificate", &asked, key).await;
    let certificate = certificate.json();
    assert_eq!(certificate["states"]["kind"], "recovery", "{certificate}");
    let text = certificate["text"].as_str().unwrap();
    assert!(matches!(city.verdict(text).await, Verdict::Valid(_)));
    let key = "3f2504e0-4f89-41d3-9a0c-0305e82c3304";
    let asked = asking_for("vaccination");
    let none = post_under(portal.port, "/api/certificate", &asked, key).await;
    assert_eq!(none.json()["reasons"][0]["code"], "no-certificate");
}

#[tokio::test]
async fn a_fact_that_was_sent_in_the_older_epoch_is_found_by_key_services() {
    let first = KeyDouble::start().await;
    let second = KeyDouble::start().await;
    let mut city = City::new();
    city.open_epochs(&EPOCHS);
    let [older, _] = evaluated(&[&first, &second], "snils", "61248091169");
    let name = Pseudonym {
        scheme: contract::Scheme::Snils,
        suite: Suite::Voprf,
        epoch: EPOCHS[0],
        value: older,
    };
    city.recovered_of(vec![name]).await;
    city.serve().await;
    // What the services make does not depend on the order in which they are asked.
    let portal = city.strong_portal(&[&second, &first]).await;
    let status = post(portal.port, "/api/status", &citizen()).await.json();
    assert_eq!(status["entitled"], true, "{status}");
    let codes = post(portal.port, "/api/codes", &citizen()).await.json();
    let text = text_of_svg(codes["codes"][0]["svg"].as_str().unwrap());
    assert!(matches!(city.verdict(&text).await, Verdict::Valid(_)));
    let mut other = citizen();
    other["number"] = json!("501-377-201 39");
    let none = post(portal.port, "/api/status", &other).await.json();
    assert_eq!(none["reasons"][0]["code"], "no-facts-yet", "{none}");
}

#[tokio::test]
async fn a_citizen_without_facts_is_told_so() {
    let mut city = City::new();
    city.serve().await;
    let portal = city.portal().await;
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
}

#[tokio::test]
async fn keys_of_an_epoch_that_the_registry_does_not_know_are_named() {
    let mut city = City::new();
    city.ring = city.ring.with_new_pseudonym_epoch().unwrap();
    city.serve().await;
    let portal = city.portal().await;
    let answer = post(portal.port, "/api/status", &citizen()).await;
    assert_eq!(answer.code(), "key-epoch");
    assert!(portal.log().contains("keys.pseudonym_epochs"));
}
