//! The program as a process, and what it says to an operator.

use std::path::Path;
use std::process::{Command, Stdio};

use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::process::Child;

use crate::browser::{get, within_patience};
use crate::double::{Behaviour, Double};
use crate::key_double::{KeyDouble, sections};

/// Portal that runs as a process until this is dropped.
pub(crate) struct Portal {
    pub folder: TempDir,
    pub port: u16,
    pub metrics: u16,
    child: Child,
}

/// Longest wait for the registry, as it is configured: no pause of a busy machine reaches it.
pub(crate) const TIMEOUT: &str = "timeout_seconds = 60";

/// Folder with a configuration that asks a registry at this address.
pub(crate) fn configured(registry: &str, more: &str) -> (TempDir, u16, u16) {
    let folder = tempfile::tempdir().unwrap();
    let port = testbed::ports::free_port();
    let metrics = testbed::ports::free_port();
    let text = format!(
        "[portal]\naddress = \"127.0.0.1:{port}\"\n[registry]\nbase_url = \"{registry}\"\n\
         {TIMEOUT}\n[keys]\nshared = {{ file = \"shared.key\" }}\n[listen]\naddress = \
         \"127.0.0.1:{metrics}\"\n{more}"
    );
    std::fs::write(folder.path().join("city-portal.toml"), text).unwrap();
    let keys = pseudonym::KeyRing::generate().shared().to_text();
    write_private(folder.path(), "shared.key", keys.expose_secret());
    (folder, port, metrics)
}

