//! The programs of strong mode in a history: two key services, a token issuer, and the relay between
//! two brokers.

use chrono::TimeDelta;
use clinic_gateway::config;
use clock::{Clock as _, SystemClock};
use serde_json::Value;
use testbed::proxy::TcpProxy;
use testbed::rabbitmq::RabbitMq;

use super::operation::{Condition, Network, Operation, Side, Wire};
use super::world::set_line;
use crate::cli::{json, told};
use crate::relay::{PASSWORD, Relayed};
use crate::strong::{HIGH, KeyService, ask_services, strengthen};
use crate::support::{City, Clinic, Running, amqp_queue, eventually, http_get, registry_command};
use crate::tokens::Issuer;

/// Limits by which a gateway does not wait long for what is broken, and no limit of what is whole.
const IMPATIENT: &str =
    "confirm_timeout_seconds = 3\nconnect_timeout_seconds = 3\nmax_backoff_seconds = 1\n";

/// Account of the one clinic.
const ACCOUNT: &str = "clinic-1";

/// Place of the token issuer among the services.
const ISSUER: usize = 2;

/// Programs and brokers of one history.
pub(super) struct Strong {
    relayed: Relayed,
    registry_to_inside: TcpProxy,
    services: [KeyService; 2],
    issuer: Issuer,
    issuing: Option<Running>,
    relay: Option<Running>,
    is_relay_paused: bool,
    /// Brokers that are silent: the clinics' and the registry's.
    is_silent: [bool; 2],
}

impl Strong {
    pub(super) async fn start() -> Self {
        let relayed = Relayed::new(ACCOUNT).await;
        let registry_to_inside = TcpProxy::start(relayed.inside.port()).await;
        let issuer = Issuer::new();
        raise_ceiling(&issuer);
        let mut strong = Self {
            relayed,
            registry_to_inside: registry_to_inside.expect("a proxy"),
            services: [KeyService::start(HIGH).await, KeyService::start(HIGH).await],
            issuing: Some(issuer.start().await),
            issuer,
            relay: None,
            is_relay_paused: false,
            is_silent: [false, false],
        };
        strong.set_relay(Condition::Whole);
        strong
    }

    /// Sections of the gateway's configuration: relay and queue.
    pub(super) fn gateway_queue(&self) -> String {
        self.relayed.gateway_queue() + IMPATIENT
    }

    /// Sections of the registry's configuration: queue, tokens, and what is laid down for the auditor.
    pub(super) fn registry_sections(&self) -> String {
        let queue = amqp_queue(self.registry_to_inside.port());
        let key = |name: &str| self.issuer.folder.path().join(name).display().to_string();
        format!(
            "{queue}max_backoff_seconds = 1\n[tokens]\nrequired = true\nkeys = [\n{{ number = 1, key = \
             {{ file = \"{}\" }}, use = \"batch\" }},\n{{ number = 2, key = {{ file = \"{}\" }}, use = \
             \"day\" }},\n]\n{}",
            key("batch-1.key"),
            key("day-2.key"),
            self.relayed.escrow("registry-escrow"),
        )
    }

    /// Gives a clinic its password and a ring for key services.
    pub(super) fn equip(&self, clinic: &Clinic) {
        clinic.secret("broker-password", PASSWORD);
        strengthen(clinic, &self.sections(true));
    }

    /// Completes a configuration that was written anew.
    pub(super) fn complete(&self, clinic: &Clinic, is_impatient: bool) {
        ask_services(clinic, &self.sections(is_impatient));
        config::load(&clinic.config_path()).unwrap_or_else(|error| panic!("{error}"));
    }

    fn sections(&self, is_impatient: bool) -> String {
        let services = self.services.iter();
        let sections: String = services
            .map(|service| service.section(service.port))
            .collect();
        let sections = sections + &self.issuer.section();
        if is_impatient {
            sections.replace("timeout_seconds = 60", "timeout_seconds = 3")
        } else {
            sections
        }
    }

    /// Does one thing to a program, a broker or a wire; true where something is killed.
    pub(super) async fn apply(&mut self, operation: &Operation) -> bool {
        match *operation {
            Operation::Service(place, condition) => self.set_service(place, condition).await,
            Operation::Relay(condition) => self.set_relay(condition),
            Operation::Broker(side, condition) => self.set_broker(side, condition).await,
            Operation::Empty(side) => self.empty(side).await,
            Operation::LoseQueues(side) => self.lose_queues(side).await,
            Operation::Wire(wire, network) => set_line(self.wire(wire), network),
            _ => {}
        }
        matches!(
            operation,
            Operation::Service(_, Condition::Killed)
                | Operation::Relay(Condition::Killed)
                | Operation::Broker(_, Condition::Killed)
                | Operation::Empty(_)
        )
    }

