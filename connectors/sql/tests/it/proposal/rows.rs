//! Schemas that keep identifiers, questions and answers in rows.

use connector_kit::{Connector, Feed};

use super::{feed, propose, records, system};
use crate::clinic::{Clinic, now};

#[tokio::test(flavor = "multi_thread")]
async fn identifiers_in_rows_are_found_by_their_types() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE TABLE patient (patient_id int PRIMARY KEY, first_name text, gender text,
              birthdate date, date_changed timestamp);
             CREATE TABLE patient_identifier_type (patient_identifier_type_id int PRIMARY KEY,
               name text, retired boolean);
             CREATE TABLE patient_identifier (patient_identifier_id int PRIMARY KEY,
               patient_id int REFERENCES patient,
               identifier text, identifier_type int REFERENCES patient_identifier_type,
                 voided boolean NOT NULL, date_changed timestamp);
             CREATE TABLE vaccinations (id int PRIMARY KEY, patient_id int REFERENCES patient,
               vaccine text, dose int,
               date_given date, voided boolean NOT NULL, date_created timestamp NOT NULL,
                 date_changed timestamp, date_voided timestamp);
             INSERT INTO patient VALUES (1, 'A', 'F', '1970-01-01', NULL);
             INSERT INTO patient_identifier_type VALUES (1, 'Chart number', false), (2, 'СНИЛС',
               false), (3, 'Паспорт гражданина РФ', false);
             INSERT INTO patient_identifier VALUES (1, 1, 'A-1', 1, false, NULL), (2, 1,
               '112-233-445 95', 2, false, NULL),
               (3, 1, '4509 123456', 3, true, NULL);
             INSERT INTO vaccinations VALUES (1, 1, 'Sputnik V', 1, '2021-05-01', false, now(),
               NULL, NULL);",
        )
        .await;
    let proposal = propose(&clinic).await;
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    assert_eq!(
        records(&clinic, vaccinations).await,
        ["1 Snils=112-233-445 95 Sputnik V Value(1) 2021-05-01"]
    );
    let section = vaccinations.section("source.mis.postgres");
    for part in [
        "several-stamps",
        "vaccinations_date_created = ",
        "patient_identifier = ",
        "WHERE v.date_voided IS NOT NULL",
    ] {
        assert!(section.contains(part), "{part}: {section}");
    }
    // A row that never changed is nothing to warn of.
    let text = vaccinations.section("x").replace("[x.", "[");
    let report = clinic.connector_with(&text).unwrap().check(now()).await;
    let empty = report.findings.iter();
    let empty = empty.filter(|finding| finding.what.contains("no usable changed_at"));
    assert_eq!(empty.count(), 0, "{report:?}");
}

/// A record system of questions and answers: every fact is a row that names its concept.
const QUESTIONS: &str = "
CREATE TABLE concept (concept_id INT PRIMARY KEY, retired TINYINT(1) NOT NULL DEFAULT 0);
CREATE TABLE concept_name (concept_name_id INT PRIMARY KEY AUTO_INCREMENT, concept_id INT,
  name VARCHAR(255) NOT NULL,
  locale VARCHAR(50), concept_name_type VARCHAR(50), voided TINYINT(1) NOT NULL DEFAULT 0,
    FOREIGN KEY (concept_id) REFERENCES concept (concept_id));
CREATE TABLE person (person_id INT PRIMARY KEY, gender VARCHAR(50), birthdate DATE,
  voided TINYINT(1) NOT NULL DEFAULT 0,
  date_created DATETIME NOT NULL, date_changed DATETIME);
CREATE TABLE patient (patient_id INT PRIMARY KEY, voided TINYINT(1) NOT NULL DEFAULT 0,
  FOREIGN KEY (patient_id) REFERENCES person (person_id));
CREATE TABLE patient_identifier_type (patient_identifier_type_id INT PRIMARY KEY, name VARCHAR(50));
CREATE TABLE patient_identifier (patient_identifier_id INT PRIMARY KEY, patient_id INT NOT NULL,
  identifier VARCHAR(50), identifier_type INT NOT NULL,
  voided TINYINT(1) NOT NULL DEFAULT 0, date_created DATETIME NOT NULL, date_changed DATETIME,
  FOREIGN KEY (patient_id) REFERENCES patient (patient_id),
    FOREIGN KEY (identifier_type) REFERENCES patient_identifier_type (patient_identifier_type_id));
CREATE TABLE obs (obs_id INT PRIMARY KEY, person_id INT NOT NULL, concept_id INT NOT NULL,
  obs_datetime DATETIME NOT NULL, obs_group_id INT,
  value_coded INT, value_datetime DATETIME, value_numeric DOUBLE, value_text TEXT,
    creator INT NOT NULL DEFAULT 0, date_created DATETIME NOT NULL,
  voided TINYINT(1) NOT NULL DEFAULT 0, voided_by INT, date_voided DATETIME,
  FOREIGN KEY (person_id) REFERENCES person (person_id),
    FOREIGN KEY (concept_id) REFERENCES concept (concept_id),
    FOREIGN KEY (value_coded) REFERENCES concept (concept_id));
INSERT INTO concept (concept_id) VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11),
  (12), (13), (14);
INSERT INTO concept_name (concept_id, name, concept_name_type) SELECT concept_id,
  CONCAT('Question ', concept_id), 'FULLY_SPECIFIED' FROM concept WHERE concept_id > 5;
INSERT INTO concept_name (concept_id, name, concept_name_type) VALUES (1, 'SARS-CoV-2 PCR',
  'FULLY_SPECIFIED'), (1, 'A short name', 'SHORT'),
  (2, 'Positive', 'FULLY_SPECIFIED'), (3, 'Negative', 'FULLY_SPECIFIED'), (4, 'Vaccine given',
    'FULLY_SPECIFIED'), (5, 'Sputnik V', 'FULLY_SPECIFIED');
