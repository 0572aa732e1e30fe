//! No trace of who or where: canary identities are looked for in every byte at rest and on the
//! wire.

use std::path::Path;

use registry::StoreConfig;
use testbed::fhir::FhirServer;
use testbed::leak::{Hit, Scanner};
use testbed::proxy::TcpProxy;

use crate::support::{
    City, Clinic, Running, amqp_queue, directory_queue, eventually, fhir_source, fsb_source,
    http_get, registry_command,
};
use crate::whole::{Content, LOUD, World, content, expected, fill_fhir, first_content, sorted};

pub(crate) const PEOPLE: &[(&str, &str)] = &[
    ("a name", "Верещагина-Канарейкина"),
    ("a name", "Щукин-Подосинов"),
    ("a name", "Saint-Canari"),
    ("a SNILS", "501-377-201 39"),
    ("a SNILS", "501-377-204 42"),
    ("a SNILS", "501-377-205 43"),
    ("a SNILS that was refused", "501-377-206 45"),
    ("an OMS number", "7701885000000019"),
    ("a passport", "45 10 700101"),
    ("a foreign passport", "YA 4417093"),
    ("a foreign passport", "18CN90817"),
    ("a foreign passport in its normal form", "FRA:18CN90817"),
    ("a foreign passport in its normal form", "ITA:YA4417093"),
];

const INSTITUTION: &[(&str, &str)] = &[
    ("a source's name", "fsb-canary-polyclinic"),
    ("a record's id", "canary-record-1"),
    ("a refused record's id", "canary-record-3"),
    ("a lot number", "LOT-CANARY-1"),
    ("a lot number", "II-180521"),
    ("a table's name", "прививка"),
];

/// How a message of receipts begins.
pub(crate) const RECEIPTS: &[u8] = b"CGR1";

/// The clinic's own function warns about a patient, number and all, each time the gateway reads a
/// row.
const GRUMBLE: &str = "CREATE FUNCTION grumble(n text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE WARNING 'an odd SNILS: %', n; RETURN n; END $$";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_tells_who_or_where_rests_or_travels_outside() {
    let world = World::new().await;
    world
        .clinic
        .psql("mis", GRUMBLE)
        .await
        .expect("the clinic's function is made");
    let wire = TcpProxy::start(world.broker.port())
        .await
        .expect("a proxy before the broker");
    wire.cut();
    let listen = testbed::ports::free_port();
    let queue = amqp_queue(world.broker.port());
    let sources = format!(
        "{}\n{}",
        fsb_source(world.clinic.port(), "mis"),
        fhir_source(&world.fhir.base_url())
    )
    .replace("[source.mis", "[source.fsb-canary-polyclinic")
    .replace("ч.снилс AS", "grumble(ч.снилс) AS");
    let extra = format!("[listen]\naddress = \"127.0.0.1:{listen}\"\n[log]\nformat = \"json\"\n");
    let clinic = Clinic::new(&world.city, &amqp_queue(wire.port()), &sources, &extra);
    let state = clinic.folder.path().join("state");
    let people = Scanner::new(PEOPLE);
    let institution = Scanner::new(INSTITUTION);
    let both = [&people, &institution];
    let control = people.scan_folder(world.clinic.data_dir());
    assert!(
        control.0.len() >= 5,
        "the clinic's own files must hold the canaries, or the scan proves nothing"
    );

    let mut command = clinic.command(&["run"]);
    command.env("RUST_LOG", LOUD);
    let mut daemon = Running::start(command, &clinic.folder.path().join("log"));
    // While the broker is away everything lies in the outbox and its WAL.
    until(listen, |metrics| {
        value(metrics, "gateway_outbox_pending_batches") >= 5.0
    })
    .await;
    let mut hits: Vec<Hit> = scan_folder(&[&people], &state, Some(b"CGB1"));
    wire.restore();
    until(listen, |metrics| {
        value(metrics, "gateway_receipts_connected") == 1.0
            && value(metrics, "gateway_outbox_pending_batches") == 0.0
            && value(metrics, "gateway_batches_total{outcome=\"delivered\"}") >= 5.0
    })
    .await;
    // The registry's receipts come back the same way, and so do its answers to probes that another
    // process asks for.
    let mut log = world.drain(&queue);
    let metrics = until(listen, |metrics| {
        value(metrics, "gateway_receipts_total{outcome=\"settled\"}") >= 5.0
    })
    .await;
    hits.extend(reconcile_beside_the_daemon(&world, &clinic, &queue, &people, &mut log).await);
    assert_eq!(daemon.terminate().await, Some(0), "{}", daemon.log());
    world
        .broker
        .settle()
        .await
        .expect("the broker writes what it has");

    hits.extend(scan_folder(&[&people], &state, None));
    hits.extend(scan(
        &[&people],
        "the gateway's log",
        daemon.log().as_bytes(),
    ));
    hits.extend(scan(&[&people], "the metrics", metrics.as_bytes()));
    let recorded = wire.recorded();
    assert!(
        contains(&recorded.to_server, b"CGB1"),
        "the batches themselves were recorded"
    );
    hits.extend(scan(
        &both,
        "what the gateway sent to the broker",
        &recorded.to_server,
    ));
    assert!(
        contains(&recorded.to_client, RECEIPTS),
        "receipts were recorded"
    );
    hits.extend(scan(
        &both,
        "what the broker sent to the gateway, receipts and all",
        &recorded.to_client,
    ));
    hits.extend(scan_folder(&both, &world.broker.data_dir(), Some(b"CGB1")));
    hits.extend(scan(&both, "the registry's log", &log));
    let reader = world.city.reader(&world.store).await;
    // Which beacons are there by now is a matter of time.
    let holds = |mut content: Content| {
        content.remove(&None);
        sorted(&content)
    };
    assert_eq!(
        holds(content(&reader).await),
        holds(expected(&first_content()))
    );
    world
        .registry
        .psql("city", "CHECKPOINT")
        .await
        .expect("everything is on the registry's disk");
    hits.extend(scan_folder(
        &both,
        world.registry.data_dir(),
        Some(b"sputnik-light"),
    ));
    assert!(hits.is_empty(), "{hits:#?}");
}

