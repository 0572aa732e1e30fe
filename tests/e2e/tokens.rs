//! Tokens on real programs: an issuer, a clinic that needs its tokens, and a registry.

use std::process::Command;

use crate::cli::{World, told};
use crate::support::{Running, eventually, http_get, program_beside};

/// A token issuer that `key-service init --tokens` has made.
pub(crate) struct Issuer {
    pub(crate) folder: tempfile::TempDir,
    port: u16,
    /// Public keys for batches and for days, as it has printed them.
    public_keys: Vec<String>,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = testbed::ports::free_port();
        let mut init = Command::new(program_beside("key-service"));
        init.args(["init", "--tokens"]).arg(folder.path());
        let printed = told(&init.output().expect("it starts"), 0, &[]);
        let words = printed.split_whitespace();
        let public_keys: Vec<String> = words
            .filter(|word| word.starts_with("cgtv1:"))
            .map(str::to_owned)
            .collect();
        assert_eq!(public_keys.len(), 2, "{printed}");
        let issuer = Self {
            folder,
            port,
            public_keys,
        };
        let path = issuer.config_path();
        let text = std::fs::read_to_string(&path).expect("the configuration");
        let text = text.replace("127.0.0.1:9480", &format!("127.0.0.1:{port}"));
        std::fs::write(&path, text).expect("the configuration is written");
        issuer
    }

    pub(crate) fn config_path(&self) -> std::path::PathBuf {
        self.folder.path().join("token-issuer.toml")
    }

    pub(crate) async fn start(&self) -> Running {
        let mut command = Command::new(program_beside("key-service"));
        command.arg("--config").arg(self.config_path()).arg("run");
        let mut running = Running::start(command, &self.folder.path().join("log"));
        eventually("the issuer answers", 60, async || {
            assert!(running.runs(), "{}", running.log());
            http_get(self.port, "/v1/keys").map(|_| ())
        })
        .await;
        running
    }

    /// Section of the gateway's configuration.
    pub(crate) fn section(&self) -> String {
        let [batch, day] = &self.public_keys[..] else {
            panic!("two keys");
        };
        format!(
            "[tokens]\nurl = \"http://127.0.0.1:{}\"\ntimeout_seconds = 60\n\
             batch = {{ key = 1, public_key = \"{batch}\" }}\nday = {{ key = 2, public_key = \"{day}\" }}\n",
            self.port
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_wait_for_tokens_and_a_check_says_what_is_left() {
    let issuer = Issuer::new();
    let world = World::new(&issuer.section()).await;
    let clinic = &world.clinic;
    let address = format!("127.0.0.1:{}", issuer.port);
    let issuer_of_clinic = format!("the token issuer {address}");
    let checked = told(&clinic.program(&["check"]), 1, &[&issuer_of_clinic]);
    assert!(!checked.contains("key service"), "{checked}");
    let away = ["token-issuer-away", &issuer_of_clinic];
    told(&clinic.program(&["sync"]), 1, &away);
    told(&clinic.program(&["status"]), 0, &["token-issuer-away"]);
    let running = issuer.start().await;
    let left = "gives 4096 tokens of batches a day to this clinic";
    told(
        &clinic.program(&["check"]),
        0,
        &[left, "as they are pinned"],
    );
    told(&clinic.program(&["sync"]), 0, &[]);
    told(&world.registry(&["run", "--drain"]), 0, &[]);
    drop(running);
    // What has left needs no issuer any more, and neither does a run without news.
    told(&clinic.program(&["sync"]), 0, &[]);
}
