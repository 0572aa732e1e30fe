//! The two commands that start strong mode on one machine: a fact that is entered at a clinic is at
//! the registry and gives a pass at the portal, over all real programs and mutual TLS, and each
//! batch spends a one-use token.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::cli::{told, words};
use crate::support::{Running, eventually, http_get, program_beside, registry_command};

/// Number of ports that `strong-setup` takes.
const PORTS: usize = 20;
/// The example clinics.
pub(crate) const CLINICS: [&str; 2] = ["clinic-1", "clinic-2"];
/// Person whom the first example clinic knows, and who has no complete course of doses.
pub(crate) const PATIENT: &str = "501-377-205 43";
/// Tokens that a gateway has in hand at the least where nothing leaves.
const AHEAD: u64 = 32;
/// Vaccinations that both example clinics have sent at first.
pub(crate) const AT_FIRST: u64 = 6;

/// Script of the project.
fn script(name: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Command::new(root.join("scripts").join(name))
}

/// Folder that `strong-setup` fills.
pub(crate) struct Trial {
    _temporary: tempfile::TempDir,
    folder: PathBuf,
    ports: Vec<u16>,
}

impl Trial {
    pub(crate) fn new() -> Self {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        Self {
            folder: temporary.path().join("city"),
            _temporary: temporary,
            ports: (0..PORTS).map(|_| testbed::ports::free_port()).collect(),
        }
    }

    pub(crate) fn set_up(&self) -> Command {
        let ports: Vec<_> = self.ports.iter().map(u16::to_string).collect();
        let programs = program_beside("city-portal");
        let programs = programs.parent().expect("a folder");
        let mut command = script("strong-setup");
        command.arg(&self.folder).arg("--programs").arg(programs);
        command.arg("--ports").arg(ports.join(","));
        command
    }

    pub(crate) fn run(&self) -> Command {
        let mut command = script("strong-run");
        command.arg(&self.folder);
        command
    }

    /// Starts the city, and waits until it is ready.
    pub(crate) async fn start(&self) -> Running {
        let log = self.folder.with_extension("log");
        let mut running = Running::start(self.run(), &log);
        eventually("the city is ready", 300, async || {
            assert!(running.runs(), "{}", running.log());
            running.log().contains("ready: ").then_some(())
        })
        .await;
        running
    }

    /// Enters a vaccination of the patient at the first clinic.
    pub(crate) fn vaccinate(&self) {
        let mut entering = Command::new(self.path("clinic-1/vaccinate"));
        let entered = entering.arg(PATIENT).output().expect("the script starts");
        told(&entered, 0, &["vaccinated on"]);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Port of a program, by the name that `strong-setup` has for it.
    pub(crate) fn port(&self, name: &str) -> u16 {
        let made = fs::read(self.path("strong.json")).expect("the city was set up");
        let made: Value = serde_json::from_slice(&made).expect("JSON");
        let port = made["ports"][name].as_u64().expect("a port");
        port.try_into().expect("16 bits")
    }

    /// Sum of a program's metric over the labels that contain a text; `None` while there is none.
    fn metric(&self, program: &str, name: &str, label: &str) -> Option<u64> {
        let (_, metrics) = http_get(self.port(&format!("{program}-health")), "/metrics")?;
        let series = metrics.lines().filter_map(|line| line.strip_prefix(name));
        let labelled = series.filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(label));
        let values = labelled.map(|rest| rest.rsplit(' ').next()?.parse::<u64>().ok());
        let values: Option<Vec<u64>> = values.collect();
        values
            .filter(|values| !values.is_empty())
            .map(|values| values.iter().sum())
    }

    /// Tokens that gateways have sealed into batches: those that were issued and are not in hand.
    fn sealed_tokens(&self) -> Option<u64> {
        // In this order tokens that come meanwhile seem sealed, and not the other way round.
        let in_hand = CLINICS.map(|clinic| self.metric(clinic, "tokens_left", ""));
        let in_hand: Option<Vec<u64>> = in_hand.into_iter().collect();
        let issued = self.metric("token-issuer", "key_service_evaluations_total", "")?;
        issued.checked_sub(in_hand?.iter().sum())
    }

    /// Waits until every batch that took a token is applied; returns the number of tokens.
    async fn until_spent(&self, running: &mut Running) -> u64 {
        eventually("the batches of all tokens are applied", 300, async || {
            assert!(running.runs(), "{}", running.log());
            let applied = self.metric("registry", "registry_batches_total", "\"applied\"")?;
            self.sealed_tokens().filter(|sealed| applied >= *sealed)
        })
        .await
    }

    /// The issuer has given tokens to each clinic, and the registry says that it asks for them.
    fn shows_tokens(&self) {
        for clinic in CLINICS {
            let issued = self.metric("token-issuer", "key_service_evaluations_total", clinic);
            assert!(issued >= Some(AHEAD), "{clinic}: {issued:?}");
        }
        let config = self.path("registry/city-registry.toml");
        for (arguments, told_of_tokens) in [
            (["check"].as_slice(), "a batch without a token is refused"),
            (&["show", "--stats"], "clinics by their tokens"),
        ] {
            let output = registry_command(&config, arguments).output();
            told(&output.expect("the program starts"), 0, &[told_of_tokens]);
        }
    }