pub(crate) fn write_private(folder: &Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Writes these key services into a configuration, in place of shared keys.
pub(crate) fn strong(folder: &Path, sections: &str) {
    let path = folder.join("city-portal.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let shared = "shared = { file = \"shared.key\" }\n";
    assert!(text.contains(shared));
    let strong = format!("suite = \"voprf\"\n{sections}");
    std::fs::write(&path, text.replacen(shared, &strong, 1)).unwrap();
    std::fs::remove_file(folder.join("shared.key")).unwrap();
}

/// Writes these key services into a configuration, beside the shared keys of the suite that the
/// city moves from.
pub(crate) fn moving(folder: &Path, sections: &str) {
    let path = folder.join("city-portal.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let shared = "shared = { file = \"shared.key\" }\n";
    assert!(text.contains(shared));
    let moving = format!("suite = \"voprf\"\nmoving_from = \"hmac\"\n{shared}{sections}");
    std::fs::write(&path, text.replacen(shared, &moving, 1)).unwrap();
}

impl Portal {
    /// Portal in front of a double, with these key services.
    pub(crate) async fn strong_over(double: &Double, services: &[&KeyDouble]) -> Self {
        let (folder, port, metrics) = configured(&double.url(), "");
        strong(folder.path(), &sections(services));
        Self::start(folder, port, metrics).await
    }

    /// Portal in front of a double.
    pub(crate) async fn over(double: &Double) -> Self {
        Self::at(&format!("http://127.0.0.1:{}", double.port), "").await
    }

    /// Portal in front of a double, for which it waits a second.
    pub(crate) async fn impatient_over(double: &Double) -> Self {
        let (folder, port, metrics) = configured(&double.url(), "");
        let path = folder.path().join("city-portal.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen(TIMEOUT, "timeout_seconds = 1", 1)).unwrap();
        Self::start(folder, port, metrics).await
    }

    pub(crate) async fn at(registry: &str, more: &str) -> Self {
        let (folder, port, metrics) = configured(registry, more);
        Self::start(folder, port, metrics).await
    }

    /// Starts the program at its loudest, its log in a file.
    pub(crate) async fn start(folder: TempDir, port: u16, metrics: u16) -> Self {
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = tokio::process::Command::new(env!("CARGO_BIN_EXE_city-portal"))
            .current_dir(folder.path())
            .env("RUST_LOG", "trace")
            .arg("run")
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let portal = Self {
            folder,
            port,
            metrics,
            child,
        };
        within_patience("the portal listens", async {
            while tokio::net::TcpStream::connect(("127.0.0.1", metrics))
                .await
                .is_err()
                || tokio::net::TcpStream::connect(("127.0.0.1", port))
                    .await
                    .is_err()
            {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
        portal
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Page of metrics or health, once it holds `text`.
    pub(crate) async fn page_with(&self, path: &str, text: &str) -> String {
        within_patience(&format!("{path} has {text}"), async {
            loop {
                let answer = get(self.metrics, path).await;
                let page = String::from_utf8(answer.body).unwrap();
                if page.contains(text) {
                    return page;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
        .await
    }

    /// Asks the program to stop, and gives its exit code.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        let id = self.child.id().unwrap().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(asked.success());
        let ended = within_patience("the program ends", self.child.wait()).await;
        ended.unwrap().code()
    }
}

/// Runs a command of the program to its end: exit code, and everything that it printed.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_city-portal"))
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .env_remove("CITY_PORTAL_CONFIG")
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout) + &text(output.stderr),
    )
}

#[tokio::test]
async fn check_says_whether_keys_read_and_the_registry_answers() {
    let double = Double::start(Behaviour::Entitled).await;
    let registry = format!("http://127.0.0.1:{}", double.port);
    let (folder, ..) = configured(&registry, "");
    let path = folder.path().to_owned();
    let checked = tokio::task::spawn_blocking(move || run(&path, &["check"]));
    let (code, printed) = checked.await.unwrap();
    assert_eq!(code, Some(0), "{printed}");
    for said in [
        "ok       pseudonym keys 1:",
        "can be listened on",
        "answers",
    ] {
        assert!(printed.contains(said), "{said}: {printed}");
    }
    let nobody = format!("http://127.0.0.1:{}", testbed::ports::free_port());
    let (folder, ..) = configured(&nobody, "");
    let (code, printed) = run(folder.path(), &["check"]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("registry.base_url"), "{printed}");
}

#[test]
fn mistakes_end_with_78_and_are_named() {
    let cases = [
        ("keys.shared", "\"shared.key\"", "\"nowhere.key\""),
        (
            "registry.base_url must be",
            "http://127.0.0.1:9",
            "http://192.0.2.1:9",
        ),
        ("no URL", "http://127.0.0.1:9", "registry"),
        ("there is no [portal.tls]", "\"127.0.0.1:", "\"0.0.0.0:"),
        ("1 to 120", TIMEOUT, "timeout_seconds = 121"),
        ("timeout_secs", TIMEOUT, "timeout_secs = 2"),
        ("registry.ca_file", TIMEOUT, "ca_file = \"nowhere.pem\""),
        (
            "no time zone",
            "[portal]\n",
            "[portal]\nzone = \"Moscow\"\n",
        ),
        (
            "portal.origin is no origin",
            "[portal]\n",
            "[portal]\norigin = \"passes.example\"\n",
        ),
        (
            "min_length",
            "[listen]",
            "[identifiers.ehic]\nmin_length = 40\n[listen]",
        ),
    ];
    for (said, from, to) in cases {
        let (folder, ..) = configured("http://127.0.0.1:9", "");
        let path = folder.path().join("city-portal.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        for command in ["check", "run"] {
            let (code, printed) = run(folder.path(), &[command]);
            assert_eq!(code, Some(78), "{command} {to}: {printed}");
            assert!(printed.contains(said), "{command}: {said}: {printed}");
        }
    }
    let (folder, ..) = configured("http://127.0.0.1:9", "");
    write_private(folder.path(), "shared.key", "record cgsk1:AAAA");
    let (code, printed) = run(folder.path(), &["run"]);
    assert_eq!(code, Some(78), "{printed}");
    assert!(printed.contains("keys.shared"), "{printed}");
    assert!(!printed.contains("AAAA"), "{printed}");
    assert_eq!(run(folder.path(), &["--version"]).0, Some(0));
    assert_eq!(run(folder.path(), &["--help"]).0, Some(0));
    assert_eq!(run(folder.path(), &["serve"]).0, Some(2));
    let (code, printed) = run(folder.path(), &["--config", "none.toml", "run"]);
    assert_eq!(code, Some(78), "{printed}");
}

#[test]
fn the_example_configuration_is_read() {
    let example = include_str!("../../../../../config/city-portal.toml");
    let config: city_portal::Config = toml::from_str(example).unwrap();
    assert!(config.portal.mistake().is_none());
    // What is commented out is right as well.
    let whole: Vec<&str> = example
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting) if setting.starts_with('[') || setting.contains(" = ") => setting,
            _ => line,
        })
        .collect();
    toml::from_str::<city_portal::Config>(&whole.join("\n")).unwrap();
}

#[tokio::test]
async fn health_follows_the_registry_and_the_program_ends_when_asked() {
    let double = Double::start(Behaviour::Entitled).await;
    let mut portal = Portal::over(&double).await;
    portal.page_with("/health/ready", "ready\n").await;
    assert!(portal.log().contains("the registry answers"));
    assert_eq!(portal.terminate().await, Some(0));
    let nobody = format!("http://127.0.0.1:{}", testbed::ports::free_port());
    let portal = Portal::at(&nobody, "").await;
    let page = portal
        .page_with("/health/ready", "not ready: the registry")
        .await;
    assert!(page.contains("registry.base_url"), "{page}");
}
