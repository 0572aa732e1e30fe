//! Schemas in the style of open record systems: values in rows beside, merges in a table of their
//! own, lists of diagnoses without an end.

use connector_kit::Feed;
use connector_sql::Changes;

use super::{feed, passes_check, propose, records, system};
use crate::clinic::Clinic;

/// A family practice in the style of OSCAR EMR, with merges of persons: 2 into 3 into 4 into 1, and
/// 6 and 7 into each other.
const PRACTICE: &str = "
CREATE TABLE demographic (demographic_no INT PRIMARY KEY AUTO_INCREMENT, last_name VARCHAR(30),
  first_name VARCHAR(30), sex CHAR(1), year_of_birth CHAR(4), hin VARCHAR(20),
  patient_status VARCHAR(20), lastUpdateDate DATETIME NOT NULL);
CREATE TABLE demographicExt (id INT PRIMARY KEY AUTO_INCREMENT, demographic_no INT,
  provider_no VARCHAR(6), key_val VARCHAR(64), value TEXT, date_time DATETIME, hidden CHAR(1));
CREATE TABLE demographic_merged (id INT PRIMARY KEY AUTO_INCREMENT, demographic_no INT NOT NULL,
  merged_to INT NOT NULL, deleted INT NOT NULL DEFAULT 0, lastUpdateUser VARCHAR(6),
  lastUpdateDate DATETIME NOT NULL);
CREATE TABLE preventions (id INT PRIMARY KEY AUTO_INCREMENT, demographic_no INT,
  creation_date DATETIME, prevention_date DATETIME, provider_no VARCHAR(6),
  provider_name VARCHAR(60), prevention_type VARCHAR(255), deleted CHAR(1) DEFAULT '0',
  refused CHAR(1) DEFAULT '0', next_date DATE, never CHAR(1) DEFAULT '0', creator INT,
  lastUpdateDate DATETIME NOT NULL);
CREATE TABLE preventionsExt (id INT PRIMARY KEY AUTO_INCREMENT, prevention_id INT,
  keyval VARCHAR(20), val TEXT, KEY (prevention_id));
CREATE TABLE dxresearch (dxresearch_no INT PRIMARY KEY AUTO_INCREMENT, demographic_no INT,
  start_date DATE, update_date DATETIME, status CHAR(1) DEFAULT 'A', dxresearch_code VARCHAR(10),
  coding_system VARCHAR(20), association TINYINT(1) NOT NULL DEFAULT 0);
INSERT INTO demographic VALUES (1, 'A', 'A', 'F', '1970', '', 'AC', '2021-06-01 10:00'),
  (2, 'A', 'A', 'F', '1970', '', 'IN', '2021-06-01 10:00'),
  (3, 'A', 'A', 'F', '1970', '', 'IN', '2021-06-01 10:00'),
  (4, 'A', 'A', 'F', '1970', '', 'IN', '2021-06-01 10:00'),
  (5, 'B', 'B', 'M', '1980', '', 'AC', '2021-06-01 10:00'),
  (6, 'C', 'C', 'M', '1980', '', 'AC', '2021-06-01 10:00'),
  (7, 'D', 'D', 'M', '1980', '', 'AC', '2021-06-01 10:00'),
  (8, 'E', 'E', 'M', '1980', '', 'AC', '2021-06-01 10:00');
INSERT INTO demographicExt (demographic_no, key_val, value, date_time) VALUES
  (1, 'snils', '112-233-445 95', '2021-06-01 10:00'), (1, 'cellPhone', '000', '2021-06-01 10:00'),
  (2, 'snils', '000-000-000 02', '2021-06-01 10:00'),
  (5, 'snils', '000-000-000 05', '2021-06-01 10:00'),
  (6, 'snils', '000-000-000 06', '2021-06-01 10:00'),
  (7, 'snils', '000-000-000 07', '2021-06-01 10:00'),
  (8, 'snils', '000-000-000 08', '2021-06-01 10:00');
INSERT INTO demographic_merged (demographic_no, merged_to, deleted, lastUpdateDate) VALUES
  (2, 3, 0, '2021-06-02 10:00'), (3, 4, 0, '2021-06-02 10:00'), (4, 1, 0, '2021-06-02 10:00'),
  (5, 1, 1, '2021-06-02 10:00'), (6, 7, 0, '2021-06-02 10:00'), (7, 6, 0, '2021-06-02 10:00');
INSERT INTO preventions (id, demographic_no, creation_date, prevention_date, prevention_type,
  deleted, refused, never, lastUpdateDate) VALUES
  (1, 1, '2021-05-01', '2021-05-01 09:00', 'COVID-19', '0', '0', '0', '2021-05-01'),
  (2, 2, '2021-05-01', '2021-05-02 09:00', 'COVID-19', '0', '0', '0', '2021-05-01'),
  (3, 3, '2021-05-01', '2021-05-03 09:00', 'COVID-19', '0', '1', '0', '2021-05-01'),
  (4, 4, '2021-05-01', '2021-05-04 09:00', 'COVID-19', '1', '0', '0', '2021-05-01'),
  (5, 5, '2021-05-01', '2021-05-05 09:00', 'Flu', '0', '0', '0', '2021-05-01'),
  (6, 6, '2021-05-01', '2021-05-06 09:00', 'COVID-19', '0', '0', '0', '2021-05-01');
