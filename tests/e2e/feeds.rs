//! Feeds of one source that break alone, and sweeps beside them, on real servers.

use serde_json::Value;
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
    let what = format!("{field} of {name} reaches {least}");
    eventually(&what, 60, async || {
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
        "host = \"127.0.0.1\"\nport = {}\ndatabase = \"mis\"\nuser = \"postgres\"",
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
    reaches(&clinic, "vaccinations", "new_total", 2).await;
    assert_eq!(number(&clinic, "vaccinations", "consecutive_failures"), 0);
    assert_eq!(gateway.terminate().await, Some(0));
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
