//! The main job: two unlike clinics → RabbitMQ → the registry in PostgreSQL, compared fact by fact.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use contract::Fact;
use registry::{Reader, StoreConfig};
use serde_json::json;
use testbed::fhir::FhirServer;
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use crate::support::{
    City, Clinic, MIS, amqp_queue, drained, fhir_source, fsb_source, stored_facts,
};

/// A log filter that asks for everything, also by the names of the drivers' insides.
pub(crate) const LOUD: &str =
    "trace,lapin::io_loop=trace,lapin::channel=trace,sqlx=trace,sqlx::postgres::notice=trace";

/// Subjects by the schemes they are known by and the facts they have; `None` stands for withdrawn
/// records.
pub(crate) type Content = BTreeMap<Option<Vec<String>>, Vec<String>>;

fn describe(fact: &Fact) -> String {
    match fact {
        Fact::Vaccination {
            vaccine,
            dose_number,
            series_doses,
            occurred_on,
        } => {
            format!(
                "{} {dose_number:?}/{series_doses:?} {occurred_on}",
                vaccine.as_str()
            )
        }
        Fact::Test {
            test,
            result,
            occurred_on,
        } => {
            format!("{} {} {occurred_on}", test.loinc(), result.as_str())
        }
        Fact::Recovery {
            began_on,
            occurred_on,
        } => {
            format!(
                "recovered {} to {occurred_on}",
                began_on.map_or_else(String::new, |date| date.to_string())
            )
        }
    }
}

pub(crate) async fn content(reader: &Reader) -> Content {
    let mut content = Content::new();
    for fact in stored_facts(reader).await {
        let subject = fact.fact.as_ref().map(|_| {
            let strongest = &fact.subject[0];
            let schemes: Vec<_> = fact
                .subject
                .iter()
                .map(|pseudonym| pseudonym.scheme.as_str())
                .collect();
            vec![schemes.join("+"), format!("{:x?}", strongest.value)]
        });
        let what = fact
            .fact
            .as_ref()
            .map_or_else(|| fact.kind.as_str().to_owned(), describe);
        content.entry(subject).or_default().push(what);
    }
    // The pseudonym told subjects apart; it is a new one with every key, so the expectation goes
    // without.
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

pub(crate) fn expected(entries: &[(&str, &[&str])]) -> Content {
    entries
        .iter()
        .map(|(subject, facts)| {
            let key =
                (*subject != "withdrawn").then(|| subject.split(' ').map(str::to_owned).collect());
            (key, facts.iter().map(|fact| (*fact).to_owned()).collect())
        })
        .collect()
}

const FHIR_FRENCH: &str = "http://hl7.org/fhir/sid/passport-FRA";

pub(crate) fn fill_fhir(server: &FhirServer) {
    let patient = |id: &str, family: &str, system: &str, value: &str| {
        json!({ "resourceType": "Patient", "id": id, "name": [{ "family": family }],
                "identifier": [{ "system": system, "value": value }] })
    };
    let snils = "https://fhir.ru/ig/core/systems/snils";
    server.put(
        patient("a", "Верещагина-Канарейкина", snils, "501-377-201 39"),
        "2021-06-01T00:00:00Z",
    );
    server.put(
        patient("b", "Saint-Canari", FHIR_FRENCH, "18CN90817"),
        "2021-06-01T00:00:00Z",
    );
    let shot = |id: &str, person: &str, status: &str, cvx: &str| {
        json!({ "resourceType": "Immunization", "id": id, "status": status, "occurrenceDateTime": "2021-05-11",
                "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx", "code": cvx }] },
                "patient": { "reference": format!("Patient/{person}") }, "lotNumber": "LOT-CANARY-1",
                "protocolApplied": [{ "doseNumberPositiveInt": 1, "seriesDosesPositiveInt": 2 }] })
    };
    server.put(
        shot("canary-record-1", "b", "completed", "208"),
        "2021-07-01T00:00:00Z",
    );
    server.put(
        shot("canary-record-2", "b", "entered-in-error", "509"),
        "2021-07-01T00:01:00Z",
    );
    server.put(
        shot("canary-record-3", "nobody-there", "completed", "208"),
        "2021-07-01T00:02:00Z",
    );
    server.put(pcr("260415000"), "2021-07-01T00:03:00Z");
}

fn nobody_any_more() -> serde_json::Value {
    json!({ "resourceType": "Patient", "id": "nobody-there",
            "identifier": [{ "system": FHIR_FRENCH, "value": "19XY12345" }] })
}

fn pcr(result: &str) -> serde_json::Value {
    json!({ "resourceType": "Observation", "id": "canary-record-4", "status": "final",
            "code": { "coding": [{ "system": "http://loinc.org", "code": "94759-8" }] },
            "subject": { "reference": "Patient/a" }, "effectiveDateTime": "2021-06-30T23:30:00Z",
            "valueCodeableConcept": { "coding": [{ "system": "http://snomed.info/sct", "code": result }] } })
}

const MARIA: &str = "snils+oms+passport-ru";

pub(crate) fn first_content<'a>() -> Vec<(&'a str, &'a [&'a str])> {
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
        (
            "passport-foreign",
            &["comirnaty Some(1)/Some(2) 2021-07-06"],
        ),
        (
            "passport-foreign another",
            &["comirnaty Some(1)/Some(2) 2021-05-11"],
        ),
        // Two doses, and the beacons of both gateways.
        ("withdrawn", &["vaccination"; 4]),
    ]
}