INSERT INTO preventionsExt (prevention_id, keyval, val) VALUES (1, 'name', 'Sputnik V'),
  (1, 'lot', 'A-1'), (1, 'dose', '0.5 ml'), (2, 'name', 'Sputnik V'), (2, 'lot', 'A-1'),
  (2, 'dose', '0.5 ml'), (5, 'name', ''), (6, 'name', 'EpiVacCorona');
INSERT INTO dxresearch (dxresearch_no, demographic_no, start_date, update_date, status,
  dxresearch_code, coding_system) VALUES
  (1, 1, '2021-01-10', '2021-02-01 10:00', 'C', 'U07.1', 'icd10'),
  (2, 8, '2021-01-11', '2021-02-02 10:00', 'C', 'U07.1', 'icd10'),
  (3, 5, '2021-01-12', '2021-02-03 10:00', 'A', 'U07.1', 'icd10'),
  (4, 6, '2021-01-13', '2021-02-04 10:00', 'A', 'J45', 'icd10');
";

#[tokio::test(flavor = "multi_thread")]
async fn values_beside_and_chains_of_merges_of_a_family_practice_are_read() {
    let clinic = Clinic::mariadb().await;
    clinic.run(PRACTICE).await;
    let proposal = propose(&clinic).await;
    assert_eq!(system(&proposal), "OSCAR EMR");
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    let left = "Snils=112-233-445 95";
    assert_eq!(
        records(&clinic, vaccinations).await,
        [
            format!("1 {left} Sputnik V Missing 2021-05-01"),
            format!("2 {left} Sputnik V Missing 2021-05-02"),
            format!("3 NO-FACT {left} COVID-19 Missing 2021-05-03"),
            format!("4 CANCELLED {left} COVID-19 Missing 2021-05-04"),
            "5 Snils=000-000-000 05 Flu Missing 2021-05-05".to_owned(),
            // Of a circle nobody is left: each keeps its own.
            "6 Snils=000-000-000 06 EpiVacCorona Missing 2021-05-06".to_owned(),
        ]
    );
    let notes = vaccinations.notes.join("\n");
    assert!(notes.contains("dose holds amounts"), "{notes}");
    let Changes::SeveralStamps(queries) = &vaccinations.changes else {
        panic!("{:?}", vaccinations.changes);
    };
    let names: Vec<&str> = queries.iter().map(|(name, _)| name.as_str()).collect();
    assert!(queries.len() <= 8, "{names:?}");
    for name in ["preventions", "demographic", "demographic_merged"] {
        assert!(names.contains(&name), "{names:?}");
    }
    passes_check(&clinic, vaccinations).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diagnosis_without_an_end_is_no_recovery_before_a_person_says_so() {
    let clinic = Clinic::mariadb().await;
    clinic.run(PRACTICE).await;
    let proposal = propose(&clinic).await;
    let recoveries = feed(&proposal, Feed::Recoveries);
    assert_eq!(recoveries.table, "dxresearch");
    let found = records(&clinic, recoveries).await;
    assert!(found.iter().all(|one| one.contains("UNKNOWN")), "{found:?}");
    let words: Vec<&str> = recoveries
        .unknown_status
        .iter()
        .map(|(word, _)| word.as_str())
        .collect();
    assert_eq!(words, ["A", "C"]);
    let notes = recoveries.notes.join("\n");
    assert!(
        notes.contains("nothing says when an illness ended"),
        "{notes}"
    );
    passes_check(&clinic, recoveries).await;
    // With the words that the clinic adds.
    let mut told = recoveries.section("x").replace("[x.", "[");
    let words = "status_words = { \"c\" = \"final\", \"a\" = \"not-a-fact\", ";
    told = told.replace("status_words = { ", words);
    let connector = clinic.connector_with(&told).unwrap();
    let page = connector_kit::Connector::contents(
        &connector,
        connector_kit::KeysRequest {
            feed: Feed::Recoveries,
            ..crate::clinic::first_keys(100)
        },
    );
    let short: Vec<String> = page
        .await
        .unwrap()
        .records
        .iter()
        .map(super::short)
        .collect();
    assert_eq!(
        short,
        [
            "1 Snils=112-233-445 95 U07.1 2021-01-10 2021-02-01",
            "2 Snils=000-000-000 08 U07.1 2021-01-11 2021-02-02",
            "3 NO-FACT Snils=000-000-000 05 U07.1 2021-01-12 2021-02-03",
            "4 NO-FACT Snils=000-000-000 06 J45 2021-01-13 2021-02-04",
        ]
    );
}
