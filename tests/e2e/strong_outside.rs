//! No trace of who or where in strong mode: canaries are looked for in every file of every program
//! and in everything that passes between them. The connections of this test are not encrypted, so
//! that what is recorded is what TLS would carry.

use std::process::Output;

use secrecy::ExposeSecret as _;
use testbed::leak::{Hit, Scanner};
use testbed::proxy::TcpProxy;

use crate::cli::{World, told, words};
use crate::outside::{PEOPLE, RECEIPTS, contains, scan, scan_folder};
use crate::relay::{PASSWORD, Relayed, STORE};
use crate::strong::{HIGH, KeyService, not_over_midnight, strengthen};
use crate::support::{Clinic, Running, amqp_queue, eventually, fsb_source, registry_command};
use crate::whole::LOUD;

/// Account of the clinic at the clinics' broker.
const ACCOUNT: &str = "fsb-canary-account";
/// Name of the source in the gateway's configuration.
const SOURCE: &str = "fsb-canary-polyclinic";

/// What may not leave the clinic.
const INSTITUTION: &[(&str, &str)] = &[
    ("a source's name", SOURCE),
    ("a lot number", "II-180521"),
    ("a table's name", "прививка"),
];

/// How sealed batches begin, with the outer seal and without.
const WITH_OUTER_SEAL: &[u8] = b"CGO1";
const BATCH: &[u8] = b"CGB1";

/// All parts of a city in strong mode.
struct Strong {
    world: World,
    relayed: Relayed,
    services: [KeyService; 2],
    wires_to_services: [TcpProxy; 2],
    wire_to_registry: TcpProxy,
}

impl Strong {
    /// Servers and key services run; the gateway is configured.
    async fn new() -> Self {
        let world = World::new("").await;
        let relayed = Relayed::new(ACCOUNT).await;
        let services = [KeyService::start(HIGH).await, KeyService::start(HIGH).await];
        let before = async |port: u16| TcpProxy::start(port).await.expect("a proxy");
        let wires_to_services = [
            before(services[0].port).await,
            before(services[1].port).await,
        ];
        let wire_to_registry = before(relayed.inside.port()).await;
        let strong = Self {
            world,
            relayed,
            services,
            wires_to_services,
            wire_to_registry,
        };
        strong.configure_gateway();
        strong
    }

    fn configure_gateway(&self) {
        let clinic = self.clinic();
        let source = fsb_source(self.world.server.port(), "mis")
            .replace("[source.mis", &format!("[source.{SOURCE}"));
        clinic.secret("broker-password", PASSWORD);
        let queue = self.relayed.gateway_queue();
        clinic.configure(&self.world.city, &queue, &source, "");
        let services = self.services.iter().zip(&self.wires_to_services);
        let sections = services.map(|(service, wire)| service.section(wire.port()));
        strengthen(clinic, &sections.collect::<String>());
    }

    fn clinic(&self) -> &Clinic {
        &self.world.clinic
    }

    /// Starts relay and registry, and waits until a probe has gone there and back.
    async fn start(&self) -> [Running; 2] {
        let log = |name: &str| self.world.city.folder.path().join(name);
        let queue = amqp_queue(self.wire_to_registry.port());
        let escrow = self.relayed.escrow("registry-escrow");
        let config = self
            .world
            .city
            .configure(STORE, &format!("{queue}\n{escrow}"));
        let mut registry = registry_command(&config, &["run"]);
        registry.env("RUST_LOG", LOUD);
        let mut registry = Running::start(registry, &log("registry.log"));
        eventually("the registry has made its queues", 60, async || {
            assert!(registry.runs(), "{}", registry.log());
            let checked = self.relayed.command(&["check"]).output();
            let checked = checked.expect("the relay's program starts");
            (checked.status.code() == Some(0)).then_some(())
        })
        .await;
        let mut relay = self.relayed.command(&["run"]);
        relay.env("RUST_LOG", LOUD);
        let relay_log = self.relayed.folder.path().join("relay.log");
        let mut relay = Running::start(relay, &relay_log);
        eventually("a probe is answered", 120, async || {
            assert!(relay.runs(), "{}", relay.log());
            let checked = self.clinic().program(&["check"]);
            words(&checked)
                .contains("its signed receipt came back")
                .then_some(())
        })
        .await;
        [relay, registry]
    }

