//! Schemas whose rows are never deleted but flagged, and whose facts refer to persons over one or
//! more tables.

use connector_kit::Feed;
use connector_sql::{Changes, StatusWord};

use super::{feed, propose, records, system};
use crate::clinic::Clinic;

const OUTBREAK: &str = "
CREATE TABLE country (id bigint PRIMARY KEY, isocode varchar(3), defaultname text);
CREATE TABLE person (id bigint PRIMARY KEY, uuid varchar(36), firstname text, lastname text,
  birthdate_yyyy int,
  passportnumber text, nationalhealthid text, citizenship_id bigint REFERENCES country,
  changedate timestamp NOT NULL, creationdate timestamp NOT NULL);
CREATE TABLE users (id bigint PRIMARY KEY, username text);
CREATE TABLE immunization (id bigint PRIMARY KEY, disease varchar(255),
  person_id bigint NOT NULL REFERENCES person,
  reportinguser_id bigint REFERENCES users, immunizationstatus varchar(255), startdate timestamp,
  deleted boolean NOT NULL DEFAULT false, changedate timestamp NOT NULL);
CREATE INDEX ON immunization (changedate);
CREATE TABLE vaccination (id bigint PRIMARY KEY,
  immunization_id bigint NOT NULL REFERENCES immunization,
  vaccinationdate date, vaccinename varchar(255), othervaccinename text, vaccinedose varchar(255),
  vaccinebatchnumber text, vaccineatccode text, creationdate timestamp NOT NULL,
    changedate timestamp NOT NULL);
CREATE INDEX ON vaccination (changedate);
CREATE TABLE cases (id bigint PRIMARY KEY, person_id bigint NOT NULL REFERENCES person,
  disease varchar(255),
  outcome varchar(255), outcomedate date, caseclassification text, reportdate timestamp,
    deleted boolean NOT NULL,
  changedate timestamp NOT NULL);
CREATE TABLE contact (id bigint PRIMARY KEY, person_id bigint NOT NULL REFERENCES person,
  changedate timestamp NOT NULL);
CREATE TABLE samples (id bigint PRIMARY KEY, associatedcase_id bigint REFERENCES cases,
  associatedcontact_id bigint REFERENCES contact, sampledatetime timestamp,
    deleted boolean NOT NULL, changedate timestamp NOT NULL);
CREATE TABLE pathogentest (id bigint PRIMARY KEY, sample_id bigint NOT NULL REFERENCES samples,
  testeddisease varchar(255),
  testtype varchar(255), testresult varchar(255), testdatetime timestamp,
    deleted boolean NOT NULL, changedate timestamp NOT NULL);
INSERT INTO country VALUES (1, 'DEU', 'Germany'), (2, 'FRA', 'France');
INSERT INTO person VALUES (1, 'u1', 'A', 'B', 1970, 'C01X00T47', NULL, 1, now(), now()),
  (2, 'u2', 'C', 'D', 1980, '12AB34567', NULL, 2, now(), now());
INSERT INTO immunization VALUES (10, 'CORONAVIRUS', 1, NULL, 'ACQUIRED', NULL, false, now()),
  (11, 'MEASLES', 1, NULL, 'ACQUIRED', NULL, false, now()), (12, 'CORONAVIRUS', 2, NULL,
    'ACQUIRED', NULL, true, now());
INSERT INTO vaccination VALUES (100, 10, '2021-05-01', 'COMIRNATY', NULL, '1', NULL, NULL, now(),
  now()),
  (101, 11, '2021-05-02', 'PRIORIX', NULL, '1', NULL, NULL, now(), now()),
  (102, 12, '2021-05-03', 'COMIRNATY', NULL, '2', NULL, NULL, now(), now());
INSERT INTO cases VALUES (20, 1, 'CORONAVIRUS', 'RECOVERED', '2021-03-01', 'CONFIRMED', now(),
  false, now()),
  (21, 2, 'CORONAVIRUS', 'NO_OUTCOME', NULL, 'CONFIRMED', now(), false, now()),
  (22, 2, 'CORONAVIRUS', 'RECOVERED', '2021-03-01', 'CONFIRMED', now(), true, now());