    /// Number of vaccinations at the registry.
    fn vaccinations(&self) -> Option<u64> {
        let config = self.path("registry/city-registry.toml");
        let shown = registry_command(&config, &["show", "--stats"]).output();
        let shown = words(&shown.expect("the registry's program starts"));
        let asserted = shown.lines().find(|line| line.starts_with("asserted"))?;
        let number = asserted.split("vaccination ").nth(1)?;
        number.split([',', ' ']).next()?.parse().ok()
    }

    /// Waits until the registry has so many vaccinations.
    pub(crate) async fn until_vaccinations(&self, number: u64, running: &mut Running) {
        let what = format!("{number} vaccinations at the registry");
        eventually(&what, 300, async || {
            assert!(running.runs(), "{}", running.log());
            (self.vaccinations() == Some(number)).then_some(())
        })
        .await;
    }

    /// Answer of the portal to a citizen who asks for the codes of today.
    pub(crate) fn codes(&self, number: &str) -> Value {
        let port = self.port("portal");
        let body = format!(
            "{{\"document\":\"snils\",\"number\":\"{number}\",\"given_name\":\"Ольга\",\
             \"family_name\":\"Орлова\",\"birth_date\":\"14.07.1990\"}}"
        );
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the portal listens");
        write!(
            stream,
            "POST /api/codes HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\
             Idempotency-Key: 3f2504e0-4f89-41d3-9a0c-0305e82c3301\r\n\r\n{body}",
            body.len()
        )
        .expect("the portal reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("the portal answers");
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        let body = body.unwrap_or_else(|| panic!("{answer}"));
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_commands_start_strong_mode_and_a_fact_becomes_a_pass() {
    let trial = Trial::new();
    let made = trial.set_up().output().expect("the script starts");
    told(&made, 0, &["scripts/strong-run"]);
    let again = trial.set_up().output().expect("the script starts");
    told(&again, 1, &["is not empty"]);

    let mut running = trial.start().await;
    let second = trial.run().output().expect("the script starts");
    told(&second, 1, &["another strong-run"]);

    trial.until_vaccinations(AT_FIRST, &mut running).await;
    let at_first = trial.until_spent(&mut running).await;
    trial.shows_tokens();

    trial.vaccinate();
    for (number, rule) in [
        ("501-377-205 44", "the check digits"),
        ("501-377-205", "has 11 digits"),
    ] {
        let mut entering = Command::new(trial.path("clinic-1/vaccinate"));
        let refused = entering.arg(number).output().expect("the script starts");
        told(&refused, 2, &[rule, "nothing was entered"]);
        assert!(!words(&refused).contains("377"), "{}", words(&refused));
    }
    trial.until_vaccinations(AT_FIRST + 1, &mut running).await;
    assert!(trial.until_spent(&mut running).await > at_first);
    let faults = trial.metric("registry", "registry_token_faults_total", "");
    assert_eq!(faults, Some(0));
    let answer = trial.codes(PATIENT);
    assert_eq!(answer["outcome"], "codes", "{answer}");
    assert!(answer["codes"][0]["svg"].is_string(), "{answer}");

    assert_eq!(running.terminate().await, Some(0), "{}", running.log());
    for port in &trial.ports {
        let open = TcpStream::connect(("127.0.0.1", *port));
        assert!(open.is_err(), "somebody listens at {port} after the end");
    }
}

#[test]
fn what_is_missing_is_said_before_anything_is_made() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let city = folder.path().join("city");
    let mut command = script("strong-setup");
    command.arg(&city).arg("--programs").arg(folder.path());
    let refused = command.output().expect("the script starts");
    told(
        &refused,
        1,
        &["key-service, mix-relay", "cargo build --workspace --bins"],
    );
    assert!(!city.exists(), "nothing was made");
    let mut command = script("strong-run");
    let refused = command.arg(&city).output().expect("the script starts");
    told(&refused, 1, &["make one with scripts/strong-setup"]);
}

#[test]
fn a_set_up_that_fails_leaves_nothing_and_says_what_cannot_be_written() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let folder = tempfile::tempdir().expect("a temporary folder");
    let programs = folder.path().join("programs");
    fs::create_dir(&programs).expect("a folder");
    for name in [
        "key-service",
        "mix-relay",
        "clinic-gateway",
        "city-portal",
        "auditor",
    ] {
        symlink(program_beside(name), programs.join(name)).expect("a link");
    }
    let broken = programs.join("city-registry");
    fs::write(&broken, "#!/bin/sh\necho broken >&2\nexit 1\n").expect("a script");
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o700)).expect("its mode");
    let set_up = |place: &Path| {
        let mut command = script("strong-setup");
        command.arg(place).arg("--programs").arg(&programs);
        command.output().expect("the script starts")
    };
    let city = folder.path().join("city");
    told(&set_up(&city), 1, &["city-registry", "broken"]);
    assert!(!city.exists(), "what was made is gone");
    fs::create_dir(&city).expect("a folder");
    told(&set_up(&city), 1, &["broken"]);
    let left = fs::read_dir(&city).expect("a folder that was there stays");
    assert_eq!(left.count(), 0);

    fs::write(folder.path().join("file"), "").expect("a file");
    let below = folder.path().join("file").join("city");
    told(&set_up(&below), 73, &["cannot be written", "name a DIR"]);
}
