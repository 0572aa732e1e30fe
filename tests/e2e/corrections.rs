//! Rows that were sent and cannot be sent as they are now: the registry does not go on asserting
//! what the clinic has changed; and it asserts it again once the row is mended.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use testbed::mariadb::MariaDb;
use testbed::postgres::Postgres;

use crate::cli::{json, told};
use crate::support::{City, Clinic, Running, directory_queue, registry_command, snils};

/// The clinic's database.
pub(crate) enum Server {
    Postgres(Postgres),
    MariaDb(MariaDb),
}

impl Server {
    const fn section(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::MariaDb(_) => "mysql",
        }
    }

    const fn user(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::MariaDb(_) => "root",
        }
    }

    const fn stamp(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "timestamptz NOT NULL DEFAULT clock_timestamp()",
            Self::MariaDb(_) => "timestamp(6) NOT NULL DEFAULT now(6)",
        }
    }

    fn port(&self) -> u16 {
        match self {
            Self::Postgres(server) => server.port(),
            Self::MariaDb(server) => server.port(),
        }
    }

    pub(crate) async fn sql(&self, sql: &str) {
        match self {
            Self::Postgres(server) => drop(server.psql("mis", sql).await.expect("SQL")),
            Self::MariaDb(server) => drop(server.execute("mis", sql).await.expect("SQL")),
        }
    }
}

/// A clinic with doses of persons, and a registry; a directory between them.
pub(crate) struct World {
    pub(crate) server: Server,
    city: City,
    pub(crate) clinic: Clinic,
    registry: PathBuf,
}

impl World {
    /// Makes a clinic of so many doses, of a person each; `extra` are more lines of the source.
    async fn new(server: Server, doses: u32, extra: &str) -> Self {
        let stamp = server.stamp();
        let now = match server {
            Server::Postgres(_) => "clock_timestamp()",
            Server::MariaDb(_) => "now(6)",
        };
        let mut sql = format!(
            "CREATE TABLE patient (id integer PRIMARY KEY, snils varchar(20)); \
             CREATE TABLE dose (id integer PRIMARY KEY, patient integer NOT NULL, vaccine \
             varchar(40) NOT NULL, given date, state varchar(40) NOT NULL DEFAULT 'done', \
             changed {stamp}); CREATE INDEX dose_changed ON dose (changed, id); "
        );
        sql += "INSERT INTO patient VALUES (0, NULL); ";
        for id in 1..=doses {
            write!(
                sql,
                "INSERT INTO patient VALUES ({id}, '{}'); INSERT INTO dose VALUES ({id}, {id}, \
                 'sputnik-v', '2021-02-03', 'done', {now}); ",
                snils(501_000_000 + id)
            )
            .expect("a text takes text");
        }
        server.sql(&sql).await;
        let city = City::new();
        let queue = directory_queue(&city.folder.path().join("queue"));
        let source = format!(
            "[source.mis]\n{extra}\n[source.mis.{}]\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \
             \"mis\"\nuser = \"{}\"\n[source.mis.{}.vaccinations]\nquery = \"SELECT d.id AS \
             record_id, d.changed AS changed_at, p.snils AS person_snils, d.vaccine AS \
             vaccine_code, d.given AS occurred_on, d.state AS status FROM dose d JOIN patient p ON \
             p.id = d.patient\"\nstatus_words = {{ done = \"final\", void = \"cancelled\" }}\n",
            server.section(),
            server.port(),
            server.user(),
            server.section(),
        );
        let clinic = Clinic::new(&city, &queue, &source, "");
        let registry = city.configure("[store.sqlite]\npath = \"registry.sqlite\"\n", &queue);
        Self {
            server,
            city,
            clinic,
            registry,
        }
    }

    pub(crate) async fn postgres(doses: u32, extra: &str) -> Self {
        let server = Postgres::start().await.expect("a clinic's PostgreSQL");
        server.create_database("mis").await.expect("the database");
        Self::new(Server::Postgres(server), doses, extra).await
    }

    pub(crate) async fn mariadb(doses: u32, extra: &str) -> Self {
        let server = MariaDb::start().await.expect("a clinic's MariaDB");
        server.create_database("mis").await.expect("the database");
        Self::new(Server::MariaDb(server), doses, extra).await
    }

