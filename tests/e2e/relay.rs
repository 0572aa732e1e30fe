//! A gateway and the registry with the relay between their two brokers.

use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::TimeDelta;
use clock::{Clock as _, SystemClock};
use registry::StoreConfig;
use testbed::proxy::TcpProxy;
use testbed::rabbitmq::RabbitMq;

use crate::cli::{World, json, told};
use crate::support::{
    Running, amqp_queue, eventually, fsb_source, program_beside, registry_command,
};
use crate::whole::content;

const OUTSIDE: &str = include_str!("../../config/strong/clinic-broker-setup.sh");
const INSIDE: &str = include_str!("../../config/rabbitmq-setup.sh");
pub(crate) const PASSWORD: &str = "right-horse";
pub(crate) const STORE: &str = "[store.sqlite]\npath = \"registry.sqlite\"\n";

/// Recorded ways to the two brokers.
pub(crate) struct Wires {
    pub(crate) gateway_to_outside: TcpProxy,
    pub(crate) relay_to_outside: TcpProxy,
    pub(crate) relay_to_inside: TcpProxy,
}

impl Wires {
    async fn new(outside: &RabbitMq, inside: &RabbitMq) -> Self {
        let before = async |broker: &RabbitMq| {
            let wire = TcpProxy::start(broker.port()).await;
            wire.expect("a proxy before a broker")
        };
        Self {
            gateway_to_outside: before(outside).await,
            relay_to_outside: before(outside).await,
            relay_to_inside: before(inside).await,
        }
    }
}

/// Two brokers that the scripts have set up for one clinic's account, and the relay's folder.
pub(crate) struct Relayed {
    pub(crate) outside: RabbitMq,
    pub(crate) inside: RabbitMq,
    pub(crate) wires: Wires,
    pub(crate) folder: tempfile::TempDir,
    /// Port of the relay's metrics and health.
    pub(crate) listens: u16,
    account: &'static str,
}

impl Relayed {
    pub(crate) async fn new(account: &'static str) -> Self {
        let (outside, inside) = tokio::join!(RabbitMq::start(), RabbitMq::start());
        let outside = outside.expect("the clinics' broker");
        let inside = inside.expect("the registry's broker");
        let relayed = Self {
            wires: Wires::new(&outside, &inside).await,
            outside,
            inside,
            folder: tempfile::tempdir().expect("a temporary folder"),
            listens: testbed::ports::free_port(),
            account,
        };
        tokio::join!(relayed.set_up_outside(), relayed.set_up_inside());
        relayed.make_keys();
        relayed.configure();
        relayed
    }

    /// Does at the clinics' broker what its operator does once.
    pub(crate) async fn set_up_outside(&self) {
        let account = self.account;
        let script = format!(
            "{OUTSIDE}\nrelay_base\necho {PASSWORD} | relay_account mix-relay\necho {PASSWORD} | \
             clinic_account {account}\n"
        );
        let done = self.outside.shell(&script).await;
        done.expect("the clinics' broker is set up");
    }

    /// Does at the registry's broker what its operator does once.
    pub(crate) async fn set_up_inside(&self) {
        let script = format!("{INSIDE}\necho {PASSWORD} | gateway_account mix-relay\n");
        let done = self.inside.shell(&script).await;
        done.expect("the registry's broker is set up");
    }

    /// Takes the queues away that the relay needs at the clinics' broker, where they are.
    pub(crate) async fn lose_queues_outside(&self) {
        let account = self.account;
        let intake = format!("clinic.relay.{account}.intake");
        lose_queues(
            &self.outside,
            [&intake, &format!("clinic.receipts.{account}")],
        )
        .await;
    }

    /// Takes the queues away that the relay needs at the registry's broker, where they are.
    pub(crate) async fn lose_queues_inside(&self) {
        let queues = ["clinic.facts.intake", "clinic.receipts.mix-relay"];
        lose_queues(&self.inside, queues).await;
    }

    /// Makes queues again at the clinics' broker, as its operator does.
    pub(crate) async fn make_queues_outside(&self) {
        let script = format!("{OUTSIDE}\nclinic_queues {}\n", self.account);
        let done = self.outside.shell(&script).await;
        done.expect("the account's queues are made");
    }