INSERT INTO contact VALUES (30, 2, now());
INSERT INTO samples VALUES (40, 20, NULL, '2021-02-01 10:00', false, now()), (41, NULL, 30,
  '2021-02-02 10:00', false, now());
INSERT INTO pathogentest VALUES (50, 40, 'CORONAVIRUS', 'PCR_RT_PCR', 'POSITIVE', NULL, false,
  now()),
  (51, 41, 'CORONAVIRUS', 'PCR_RT_PCR', 'NEGATIVE', '2021-02-03 09:00', false, now()),
  (52, 41, 'CORONAVIRUS', 'PCR_RT_PCR', NULL, '2021-02-03 09:00', false, now()),
  (53, 41, 'CORONAVIRUS', 'PCR_RT_PCR', 'POSITIVE', '2021-02-03 09:00', true, now());
";

#[tokio::test(flavor = "multi_thread")]
async fn an_outbreak_system_is_read_over_its_joined_tables() {
    let clinic = Clinic::postgres().await;
    clinic.run(OUTBREAK).await;
    let proposal = propose(&clinic).await;
    assert_eq!(system(&proposal), "SORMAS");

    let vaccinations = feed(&proposal, Feed::Vaccinations);
    assert_eq!(
        records(&clinic, vaccinations).await,
        [
            "100 PassportForeign=C01X00T47 COMIRNATY Value(1) 2021-05-01",
            "101 PassportForeign=C01X00T47 another disease Value(1) 2021-05-02",
            "102 CANCELLED PassportForeign=12AB34567 COMIRNATY Value(2) 2021-05-03",
        ]
    );
    let Changes::SeveralStamps(queries) = &vaccinations.changes else {
        panic!("{:?}", vaccinations.changes);
    };
    let names: Vec<&str> = queries.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["vaccination", "immunization", "person"]);
    for (_, query) in queries {
        clinic
            .run(&format!("SELECT record_id, changed_at FROM ({query}) AS q"))
            .await;
    }

    let tests = feed(&proposal, Feed::Tests);
    assert_eq!(
        records(&clinic, tests).await,
        [
            "50 PassportForeign=C01X00T47 PCR_RT_PCR POSITIVE 2021-02-01",
            "51 PassportForeign=12AB34567 PCR_RT_PCR NEGATIVE 2021-02-02",
            "52 NO-FACT PassportForeign=12AB34567 PCR_RT_PCR - 2021-02-02",
            "53 CANCELLED PassportForeign=12AB34567 PCR_RT_PCR POSITIVE 2021-02-02",
        ],
        "persons of cases and of contacts alike; the day of the sample"
    );
    let recoveries = feed(&proposal, Feed::Recoveries);
    assert_eq!(
        records(&clinic, recoveries).await,
        [
            "20 PassportForeign=C01X00T47 CORONAVIRUS missing 2021-03-01",
            "21 NO-FACT PassportForeign=12AB34567 CORONAVIRUS missing missing",
            "22 CANCELLED PassportForeign=12AB34567 CORONAVIRUS missing 2021-03-01",
        ]
    );
}

const ENGLISH: &str = "
CREATE TABLE patients (id INT AUTO_INCREMENT PRIMARY KEY, first_name VARCHAR(50),
  snils VARCHAR(14), passport_series VARCHAR(4),
  passport_number VARCHAR(10), is_deleted TINYINT(1) NOT NULL DEFAULT 0,
  updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP);
CREATE TABLE medicines (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80), price DECIMAL(8,2));
CREATE TABLE immunizations (id INT AUTO_INCREMENT PRIMARY KEY, patient_id INT NOT NULL,
  vaccine_id INT NOT NULL,
  dose VARCHAR(50) NOT NULL, date_given DATE NULL, next_schedule DATE NULL, user_id INT,
  status ENUM('Upcoming', 'Missed', 'Completed') DEFAULT 'Upcoming',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    deleted_at TIMESTAMP NULL,
  FOREIGN KEY (vaccine_id) REFERENCES medicines(id), INDEX (updated_at));
