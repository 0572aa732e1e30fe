//! `init` as a whole, against a private database.

use clap::Parser;
use testbed::postgres::Postgres;

use super::*;
use crate::config;

/// The arguments of `init` behind its name.
#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    init: InitArguments,
}

const CLINIC: &str = "
CREATE TABLE patient (id int PRIMARY KEY, fio text, snils text, updated_at timestamptz NOT NULL);
CREATE TABLE vaccination (id int PRIMARY KEY, patient_id int NOT NULL REFERENCES patient,
  vaccine text, dose int,
  given_on date, deleted boolean NOT NULL, updated_at timestamptz NOT NULL);
CREATE TABLE journal (id int PRIMARY KEY, line text);
INSERT INTO patient VALUES (1, 'A', '112-233-445 95', now());
INSERT INTO vaccination VALUES (1, 1, 'Sputnik V', 1, '2021-05-01', false, now()), (2, 1,
  'Наша вакцина', 1, '2021-05-02', false, now()),
  (3, 1, 'Наша вакцина', 2, '2021-05-22', true, now()), (4, 1, 'Sputnik V', 2, '2021-05-23',
    false, now());
CREATE ROLE gateway_reader LOGIN PASSWORD 'read-only-1';
GRANT SELECT ON patient, vaccination TO gateway_reader;
";

async fn run(arguments: &[&str]) -> Result<(), Failure> {
    let command = Command::try_parse_from([&["init"], arguments].concat());
    let now = "2021-07-10T09:00:00Z".parse().expect("a time");
    init(&command.unwrap_or_else(|error| panic!("{error}")).init, now).await
}

fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_looked_at_has_its_section() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("mis").await.expect("a database");
    server.psql("mis", CLINIC).await.expect("its tables");
    let folder = tempfile::tempdir().expect("a folder");
    private(&folder.path().join("mis-password"), "read-only-1");
    let look = format!("postgres://gateway_reader@127.0.0.1:{}/mis", server.port());
    let path = folder.path().to_str().expect("a path").to_owned();
    let queue = "amqps://clinic-1@mq.city:5671/registry";
    let done = run(&[
        &path,
        "--look",
        &look,
        "--password-file",
        "mis-password",
        "--queue",
        queue,
    ])
    .await;
    assert!(done.is_ok(), "{done:?}");
    let text = fs::read_to_string(folder.path().join("clinic-gateway.toml")).expect("the file");
    for part in [
        "[source.mis.postgres.vaccinations]",
        "user = \"gateway_reader\"",
        "password = { file = \"mis-password\" }",
        "SELECT v.id       AS record_id",
        "CASE WHEN v.deleted THEN 'deleted' ELSE 'final' END AS status",
        "[source.mis.policy.codes.vaccines]\n",
        "# \"Наша вакцина\" = \"…\" # × 2",
        "# No tests were found.",
        "receipts_queue = \"clinic.receipts.clinic-1\"",
        "[source.mis.sweep]",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        !text.contains("Sputnik V\" ="),
        "what the built-in list knows needs no line"
    );
    for secret in ["112-233-445", "read-only-1"] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(
        text.contains("several-stamps"),
        "the person has a stamp, too: {text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_rows_of_a_proposed_section_are_shown() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("mis").await.expect("a database");
    let flat = "CREATE TABLE vaccinations (id int PRIMARY KEY, snils text, vaccine text,
      given_on date, updated_at timestamptz NOT NULL);
        CREATE INDEX ON vaccinations (updated_at, id);
        INSERT INTO vaccinations VALUES (1, '112-233-445 95', 'Sputnik V', '2021-05-01',
          '2021-05-01 10:00+03')";
    server.psql("mis", flat).await.expect("its table");
    let folder = tempfile::tempdir().expect("a folder");
    let look = format!("postgres://postgres@127.0.0.1:{}/mis", server.port());
    let path = folder.path().to_str().expect("a path").to_owned();
    run(&[&path, "--look", &look, "--name", "clinic-2"])
        .await
        .expect("it is written");
    let file = folder.path().join("clinic-gateway.toml");
    let ring = KeyRing::generate();
    let now = "2021-07-10T09:00:00Z".parse().expect("a time");
    let shown = rows::show(&file, "clinic-2", &ring, now).await;
    assert_eq!(
        shown.expect("the section loads"),
        [(connector_kit::Feed::Vaccinations, 1)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_helps_with_a_known_system_stands_above_its_section() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("mis").await.expect("a database");
    let known = "CREATE TABLE demographic (demographic_no int PRIMARY KEY, snils text);
        CREATE TABLE preventions (id int PRIMARY KEY, demographic_no int, prevention_type text,
          prevention_date date)";
    server.psql("mis", known).await.expect("its tables");
    let folder = tempfile::tempdir().expect("a folder");
    let look = format!("postgres://postgres@127.0.0.1:{}/mis", server.port());
    let path = folder.path().to_str().expect("a path").to_owned();
    run(&[&path, "--look", &look]).await.expect("it is written");
    let text = fs::read_to_string(folder.path().join("clinic-gateway.toml")).expect("the file");
    let told = "# The tables are those of OSCAR EMR: connectors/sql/README.md";
    assert!(text.contains(told), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_feed_is_found_the_queries_of_the_example_are_comments() {
    let server = Postgres::start().await.expect("a server");
    server.create_database("mis").await.expect("a database");
    let odd = "CREATE TABLE vaccination (vaccine text, given_on date, dose int, note text)";
    server.psql("mis", odd).await.expect("its table");
    let folder = tempfile::tempdir().expect("a folder");
    let look = format!("postgres://postgres@127.0.0.1:{}/mis", server.port());
    let path = folder.path().to_str().expect("a path").to_owned();
    run(&[&path, "--look", &look]).await.expect("it is written");
    let text = fs::read_to_string(folder.path().join("clinic-gateway.toml")).expect("the file");
    for part in [
        "# No vaccinations were found.",
        "# [source.mis.postgres.vaccinations]",
        "\n[source.mis.sweep]",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        !text.contains("\n[source.mis.postgres.vaccinations]"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_at_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("gateway");
    let path = target.to_str().expect("a path").to_owned();
    let port = testbed::ports::free_port().to_string();
    let away = format!("postgres://reader@127.0.0.1:{port}/mis");
    let refused = run(&[&path, "--look", &away])
        .await
        .expect_err("nobody is there");
    assert!(
        refused.message().contains("nothing was written"),
        "{refused:?}"
    );
    assert!(!target.exists());
    let held = run(&[&path, "--look", "postgres://reader:hunter2@127.0.0.1/mis"]).await;
    let held = held.expect_err("a password");
    assert!(!held.message().contains("hunter2") && held.message().contains("--password-file"));
    let sqlite = run(&[&path, "--look", "sqlite:/nowhere/mis.db"])
        .await
        .expect_err("no file");
    assert!(
        matches!(sqlite, Failure::Change(_)) && !target.exists(),
        "{sqlite:?}"
    );
}

#[tokio::test]
async fn the_examples_are_written_as_before() {
    let folder = tempfile::tempdir().expect("a folder");
    for kind in ["postgres", "mysql", "sqlite", "fhir", "fhir-folder"] {
        let target = folder.path().join(kind);
        let path = target.to_str().expect("a path").to_owned();
        run(&[&path, "--source", kind])
            .await
            .expect("it is written");
        let loaded = config::load_unfinished(&target.join("clinic-gateway.toml"));
        assert_eq!(loaded.expect("it loads").config.source.len(), 1, "{kind}");
    }
}

#[test]
fn an_example_gets_the_name_that_was_asked_for() {
    for example in [POSTGRES, MYSQL, SQLITE, FHIR, FHIR_FOLDER] {
        let text = named(example, "hospital");
        let sections = text.lines().filter(|line| line.starts_with("[source."));
        let sections: Vec<&str> = sections.collect();
        assert!(sections.len() >= 3, "{text}");
        let is_named = |line: &&str| {
            line.starts_with("[source.hospital]") || line.starts_with("[source.hospital.")
        };
        assert!(sections.iter().all(is_named), "{text}");
    }
}