    /// Makes the queue of receipts again at the registry's broker, as its operator does. The registry
    /// makes its own.
    pub(crate) async fn make_queues_inside(&self) {
        let script = format!("{INSIDE}\nreceipts_queue mix-relay\n");
        let done = self.inside.shell(&script).await;
        done.expect("the queue of receipts is made");
    }

    fn configure(&self) {
        let side = |name: &str, port: u16, more: &str| {
            format!(
                "[{name}.amqp]\nurl = \"amqp://mix-relay@127.0.0.1:{port}/%2f\"\npassword = {{ \
                 file = \"password\" }}\ndeclare = false\nmax_backoff_seconds = 1\n{more}\n"
            )
        };
        let receipts = "receipts_queue = \"clinic.receipts.mix-relay\"";
        let text = format!(
            "[relay]\nprivate_keys = [{{ file = \"relay.key\" }}]\n[mix]\nslot_seconds = 1\n\
             maximum_delay_seconds = 1\nminimum_accounts = 1\n[[accounts]]\nname = \"{}\"\n\
             [listen]\naddress = \"127.0.0.1:{}\"\n{}{}{}",
            self.account,
            self.listens,
            side("outside", self.wires.relay_to_outside.port(), ""),
            side("inside", self.wires.relay_to_inside.port(), receipts),
            self.escrow("relay-escrow")
        );
        std::fs::write(self.config_path(), text).expect("the configuration is written");
        crate::support::secret(&self.folder.path().join("password"), PASSWORD);
    }

    /// Makes the relay's key and the auditor's.
    fn make_keys(&self) {
        let relay = self.folder.path().join("relay.key");
        let relay = self.command(&["keys", "new", "--out", &relay.to_string_lossy()]);
        let auditor = self.auditor(&["keys", "new", "--out", "auditor.key"]);
        for mut making in [relay, auditor] {
            told(&making.output().expect("it starts"), 0, &[]);
        }
    }

    /// Section of relay and registry: what is laid down for the auditor, in this folder.
    pub(crate) fn escrow(&self, folder: &str) -> String {
        let mut showing = self.auditor(&["keys", "show", "--key", "auditor.key"]);
        let shown = told(&showing.output().expect("it starts"), 0, &["cgav1:"]);
        let key = shown
            .split_whitespace()
            .find(|word| word.starts_with("cgav1:"));
        let folder = self.folder.path().join(folder);
        format!(
            "[escrow]\nfolder = \"{}\"\npublic_key = \"{}\"\n",
            folder.display(),
            key.expect("the public key")
        )
    }

    /// Command of the auditor, in the folder of its key.
    pub(crate) fn auditor(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program_beside("auditor"));
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    fn config_path(&self) -> PathBuf {
        self.folder.path().join("mix-relay.toml")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program_beside("mix-relay"));
        command
            .arg("--config")
            .arg(self.config_path())
            .args(arguments);
        command
    }

    /// Sections of a gateway behind the relay: names of its account, and the relay's key.
    pub(crate) fn gateway_queue(&self) -> String {
        let shown = self.command(&["keys", "show"]).output();
        let shown = shown.expect("the relay's program starts");
        let key = String::from_utf8(shown.stdout).expect("text");
        let key = key.trim();
        let account = self.account;
        format!(
            "[relay]\npublic_key = \"{key}\"\n[queue.amqp]\nurl = \"amqp://{account}@127.0.0.1:{}/%2f\"\n\
             password = {{ file = \"broker-password\" }}\ndeclare = false\nexchange = \
             \"clinic.relay.{account}\"\nqueue = \"clinic.relay.{account}.intake\"\nreceipts_queue = \
             \"clinic.receipts.{account}\"\n",
            self.wires.gateway_to_outside.port()
        )
    }
}