CREATE TABLE vaccine_stock (id INT PRIMARY KEY, vaccine_id INT, expiry_date DATE, patient_id INT);
INSERT INTO patients (id, first_name, snils, passport_series, passport_number) VALUES (1, 'A',
  '112-233-445 95', '4509', '123456');
INSERT INTO medicines VALUES (7, 'Sputnik V', 0), (8, 'Measles', 0);
INSERT INTO immunizations (id, patient_id, vaccine_id, dose, date_given, status, deleted_at) VALUES
  (1, 1, 7, '1', '2021-05-01', 'Completed', NULL), (2, 1, 7, '2', NULL, 'Upcoming', NULL),
  (3, 1, 8, '1', '2021-05-03', 'Completed', '2021-06-01'), (4, 1, 7, '1', '2021-05-04',
    'Completed', NULL),
  (5, 1, 7, '1', '2021-05-05', 'Upcoming', NULL);
";

#[tokio::test(flavor = "multi_thread")]
async fn an_english_schema_without_declared_references_to_persons_is_read() {
    let clinic = Clinic::mariadb().await;
    clinic.run(ENGLISH).await;
    let proposal = propose(&clinic).await;
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    assert_eq!(vaccinations.table, "immunizations");
    let person = "Snils=112-233-445 95+PassportRu=4509123456";
    assert_eq!(
        records(&clinic, vaccinations).await,
        [
            format!("1 {person} Sputnik V Value(1) 2021-05-01"),
            format!("2 NO-FACT {person} Sputnik V Value(2) missing"),
            format!("3 CANCELLED {person} Measles Value(1) 2021-05-03"),
            format!("4 {person} Sputnik V Value(1) 2021-05-04"),
            format!("5 NO-FACT {person} Sputnik V Value(1) 2021-05-05"),
        ]
    );
    assert_eq!(vaccinations.status_words["upcoming"], StatusWord::NotAFact);
    let codes = vaccinations
        .values
        .iter()
        .find(|one| one.column == "vaccine_code")
        .unwrap();
    assert_eq!(codes.values, [("Sputnik V".to_owned(), 4)]);
    assert_eq!(codes.hidden, 1, "a value of one row is not shown");
    assert!(
        proposal
            .missing
            .iter()
            .any(|missing| missing.feed == Feed::Tests)
    );
}

/// A record system without declared references, which numbers patients a second time.
const PRACTICE: &str = "
CREATE TABLE patient_access_onsite (id INT PRIMARY KEY, pid BIGINT, portal_username VARCHAR(100));
CREATE TABLE patient_data (id BIGINT PRIMARY KEY, pid BIGINT NOT NULL, fname VARCHAR(255),
  lname VARCHAR(255), DOB DATE,
  ss VARCHAR(255), passport_number VARCHAR(20), nationality CHAR(3), date DATETIME,
    UNIQUE KEY pid (pid));
CREATE TABLE immunizations (id BIGINT PRIMARY KEY, patient_id BIGINT, administered_date DATETIME,
  immunization_id INT, cvx_code VARCHAR(64),
  lot_number VARCHAR(50), administered_by_id BIGINT, education_date DATE, vis_date DATE,
    create_date DATETIME, update_date TIMESTAMP NOT NULL,
  expiration_date DATE, completion_status VARCHAR(50),
    added_erroneously TINYINT(1) NOT NULL DEFAULT 0, KEY patient_id (patient_id));
CREATE TABLE procedure_order (procedure_order_id BIGINT PRIMARY KEY, provider_id BIGINT,
  patient_id BIGINT NOT NULL, date_collected DATETIME,
  date_ordered DATETIME, order_status VARCHAR(31), activity TINYINT(1) NOT NULL DEFAULT 1);
CREATE TABLE procedure_report (procedure_report_id BIGINT PRIMARY KEY, procedure_order_id BIGINT,
  date_collected DATETIME, date_report DATETIME,
  report_status VARCHAR(31));