    /// Changes doses, with their stamps.
    pub(crate) async fn change(&self, set: &str, which: &str) {
        let now = match self.server {
            Server::Postgres(_) => "clock_timestamp()",
            Server::MariaDb(_) => "now(6)",
        };
        let sql = format!("UPDATE dose SET {set}, changed = {now} WHERE {which}");
        self.server.sql(&sql).await;
    }

    fn registry(&self, arguments: &[&str]) -> Output {
        registry_command(&self.registry, arguments)
            .output()
            .expect("city-registry starts")
    }

    /// Makes a pass of the gateway, one of the registry, and another that hears the receipts;
    /// returns how many doses the registry asserts.
    pub(crate) fn settle(&self) -> Value {
        told(&self.clinic.program(&["sync"]), 0, &[]);
        told(&self.registry(&["run", "--drain"]), 0, &[]);
        told(&self.clinic.program(&["sync"]), 0, &[]);
        self.asserted()
    }

    fn asserted(&self) -> Value {
        let stats = json(&self.registry(&["show", "--stats", "--json"]));
        stats["asserted"]["vaccination"].clone()
    }

    /// Record, reason and state of the older version of each dead letter.
    fn letters(&self) -> BTreeSet<[String; 3]> {
        let listed = json(&self.clinic.program(&["dead-letters", "list", "--json"]));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let letters = listed.as_array().expect("a list").iter();
        letters
            .map(|letter| {
                [
                    text(&letter["record_id"]),
                    text(&letter["reason"]),
                    text(&letter["older_version"]),
                ]
            })
            .collect()
    }

    fn corrections(&self) -> Value {
        let status = json(&self.clinic.program(&["status", "--json"]));
        status["status"]["feeds"][0]["refused_corrections"].clone()
    }

    /// Reconciles while a registry runs; returns what differs, and what is equal.
    pub(crate) async fn reconcile(&self, arguments: &[&str]) -> [Option<u64>; 2] {
        let command = registry_command(&self.registry, &["run"]);
        let log = self.city.folder.path().join("log");
        let mut registry = Running::start(command, &log);
        let arguments = [&["reconcile", "--json", "--wait", "60"], arguments].concat();
        let report = json(&self.clinic.program(&arguments));
        assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
        let count = |result: &str| report["report"][result].as_u64();
        let differing = ["missing", "stale", "extra", "conflicting"].map(count);
        [differing.into_iter().sum(), count("equal")]
    }

    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.clinic.config_path()).expect("text");
        assert!(text.contains(from), "{from}");
        fs::write(self.clinic.config_path(), text.replacen(from, to, 1)).expect("it is edited");
    }
}

fn letter(record: u32, reason: &str, older_version: &str) -> [String; 3] {
    [
        record.to_string(),
        reason.to_owned(),
        older_version.to_owned(),
    ]
}

/// Breaks doses 1 to 6, each in another way; returns their dead letters.
async fn break_each_way(world: &World, older_version: &str) -> BTreeSet<[String; 3]> {
    world.change("vaccine = 'Вакцина-17'", "id = 1").await;
    world.change("given = '2031-02-03'", "id = 2").await;
    world.change("given = NULL", "id = 3").await;
    world.change("state = 'ENTERED_IN_ERROR'", "id = 4").await;
    let unknown_person = "UPDATE patient SET snils = '000-000-000 00' WHERE id = 5";
    world.server.sql(unknown_person).await;
    world.change("id = id", "id = 5").await;
    // Persons 6 and 0 were one: the dose belongs to a person without identifiers now.
    world.change("patient = 0", "id = 6").await;
    [
        letter(1, "vaccine-unknown", older_version),
        letter(2, "date-future", older_version),
        letter(3, "date-missing", older_version),
        letter(4, "status-unknown", older_version),
        letter(5, "identifier-missing", older_version),
        letter(6, "identifier-missing", older_version),
    ]
    .into()
}

async fn mend_all(world: &World) {
    let known_person = format!(
        "UPDATE patient SET snils = '{}' WHERE id = 5",
        snils(501_000_005)
    );
    world.server.sql(&known_person).await;
    world
        .change(
            "vaccine = 'sputnik-v', given = '2021-02-03', state = 'done', patient = id",
            "id <= 6",
        )
        .await;
}

