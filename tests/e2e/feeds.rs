//! Feeds of one source that break alone, and sweeps whose lists lie, on real servers.

use serde_json::{Value, json};
use testbed::fhir::FhirServer;
use testbed::mariadb::MariaDb;
use testbed::postgres::Postgres;

use crate::support::{City, Clinic, Running, directory_queue, eventually, snils};

const TABLES: &str = "
CREATE TABLE shot (id integer PRIMARY KEY, snils varchar(20) NOT NULL, day date NOT NULL,
                   changed_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE swab (id integer PRIMARY KEY, snils varchar(20) NOT NULL, day date NOT NULL,
                   changed_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP);";

/// Two feeds of a source, one a table.
fn source(section: &str, settings: &str) -> String {
    let columns = "id AS record_id, changed_at, snils AS person_snils, day AS occurred_on";
    format!(
        "[source.mis]\nschedule = {{ every-seconds = 1 }}\n\
         [source.mis.sweep]\nschedule = \"never\"\nalways_allowed = 100\n\
         [source.mis.{section}]\n{settings}\n\
         [source.mis.{section}.vaccinations]\n\
         query = \"SELECT {columns}, 'sputnik-v' AS vaccine_code FROM shot\"\n\
         [source.mis.{section}.tests]\n\
         query = \"SELECT {columns}, 'pcrcovid19' AS test_code, 'negative' AS result_code FROM swab\"\n"
    )
}

fn row(table: &str, id: u32) -> String {
    let snils = snils(501_000_000 + id);
    format!("INSERT INTO {table} (id, snils, day) VALUES ({id}, '{snils}', '2021-06-01');")
}

/// A clinic whose queue is a directory beside its configuration.
fn clinic(source: &str) -> Clinic {
    let city = City::new();
    let clinic = Clinic::new(&city, "", source, "");
    let queue = directory_queue(&clinic.folder.path().join("queue"));
    let path = clinic.config_path();
    let text = std::fs::read_to_string(&path).expect("the configuration");
    std::fs::write(&path, format!("{text}{queue}\n")).expect("the queue is added");
    clinic
}

/// The feed as `status --json` shows it.
fn feed(clinic: &Clinic, name: &str) -> Option<Value> {
    let output = clinic.program(&["status", "--json"]);
    let status: Value = serde_json::from_slice(&output.stdout).ok()?;
    let feeds = status["status"]["feeds"].as_array()?;
    feeds.iter().find(|feed| feed["feed"] == name).cloned()
}

fn number(clinic: &Clinic, name: &str, field: &str) -> u64 {
    let feed = feed(clinic, name);
    feed.and_then(|feed| feed[field].as_u64()).unwrap_or(0)
}

async fn reaches(clinic: &Clinic, name: &str, field: &str, least: u64) {
    reaches_within(clinic, name, field, least, 60).await;
}

async fn reaches_within(clinic: &Clinic, name: &str, field: &str, least: u64, seconds: u64) {
    let what = format!("{field} of {name} reaches {least}");
    eventually(&what, seconds, async || {
        (number(clinic, name, field) >= least).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_whose_table_is_gone_fails_alone_on_postgres() {
    let server = Postgres::start().await.expect("a clinic's PostgreSQL");
    server.create_database("mis").await.expect("a database");
    let sql = async |text: &str| server.psql("mis", text).await.expect("the clinic's SQL");
    sql(TABLES).await;
    sql(&(row("shot", 1) + &row("swab", 1))).await;
    let settings = format!(
        "host = \"127.0.0.1\"\nport = {}\ndatabase = \"mis\"\nuser = \"postgres\"\n\
         connect_timeout_seconds = 60",
        server.port()
    );
    let clinic = clinic(&source("postgres", &settings));
    let log = clinic.folder.path().join("log");
    let mut gateway = Running::start(clinic.command(&["run"]), &log);
    reaches(&clinic, "tests", "new_total", 1).await;

    sql("ALTER TABLE shot RENAME TO shot_away").await;
    // The pauses double: at the fifth failure the broken feed is left alone for 16 s and more.
    // Each of the rows has to arrive meanwhile.
    for id in 2..=20_u32 {
        sql(&row("swab", id)).await;
        reaches(&clinic, "tests", "new_total", u64::from(id)).await;
        assert_eq!(number(&clinic, "tests", "consecutive_failures"), 0);
    }
    reaches(&clinic, "vaccinations", "consecutive_failures", 4).await;
    let broken = feed(&clinic, "vaccinations").expect("the feed");
    assert_eq!(broken["last_error"], "source-misconfigured");

    sql("ALTER TABLE shot_away RENAME TO shot").await;
    sql(&row("shot", 2)).await;
    // The pause of the feed is as long as it has been broken, up to five minutes: on a machine that
    // is busy the rows above have taken long.
    reaches_within(&clinic, "vaccinations", "new_total", 2, 600).await;
    assert_eq!(number(&clinic, "vaccinations", "consecutive_failures"), 0);
    assert_eq!(gateway.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_feed_of_a_server_that_is_away_is_told_with_the_feed_that_was_asked() {
    const FEEDS: [&str; 3] = ["recoveries", "tests", "vaccinations"];
    let mut server = Postgres::start().await.expect("a clinic's PostgreSQL");
    server.create_database("mis").await.expect("a database");
    let made = server.psql("mis", TABLES).await;
    made.expect("the clinic's SQL");
    let settings = format!(
        "host = \"127.0.0.1\"\nport = {}\ndatabase = \"mis\"\nuser = \"postgres\"\n\
         connect_timeout_seconds = 60",
        server.port()
    );
    let recoveries = "[source.mis.postgres.recoveries]\nquery = \"SELECT id AS record_id, \
                      changed_at, snils AS person_snils, day AS occurred_on, 'U07.1' AS \
                      diagnosis_code FROM swab\"\n";
    let clinic = clinic(&(source("postgres", &settings) + recoveries));
    let log = clinic.folder.path().join("log");
    let _gateway = Running::start(clinic.command(&["run"]), &log);
    let is_well = async |name: &str| {
        let shown = feed(&clinic, name)?;
        shown["last_ok_at"].is_string().then_some(())
    };
    for name in FEEDS {
        eventually("the feed is read", 60, async || is_well(name).await).await;
    }
    server.stop().await.expect("the server stops");
    let mut asked_for_others = 0;
    for failures in 2..6 {
        for name in FEEDS {
            reaches(&clinic, name, "consecutive_failures", failures).await;
            let shown = feed(&clinic, name).expect("the feed");
            assert_eq!(shown["last_error"], "source-away");
            let why = shown["last_error_why"]
                .as_str()
                .expect("a cause")
                .to_owned();
            let named = |feed: &&str| why.contains(&format!("feed {feed}: "));
            let failed = FEEDS.into_iter().find(named).expect("a feed is named");
            let asked = format!("{failed} was asked for all feeds of the source: ");
            assert_eq!(why.starts_with(&asked), failed != name, "{name}: {why}");
            asked_for_others += usize::from(failed != name);
        }
    }
    assert!(asked_for_others > 0, "one probe is made for all feeds");
    let shown = clinic.program(&["status"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    for name in FEEDS {
        assert!(shown.contains(&format!("cause: mis {name}: ")), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_and_a_sweep_do_the_feeds_that_work_and_end_with_the_failure() {
    let server = MariaDb::start().await.expect("a clinic's MariaDB");
    server.create_database("mis").await.expect("a database");
    let sql = async |text: &str| server.execute("mis", text).await.expect("the clinic's SQL");
    sql(TABLES).await;
    sql(&(row("shot", 1) + &row("swab", 1) + &row("swab", 2))).await;
    let settings = format!(
        "host = \"127.0.0.1\"\nport = {}\ndatabase = \"mis\"\nuser = \"root\"",
        server.port()
    );
    let clinic = clinic(&source("mysql", &settings));
    assert_eq!(clinic.program(&["sync"]).status.code(), Some(0));

    sql("RENAME TABLE shot TO shot_away").await;
    sql(&row("swab", 3)).await;
    let synced = clinic.program(&["sync"]);
    let told = String::from_utf8_lossy(&synced.stderr);
    assert_eq!(synced.status.code(), Some(78), "{told}");
    assert!(told.contains("source mis, vaccinations"), "{told}");
    assert_eq!(number(&clinic, "tests", "new_total"), 3);

    sql("DELETE FROM swab WHERE id = 1").await;
    let swept = clinic.program(&["sweep", "mis"]);
    let told = String::from_utf8_lossy(&swept.stderr);
    assert_eq!(swept.status.code(), Some(78), "{told}");
    assert!(told.contains("source mis, vaccinations"), "{told}");
    assert_eq!(number(&clinic, "tests", "withdrawn_total"), 1);
    assert_eq!(number(&clinic, "vaccinations", "withdrawn_total"), 0);
}

/// What `status` says the source did that it should not.
fn surprises(clinic: &Clinic) -> Value {
    let output = clinic.program(&["status", "--json"]);
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    status["status"]["surprises"].clone()
}

/// Codes of the surprises that are not over.
fn open_surprises(clinic: &Clinic) -> Vec<String> {
    let surprises = surprises(clinic);
    let told = surprises.as_array().expect("a list").iter();
    let open = told.filter(|surprise| surprise["mended_at"].is_null());
    open.map(|surprise| surprise["code"].as_str().expect("a code").to_owned())
        .collect()
}

/// Runs `sync`; returns the number of records it has read.
fn sync_reads(clinic: &Clinic) -> u64 {
    let output = clinic.program(&["sync", "--json"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let summary: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    summary["read"].as_u64().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stamp_ahead_is_no_surprise_and_an_import_is_read_until_its_overlap_has_closed() {
    let server = Postgres::start().await.expect("a clinic's PostgreSQL");
    server.create_database("mis").await.expect("a database");
    let sql = async |text: &str| server.psql("mis", text).await.expect("the clinic's SQL");
    let instants = TABLES.replace(" timestamp ", " timestamptz ");
    sql(&instants).await;
    let import: String = (1..=300).map(|id| row("shot", id)).collect();
    sql(&format!("BEGIN; {import} COMMIT; {}", row("swab", 1))).await;
    sql("UPDATE shot SET changed_at = now() - interval '2 days'").await;
    sql("UPDATE swab SET changed_at = '2999-01-01 00:00+00'").await;
    let settings = format!(
        "host = \"127.0.0.1\"\nport = {}\ndatabase = \"mis\"\nuser = \"postgres\"\n\
         connect_timeout_seconds = 60",
        server.port()
    );
    let clinic = clinic(&source("postgres", &settings));
    assert_eq!(sync_reads(&clinic), 301);
    for id in 2..6 {
        // The row of 2999 comes with every run, and the newest one once more; the import does not.
        let read = sync_reads(&clinic);
        assert!((1..=2).contains(&read), "{read} {}", surprises(&clinic));
        sql(&row("swab", id)).await;
        sql(&format!(
            "UPDATE swab SET changed_at = now() - interval '2 days' WHERE id = {id}"
        ))
        .await;
        assert!(sync_reads(&clinic) >= 2, "the new row and that of 2999");
    }
    assert_eq!(number(&clinic, "tests", "new_total"), 5);
    assert_eq!(surprises(&clinic), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_type_that_is_refused_fails_alone_at_a_fhir_server() {
    let server = FhirServer::start().await.expect("a FHIR server");
    let patient = json!({"resourceType": "Patient", "id": "p",
        "identifier": [{"system": "urn:snils", "value": snils(501_000_001)}]});
    server.put(patient, "2021-07-01T09:00:00Z");
    let dose = |id: u64| {
        json!({"resourceType": "Immunization", "id": format!("d{id}"), "status": "completed",
            "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "505"}]},
            "patient": {"reference": "Patient/p"}, "occurrenceDateTime": "2021-06-01"})
    };
    server.forbid_types(&["Condition"]);
    let source = format!(
        "[source.mis]\nschedule = {{ every-seconds = 1 }}\n[source.mis.fhir]\nbase_url = \
         \"{}\"\nidentifier_systems = {{ \"urn:snils\" = \"snils\" }}\n",
        server.base_url()
    );
    let clinic = clinic(&source);
    let log = clinic.folder.path().join("log");
    let mut gateway = Running::start(clinic.command(&["run"]), &log);
    for id in 1..=8 {
        server.put(dose(id), &format!("2021-07-01T10:{id:02}:00Z"));
        reaches(&clinic, "vaccinations", "new_total", id).await;
    }
    reaches(&clinic, "recoveries", "consecutive_failures", 3).await;
    for name in ["vaccinations", "tests"] {
        assert_eq!(number(&clinic, name, "consecutive_failures"), 0, "{name}");
    }
    assert_eq!(gateway.terminate().await, Some(0));
}

/// Puts the Immunization and the Patient of one vaccination.
fn put_dose(server: &FhirServer, id: u32) {
    let patient = json!({ "resourceType": "Patient", "id": format!("p{id}"),
                          "identifier": [{ "system": "urn:snils", "value": snils(502_000_000 + id) }] });
    let dose = json!({ "resourceType": "Immunization", "id": format!("i{id}"),
                       "status": "completed", "occurrenceDateTime": "2021-06-01",
                       "patient": { "reference": format!("Patient/p{id}") },
                       "vaccineCode": { "coding": [{ "system": "http://hl7.org/fhir/sid/cvx",
                                                      "code": "505" }] } });
    server.put(patient, "2021-06-01T10:00:00Z");
    server.put(dose, "2021-06-01T10:00:00Z");
}

/// A clinic of one FHIR server's vaccinations.
fn clinic_of(server: &FhirServer) -> Clinic {
    clinic(&format!(
        "[source.mis]\n[source.mis.sweep]\nalways_allowed = 100\n[source.mis.fhir]\n\
         base_url = \"{}\"\nfeeds = [\"vaccinations\"]\n\
         [source.mis.fhir.identifier_systems]\n\"urn:snils\" = \"snils\"\n\
         [source.mis.policy.codes.vaccines]\n\"sputnik-v\" = \"sputnik-v\"\n",
        server.base_url()
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_searches_of_a_server_leave_out_is_withdrawn_only_where_its_address_is_gone() {
    let server = FhirServer::start().await.expect("a FHIR server");
    (0..8).for_each(|id| put_dose(&server, id));
    let clinic = clinic_of(&server);
    assert_eq!(sync_reads(&clinic), 8);

    // The index lags behind: three doses are in no list, one of which is really gone.
    let unlisted = ["Immunization/i1", "Immunization/i2", "Immunization/i3"];
    server.unlist(&unlisted.map(str::to_owned));
    server.delete("Immunization", "i2");
    let swept = clinic.program(&["sweep", "--json"]);
    assert_eq!(swept.status.code(), Some(0));
    let swept: Value = serde_json::from_slice(&swept.stdout).expect("JSON");
    let feed = &swept[0]["feeds"][0];
    assert_eq!(
        (&feed["keys"], &feed["unlisted"], &feed["withdrawn"]),
        (&json!(5), &json!(2), &json!(1)),
        "{swept}"
    );
    let told = surprises(&clinic);
    assert_eq!(told[0]["code"], "keys-incomplete", "{told}");

    // A dose whose address fails is neither read nor withdrawn, and stops nothing.
    server.delete("Immunization", "i3");
    server.forbid_types(&["Immunization/i1"]);
    let swept = clinic.program(&["sweep", "--json"]);
    let swept: Value = serde_json::from_slice(&swept.stdout).expect("JSON");
    let feed = &swept[0]["feeds"][0];
    assert_eq!(
        (&feed["unanswered"], &feed["withdrawn"], &feed["finished"]),
        (&json!(1), &json!(1), &json!(true)),
        "{swept}"
    );
    let told = surprises(&clinic).to_string();
    assert!(told.contains("rows-unanswered"), "{told}");
    server.forbid_types(&[]);
    server.unlist(&[]);
    assert_eq!(clinic.program(&["sweep"]).status.code(), Some(0));
    assert_eq!(number(&clinic, "vaccinations", "withdrawn_total"), 2);
    assert!(open_surprises(&clinic).is_empty(), "both are mended");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_share_an_id_are_told() {
    let server = Postgres::start().await.expect("a clinic's PostgreSQL");
    server.create_database("mis").await.expect("a database");
    let sql = async |text: &str| server.psql("mis", text).await.expect("the clinic's SQL");
    sql(TABLES).await;
    for id in 1..=5 {
        sql(&(row("shot", id) + &row("swab", id))).await;
    }
    // Rows of two tables under one id: other persons, other stamps.
    sql("CREATE TABLE archive AS SELECT id, snils, day, changed_at - interval '1 hour' AS changed_at \
         FROM swab WHERE id <= 2")
    .await;
    sql("UPDATE archive SET snils = (SELECT snils FROM shot WHERE id = 5)").await;
    let settings = format!(
        "host = \"127.0.0.1\"\nport = {}\ndatabase = \"mis\"\nuser = \"postgres\"\n\
         connect_timeout_seconds = 60",
        server.port()
    );
    let source = source("postgres", &settings);
    let both = "FROM (SELECT * FROM shot UNION ALL SELECT * FROM archive) AS shots\"";
    let clinic = clinic(&source.replace("FROM shot\"", both));
    assert_eq!(sync_reads(&clinic), 12);
    assert_eq!(open_surprises(&clinic), ["ids-repeat"]);
    assert_eq!(clinic.program(&["sweep"]).status.code(), Some(0));
    assert_eq!(
        open_surprises(&clinic),
        ["ids-repeat"],
        "and no stamp has gone back"
    );
    sql("DELETE FROM archive").await;
    assert_eq!(clinic.program(&["sweep"]).status.code(), Some(0));
    assert!(open_surprises(&clinic).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_patient_is_a_dead_letter_and_what_was_sent_of_it_stands() {
    let server = FhirServer::start().await.expect("a FHIR server");
    (0..4).for_each(|id| put_dose(&server, id));
    let clinic = clinic_of(&server);
    assert_eq!(sync_reads(&clinic), 4);

    server.forbid_types(&["Patient/p1", "Patient/p5"]);
    let dose = |id: u32, day: &str| {
        json!({ "resourceType": "Immunization", "id": format!("i{id}"), "status": "completed",
                "occurrenceDateTime": day, "patient": { "reference": format!("Patient/p{id}") },
                "vaccineCode": { "coding": [{ "code": "sputnik-v" }] } })
    };
    server.put(dose(1, "2021-06-02"), "2021-06-01T11:00:00Z");
    (4..6).for_each(|id| put_dose(&server, id));
    for command in ["sync", "sweep", "sync"] {
        assert_eq!(
            clinic.program(&[command]).status.code(),
            Some(0),
            "{command}"
        );
    }
    let letters = || {
        let listed = clinic.program(&["dead-letters", "list", "--json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        let letters = listed.as_array().expect("a list").iter();
        let letters = letters.map(|letter| json!([letter["record_id"], letter["reason"]]));
        let mut letters: Vec<String> = letters.map(|letter| letter.to_string()).collect();
        letters.sort();
        letters
    };
    let hidden = |id: u32| format!(r#"["Immunization/i{id}","person-hidden"]"#);
    assert_eq!(letters(), [hidden(1), hidden(5)]);
    let told = clinic.program(&["dead-letters", "list"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("sent before stays as it is"), "{told}");
    let totals = || {
        ["new_total", "corrected_total", "withdrawn_total"]
            .map(|field| number(&clinic, "vaccinations", field))
    };
    assert_eq!(
        totals(),
        [5, 0, 0],
        "the others arrive, nothing is withdrawn"
    );

    // A right that comes back changes no record; the next sweep finds them all the same.
    server.forbid_types(&[]);
    assert_eq!(clinic.program(&["sweep"]).status.code(), Some(0));
    assert_eq!(letters(), [""; 0]);
    assert_eq!(totals(), [6, 1, 0]);
}
