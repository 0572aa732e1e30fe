//! The main job: two unlike clinics → RabbitMQ → the registry in PostgreSQL, compared fact by fact, and no trace of who.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;

use contract::Fact;
use registry::{Reader, StoreConfig};
use serde_json::json;
use testbed::fhir::FhirServer;
use testbed::postgres::Postgres;
use testbed::proxy::TcpProxy;
use testbed::rabbitmq::RabbitMq;

use crate::leak::{Hit, Scanner};
use crate::support::{City, Clinic, MIS, amqp_queue, fhir_source, fsb_source, registry_program};

/// Subjects by the schemes they are known by and the facts they have; `None` stands for withdrawn records.
type Content = BTreeMap<Option<Vec<String>>, Vec<String>>;

fn describe(fact: &Fact) -> String {
    match fact {
        Fact::Vaccination { vaccine, dose_number, series_doses, occurred_on } => {
            format!("{} {dose_number:?}/{series_doses:?} {occurred_on}", vaccine.as_str())
        }
        Fact::Test { test, result, occurred_on } => {
            format!("{} {} {occurred_on}", test.loinc(), result.as_str())
        }
        Fact::Recovery { began_on, occurred_on } => {
            format!(
                "recovered {} to {occurred_on}",
                began_on.map_or_else(String::new, |date| date.to_string())
            )
        }
    }
}

async fn content(reader: &Reader) -> Content {
    let mut content = Content::new();
    for fact in reader.facts().await.expect("the registry can be read") {
        let subject = fact.fact.as_ref().map(|_| {
            let strongest = &fact.subject[0];
            let schemes: Vec<_> = fact.subject.iter().map(|pseudonym| pseudonym.scheme.as_str()).collect();
            vec![schemes.join("+"), format!("{:x?}", strongest.value)]
        });
        let what = fact.fact.as_ref().map_or_else(|| fact.kind.as_str().to_owned(), describe);
        content.entry(subject).or_default().push(what);
    }
    // The pseudonym told subjects apart; it is a new one with every key, so the expectation goes without.
    let mut named = Content::new();
    for (subject, mut facts) in content {
        facts.sort();
        let mut key = subject.map(|subject| vec![subject[0].clone()]);
        while named.contains_key(&key) {
            key = key.map(|mut key| {
                key.push("another".to_owned());
                key
            });
        }
        named.insert(key, facts);
    }
    named
}

fn expected(entries: &[(&str, &[&str])]) -> Content {
    entries
        .iter()
        .map(|(subject, facts)| {
            let key = (*subject != "withdrawn").then(|| subject.split(' ').map(str::to_owned).collect());
            (key, facts.iter().map(|fact| (*fact).to_owned()).collect())
        })
        .collect()
}

const FHIR_FRENCH: &str = "http://hl7.org/fhir/sid/passport-FRA";

pub fn fill_fhir(server: &FhirServer) {
    let patient = |id: &str, family: &str, system: &str, value: &str| {
        json!({ "resourceType": "Patient", "id": id, "name": [{ "family": family }],
                "identifier": [{ "system": system, "value": value }] })
    };
    let snils = "https://fhir.ru/ig/core/systems/snils";
    server.put(patient("a", "Верещагина-Канарейкина", snils, "501-377-201 39"), "2021-06-01T00:00:00Z");
    server.put(patient("b", "Saint-Canari", FHIR_FRENCH, "18CN90817"), "2021-06-01T00:00:00Z");
    let shot = |id: &str, person: &str, status: &str, cvx: &str| {
        json!({ "resourceType": "Immunization", "id": id, "status": status, "occurrenceDateTime": "2021-05-11",
                "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": cvx }] },
                "patient": { "reference": format!("Patient/{person}") }, "lotNumber": "LOT-CANARY-1",
                "protocolApplied": [{ "doseNumberPositiveInt": 1, "seriesDosesPositiveInt": 2 }] })
    };
    server.put(shot("canary-record-1", "b", "completed", "208"), "2021-07-01T00:00:00Z");
    server.put(shot("canary-record-2", "b", "entered-in-error", "509"), "2021-07-01T00:01:00Z");
    server.put(shot("canary-record-3", "nobody-there", "completed", "208"), "2021-07-01T00:02:00Z");
    server.put(pcr("260415000"), "2021-07-01T00:03:00Z");
}