/// What two commands print while the daemon works for them, and what the registry logs meanwhile.
async fn reconcile_beside_the_daemon(
    world: &World,
    clinic: &Clinic,
    queue: &str,
    people: &Scanner,
    log: &mut Vec<u8>,
) -> Vec<Hit> {
    let config = world.city.configure(&world.store_toml, queue);
    let mut command = registry_command(&config, &["run"]);
    command.env("RUST_LOG", LOUD);
    let mut registry = Running::start(command, &world.city.folder.path().join("log"));
    let mut hits = Vec::new();
    for arguments in [
        &["reconcile", "--json"][..],
        &["dead-letters", "retry", "--feed", "tests"],
        &["status", "--json"],
    ] {
        let printed = print(clinic, arguments);
        hits.extend(scan(
            &[people],
            &format!("the output of {arguments:?}"),
            &printed,
        ));
        if arguments[0] == "reconcile" {
            let report: serde_json::Value =
                serde_json::from_slice(&printed).expect("JSON alone is printed");
            assert_eq!(
                (&report["report"]["finished"], &report["report"]["missing"]),
                (&true.into(), &0.into())
            );
        }
    }
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
    log.extend(registry.log().into_bytes());
    hits
}

/// Returns whether a command did what was asked, though it may have found something to look at.
fn is_done(output: &std::process::Output) -> bool {
    matches!(output.status.code(), Some(0 | 65))
}

