//! What is broken beside the clinic's own tables keeps `init` from none of them.

use connector_kit::{Feed, SourceError};

use super::{feed, propose, records};
use crate::clinic::{Clinic, private_file};

/// A clinic's own tables.
const OWN: &str = "
CREATE TABLE patients (id int PRIMARY KEY, last_name varchar(20), snils varchar(14));
CREATE TABLE vaccinations (id int PRIMARY KEY, patient_id int NOT NULL REFERENCES patients (id),
  vaccine varchar(20), given_on date);
INSERT INTO patients VALUES (1, 'A', '112-233-445 95');
INSERT INTO vaccinations VALUES (1, 1, 'Sputnik V', '2021-05-01');
";

const FOUND: &str = "1 Snils=112-233-445 95 Sputnik V Missing 2021-05-01";

#[tokio::test(flavor = "multi_thread")]
async fn a_view_over_a_table_that_is_gone_is_named_and_the_rest_is_read() {
    let clinic = Clinic::sqlite();
    clinic.run(OWN).await;
    clinic
        .run(
            "CREATE TABLE gone (id int); CREATE VIEW \"it's a 'view'\" AS SELECT id FROM gone; \
             CREATE VIEW seen AS SELECT id FROM vaccinations; DROP TABLE gone;",
        )
        .await;
    let proposal = propose(&clinic).await;
    let unread: Vec<&str> = proposal
        .unread
        .iter()
        .map(|(part, _)| part.as_str())
        .collect();
    assert_eq!(unread, ["it's a 'view'"]);
    assert_eq!(proposal.tables, 3);
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    assert_eq!(records(&clinic, vaccinations).await, [FOUND]);
}

/// Somebody else's views: over functions that raise, over a table that is gone, of an account that
/// is gone.
const OTHERS: &str = "
CREATE DATABASE other; USE other;
CREATE TABLE rooms (id int PRIMARY KEY, how varchar(20)); INSERT INTO rooms VALUES (1, 'x');
CREATE TABLE gone (id int PRIMARY KEY);
DELIMITER //
CREATE FUNCTION places() RETURNS int DETERMINISTIC RETURN 1//
CREATE FUNCTION pattern() RETURNS varchar(9) DETERMINISTIC RETURN 'x'//
DELIMITER ;
CREATE VIEW rounded AS SELECT ROUND(id, places()) AS x FROM rooms;
CREATE VIEW listed AS SELECT id FROM rooms WHERE id IN (places(), 2);
CREATE VIEW likened AS SELECT how LIKE pattern() AS x FROM rooms;
CREATE VIEW without AS SELECT id FROM gone;
CREATE USER leaver@'%'; CREATE DEFINER = leaver@'%' VIEW left_behind AS SELECT id FROM rooms;
DROP USER leaver@'%'; DROP TABLE gone;
DELIMITER //
CREATE OR REPLACE FUNCTION places() RETURNS int DETERMINISTIC BEGIN
  SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 11223, MESSAGE_TEXT = 'Ivanov'; RETURN 1; END//
CREATE OR REPLACE FUNCTION pattern() RETURNS varchar(9) DETERMINISTIC BEGIN
  SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 11223, MESSAGE_TEXT = 'Ivanov'; RETURN 'x'; END//
DELIMITER ;
GRANT SELECT, EXECUTE ON *.* TO reader@'%';
";

#[tokio::test(flavor = "multi_thread")]
async fn views_of_another_database_that_raise_or_miss_their_table_fail_nothing() {
    let clinic = Clinic::mariadb().await;
    clinic.run(OWN).await;
    clinic.run(OTHERS).await;
    let proposal = propose(&clinic).await;
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    assert_eq!(records(&clinic, vaccinations).await, [FOUND]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_and_dropped_during_the_look_fails_nothing() {
    for clinic in [Clinic::postgres().await, Clinic::mariadb().await] {
        clinic.run(OWN).await;
        let other = match clinic {
            Clinic::Postgres(..) => "CREATE SCHEMA other;",
            _ => "CREATE DATABASE other; GRANT SELECT ON *.* TO reader@'%';",
        };
        clinic.run(other).await;
        let come_and_go = "CREATE TABLE other.t (id int PRIMARY KEY, n int); CREATE INDEX i ON \
             other.t (n); CREATE VIEW other.v AS SELECT n FROM other.t; DROP VIEW other.v; DROP \
             TABLE other.t;"
            .repeat(40);
        let looks = async {
            for _ in 0..10 {
                let proposal = clinic.database().propose().await.unwrap();
                assert!(!proposal.feeds.is_empty(), "{:?}", proposal.missing);
            }
        };
        tokio::join!(clinic.run(&come_and_go), looks);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_account_may_not_read_is_named_and_fails_nothing() {
    let clinic = Clinic::postgres().await;
    clinic.run(OWN).await;
    clinic
        .run(
            "CREATE SCHEMA other; CREATE TABLE other.rooms (id int PRIMARY KEY);
             CREATE FUNCTION other.raising() RETURNS int LANGUAGE plpgsql AS
               $$BEGIN RAISE 'Ivanov' USING ERRCODE = 'XX123'; END$$;
             CREATE VIEW other.v AS SELECT other.raising() AS x;
             CREATE ROLE reader LOGIN PASSWORD 'read-only-1'; GRANT SELECT ON patients, vaccinations TO reader;",
        )
        .await;
    let connection = clinic.connection().replace("'postgres'", "'reader'");
    let connection = format!("{connection}password = {{ file = 'password' }}\n");
    let config = toml::from_str(&connection).unwrap();
    let folder = tempfile::tempdir().unwrap();
    private_file(&folder.path().join("password"), "read-only-1");
    let database = connector_sql::Database::postgres(&config, folder.path()).unwrap();
    let proposal = database.propose().await.unwrap();
    assert_eq!(proposal.unreadable, ["other.rooms", "other.v"]);
    assert_eq!(feed(&proposal, Feed::Vaccinations).table, "vaccinations");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_its_temporary_files_may_answer_later() {
    let clinic = Clinic::mariadb().await;
    clinic.run(OWN).await;
    let Clinic::MariaDb(server, _) = &clinic else {
        unreachable!("it is MariaDB");
    };
    let folder = server.temporary_dir();
    let away = folder.with_extension("away");
    std::fs::rename(&folder, &away).unwrap();
    let failure = clinic.database().propose().await.unwrap_err();
    assert!(matches!(failure, SourceError::Retry { .. }), "{failure:?}");
    assert!(
        failure.to_string().contains("cannot use files of its own"),
        "{failure}"
    );
    std::fs::rename(&away, &folder).unwrap();
    let proposal = propose(&clinic).await;
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    assert_eq!(records(&clinic, vaccinations).await, [FOUND]);
}