/// Both order-free: two subjects known by the same scheme may come in either order.
pub(crate) fn sorted(content: &Content) -> Vec<(Option<String>, Vec<String>)> {
    let mut all: Vec<_> = content
        .iter()
        .map(|(key, facts)| (key.as_ref().map(|key| key[0].clone()), facts.clone()))
        .collect();
    all.sort();
    all
}

pub(crate) struct World {
    pub clinic: Postgres,
    pub registry: Postgres,
    pub broker: RabbitMq,
    pub fhir: FhirServer,
    pub city: City,
    pub store: StoreConfig,
    pub store_toml: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        let (clinic, registry, broker, fhir) = tokio::join!(
            Postgres::start(),
            Postgres::start(),
            RabbitMq::start(),
            FhirServer::start()
        );
        let clinic = clinic.expect("a clinic's PostgreSQL");
        let registry = registry.expect("the registry's PostgreSQL");
        let broker = broker.expect("a RabbitMQ");
        let fhir = fhir.expect("an FHIR server");
        clinic
            .create_database("mis")
            .await
            .expect("the MIS database");
        clinic
            .psql("mis", MIS)
            .await
            .expect("the MIS schema and rows");
        let url = registry
            .create_database("city")
            .await
            .expect("the registry's database");
        fill_fhir(&fhir);
        let store_toml = format!("[store.postgres]\nurl = \"{url}\"\ntls = \"off\"\n");
        let store: toml::Table = store_toml.parse().expect("the section is TOML");
        let store = store["store"]
            .clone()
            .try_into()
            .expect("the section is a store");
        Self {
            clinic,
            registry,
            broker,
            fhir,
            city: City::new(),
            store,
            store_toml,
        }
    }

    /// The registry's own program takes everything from the queue; its log, whole.
    pub(crate) fn drain(&self, queue: &str) -> Vec<u8> {
        let config = self.city.configure(&self.store_toml, queue);
        let output = drained(&config, Some(LOUD));
        [output.stderr, output.stdout].concat()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clinics_reach_the_registry_fact_by_fact() {
    let world = World::new().await;
    let queue = amqp_queue(world.broker.port());
    let fsb = Clinic::new(
        &world.city,
        &queue,
        &fsb_source(world.clinic.port(), "mis"),
        "",
    );
    let fso = Clinic::new(
        &world.city,
        &queue,
        &fhir_source(&world.fhir.base_url()),
        "",
    );

    for (clinic, refused) in [(&fsb, 5), (&fso, 1)] {
        let (report, counters) = clinic.sync().await;
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(counters.refused.load(Ordering::Relaxed), refused);
    }
    world.drain(&queue);
    let reader = world.city.reader(&world.store).await;
    assert_eq!(
        sorted(&content(&reader).await),
        sorted(&expected(&first_content()))
    );

    // Twice in a row sends nothing the second time.
    for clinic in [&fsb, &fso] {
        let (report, counters) = clinic.sync().await;
        assert!(
            report.is_complete() && report.delivered == 0,
            "{report:?} {counters:?}"
        );
    }

    // A changed row sends one correction, a cancelled one a withdrawal, a mended one is picked up.
    let stamp = "изменено = now() AT TIME ZONE 'Europe/Moscow'";
    let changes = format!(
        "UPDATE прививка SET дата = '03.07.2021', {stamp} WHERE ид = 103;
         UPDATE прививка SET состояние = 'отменена', {stamp} WHERE ид = 104;
         UPDATE прививка SET дата = '27.07.2021', {stamp} WHERE ид = 108;"
    );
    world
        .clinic
        .psql("mis", &changes)
        .await
        .expect("the clinic changes its rows");
    world.fhir.put(pcr("260373001"), "2021-07-02T00:00:00Z");
    // A person whose number had been missing gets one; the fact itself has not changed.
    world.fhir.put(nobody_any_more(), "2021-07-02T00:01:00Z");
    let (_, counters) = fsb.sync().await;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!(
        (
            count(&counters.new),
            count(&counters.corrected),
            count(&counters.withdrawn)
        ),
        (1, 1, 1)
    );
    let (report, counters) = fso.sync().await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!((count(&counters.corrected), count(&counters.new)), (1, 1));
    world.drain(&queue);

    let mut after = expected(&first_content());
    after.remove(&Some(vec!["snils".to_owned()]));
    let of = |scheme: &str| Some(scheme.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let replace = |content: &mut Content, who: &str, from: &str, to: &str| {
        let facts = content.get_mut(&of(who)).expect("the subject is expected");
        let fact = facts
            .iter_mut()
            .find(|fact| *fact == from)
            .expect("the fact is expected");
        to.clone_into(fact);
    };
    replace(
        &mut after,
        "snils+oms",
        "sputnik-light Some(1)/Some(1) 2021-07-02",
        "sputnik-light Some(1)/Some(1) 2021-07-03",
    );
    replace(
        &mut after,
        MARIA,
        "94759-8 not-detected 2021-07-01",
        "94759-8 detected 2021-07-01",
    );
    after
        .get_mut(&of("passport-foreign"))
        .expect("Giulia")
        .push("comirnaty Some(2)/Some(2) 2021-07-27".to_owned());
    after.insert(
        of("passport-foreign another third"),
        vec!["comirnaty Some(1)/Some(2) 2021-05-11".to_owned()],
    );
    after
        .get_mut(&None)
        .expect("withdrawn")
        .push("vaccination".to_owned());
    assert_eq!(sorted(&content(&reader).await), sorted(&after));
    let refused = fsb.program(&["status", "--json", "--refused"]);
    let refused = String::from_utf8(refused.stdout).expect("JSON is UTF-8");
    assert!(
        refused.contains("\"106\"") && !refused.contains("\"108\""),
        "the mended row has left the list: {refused}"
    );
}