/// Runs a command to its good end; what it prints to standard output.
fn print(clinic: &Clinic, arguments: &[&str]) -> Vec<u8> {
    let output = clinic
        .command(arguments)
        .output()
        .expect("the gateway's program starts");
    assert!(
        is_done(&output),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_in_a_directory_an_embedded_registry_or_what_the_commands_print() {
    let server = FhirServer::start().await.expect("an FHIR server");
    fill_fhir(&server);
    let city = City::new();
    let queue = city.folder.path().join("queue");
    let source =
        fhir_source(&server.base_url()).replace("[source.clinic", "[source.fsb-canary-polyclinic");
    let clinic = Clinic::new(&city, &directory_queue(&queue), &source, "");
    let people = Scanner::new(PEOPLE);
    let institution = Scanner::new(INSTITUTION);
    let both = [&people, &institution];

    let mut hits = Vec::new();
    let name = "fsb-canary-polyclinic";
    let commands: [&[&str]; 12] = [
        &["check"],
        &["preview", name],
        &["preview", name, "--json"],
        &["sync", "--json"],
        &["sweep", name],
        &["status", "--refused"],
        &["status", "--json", "--refused"],
        &["dead-letters", "list"],
        &["dead-letters", "retry", "--source", name, "--json"],
        &["dead-letters", "discard", "--source", name],
        &["dead-letters", "list", "--discarded", "--json"],
        &["keys", "show"],
    ];
    for arguments in commands {
        let output = clinic
            .command(arguments)
            .env("RUST_LOG", LOUD)
            .output()
            .expect("the gateway's program starts");
        let done = is_done(&output);
        let printed = [output.stdout, output.stderr].concat();
        assert!(done, "{arguments:?}: {}", String::from_utf8_lossy(&printed));
        hits.extend(scan(
            &[&people],
            &format!("the output of {arguments:?}"),
            &printed,
        ));
    }
    hits.extend(scan_folder(&both, &queue, Some(b"CGB1")));
    let config = city.configure(
        "[store.sqlite]\npath = \"registry.db\"\n",
        &directory_queue(&queue),
    );
    careless_gateway(&city, &clinic).await;
    let commands: [&[&str]; 5] = [
        &["run", "--drain"],
        &["dead-letters", "list"],
        &["dead-letters", "list", "--json"],
        &["dead-letters", "retry", "--all"],
        &["show", "--stats", "--json"],
    ];
    for arguments in commands {
        let output = registry_command(&config, arguments)
            .env("RUST_LOG", LOUD)
            .output();
        let output = output.expect("city-registry starts");
        let printed = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&printed)
        );
        hits.extend(scan(
            &both,
            &format!("what the registry prints at {arguments:?}"),
            &printed,
        ));
    }
    hits.extend(scan_folder(&both, &queue, Some(RECEIPTS)));
    hits.extend(scan_folder(
        &both,
        city.folder.path(),
        Some(b"not-detected"),
    ));
    assert!(hits.is_empty(), "{hits:#?}");

    let store: toml::Table = "[store.sqlite]\npath = \"registry.db\"\n"
        .parse()
        .expect("TOML");
    let store: StoreConfig = store["store"].clone().try_into().expect("a store");
    assert_eq!(
        city.reader(&store)
            .await
            .facts()
            .await
            .expect("the facts")
            .len(),
        4,
        "three records and the beacon"
    );
}

/// A gateway of some other make seals what it must not: an event with a name in it, and a batch
/// that is no JSON.
async fn careless_gateway(city: &City, clinic: &Clinic) {
    let publisher =
        broker::publisher(&clinic.load().config.queue, clinic.folder.path()).expect("a publisher");
    let name = "Верещагина-Канарейкина 501-377-201 39 canary-record-1";
    for encoded in [
        format!("[{{\"specversion\":\"1.0\",\"{name}\":\"{name}\"}}]"),
        format!("[{{\"{name}"),
    ] {
        let (batch, _) = city
            .private
            .public()
            .seal(encoded.as_bytes())
            .expect("it can be sealed");
        publisher.publish(&batch).await.expect("the queue takes it");
    }
    publisher.close().await;
}

pub(crate) fn scan(scanners: &[&Scanner], place: &str, bytes: &[u8]) -> Vec<Hit> {
    assert!(!bytes.is_empty(), "{place} is empty");
    scanners
        .iter()
        .flat_map(|scanner| scanner.scan(place, bytes))
        .collect()
}

/// Scans a folder, in which `certainly` must be found, as proof that the scan reads what it should.
pub(crate) fn scan_folder(
    scanners: &[&Scanner],
    folder: &Path,
    certainly: Option<&[u8]>,
) -> Vec<Hit> {
    if let Some(bytes) = certainly {
        assert!(
            folder_contains(folder, bytes),
            "nothing was found to scan below {}",
            folder.display()
        );
    }
    scanners
        .iter()
        .flat_map(|scanner| scanner.scan_folder(folder).0)
        .collect()
}

fn folder_contains(folder: &Path, bytes: &[u8]) -> bool {
    // A server's folder is alive: what is in it may go between listing and reading.
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| entry.expect("an entry").path())
        .any(|path| {
            if path.is_dir() {
                return folder_contains(&path, bytes);
            }
            path.is_file() && std::fs::read(&path).is_ok_and(|content| contains(&content, bytes))
        })
}

pub(crate) fn contains(content: &[u8], bytes: &[u8]) -> bool {
    content.windows(bytes.len()).any(|window| window == bytes)
}

/// Waits until the metrics say so, and returns them.
async fn until(port: u16, reached: impl Fn(&str) -> bool) -> String {
    eventually("the metrics say so", 60, async || {
        let (_, metrics) = http_get(port, "/metrics")?;
        reached(&metrics).then_some(metrics)
    })
    .await
}

fn value(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(' '))
    });
    line.and_then(|line| line.rsplit(' ').next())
        .and_then(|value| value.parse().ok())
        .unwrap_or_default()
}