    fn set_relay(&mut self, condition: Condition) {
        match condition {
            Condition::Killed => self.relay = None,
            Condition::Paused => {
                if let Some(relay) = &self.relay {
                    relay.pause(true);
                }
            }
            Condition::Whole => {
                let log = self.relayed.folder.path().join("relay.log");
                let start = || Running::start(self.relayed.command(&["run"]), &log);
                let relay = self.relay.get_or_insert_with(start);
                relay.pause(false);
            }
        }
        self.is_relay_paused = self.relay.is_some() && matches!(condition, Condition::Paused);
    }

    async fn set_service(&mut self, place: usize, condition: Condition) {
        if place == ISSUER {
            self.set_issuer(condition).await;
            return;
        }
        let service = &mut self.services[place];
        match condition {
            Condition::Killed => service.stop(),
            Condition::Paused => service.pause(true),
            Condition::Whole if service.is_running() => service.pause(false),
            Condition::Whole => service.restart().await,
        }
    }

    async fn set_issuer(&mut self, condition: Condition) {
        match (condition, &self.issuing) {
            (Condition::Killed, _) => self.issuing = None,
            (Condition::Paused, Some(issuing)) => issuing.pause(true),
            (Condition::Whole, Some(issuing)) => issuing.pause(false),
            (Condition::Whole, None) => self.issuing = Some(self.issuer.start().await),
            (Condition::Paused, None) => {}
        }
    }

    fn wire(&self, wire: Wire) -> &TcpProxy {
        let wires = &self.relayed.wires;
        match wire {
            Wire::GatewayToOutside => &wires.gateway_to_outside,
            Wire::RelayToOutside => &wires.relay_to_outside,
            Wire::RelayToInside => &wires.relay_to_inside,
            Wire::RegistryToInside => &self.registry_to_inside,
        }
    }

    fn broker(&mut self, side: Side) -> &mut RabbitMq {
        match side {
            Side::Outside => &mut self.relayed.outside,
            Side::Inside => &mut self.relayed.inside,
        }
    }

    async fn set_broker(&mut self, side: Side, condition: Condition) {
        let is_running = self.broker(side).process_id().is_some();
        let is_silent = std::mem::take(&mut self.is_silent[side as usize]);
        let broker = self.broker(side);
        if is_running && is_silent {
            broker.resume().expect("the broker goes on");
        }
        match condition {
            Condition::Killed if is_running => {
                // This version loses a quorum queue that is killed within seconds of its
                // declaration: not what is tried here.
                broker.settle().await.expect("the broker has settled");
                broker.kill();
                self.relay_tells(side).await;
                self.metric_tells(side).await;
            }
            Condition::Paused if is_running => {
                broker.pause().expect("the broker is stopped");
                self.is_silent[side as usize] = true;
            }
            Condition::Whole if !is_running => {
                broker.restart().await.expect("the broker starts again");
            }
            Condition::Killed | Condition::Paused | Condition::Whole => {}
        }
    }

    /// The broker loses its disk; while it is empty the relay says so, and once its operator has set
    /// it up everything goes on by itself.
    async fn empty(&mut self, side: Side) {
        self.is_silent[side as usize] = false;
        let broker = self.broker(side);
        let lost = broker.kill_and_lose_data();
        lost.expect("the broker's data are removed");
        broker.restart().await.expect("the broker starts again");
        self.relay_tells(side).await;
        self.metric_tells(side).await;
        match side {
            Side::Outside => self.relayed.set_up_outside().await,
            Side::Inside => self.relayed.set_up_inside().await,
        }
    }

    /// The broker loses the queues that the relay needs; the relay says so, and goes on by itself
    /// once they are there again.
    async fn lose_queues(&mut self, side: Side) {
        let is_running = self.broker(side).process_id().is_some();
        if !is_running || self.is_silent[side as usize] {
            return;
        }
        match side {
            Side::Outside => self.relayed.lose_queues_outside().await,
            Side::Inside => self.relayed.lose_queues_inside().await,
        }
        self.relay_tells(side).await;
        match side {
            Side::Outside => self.relayed.make_queues_outside().await,
            Side::Inside => self.relayed.make_queues_inside().await,
        }
    }

