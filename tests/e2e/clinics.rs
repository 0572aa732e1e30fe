//! The example clinics of `config/clinics`, each from its first load to corrections, deletions of
//! both kinds, merged persons and changes that move no stamp; the registry is compared with what
//! the clinic says.

use std::fs;
use std::path::PathBuf;

use registry::StoreConfig;
use testbed::mariadb::MariaDb;
use testbed::postgres::Postgres;

use crate::cli::told;
use crate::support::{City, Clinic, directory_queue, registry_command};
use crate::whole::content;

/// The clinic's database.
enum Server {
    Postgres(Postgres),
    MariaDb(MariaDb),
}

/// An example as an administrator finds it.
struct Example {
    /// Name of the source, the database and the secret.
    name: &'static str,
    ddl: &'static str,
    config: &'static str,
}

macro_rules! example {
    ($name:literal, $file:literal) => {
        Example {
            name: $name,
            ddl: include_str!(concat!("../../config/clinics/", $file, ".sql")),
            config: include_str!(concat!("../../config/clinics/", $file, ".toml")),
        }
    };
}

const OUTBREAK: Example = example!("outbreak", "outbreak-postgres");
const RECORDS: Example = example!("records", "records-mariadb");
const PRACTICE: Example = example!("practice", "practice-mariadb");
const TRACKER: Example = example!("tracker", "tracker-postgres");

/// A clinic that runs an example, and a registry; a directory between them.
struct World {
    name: &'static str,
    server: Server,
    city: City,
    clinic: Clinic,
    registry: PathBuf,
}

impl World {
    async fn postgres(example: &Example) -> Self {
        let server = Postgres::start().await.expect("a clinic's PostgreSQL");
        let database = server.create_database(example.name).await;
        database.expect("a database");
        let port = ("port = 5432", server.port());
        Self::new(example, Server::Postgres(server), port, "postgres").await
    }

    async fn mariadb(example: &Example) -> Self {
        let server = MariaDb::start().await.expect("a clinic's MariaDB");
        let database = server.create_database(example.name).await;
        database.expect("a database");
        let port = ("port = 3306", server.port());
        Self::new(example, Server::MariaDb(server), port, "root").await
    }

    async fn new(example: &Example, server: Server, port: (&str, u16), user: &str) -> Self {
        let name = example.name;
        let city = City::new();
        let queue = directory_queue(&city.folder.path().join("queue"));
        let source = &example.config[example.config.find("[source.").expect("a source")..];
        let password = format!("password = {{ file = \"{name}-password\" }}\n");
        let source = source
            .replace(port.0, &format!("port = {}", port.1))
            .replace("user = \"gateway_reader\"", &format!("user = \"{user}\""))
            .replace(&password, "");
        // With four records each of them is more than the usual share.
        let sweep = format!("[source.{name}.sweep]\nalways_allowed = 100\n");
        // Keys at the top of a file come before its sections.
        let clinic = Clinic::new(&city, &queue, &source, &sweep);
        let text = fs::read_to_string(clinic.config_path()).expect("the configuration");
        let text = format!("time_zone = \"Europe/Moscow\"\n{text}");
        fs::write(clinic.config_path(), text).expect("written");
        let registry = city.configure("[store.sqlite]\npath = \"registry.sqlite\"\n", &queue);
        let world = Self {
            name,
            server,
            city,
            clinic,
            registry,
        };
        world.sql(example.ddl).await;
        world
    }

    async fn sql(&self, sql: &str) {
        match &self.server {
            Server::Postgres(server) => {
                server.psql(self.name, sql).await.expect("SQL");
            }
            Server::MariaDb(server) => {
                server.execute(self.name, sql).await.expect("SQL");
            }
        }
    }

    fn run(&self, arguments: &[&str]) {
        let output = self.clinic.program(arguments);
        told(&output, 0, &[]);
    }

    /// The facts that the registry holds, each with the schemes that its person is known by.
    async fn facts(&self) -> Vec<String> {
        let drained = registry_command(&self.registry, &["run", "--drain"])
            .output()
            .expect("the registry's program starts");
        told(&drained, 0, &[]);
        let store: StoreConfig =
            toml::from_str("sqlite = { path = \"registry.sqlite\" }").expect("a store");
        let reader = self.city.reader(&store).await;
        let mut facts = Vec::new();
        for (subject, of_subject) in content(&reader).await {
            let Some(subject) = subject else { continue };
            facts.extend(
                of_subject
                    .into_iter()
                    .map(|fact| format!("{}: {fact}", subject[0])),
            );
        }
        facts.sort();
        facts
    }