async fn lose_queues(broker: &RabbitMq, queues: [&str; 2]) {
    for queue in queues {
        // The registry may not have made its queue yet.
        let _missing = broker.ctl(&["delete_queue", queue]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_reaches_the_registry_and_its_receipt_the_gateway_through_the_relay() {
    let world = World::new("").await;
    let relayed = Relayed::new("clinic-1").await;
    let clinic = &world.clinic;
    let source = fsb_source(world.server.port(), "mis");
    clinic.secret("broker-password", PASSWORD);
    clinic.configure(&world.city, &relayed.gateway_queue(), &source, "");
    let queue = amqp_queue(relayed.inside.port());
    let escrow = relayed.escrow("registry-escrow");
    let config = world.city.configure(STORE, &format!("{queue}\n{escrow}"));

    let log = |name: &str| world.city.folder.path().join(name);
    let mut registry = Running::start(registry_command(&config, &["run"]), &log("registry.log"));
    eventually("the registry has made its queues", 60, async || {
        assert!(registry.runs(), "{}", registry.log());
        let checked = relayed.command(&["check"]).output();
        let checked = checked.expect("the relay's program starts");
        (checked.status.code() == Some(0)).then_some(())
    })
    .await;
    let mut relay = Running::start(relayed.command(&["run"]), &log("relay.log"));

    // The probe of a check goes there and its receipt back, as batches do.
    eventually("a probe is answered", 120, async || {
        assert!(relay.runs(), "{}", relay.log());
        let checked = clinic.program(&["check"]);
        let text = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(
            text.contains("sealed once more, to the relay cgrp1:"),
            "{text}"
        );
        text.contains("its signed receipt came back").then_some(())
    })
    .await;
    told(&clinic.program(&["sync", "--wait-receipts", "120"]), 0, &[]);
    let status = json(&clinic.program(&["status", "--json"]));
    assert_eq!(
        status["status"]["backlog"]["awaiting_receipt_batches"], 0,
        "{status:#}"
    );
    let store: StoreConfig =
        toml::from_str("sqlite = { path = \"registry.sqlite\" }").expect("a store");
    let stored = content(&world.city.reader(&store).await).await;
    assert_eq!(stored.keys().flatten().count(), 4, "{stored:?}");
    undone(&relayed, &config);
    let left = content(&world.city.reader(&store).await).await;
    assert_eq!(left.keys().flatten().count(), 0, "{left:?}");
    assert_eq!(relay.terminate().await, Some(0), "{}", relay.log());
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
}

/// List that the auditor has opened, and what it printed.
struct Opened {
    list: PathBuf,
    printed: String,
}

/// What the account sent is opened by the auditor, and withdrawn at the registry that runs.
fn undone(relayed: &Relayed, config: &Path) {
    let today = SystemClock::default().now().date_naive();
    let [from, to] = [-1, 1].map(|days| (today + TimeDelta::days(days)).to_string());
    let open = |account: &str, list: &str, code: i32| {
        let folders = ["--relay", "relay-escrow", "--registry", "registry-escrow"];
        let asked = ["--account", account, "--from", &from, "--to", &to];
        let rest = ["--key", "auditor.key", "--reason", "a test", "--out", list];
        let mut opening = relayed.auditor(&["open"]);
        opening.args(folders).args(asked).args(rest);
        let printed = told(&opening.output().expect("it starts"), code, &["sha256"]);
        Opened {
            list: relayed.folder.path().join(list),
            printed,
        }
    };
    let purge = |opened: &Opened, more: &[&str]| {
        let list = opened.list.to_string_lossy();
        let mut purging = registry_command(config, &["purge", &list, "--json"]);
        let report = json(&purging.args(more).output().expect("it starts"));
        let sum = report["list_sha256"].as_str().expect("the list's checksum");
        assert!(opened.printed.contains(sum), "{sum}: {}", opened.printed);
        report
    };
    // Nothing of such an account is laid down, which is told.
    let nobody = purge(&open("clinic-2", "list-2", 65), &[]);
    let sent = open("clinic-1", "list-1", 0);
    let tried = purge(&sent, &["--dry-run"]);
    let done = purge(&sent, &[]);
    let again = purge(&sent, &[]);
    let reports = format!("{nobody:#}\n{tried:#}\n{done:#}\n{again:#}");
    let withdrawn = |report: &serde_json::Value| {
        let facts = report["facts_withdrawn"].as_object()?.values();
        facts.map(serde_json::Value::as_u64).sum::<Option<u64>>()
    };
    assert_eq!(withdrawn(&nobody), Some(0), "{reports}");
    assert_eq!(withdrawn(&tried), withdrawn(&done), "{reports}");
    assert!(withdrawn(&done) > Some(0), "{reports}");
    assert_eq!(withdrawn(&again), Some(0), "{reports}");
}