CREATE TABLE procedure_result (procedure_result_id BIGINT PRIMARY KEY,
  procedure_report_id BIGINT NOT NULL, result_code VARCHAR(31),
  result_text VARCHAR(255), date DATETIME, units VARCHAR(31), result VARCHAR(255),
    abnormal VARCHAR(31), comments TEXT, result_status VARCHAR(31));
INSERT INTO patient_data VALUES (100, 7, 'A', 'B', '1970-01-01', '', 'C01X00T47', 'DEU', now());
INSERT INTO immunizations (id, patient_id, administered_date, cvx_code, update_date,
  completion_status, added_erroneously) VALUES
  (1, 7, '2021-05-01 10:00', '208', now(), 'Completed', 0), (2, 7, '2021-05-22 10:00', '208',
    now(), 'Completed', 1);
INSERT INTO procedure_order VALUES (10, 1, 7, '2021-06-01 09:00', '2021-06-01', 'complete', 1);
INSERT INTO procedure_report VALUES (20, 10, NULL, '2021-06-02', 'final');
INSERT INTO procedure_result VALUES (30, 20, '94500-6', 'SARS-CoV-2 RNA', '2021-06-02', NULL,
  'Negative', 'no', NULL, 'final');
";

#[tokio::test(flavor = "multi_thread")]
async fn references_without_a_declaration_lead_over_three_tables() {
    let clinic = Clinic::mariadb().await;
    clinic.run(PRACTICE).await;
    let proposal = propose(&clinic).await;
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    let person = "PassportForeign=C01X00T47";
    assert_eq!(
        records(&clinic, vaccinations).await,
        [
            format!("1 {person} 208 Missing 2021-05-01"),
            format!("2 CANCELLED {person} 208 Missing 2021-05-22"),
        ]
    );
    assert!(
        vaccinations
            .query
            .contains("'http://hl7.org/fhir/sid/cvx' AS vaccine_system"),
        "{}",
        vaccinations.query
    );
    assert_eq!(
        records(&clinic, feed(&proposal, Feed::Tests)).await,
        [format!("30 {person} 94500-6 Negative 2021-06-01")]
    );
}

/// A system that notes refusals among its vaccinations, with a number for the reason.
const PREVENTIONS: &str = "
CREATE TABLE patients (id INT PRIMARY KEY, snils VARCHAR(14));
CREATE TABLE vaccinations (id INT PRIMARY KEY, patient_id INT NOT NULL, vaccine VARCHAR(50),
  given_on DATE, refused CHAR(1), not_given TINYINT(1), deleted CHAR(1),
  updated_at TIMESTAMP NOT NULL, FOREIGN KEY (patient_id) REFERENCES patients(id));
INSERT INTO patients VALUES (1, '112-233-445 95');
INSERT INTO vaccinations VALUES
  (1, 1, 'Sputnik V', '2021-05-01', '0', 0, '0', now()),
  (2, 1, 'Sputnik V', '2021-05-02', '1', 0, '0', now()),
  (3, 1, 'Sputnik V', '2021-05-03', '2', 0, '0', now()),
  (4, 1, 'Sputnik V', '2021-05-04', NULL, 0, '0', now()),
  (5, 1, 'Sputnik V', '2021-05-05', '', 1, '0', now()),
  (6, 1, 'Sputnik V', '2021-05-06', '1', 0, '1', now());
";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_noted_and_not_given_is_no_vaccination() {
    let clinic = Clinic::mariadb().await;
    clinic.run(PREVENTIONS).await;
    let proposal = propose(&clinic).await;
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    let of = |id: u32, what: &str| {
        format!("{id} {what}Snils=112-233-445 95 Sputnik V Missing 2021-05-0{id}")
    };
    assert_eq!(
        records(&clinic, vaccinations).await,
        [
            of(1, ""),
            of(2, "NO-FACT "),
            of(3, "NO-FACT "),
            of(4, ""),
            of(5, "NO-FACT "),
            of(6, "CANCELLED "),
        ]
    );
    let told = vaccinations.notes.join("\n");
    assert!(told.contains("refused NOT IN"), "{told}");
    assert!(told.contains("not_given <> 0"), "{told}");
}