    /// Pulls once, and returns the facts.
    async fn synced(&self) -> Vec<String> {
        self.run(&["sync"]);
        self.facts().await
    }

    /// Sweeps, and returns the facts.
    async fn swept(&self) -> Vec<String> {
        self.run(&["sweep"]);
        self.run(&["sync"]);
        self.facts().await
    }
}

fn with(facts: &[String], out: &[&str], added: &[&str]) -> Vec<String> {
    let mut facts = facts.to_vec();
    for gone in out {
        let place = facts.iter().position(|fact| fact == gone);
        facts.remove(place.unwrap_or_else(|| panic!("{gone} is not among {facts:?}")));
    }
    facts.extend(added.iter().map(|fact| (*fact).to_owned()));
    facts.sort();
    facts
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbreak_system_with_soft_deletes_and_a_stamp_in_each_table() {
    let world = World::postgres(&OUTBREAK).await;
    world.run(&["check"]);
    let first = world.synced().await;
    assert_eq!(
        first,
        [
            "passport-foreign: 94500-6 not-detected 2021-02-07",
            "passport-foreign: comirnaty Some(1)/None 2021-06-12",
            "snils: 94500-6 detected 2021-02-06",
            "snils: covivac Some(1)/None 2021-06-11",
            "snils: recovered 2021-02-05 to 2021-02-25",
            "snils: sputnik-v Some(1)/None 2021-06-10",
            "snils: sputnik-v Some(2)/None 2021-07-01",
        ]
    );
    // An order in a joined table is deleted by its flag; the dose's own row does not move.
    world
        .sql("UPDATE immunization SET deleted = true, changed = now() AT TIME ZONE 'Europe/Moscow' WHERE id = 12")
        .await;
    let without_order = with(&first, &["snils: covivac Some(1)/None 2021-06-11"], &[]);
    assert_eq!(world.synced().await, without_order);
    // Two persons are merged: what the one had becomes the other's, and the other gets a number.
    world
        .sql(
            "UPDATE disease_case SET person_id = 3, changed = now() AT TIME ZONE 'Europe/Moscow' WHERE person_id = 4; \
             DELETE FROM person WHERE id = 4; \
             UPDATE person SET health_id = '521-300-103 92', changed = now() AT TIME ZONE 'Europe/Moscow' WHERE id = 3",
        )
        .await;
    let merged = with(
        &without_order,
        &[
            "passport-foreign: 94500-6 not-detected 2021-02-07",
            "passport-foreign: comirnaty Some(1)/None 2021-06-12",
        ],
        &[
            "snils+passport-foreign: 94500-6 not-detected 2021-02-07",
            "snils+passport-foreign: comirnaty Some(1)/None 2021-06-12",
        ],
    );
    assert_eq!(world.synced().await, merged);
    // A result comes in, and a row is deleted outright, which only a sweep can see.
    world
        .sql(
            "UPDATE pathogen_test SET result = 'NEGATIVE', changed = now() AT TIME ZONE 'Europe/Moscow' WHERE id = 53; \
             DELETE FROM vaccination WHERE id = 22",
        )
        .await;
    let swept = with(
        &merged,
        &["snils: sputnik-v Some(2)/None 2021-07-01"],
        &["snils+passport-foreign: 94500-6 not-detected 2021-02-07"],
    );
    assert_eq!(world.swept().await, swept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_system_of_attributes_and_values() {
    let world = World::mariadb(&RECORDS).await;
    world.run(&["check"]);
    let first = world.synced().await;
    assert_eq!(
        first,
        [
            "oms: 94500-6 not-detected 2021-06-20",
            "snils: 94500-6 detected 2021-06-22",
            "snils: sputnik-light None/None 2021-06-11",
            "snils: sputnik-v Some(1)/None 2021-06-10",
        ]
    );
    // The dose is corrected as such a system does it: one observation is voided, another is added.
    world
        .sql(
            "UPDATE obs SET voided = 1, date_voided = now() WHERE obs_id = 1004; \
             INSERT INTO obs (obs_id, person_id, concept_id, obs_group_id, obs_datetime, value_datetime, date_created) \
             VALUES (1005, 1, 103, 1001, '2021-06-10 09:00', '2021-06-09 00:00', now())",
        )
        .await;
    let corrected = with(
        &first,
        &["snils: sputnik-v Some(1)/None 2021-06-10"],
        &["snils: sputnik-v Some(1)/None 2021-06-09"],
    );
    assert_eq!(world.synced().await, corrected);
    // A test is voided, and a person gets another number.
    world
        .sql(
            "UPDATE obs SET voided = 1, date_voided = now() WHERE obs_id = 1032; \
             INSERT INTO patient_identifier (patient_identifier_id, patient_id, identifier_type, identifier, date_created) \
             VALUES (6, 3, 1, '522-300-103 99', now())",
        )
        .await;
    let voided = with(
        &corrected,
        &[
            "snils: 94500-6 detected 2021-06-22",
            "oms: 94500-6 not-detected 2021-06-20",
        ],
        &["snils+oms: 94500-6 not-detected 2021-06-20"],
    );
    assert_eq!(world.synced().await, voided);
    // Purged: gone without a trace.
    world
        .sql("DELETE FROM obs WHERE obs_group_id = 1011; DELETE FROM obs WHERE obs_id = 1011")
        .await;
    let purged = with(&voided, &["snils: sputnik-light None/None 2021-06-11"], &[]);
    assert_eq!(world.swept().await, purged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_practice_system_whose_results_have_no_stamp() {
    let world = World::mariadb(&PRACTICE).await;
    world.run(&["check"]);
    let first = world.synced().await;
    assert_eq!(
        first,
        [
            "passport-foreign: 94500-6 not-detected 2021-07-02",
            "passport-foreign: comirnaty None/None 2021-06-11",
            "snils: 94500-6 not-detected 2021-07-01",
            "snils: sputnik-v None/None 2021-06-10",
        ]
    );
    // No stamp moves: neither with the result nor with the passport.
    world
        .sql(
            "UPDATE lab_result SET result = 'Detected' WHERE result_id = 11; \
             UPDATE patient_data SET snils = '523-300-102 04' WHERE id = 2",
        )
        .await;
    assert_eq!(world.synced().await, first, "a pull cannot see it");
    let swept = with(
        &first,
        &[
            "snils: 94500-6 not-detected 2021-07-01",
            "passport-foreign: 94500-6 not-detected 2021-07-02",
            "passport-foreign: comirnaty None/None 2021-06-11",
        ],
        &[
            "snils: 94500-6 detected 2021-07-01",
            "snils+passport-foreign: 94500-6 not-detected 2021-07-02",
            "snils+passport-foreign: comirnaty None/None 2021-06-11",
        ],
    );
    assert_eq!(world.swept().await, swept);
    // A dose was entered in error, an order is cancelled, a result is deleted.
    world
        .sql(
            "UPDATE immunizations SET added_erroneously = 1 WHERE id = 1; \
             UPDATE lab_report SET review_status = 'canceled' WHERE report_id = 1; \
             DELETE FROM lab_result WHERE result_id = 13",
        )
        .await;
    assert_eq!(
        world.swept().await,
        ["snils+passport-foreign: comirnaty None/None 2021-06-11"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_that_keeps_its_values_as_jsonb() {
    let world = World::postgres(&TRACKER).await;
    world.run(&["check"]);
    let first = world.synced().await;
    assert_eq!(
        first,
        [
            "passport-foreign: vaxzevria Some(1)/None 2021-06-11",
            "snils: 94500-6 not-detected 2021-06-12",
            "snils: sputnik-v Some(1)/None 2021-06-10",
        ]
    );
    // A value of the person is corrected, an appointment becomes a dose, a dose is deleted by its flag.
    world
        .sql(
            "UPDATE entity_value SET value = 'X4406132', lastupdated = now() AT TIME ZONE 'Europe/Moscow' \
             WHERE attribute = 'AtrPasspor1'; \
             UPDATE event SET status = 'COMPLETED', data = data || '{\"DeDose00001\": {\"value\": \"DOSE2\"}}', \
             lastupdated = now() AT TIME ZONE 'Europe/Moscow' WHERE eventid = 13; \
             UPDATE event SET deleted = true, lastupdated = now() AT TIME ZONE 'Europe/Moscow' WHERE eventid = 11",
        )
        .await;
    let changed = with(
        &first,
        &["snils: sputnik-v Some(1)/None 2021-06-10"],
        &["snils: sputnik-v Some(2)/None 2021-06-30"],
    );
    assert_eq!(world.synced().await, changed);
    // The person is deleted by its flag: with it goes everything that is told of it.
    world
        .sql("UPDATE entity SET deleted = true, lastupdated = now() AT TIME ZONE 'Europe/Moscow' WHERE entityid = 3")
        .await;
    assert_eq!(
        world.synced().await,
        ["passport-foreign: vaxzevria Some(1)/None 2021-06-11"]
    );
}