INSERT INTO person VALUES (7, 'F', '1970-01-01', 0, now(), NULL);
INSERT INTO patient (patient_id) VALUES (7);
INSERT INTO patient_identifier_type VALUES (1, 'OpenMRS ID'), (2, 'SNILS');
INSERT INTO patient_identifier VALUES (1, 7, '100-8', 1, 0, now(), NULL), (2, 7, '112-233-445 95',
  2, 0, now(), NULL);
INSERT INTO obs (obs_id, person_id, concept_id, obs_datetime, value_coded, value_text,
  date_created, voided) VALUES
  (1, 7, 1, '2021-05-01 10:00', 3, NULL, now(), 0), (2, 7, 1, '2021-05-02 10:00', NULL,
    'not detected', now(), 0),
  (3, 7, 1, '2021-05-03 10:00', 2, NULL, now(), 1), (4, 7, 9, '2021-05-04 10:00', 2, NULL, now(),
    0), (5, 7, 4, '2021-06-01 10:00', 5, NULL, now(), 0);
";

#[tokio::test(flavor = "multi_thread")]
async fn questions_and_answers_become_tests_and_vaccinations() {
    let clinic = Clinic::mariadb().await;
    clinic.run(QUESTIONS).await;
    let proposal = propose(&clinic).await;
    assert_eq!(system(&proposal), "OpenMRS");
    let person = "Snils=112-233-445 95";
    assert_eq!(
        records(&clinic, feed(&proposal, Feed::Tests)).await,
        [
            format!("1 {person} SARS-CoV-2 PCR Negative 2021-05-01"),
            format!("2 {person} SARS-CoV-2 PCR not detected 2021-05-02"),
            format!("3 CANCELLED {person} SARS-CoV-2 PCR Positive 2021-05-03"),
        ]
    );
    assert_eq!(
        records(&clinic, feed(&proposal, Feed::Vaccinations)).await,
        [format!("5 {person} Sputnik V Missing 2021-06-01")]
    );
}

/// A tracker that keeps an event's values as one document, by the numbers of its elements.
const TRACKER: &str = "
CREATE TABLE trackedentity (trackedentityid bigint PRIMARY KEY, uid varchar(11),
  deleted boolean NOT NULL, lastupdated timestamp NOT NULL);
CREATE TABLE trackedentityattribute (trackedentityattributeid bigint PRIMARY KEY, uid varchar(11),
  name varchar(230));
CREATE TABLE trackedentityattributevalue (trackedentityid bigint REFERENCES trackedentity,
  trackedentityattributeid bigint REFERENCES trackedentityattribute,
  value varchar(1200), lastupdated timestamp NOT NULL, PRIMARY KEY (trackedentityid,
    trackedentityattributeid));
CREATE TABLE enrollment (enrollmentid bigint PRIMARY KEY,
  trackedentityid bigint REFERENCES trackedentity, deleted boolean NOT NULL,
  lastupdated timestamp NOT NULL);
CREATE TABLE dataelement (dataelementid bigint PRIMARY KEY, uid varchar(11), code varchar(50),
  name varchar(230));
CREATE TABLE event (eventid bigint PRIMARY KEY, enrollmentid bigint REFERENCES enrollment,
  occurreddate timestamp, status varchar(25),
  eventdatavalues jsonb, deleted boolean NOT NULL, created timestamp NOT NULL,
    lastupdated timestamp NOT NULL);
INSERT INTO trackedentity VALUES (1, 'abcdefghijk', false, now());
INSERT INTO trackedentityattribute VALUES (1, 'att1att1att', 'First name'), (2, 'att2att2att',
  'SNILS');
INSERT INTO trackedentityattributevalue VALUES (1, 1, 'A', now()), (1, 2, '112-233-445 95', now());
INSERT INTO enrollment VALUES (1, 1, false, now());
INSERT INTO dataelement VALUES (1, 'bbnyNYD1wgS', 'VAC', 'COVID-19 Vaccine Name'), (2,
  'LUIsbsm3okG', 'DOSE', 'Dose number'), (3, 'ovY6E8BSdto', 'RES', 'PCR result');
INSERT INTO event VALUES (1, 1, '2021-05-01', 'COMPLETED',
  '{\"bbnyNYD1wgS\": {\"value\": \"Sputnik V\"}, \"LUIsbsm3okG\": {\"value\": \"1\"}}',
    false, now(), now()),
  (2, 1, '2021-05-22', 'SCHEDULE',
    '{\"bbnyNYD1wgS\": {\"value\": \"Sputnik V\"}, \"LUIsbsm3okG\": {\"value\": \"2\"}}', true,
    now(), now()),
  (3, 1, '2021-06-01', 'COMPLETED', '{\"ovY6E8BSdto\": {\"value\": \"Negative\"}}', false, now(),
    now());
ANALYZE;
";

#[tokio::test(flavor = "multi_thread")]
async fn values_in_documents_are_read_by_the_names_of_their_elements() {
    let clinic = Clinic::postgres().await;
    clinic.run(TRACKER).await;
    let proposal = propose(&clinic).await;
    let person = "Snils=112-233-445 95";
    assert_eq!(
        records(&clinic, feed(&proposal, Feed::Vaccinations)).await,
        [
            format!("1 {person} Sputnik V Value(1) 2021-05-01"),
            format!("2 CANCELLED {person} Sputnik V Value(2) 2021-05-22"),
        ]
    );
    assert_eq!(
        records(&clinic, feed(&proposal, Feed::Tests)).await,
        [format!("3 {person} 94500-6 Negative 2021-06-01")]
    );
}
