//! The two commands that start strong mode on one machine: a fact that is entered at a clinic is at
//! the registry and gives a pass at the portal, over all real programs and mutual TLS.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::cli::{told, words};
use crate::support::{Running, eventually, program_beside, registry_command};

/// Number of ports that `strong-setup` takes.
const PORTS: usize = 18;
/// Place of the portal's port among them.
const PORTAL: usize = 15;
/// Person whom the first example clinic knows, and who has no complete course of doses.
const PATIENT: &str = "501-377-205 43";
/// Vaccinations that both example clinics have sent at first.
const AT_FIRST: u64 = 6;

/// Script of the project.
fn script(name: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Command::new(root.join("scripts").join(name))
}

/// Folder that `strong-setup` fills.
struct Trial {
    _temporary: tempfile::TempDir,
    folder: PathBuf,
    ports: Vec<u16>,
}

impl Trial {
    fn new() -> Self {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        Self {
            folder: temporary.path().join("city"),
            _temporary: temporary,
            ports: (0..PORTS).map(|_| testbed::ports::free_port()).collect(),
        }
    }

    fn set_up(&self) -> Command {
        let ports: Vec<_> = self.ports.iter().map(u16::to_string).collect();
        let programs = program_beside("city-portal");
        let programs = programs.parent().expect("a folder");
        let mut command = script("strong-setup");
        command.arg(&self.folder).arg("--programs").arg(programs);
        command.arg("--ports").arg(ports.join(","));
        command
    }

    fn run(&self) -> Command {
        let mut command = script("strong-run");
        command.arg(&self.folder);
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
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
    async fn until_vaccinations(&self, number: u64, running: &mut Running) {
        let what = format!("{number} vaccinations at the registry");
        eventually(&what, 300, async || {
            assert!(running.runs(), "{}", running.log());
            (self.vaccinations() == Some(number)).then_some(())
        })
        .await;
    }

    /// Answer of the portal to a citizen who asks for the codes of today.
    fn codes(&self, number: &str) -> Value {
        let port = self.ports[PORTAL];
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

    let log = trial.folder.with_extension("log");
    let mut running = Running::start(trial.run(), &log);
    eventually("the city is ready", 300, async || {
        assert!(running.runs(), "{}", running.log());
        running.log().contains("ready: ").then_some(())
    })
    .await;
    let second = trial.run().output().expect("the script starts");
    told(&second, 1, &["another strong-run"]);

    trial.until_vaccinations(AT_FIRST, &mut running).await;
    let mut entering = Command::new(trial.path("clinic-1/vaccinate"));
    let entered = entering.arg(PATIENT).output().expect("the script starts");
    told(&entered, 0, &["vaccinated on"]);
    trial.until_vaccinations(AT_FIRST + 1, &mut running).await;
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