async fn refused_corrections_are_withdrawn_and_come_back(world: World) {
    let clinic = &world.clinic;
    assert_eq!(world.settle(), 20);
    let refused = break_each_way(&world, "withdrawn").await;
    assert_eq!(world.settle(), 14, "none of the six holds any more");
    assert_eq!(world.letters(), refused);
    let words = "an older version is withdrawn at the registry";
    told(&clinic.program(&["dead-letters", "list"]), 0, &[words]);
    let words = "6 older versions are withdrawn at the registry";
    told(&clinic.program(&["status"]), 0, &[words]);
    assert_eq!(world.corrections()["withdrawn"], 6);
    let listed = json(&clinic.program(&["dead-letters", "list", "--json"]));
    let id = listed[0]["id"].to_string();
    told(
        &clinic.program(&["dead-letters", "show", &id]),
        0,
        &["older version"],
    );

    // Nothing goes on being sent or read, and nothing brings it back but the row.
    let sync = told(
        &clinic.program(&["sync"]),
        0,
        &["batches delivered                 0"],
    );
    assert!(!sync.contains("withdrawn"), "{sync}");
    let swept = json(&clinic.program(&["sweep", "--json"]));
    // The row of 2031 is looked at again: its day may have come.
    assert_eq!(swept[0]["feeds"][0]["reread"], 1, "{swept}");
    assert_eq!(world.reconcile(&[]).await, [Some(0), Some(20)]);
    assert_eq!(world.reconcile(&["--repair"]).await, [Some(0), Some(20)]);
    for (again, code) in [
        (&["sync", "--full"][..], 0),
        // The rows are refused again.
        (&["dead-letters", "retry", "--source", "mis"], 65),
    ] {
        told(&clinic.program(again), code, &[]);
        assert_eq!(world.settle(), 14);
        assert_eq!(world.letters(), refused);
    }

    mend_all(&world).await;
    assert_eq!(world.settle(), 20);
    assert_eq!(world.letters(), BTreeSet::new());
    assert_eq!(world.corrections()["withdrawn"], 0);
    assert_eq!(world.reconcile(&["--repair"]).await, [Some(0), Some(20)]);
    let status = told(&clinic.program(&["status"]), 0, &[]);
    assert!(!status.contains("older version"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_postgresql_that_can_be_sent_no_more_are_withdrawn_until_mended() {
    refused_corrections_are_withdrawn_and_come_back(World::postgres(20, "").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_mariadb_that_can_be_sent_no_more_are_withdrawn_until_mended() {
    refused_corrections_are_withdrawn_and_come_back(World::mariadb(20, "").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_breaks_for_many_is_held_until_an_operator_decides() {
    let world = World::postgres(60, "page_records = 7").await;
    let clinic = &world.clinic;
    assert_eq!(world.settle(), 60);
    world.change("vaccine = 'Вакцина-17'", "id <= 40").await;
    let said = told(&clinic.program(&["sync"]), 0, &["older-versions-held"]);
    assert!(said.contains("confirm-withdrawals mis"), "{said}");
    assert_eq!(world.settle(), 60, "no pass was taken from anybody");
    let held = "HELD: 40 older versions are held at the registry (of 60 records)";
    told(
        &clinic.program(&["status"]),
        0,
        &[held, "confirm-withdrawals mis"],
    );
    let words = "an older version is held at the registry";
    told(&clinic.program(&["dead-letters", "list"]), 0, &[words]);
    assert_eq!(
        world
            .letters()
            .iter()
            .filter(|letter| letter[2] == "held")
            .count(),
        40
    );
    told(&clinic.program(&["sweep"]), 1, &["40 older versions stand"]);
    assert_eq!(world.reconcile(&["--repair"]).await, [Some(0), Some(60)]);
    assert_eq!(world.corrections()["held"], 40);

    // The mapping is mended for some, whose facts were never gone.
    world.change("vaccine = 'sputnik-v'", "id <= 10").await;
    assert_eq!(world.settle(), 60);
    assert_eq!(world.corrections()["held"], 30);
    told(
        &clinic.program(&["confirm-withdrawals", "mis"]),
        2,
        &["30 of 60 records cannot be sent any more", "--yes"],
    );
    told(
        &clinic.program(&["confirm-withdrawals", "mis", "--yes"]),
        0,
        &["30 records withdrawn"],
    );
    assert_eq!(world.settle(), 30);
    told(
        &clinic.program(&["confirm-withdrawals", "mis"]),
        0,
        &["nothing of mis is held back"],
    );

    // The clinic's word for the vaccine is mapped at last: everything is back.
    world.edit(
        "[source.mis.postgres]",
        "[source.mis.policy.codes.vaccines]\n\"Вакцина-17\" = \"sputnik-v\"\n[source.mis.postgres]",
    );
    assert_eq!(world.settle(), 60);
    assert_eq!(world.letters(), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_keeps_says_so_until_it_withdraws() {
    let world = World::postgres(20, "on_refused_correction = \"keep\"").await;
    let clinic = &world.clinic;
    assert_eq!(world.settle(), 20);
    let refused = break_each_way(&world, "kept").await;
    assert_eq!(world.settle(), 20);
    assert_eq!(world.letters(), refused);
    let words = "an older version is kept at the registry";
    told(&clinic.program(&["dead-letters", "list"]), 0, &[words]);
    told(
        &clinic.program(&["status"]),
        0,
        &["6 older versions are kept at the registry"],
    );
    world.edit("\"keep\"", "\"withdraw\"");
    assert_eq!(world.settle(), 14);
    world.edit("\"withdraw\"", "\"withdrew\"");
    told(
        &clinic.program(&["check"]),
        78,
        &["`withdrew`", "did you mean `withdraw`?"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_deleted_or_cancelled_after_they_were_refused_leave_nothing() {
    let world = World::postgres(20, "").await;
    assert_eq!(world.settle(), 20);
    break_each_way(&world, "withdrawn").await;
    assert_eq!(world.settle(), 14);
    world
        .server
        .sql("DELETE FROM dose WHERE id IN (1, 2, 3)")
        .await;
    world.change("state = 'void'", "id IN (4, 5, 6)").await;
    assert_eq!(world.settle(), 14);
    told(&world.clinic.program(&["sweep"]), 0, &[]);
    assert_eq!(world.settle(), 14);
    assert_eq!(world.letters(), BTreeSet::new());
    assert_eq!(world.corrections()["withdrawn"], 0);
    // One is restored as it was before it was refused, its stamp too.
    let restored = "INSERT INTO dose SELECT 1, 1, vaccine, given, state, changed FROM dose WHERE \
                    id = 7";
    world.server.sql(restored).await;
    told(&world.clinic.program(&["sweep"]), 0, &[]);
    assert_eq!(world.settle(), 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_withdrawn_stays_so_when_the_state_is_lost_with_the_rest() {
    let world = World::postgres(20, "").await;
    assert_eq!(world.settle(), 20);
    let state = world.clinic.folder.path().join("state");
    let copy = world.clinic.folder.path().join("copy.db");
    break_each_way(&world, "withdrawn").await;
    assert_eq!(world.settle(), 14);
    // An older state comes back that knows the six as sent: they are refused, and taken back, anew.
    fs::copy(state.join("outbox.db"), &copy).expect("a copy is made");
    mend_all(&world).await;
    assert_eq!(world.settle(), 20);
    break_each_way(&world, "withdrawn").await;
    for suffix in ["-wal", "-shm"] {
        let leftover = state.join(format!("outbox.db{suffix}"));
        assert!(!leftover.exists(), "closed tidily: {}", leftover.display());
    }
    fs::copy(&copy, state.join("outbox.db")).expect("the copy is put back");
    assert_eq!(world.settle(), 14);
    assert_eq!(world.corrections()["withdrawn"], 6);
    assert_eq!(world.reconcile(&["--repair"]).await, [Some(0), Some(20)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_lost_state_had_sent_is_withdrawn_too() {
    let world = World::postgres(20, "").await;
    assert_eq!(world.settle(), 20);
    break_each_way(&world, "").await;
    let state = world.clinic.folder.path().join("state");
    fs::remove_file(state.join("outbox.db")).expect("the state is lost");
    assert_eq!(world.settle(), 14);
    assert_eq!(world.letters(), break_each_way(&world, "").await);
    mend_all(&world).await;
    assert_eq!(world.settle(), 20);
    assert_eq!(world.reconcile(&[]).await, [Some(0), Some(20)]);
}