fn pcr(result: &str) -> serde_json::Value {
    json!({ "resourceType": "Observation", "id": "canary-record-4", "status": "final",
            "code": { "coding": [{ "system": "http://loinc.org", "code": "94759-8" }] },
            "subject": { "reference": "Patient/a" }, "effectiveDateTime": "2021-06-30T23:30:00Z",
            "valueCodeableConcept": { "coding": [{ "system": "http://snomed.info/sct", "code": result }] } })
}

const MARIA: &str = "snils+oms+passport-ru";

fn first_content<'a>() -> Vec<(&'a str, &'a [&'a str])> {
    vec![
        (
            MARIA,
            &[
                "94500-6 not-detected 2021-07-12",
                // 23:30 UTC is the next day in Moscow.
                "94759-8 not-detected 2021-07-01",
                "sputnik-v Some(1)/Some(2) 2021-06-10",
                "sputnik-v Some(2)/Some(2) 2021-07-01",
            ],
        ),
        (
            "snils+oms",
            &[
                "94500-6 detected 2021-02-05",
                "recovered 2021-02-05 to 2021-02-25",
                "sputnik-light Some(1)/Some(1) 2021-07-02",
            ],
        ),
        ("snils", &["epivaccorona Some(1)/Some(2) 2021-07-03"]),
        ("passport-foreign", &["comirnaty Some(1)/Some(2) 2021-07-06"]),
        ("passport-foreign another", &["comirnaty Some(1)/Some(2) 2021-05-11"]),
        ("withdrawn", &["vaccination", "vaccination"]),
    ]
}

/// Both order-free: two subjects known by the same scheme may come in either order.
fn sorted(content: &Content) -> Vec<(Option<String>, Vec<String>)> {
    let mut all: Vec<_> =
        content.iter().map(|(key, facts)| (key.as_ref().map(|key| key[0].clone()), facts.clone())).collect();
    all.sort();
    all
}

struct World {
    clinic: Postgres,
    registry: Postgres,
    broker: RabbitMq,
    fhir: FhirServer,
    city: City,
    store: StoreConfig,
    store_toml: String,
}

impl World {
    async fn new() -> Self {
        let (clinic, registry, broker, fhir) =
            tokio::join!(Postgres::start(), Postgres::start(), RabbitMq::start(), FhirServer::start());
        let (clinic, registry) =
            (clinic.expect("a clinic's PostgreSQL"), registry.expect("the registry's PostgreSQL"));
        let (broker, fhir) = (broker.expect("a RabbitMQ"), fhir.expect("an FHIR server"));
        clinic.create_database("mis").await.expect("the MIS database");
        clinic.psql("mis", MIS).await.expect("the MIS schema and rows");
        let url = registry.create_database("city").await.expect("the registry's database");
        fill_fhir(&fhir);
        let store_toml = format!("[store.postgres]\nurl = \"{url}\"\ntls = \"off\"\n");
        let store: toml::Table = store_toml.parse().expect("the section is TOML");
        let store = store["store"].clone().try_into().expect("the section is a store");
        Self { clinic, registry, broker, fhir, city: City::new(), store, store_toml }
    }