    /// Runs the gateway's commands; what they printed.
    fn work(&self) -> Vec<u8> {
        let mut printed = Vec::new();
        for arguments in [
            &["sync", "--wait-receipts", "300"][..],
            &["sweep"],
            &["status"],
        ] {
            let mut command = self.clinic().command(arguments);
            let output: Output = command.env("RUST_LOG", LOUD).output().expect("it starts");
            told(&output, 0, &[]);
            printed.extend([output.stdout, output.stderr].concat());
        }
        printed
    }

    /// Everything that passed, by its place, and whether it was on the clinics' side of the relay.
    fn passed(&self) -> Vec<Passed> {
        let wires = &self.relayed.wires;
        let all = [
            (
                "gateway and key service 1",
                &self.wires_to_services[0],
                false,
            ),
            (
                "gateway and key service 2",
                &self.wires_to_services[1],
                false,
            ),
            (
                "gateway and clinics' broker",
                &wires.gateway_to_outside,
                true,
            ),
            ("relay and clinics' broker", &wires.relay_to_outside, true),
            ("relay and registry's broker", &wires.relay_to_inside, false),
            ("registry and its broker", &self.wire_to_registry, false),
        ];
        let all = all.into_iter().map(|(between, wire, is_outside)| {
            let recorded = wire.recorded();
            Passed {
                between,
                to_server: recorded.to_server,
                to_client: recorded.to_client,
                is_outside,
            }
        });
        all.collect()
    }
}

/// What passed between two parts.
struct Passed {
    between: &'static str,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// True on the clinics' side of the relay.
    is_outside: bool,
}