    const fn relay_works(&self) -> bool {
        self.relay.is_some() && !self.is_relay_paused
    }

    /// Waits until the relay says which broker is away, where it runs.
    async fn relay_tells(&self, side: Side) {
        if !self.relay_works() {
            return;
        }
        let outside = "the queue of the account clinic-1 cannot be read";
        // Of several reasons one is told, that of the clinics' broker before the other's.
        let phrases = match side {
            Side::Outside => [outside, outside],
            Side::Inside => [outside, "registry's broker"],
        };
        let port = self.relayed.listens;
        eventually("the relay says which broker is away", 60, async || {
            let (status, body) = http_get(port, "/health/ready")?;
            let is_told = phrases.iter().any(|phrase| body.contains(phrase));
            (status == 503 && is_told).then_some(())
        })
        .await;
    }

    /// Waits until the relay's metric says that the registry's broker is away, where it runs.
    async fn metric_tells(&self, side: Side) {
        if side == Side::Outside || !self.relay_works() {
            return;
        }
        let port = self.relayed.listens;
        eventually("a metric says that the broker is away", 60, async || {
            let (_, metrics) = http_get(port, "/metrics")?;
            metrics.contains("mix_relay_inside_up 0").then_some(())
        })
        .await;
    }

    /// Everything runs.
    pub(super) async fn mend(&mut self) {
        for wire in Wire::ALL {
            set_line(self.wire(wire), Network::Whole);
        }
        for side in [Side::Outside, Side::Inside] {
            self.set_broker(side, Condition::Whole).await;
        }
        self.set_relay(Condition::Whole);
        for place in 0..=ISSUER {
            self.set_service(place, Condition::Whole).await;
        }
    }

    /// What holds at the end beside the facts themselves: the relay says that it works, and the
    /// auditor finds every fact under the account, in the version that the registry has.
    pub(super) async fn at_rest(&mut self, city: &City, facts: u64) -> Result<(), String> {
        let port = self.relayed.listens;
        eventually("the relay is ready", 60, async || {
            let (status, _) = http_get(port, "/health/ready")?;
            let (_, metrics) = http_get(port, "/metrics")?;
            (status == 200 && metrics.contains("mix_relay_inside_up 1")).then_some(())
        })
        .await;
        if facts == 0 {
            return Ok(());
        }
        let report = self.laid_down(city);
        let withdrawn = report["facts_withdrawn"].as_object();
        let withdrawn = withdrawn.into_iter().flat_map(|facts| facts.values());
        let listed: u64 = withdrawn.filter_map(Value::as_u64).sum();
        if listed == facts && report["other_version"] == 0 {
            return Ok(());
        }
        Err(format!(
            "the auditor's list has {listed} of {facts} facts: {report:#}"
        ))
    }

    /// What a purge of all that the account sent would do.
    fn laid_down(&self, city: &City) -> Value {
        let today = SystemClock::default().now().date_naive();
        let [from, to] = [-1, 1].map(|days| (today + TimeDelta::days(days)).to_string());
        let list = self.relayed.folder.path().join("list");
        // What a shorter try of the same history has left.
        let _none = std::fs::remove_file(&list);
        let list = list.to_string_lossy();
        let folders = ["--relay", "relay-escrow", "--registry", "registry-escrow"];
        let asked = ["--account", ACCOUNT, "--from", &from, "--to", &to];
        let rest = ["--key", "auditor.key", "--reason", "a test", "--out", &list];
        let mut opening = self.relayed.auditor(&["open"]);
        opening.args(folders).args(asked).args(rest);
        told(&opening.output().expect("it starts"), 0, &["sha256"]);
        let config = city.folder.path().join("city-registry.toml");
        let mut purging = registry_command(&config, &["purge", &list, "--dry-run", "--json"]);
        json(&purging.output().expect("it starts"))
    }
}

/// Each start of a gateway takes tokens that it loses with its end.
fn raise_ceiling(issuer: &Issuer) {
    let path = issuer.config_path();
    let text = std::fs::read_to_string(&path).expect("the issuer's configuration");
    let raised = text.replace("daily_ceiling = 4096", &format!("daily_ceiling = {HIGH}"));
    assert_ne!(text, raised, "the issuer's ceiling is another one");
    std::fs::write(&path, raised).expect("the configuration is written");
}