    /// The registry's own program takes everything from the queue.
    fn drain(&self, queue: &str) {
        let config = self.city.configure(&self.store_toml, queue);
        let output = std::process::Command::new(registry_program())
            .arg("--config")
            .arg(config)
            .args(["run", "--drain"])
            .output()
            .expect("city-registry starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clinics_reach_the_registry_fact_by_fact() {
    let world = World::new().await;
    let queue = amqp_queue(world.broker.port());
    let fsb = Clinic::new(&world.city, &queue, &fsb_source(world.clinic.port(), "mis"), "");
    let fso = Clinic::new(&world.city, &queue, &fhir_source(&world.fhir.base_url()), "");

    for (clinic, refused) in [(&fsb, 5), (&fso, 1)] {
        let (report, counters) = clinic.sync().await;
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(counters.refused.load(Ordering::Relaxed), refused);
    }
    world.drain(&queue);
    let reader = world.city.reader(&world.store).await;
    assert_eq!(sorted(&content(&reader).await), sorted(&expected(&first_content())));

    // Twice in a row sends nothing the second time.
    for clinic in [&fsb, &fso] {
        let (report, counters) = clinic.sync().await;
        assert!(report.is_complete() && report.delivered == 0, "{report:?} {counters:?}");
    }

    // A changed row sends one correction, a cancelled one a withdrawal, a mended one is picked up.
    let stamp = "изменено = now() AT TIME ZONE 'Europe/Moscow'";
    let changes = format!(
        "UPDATE прививка SET дата = '03.07.2021', {stamp} WHERE ид = 103;
         UPDATE прививка SET состояние = 'отменена', {stamp} WHERE ид = 104;
         UPDATE прививка SET дата = '27.07.2021', {stamp} WHERE ид = 108;"
    );
    world.clinic.psql("mis", &changes).await.expect("the clinic changes its rows");
    world.fhir.put(pcr("260373001"), "2021-07-02T00:00:00Z");
    let (_, counters) = fsb.sync().await;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((count(&counters.new), count(&counters.corrected), count(&counters.withdrawn)), (1, 1, 1));
    let (report, counters) = fso.sync().await;
    assert_eq!((report.delivered, count(&counters.corrected), count(&counters.new)), (1, 1, 0));
    world.drain(&queue);

    let mut after = expected(&first_content());
    after.remove(&Some(vec!["snils".to_owned()]));
    let of = |scheme: &str| Some(scheme.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let replace = |content: &mut Content, who: &str, from: &str, to: &str| {
        let facts = content.get_mut(&of(who)).expect("the subject is expected");
        let fact = facts.iter_mut().find(|fact| *fact == from).expect("the fact is expected");
        to.clone_into(fact);
    };
    replace(
        &mut after,
        "snils+oms",
        "sputnik-light Some(1)/Some(1) 2021-07-02",
        "sputnik-light Some(1)/Some(1) 2021-07-03",
    );
    replace(&mut after, MARIA, "94759-8 not-detected 2021-07-01", "94759-8 detected 2021-07-01");
    after
        .get_mut(&of("passport-foreign"))
        .expect("Giulia")
        .push("comirnaty Some(2)/Some(2) 2021-07-27".to_owned());
    after.get_mut(&None).expect("withdrawn").push("vaccination".to_owned());
    assert_eq!(sorted(&content(&reader).await), sorted(&after));
    let refused = fsb.program(&["status", "--json", "--refused"]);
    let refused = String::from_utf8(refused.stdout).expect("JSON is UTF-8");
    assert!(
        refused.contains("\"106\"") && !refused.contains("\"108\""),
        "the mended row has left the list: {refused}"
    );
}

const PEOPLE: &[(&str, &str)] = &[
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
    ("a foreign passport in its normal form", "FRA18CN90817"),
];

const INSTITUTION: &[(&str, &str)] = &[
    ("a source's name", "fsb-canary-polyclinic"),
    ("a record's id", "canary-record-1"),
    ("a refused record's id", "canary-record-3"),
    ("a lot number", "LOT-CANARY-1"),
    ("a lot number", "II-180521"),
    ("a table's name", "прививка"),
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_tells_who_or_where_rests_or_travels_outside() {
    let world = World::new().await;
    let wire = TcpProxy::start(world.broker.port()).await.expect("a proxy before the broker");
    let listen = testbed::ports::free_port();
    let both = format!("{}\n{}", fsb_source(world.clinic.port(), "mis"), fhir_source(&world.fhir.base_url()))
        .replace("[source.mis", "[source.fsb-canary-polyclinic");
    let extra =
        format!("[listen]\naddress = \"127.0.0.1:{listen}\"\n[log]\nformat = \"json\"\nfilter = \"trace\"\n");
    let clinic = Clinic::new(&world.city, &amqp_queue(wire.port()), &both, &extra);

    let mut daemon = clinic
        .command(&["run"])
        .env("RUST_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the gateway starts");
    let metrics = until_delivered(listen).await;
    // SIGTERM by its id: an orderly end, so that the log is whole.
    let asked = std::process::Command::new("kill").arg(daemon.id().to_string()).status();
    assert!(asked.is_ok_and(|status| status.success()));
    let mut logs = Vec::new();
    daemon.stderr.take().expect("piped").read_to_end(&mut logs).expect("the log is read");
    daemon.stdout.take().expect("piped").read_to_end(&mut logs).expect("the output is read");
    assert!(daemon.wait().expect("it ends").success(), "{}", String::from_utf8_lossy(&logs));
    world.broker.settle().await.expect("the broker writes what it has");

    let people = Scanner::new(PEOPLE);
    let institution = Scanner::new(INSTITUTION);
    let both = [&people, &institution];
    let control = people.scan_folder(&world.clinic.data_dir());
    assert!(
        control.0.len() >= 5,
        "the clinic's own files must hold the canaries, or the scan proves nothing"
    );

    let mut hits: Vec<Hit> = Vec::new();
    hits.extend(scan_folder(&[&people], &clinic.folder.path().join("state"), 10_000));
    hits.extend(scan(&[&people], "the gateway's log", &logs));
    hits.extend(scan(&[&people], "the metrics", metrics.as_bytes()));
    let recorded = wire.recorded();
    hits.extend(scan(&both, "what the gateway sent to the broker", &recorded.to_server));
    hits.extend(scan_folder(&both, &world.broker.data_dir(), 10_000));
    world.drain(&amqp_queue(world.broker.port()));
    let reader = world.city.reader(&world.store).await;
    assert_eq!(sorted(&content(&reader).await), sorted(&expected(&first_content())));
    world.registry.psql("city", "CHECKPOINT").await.expect("everything is on the registry's disk");
    hits.extend(scan_folder(&both, &world.registry.data_dir(), 1_000_000));
    assert!(hits.is_empty(), "{hits:#?}");
}

fn scan(scanners: &[&Scanner], place: &str, bytes: &[u8]) -> Vec<Hit> {
    assert!(!bytes.is_empty(), "{place} is empty");
    scanners.iter().flat_map(|scanner| scanner.scan(place, bytes)).collect()
}

fn scan_folder(scanners: &[&Scanner], folder: &Path, at_least: u64) -> Vec<Hit> {
    let mut hits = Vec::new();
    for scanner in scanners {
        let (found, read) = scanner.scan_folder(folder);
        assert!(read >= at_least, "only {read} bytes were read below {}", folder.display());
        hits.extend(found);
    }
    hits
}

/// Waits until the daemon has delivered what it has, and returns its metrics.
async fn until_delivered(port: u16) -> String {
    let deadline = Duration::from_secs(60);
    let polled = tokio::time::timeout(deadline, async {
        loop {
            let metrics = metrics_page(port).unwrap_or_default();
            let value = |name: &str| metrics.lines().find(|line| line.starts_with(name)).map(str::to_owned);
            let waiting = value("gateway_outbox_pending_batches ").is_some_and(|line| line.ends_with(" 0"));
            let delivered = value("gateway_batches_total{outcome=\"delivered\"}")
                .is_some_and(|line| !line.ends_with(" 0"));
            let pulls = metrics.matches("gateway_pull_runs_total{").count();
            if waiting && delivered && pulls >= 6 {
                return metrics;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    polled.await.expect("both sources are pulled and delivered within a minute")
}

fn metrics_page(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}