impl Passed {
    fn scan(&self, scanners: &[&Scanner]) -> Vec<Hit> {
        let place = |way: &str| format!("what passed between {}, {way}", self.between);
        let mut hits = scan(scanners, &place("forth"), &self.to_server);
        hits.extend(scan(scanners, &place("back"), &self.to_client));
        hits
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_tells_who_or_where_is_anywhere_in_strong_mode() {
    not_over_midnight().await;
    let strong = Strong::new().await;
    let [mut relay, mut registry] = strong.start().await;
    let printed = strong.work();
    assert_eq!(relay.terminate().await, Some(0), "{}", relay.log());
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
    for broker in [&strong.relayed.outside, &strong.relayed.inside] {
        broker
            .settle()
            .await
            .expect("the broker writes what it has");
    }

    let people = Scanner::new(PEOPLE);
    let institution = Scanner::new(INSTITUTION);
    let account = Scanner::new(&[("an account", ACCOUNT)]);
    let clinic = strong.clinic().folder.path();
    let mut hits = scan(&[&people], "what the gateway printed", &printed);
    hits.extend(scan_folder(&[&people], clinic, Some(b"SQLite format 3")));

    // Beyond the clinic neither persons nor institutions; the account's name on the clinics' side.
    let outside = [&people, &institution];
    let elsewhere = [&people, &institution, &account];
    let wires = strong.passed();
    for wire in &wires {
        let scanners = if wire.is_outside {
            &outside[..]
        } else {
            &elsewhere
        };
        hits.extend(wire.scan(scanners));
    }
    let relayed = &strong.relayed;
    hits.extend(scan_folder(&outside, relayed.folder.path(), Some(b"CGE1")));
    hits.extend(scan_folder(
        &outside,
        &relayed.outside.data_dir(),
        Some(ACCOUNT.as_bytes()),
    ));
    hits.extend(scan_folder(
        &elsewhere,
        &relayed.inside.data_dir(),
        Some(BATCH),
    ));
    for escrow in ["relay-escrow", "registry-escrow"] {
        let folder = relayed.folder.path().join(escrow);
        hits.extend(scan_folder(&elsewhere, &folder, Some(b"CGE1")));
    }
    let city = strong.world.city.folder.path();
    hits.extend(scan_folder(&elsewhere, city, Some(b"sputnik-light")));
    for service in &strong.services {
        let folder = service.folder.path();
        hits.extend(scan_folder(&elsewhere, folder, Some(b"daily_ceiling")));
    }
    assert!(hits.is_empty(), "{hits:#?}");

    everything_was_looked_at(&strong, &wires);
}

/// The scan could have failed: what was sealed went by on every wire, and what is to be found in
/// some places is found there.
fn everything_was_looked_at(strong: &Strong, wires: &[Passed]) {
    let [one, two, gateway, relay_outside, relay_inside, registry] = wires else {
        panic!("six wires");
    };
    for service in [one, two] {
        assert!(
            contains(&service.to_server, b"POST "),
            "{}",
            service.between
        );
    }
    for (wire, way, bytes) in [
        (gateway, &gateway.to_server, WITH_OUTER_SEAL),
        (gateway, &gateway.to_client, RECEIPTS),
        (relay_outside, &relay_outside.to_client, WITH_OUTER_SEAL),
        (relay_outside, &relay_outside.to_server, RECEIPTS),
        (relay_inside, &relay_inside.to_server, BATCH),
        (relay_inside, &relay_inside.to_client, RECEIPTS),
        (registry, &registry.to_client, BATCH),
        (registry, &registry.to_server, RECEIPTS),
    ] {
        assert!(contains(way, bytes), "{}", wire.between);
    }
    for wire in [gateway, relay_outside] {
        assert!(!contains(&wire.to_server, BATCH), "{}", wire.between);
        assert!(!contains(&wire.to_client, BATCH), "{}", wire.between);
    }
    let people = Scanner::new(PEOPLE);
    assert!(
        !people
            .scan_folder(strong.world.server.data_dir())
            .0
            .is_empty()
    );
    let institution = Scanner::new(INSTITUTION);
    let clinic = strong.clinic().folder.path();
    assert!(!institution.scan_folder(clinic).0.is_empty());
    let account = Scanner::new(&[("an account", ACCOUNT)]);
    assert!(!gateway.scan(&[&account]).is_empty());
    assert!(!relay_outside.scan(&[&account]).is_empty());
    // A key in the folder of a city is no name, and is read: its first letters are found.
    let key = strong.world.city.private.to_text();
    let first: String = key.expose_secret().chars().take(20).collect();
    let key = Scanner::new(&[("a key", &first)]);
    assert!(
        !key.scan_folder(strong.world.city.folder.path())
            .0
            .is_empty()
    );
}

/// Account names are found where they are left, as persons are. (Base64 and compressed frames are
/// planted by the scanner's own tests.)
#[test]
fn an_account_that_is_planted_is_found() {
    let scanner = Scanner::new(&[("an account", ACCOUNT)]);
    let bytes = ACCOUNT.as_bytes();
    let joined = |byte: &dyn Fn(&u8) -> String, between: &str| {
        let all: Vec<String> = bytes.iter().map(byte).collect();
        all.join(between).into_bytes()
    };
    let utf16 = || ACCOUNT.encode_utf16();
    let forms: Vec<(&str, Vec<u8>)> = vec![
        ("text", bytes.to_vec()),
        ("upper case", ACCOUNT.to_uppercase().into_bytes()),
        ("UTF-16LE", utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16BE", utf16().flat_map(u16::to_be_bytes).collect()),
        ("hex", joined(&|byte| format!("{byte:02x}"), "")),
        (
            "percent encoding",
            joined(&|byte| format!("%{byte:02X}"), ""),
        ),
        ("bytes of a debug line", joined(&u8::to_string, ", ")),
    ];
    for (form, planted) in forms {
        let planted = [b"before ", &planted[..], b" after"].concat();
        assert!(!scanner.scan("planted", &planted).is_empty(), "{form}");
    }
}
