//! Persons with several identifiers of one kind: none of them is lost.

use connector_kit::Feed;

use super::{feed, passes_check, propose, records};
use crate::clinic::Clinic;

/// One with a placeholder beside the right number, two passports, and what was taken back.
const SEVERAL: &str = "
CREATE TABLE patient (patient_id INT PRIMARY KEY, last_name VARCHAR(20), gender VARCHAR(1),
  birthdate DATE, date_changed TIMESTAMP NULL);
CREATE TABLE patient_identifier_type (patient_identifier_type_id INT PRIMARY KEY,
  name VARCHAR(50));
CREATE TABLE patient_identifier (patient_identifier_id INT PRIMARY KEY,
  patient_id INT NOT NULL REFERENCES patient (patient_id), identifier VARCHAR(50),
  identifier_type INT NOT NULL REFERENCES patient_identifier_type (patient_identifier_type_id),
  preferred INT NOT NULL, voided INT, date_created TIMESTAMP NOT NULL,
  date_voided TIMESTAMP NULL);
CREATE TABLE vaccinations (id INT PRIMARY KEY, patient_id INT NOT NULL REFERENCES patient
  (patient_id), vaccine VARCHAR(20), date_given DATE, date_created TIMESTAMP NOT NULL,
  date_changed TIMESTAMP NULL);
INSERT INTO patient VALUES (1, 'A', 'F', '1970-01-01', NULL), (2, 'B', 'M', '1970-01-01', NULL);
INSERT INTO patient_identifier_type VALUES (1, 'Chart number'), (2, 'СНИЛС'),
  (3, 'Паспорт РФ'), (4, 'Паспорт РФ (прежний)'), (5, 'Полис ОМС');
INSERT INTO patient_identifier VALUES
  (1, 1, 'A-1', 1, 1, 0, '2021-06-01 10:00:00', NULL),
  (2, 1, '000-000-000 00', 2, 0, 0, '2021-06-01 10:00:00', NULL),
  (3, 1, '112-233-445 95', 2, 0, 0, '2021-06-01 10:00:00', NULL),
  (4, 1, '000-000-000 04', 2, 0, 1, '2021-06-01 10:00:00', '2021-06-02 10:00:00'),
  (5, 1, '45 09 123456', 3, 0, 0, '2021-06-01 10:00:00', NULL),
  (6, 1, '45 10 654321', 3, 1, 0, '2021-06-01 10:00:00', NULL),
  (7, 1, '45 01 000001', 4, 0, NULL, '2021-06-01 10:00:00', NULL),
  (8, 2, '000-000-000 02', 2, 0, 0, '2021-06-01 10:00:00', NULL);
INSERT INTO vaccinations VALUES (1, 1, 'Sputnik V', '2021-05-01', '2021-06-01 10:00:00', NULL),
  (2, 2, 'Sputnik V', '2021-05-02', '2021-06-01 10:00:00', NULL);
";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_keeps_all_identifiers_of_one_kind() {
    for clinic in Clinic::of_each_database().await {
        clinic.run(SEVERAL).await;
        let proposal = propose(&clinic).await;
        let vaccinations = feed(&proposal, Feed::Vaccinations);
        let first = "Snils=000-000-000 00+Snils=112-233-445 95+PassportRu=45 10 \
                     654321+PassportRu=45 09 123456+PassportRu=45 01 000001";
        let expected = [
            format!("1 {first} Sputnik V Missing 2021-05-01"),
            "2 Snils=000-000-000 02 Sputnik V Missing 2021-05-02".to_owned(),
        ];
        assert_eq!(records(&clinic, vaccinations).await, expected);
        passes_check(&clinic, vaccinations).await;
        // A kind that is called otherwise is the same one.
        clinic
            .run(
                "UPDATE patient_identifier_type SET name = 'Страховой номер' WHERE \
                 patient_identifier_type_id = 2",
            )
            .await;
        assert_eq!(records(&clinic, vaccinations).await, expected);
        let notes = vaccinations.notes.join("\n");
        assert!(notes.contains("person_snils_list 2 («СНИЛС»)"), "{notes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_limit_of_joined_texts_cuts_no_list() {
    let clinic = Clinic::mariadb().await;
    clinic.run(SEVERAL).await;
    clinic.run("SET GLOBAL group_concat_max_len = 40").await;
    let proposal = propose(&clinic).await;
    let found = records(&clinic, feed(&proposal, Feed::Vaccinations)).await;
    assert!(found[0].contains("PassportRu=45 01 000001"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_in_a_column_of_numbers_keep_their_zeros_in_a_list() {
    for clinic in Clinic::of_each_database().await {
        clinic
            .run(
                "CREATE TABLE patients (id INT PRIMARY KEY, last_name VARCHAR(20),
                   birth_date DATE, updated_at TIMESTAMP NOT NULL);
                 CREATE TABLE patient_documents (id INT PRIMARY KEY,
                   patient_id INT NOT NULL REFERENCES patients (id), doc_type VARCHAR(20),
                   number BIGINT, updated_at TIMESTAMP NOT NULL);
                 CREATE TABLE vaccinations (id INT PRIMARY KEY,
                   patient_id INT NOT NULL REFERENCES patients (id), vaccine VARCHAR(20),
                   given_on DATE, updated_at TIMESTAMP NOT NULL);
                 INSERT INTO patients VALUES (1, 'A', '1970-01-01', '2021-06-01 10:00:00');
                 INSERT INTO patient_documents VALUES
                   (1, 1, 'snils', 1223344595, '2021-06-01 10:00:00'),
                   (2, 1, 'passport', 409123456, '2021-06-01 10:00:00'),
                   (3, 1, 'passport', 4509123456, '2021-06-01 10:00:00');
                 INSERT INTO vaccinations VALUES
                   (1, 1, 'Sputnik V', '2021-05-01', '2021-06-01 10:00:00');",
            )
            .await;
        let proposal = propose(&clinic).await;
        assert_eq!(
            records(&clinic, feed(&proposal, Feed::Vaccinations)).await,
            [
                "1 Snils=01223344595+PassportRu=0409123456+PassportRu=4509123456 Sputnik V \
                 Missing 2021-05-01"
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_beside_a_person_are_lists_too() {
    let clinic = Clinic::mariadb().await;
    clinic
        .run(
            "CREATE TABLE demographic (demographic_no INT PRIMARY KEY, last_name VARCHAR(30),
               first_name VARCHAR(30), sex CHAR(1), lastUpdateDate DATETIME NOT NULL);
             CREATE TABLE demographicExt (id INT PRIMARY KEY, demographic_no INT,
               key_val VARCHAR(64), value TEXT, date_time DATETIME);
             CREATE TABLE preventions (id INT PRIMARY KEY, demographic_no INT,
               prevention_date DATETIME, prevention_type VARCHAR(255),
               lastUpdateDate DATETIME NOT NULL);
             INSERT INTO demographic VALUES (1, 'A', 'A', 'F', '2021-06-01 10:00');
             INSERT INTO demographicExt VALUES (1, 1, 'snils', '000-000-000 00', NULL),
               (2, 1, 'snils', '112-233-445 95', NULL);
             INSERT INTO preventions VALUES (1, 1, '2021-05-01', 'COVID-19', '2021-05-01');",
        )
        .await;
    let proposal = propose(&clinic).await;
    assert_eq!(
        records(&clinic, feed(&proposal, Feed::Vaccinations)).await,
        ["1 Snils=000-000-000 00+Snils=112-233-445 95 COVID-19 Missing 2021-05-01"]
    );
}
