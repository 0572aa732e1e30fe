//! Results in lines below a test, numbers beside words, illnesses of patients, and flags that all
//! tables of a system have.

use connector_kit::Feed;
use connector_sql::{Proposal, StatusWord};

use super::{feed, passes_check, propose, records};
use crate::clinic::Clinic;

/// A laboratory and illnesses in the style of GNU Health: criteria below tests, and moments in UTC.
const HEALTH: &str = "
CREATE TABLE party_party (id int PRIMARY KEY, name text, lastname text, gender text, dob date,
  snils text, create_date timestamp(6), write_date timestamp(6));
CREATE TABLE gnuhealth_insurance (id int PRIMARY KEY, name int REFERENCES party_party,
  number text NOT NULL, company int REFERENCES party_party, create_date timestamp(6),
  write_date timestamp(6));
CREATE TABLE gnuhealth_patient (id int PRIMARY KEY, name int NOT NULL REFERENCES party_party,
  create_date timestamp(6), write_date timestamp(6));
CREATE TABLE gnuhealth_pathology (id int PRIMARY KEY, name text NOT NULL, code text NOT NULL,
  create_date timestamp(6), write_date timestamp(6));
CREATE TABLE gnuhealth_lab_test_type (id int PRIMARY KEY, name text NOT NULL, code text NOT NULL,
  create_date timestamp(6), write_date timestamp(6));
CREATE TABLE gnuhealth_lab (id int PRIMARY KEY, name text,
  test int NOT NULL REFERENCES gnuhealth_lab_test_type,
  patient int NOT NULL REFERENCES gnuhealth_patient, results text, diagnosis text,
  date_requested timestamp(0) NOT NULL, date_analysis timestamp(0), state text,
  create_date timestamp(6), write_date timestamp(6));
CREATE TABLE gnuhealth_lab_test_critearea (id int PRIMARY KEY, name text NOT NULL, code text,
  result float, result_text text, lower_limit float,
  test_type_id int REFERENCES gnuhealth_lab_test_type,
  gnuhealth_lab_id int REFERENCES gnuhealth_lab, create_date timestamp(6),
  write_date timestamp(6));
CREATE TABLE gnuhealth_patient_disease (id int PRIMARY KEY,
  name int REFERENCES gnuhealth_patient, pathology int NOT NULL REFERENCES gnuhealth_pathology,
  status text, disease_severity text, is_active boolean, diagnosed_date date, healed_date date,
  create_uid int, write_uid int, create_date timestamp(6), write_date timestamp(6));
INSERT INTO party_party VALUES (1, 'A', 'A', 'f', '1970-01-01', 'S-1', '2021-06-01', NULL);
INSERT INTO gnuhealth_patient VALUES (3, 1, '2021-06-01', NULL);
INSERT INTO gnuhealth_insurance VALUES (1, 1, '1234567890123456', NULL, '2021-06-01', NULL);
INSERT INTO gnuhealth_pathology VALUES (1, 'COVID-19', 'U07.1', '2021-06-01', NULL),
  (2, 'Asthma', 'J45', '2021-06-01', NULL);
INSERT INTO gnuhealth_lab_test_type VALUES (1, 'SARS-CoV-2 PCR', 'PCR', '2021-06-01', NULL),
  (2, 'Respiratory panel', 'RESP', '2021-06-01', NULL);
INSERT INTO gnuhealth_lab VALUES
  (1, 'L1', 1, 3, NULL, NULL, '2021-05-01 10:00', '2021-05-01 22:30', 'done', '2021-06-01', NULL),
  (2, 'L2', 2, 3, NULL, NULL, '2021-05-03 10:00', NULL, NULL, '2021-06-01', NULL);
INSERT INTO gnuhealth_lab_test_critearea VALUES
  (1, 'SARS-CoV-2 PCR', 'c', 12.5, 'Detected', 1, 1, 1, '2021-06-01', NULL),
  (2, 'Influenza A', 'c', NULL, 'Detected', 1, 2, 2, '2021-06-01', NULL),
  (3, 'SARS-CoV-2', 'c', 155, NULL, 1, 2, 2, '2021-06-01', NULL);
INSERT INTO gnuhealth_patient_disease VALUES
  (1, 3, 1, 'h', NULL, false, '2021-03-01', '2021-03-20', 1, NULL, '2021-06-01', NULL),
  (2, 3, 1, NULL, NULL, true, '2021-04-01', NULL, 1, NULL, '2021-06-01', NULL);
";

#[tokio::test(flavor = "multi_thread")]
async fn a_line_below_a_test_has_the_tests_kind_and_day_and_its_own_word() {
    let clinic = Clinic::postgres().await;
    clinic.run(HEALTH).await;
    let proposal = propose(&clinic).await;
    let tests = feed(&proposal, Feed::Tests);
    assert_eq!(tests.table, "gnuhealth_lab_test_critearea");
    let found = records(&clinic, tests).await;
    assert!(
        found[0].contains("Snils=S-1 SARS-CoV-2 PCR Detected 2021-05-02"),
        "{found:?}"
    );
    // A line of a panel is not taken for the panel.
    let panel = "Respiratory panel: Influenza A Detected 2021-05-03";
    assert!(found[1].contains(panel), "{found:?}");
    assert!(found[2].starts_with("3 NO-FACT "), "{found:?}");
    // Rows without a status stand there as an empty word, for a person to tell.
    let no_status = tests
        .unknown_status
        .iter()
        .any(|(word, rows)| word.is_empty() && *rows == 1);
    assert!(no_status, "{:?}", tests.unknown_status);
    let notes = tests.notes.join("\n");
    assert!(
        notes.contains("gnuhealth_insurance.number may hold policies"),
        "{notes}"
    );
    passes_check(&clinic, tests).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_illness_of_a_patient_that_is_over_is_a_recovery_with_its_code() {
    let clinic = Clinic::postgres().await;
    clinic.run(HEALTH).await;
    let proposal = propose(&clinic).await;
    assert_eq!(proposal.persons, ["gnuhealth_patient", "party_party"]);
    let recoveries = feed(&proposal, Feed::Recoveries);
    assert_eq!(recoveries.table, "gnuhealth_patient_disease");
    assert!(
        !recoveries.query.contains("is_active"),
        "{}",
        recoveries.query
    );
    let found = records(&clinic, recoveries).await;
    assert!(
        found[0].ends_with("Snils=S-1 U07.1 2021-03-01 2021-03-20"),
        "{found:?}"
    );
    assert!(found[1].starts_with("2 NO-FACT "), "{found:?}");
    passes_check(&clinic, recoveries).await;
}

/// The tables that are told of where no feed of a kind is proposed.
fn likely(proposal: &Proposal, feed: Feed) -> String {
    let mut missing = proposal.missing.iter();
    let missing = missing.find(|missing| missing.feed == feed);
    format!("{:?}", missing.expect("none is proposed").likely)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patients_own_status_is_none_of_a_vaccination_and_near_tables_are_told() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE TABLE facility_facility (id int PRIMARY KEY, external_id uuid, name text);
             CREATE TABLE facility_patientregistration (id int PRIMARY KEY,
               external_id uuid NOT NULL UNIQUE, modified_date timestamptz NOT NULL,
               deleted boolean NOT NULL, is_active boolean NOT NULL, name text, gender int,
               date_of_birth date, nationality text, passport_no text, aadhar_no text,
               disease_status int NOT NULL, facility_id int REFERENCES facility_facility,
               is_vaccinated boolean NOT NULL, number_of_doses int NOT NULL, vaccine_name text,
               last_vaccinated_date date);
             CREATE INDEX ON facility_patientregistration (modified_date);
             CREATE TABLE facility_patientsample (id int PRIMARY KEY, patient_id int NOT NULL
               REFERENCES facility_patientregistration, status int, result int,
               date_of_sample timestamptz);
             CREATE TABLE facility_policy (id int PRIMARY KEY, subscriber_id text, policy_id text,
               patient_id int NOT NULL REFERENCES facility_patientregistration);
             INSERT INTO facility_patientregistration VALUES
               (1, '00000000-0000-0000-0000-000000000001', now(), false, false, 'A', 1,
                '1970-01-01', 'Russia', '', '999988887777', 4, NULL, true, 2, 'Covaxin',
                '2021-05-01');",
        )
        .await;
    let proposal = propose(&clinic).await;
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    assert!(
        !vaccinations.query.contains("disease_status"),
        "{}",
        vaccinations.query
    );
    let country = "'IND' ";
    assert!(
        vaccinations.query.contains(country),
        "{}",
        vaccinations.query
    );
    assert_eq!(
        records(&clinic, vaccinations).await,
        ["1 NationalId=999988887777 Covaxin Value(2) 2021-05-01"]
    );
    let notes = vaccinations.notes.join("\n");
    assert!(
        notes.contains("facility_policy.policy_id may hold policies"),
        "{notes}"
    );
    let told = likely(&proposal, Feed::Tests);
    assert!(told.contains("facility_patientsample"), "{told}");
    assert!(told.contains("no column with the code"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_most_tables_have_takes_rows_back_beside_another() {
    let clinic = Clinic::mariadb().await;
    clinic
        .run(
            "CREATE TABLE OH_PATIENT (PAT_ID INT PRIMARY KEY, PAT_SNAME VARCHAR(50), PAT_SEX CHAR(1),
               PAT_SNILS VARCHAR(30), PAT_PASP_SER VARCHAR(10), PAT_PASP_NUM VARCHAR(10),
               PAT_DELETED CHAR(1) NOT NULL DEFAULT 'N', PAT_ACTIVE TINYINT(1) NOT NULL,
               PROFILE_PHOTO_ID INT);
             CREATE TABLE OH_VACCINE (VAC_ID_A VARCHAR(10) PRIMARY KEY, VAC_DESC VARCHAR(50),
               VAC_LOCK INT, VAC_ACTIVE TINYINT(1) NOT NULL);
             CREATE TABLE OH_PATIENTVACCINE (PAV_ID INT PRIMARY KEY, PAV_DATE DATETIME,
               PAV_PAT_ID INT NOT NULL, PAV_VAC_ID_A VARCHAR(10),
               PAV_ACTIVE TINYINT(1) NOT NULL);
             CREATE TABLE OH_DISEASE (DIS_ID_A VARCHAR(10) PRIMARY KEY, DIS_DESC VARCHAR(50),
               DIS_LOCK INT, DIS_ACTIVE TINYINT(1) NOT NULL);
             CREATE TABLE OH_ADMISSION (ADM_ID INT PRIMARY KEY, ADM_PAT_ID INT NOT NULL,
               ADM_DATE_ADM DATETIME, ADM_ACTIVE TINYINT(1) NOT NULL);
             INSERT INTO OH_PATIENT VALUES (1, 'A', 'F', 'S-1', '4509', '123456', 'N', 1, NULL),
               (2, 'B', 'F', 'S-2', NULL, NULL, 'Y', 1, NULL),
               (3, 'C', 'F', 'S-3', NULL, NULL, 'N', 0, NULL);
             INSERT INTO OH_VACCINE VALUES ('CV', 'Sputnik V', 0, 1);
             INSERT INTO OH_PATIENTVACCINE VALUES (1, '2021-05-01 10:00', 1, 'CV', 1),
               (2, '2021-05-02 10:00', 2, 'CV', 1), (3, '2021-05-03 10:00', 3, 'CV', 1),
               (4, '2021-05-04 10:00', 1, 'CV', 0);",
        )
        .await;
    let proposal = propose(&clinic).await;
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    let person = "Snils=S-1+PassportRu=4509123456";
    assert_eq!(
        records(&clinic, vaccinations).await,
        [
            format!("1 {person} Sputnik V Missing 2021-05-01"),
            "2 CANCELLED Snils=S-2 Sputnik V Missing 2021-05-02".to_owned(),
            "3 CANCELLED Snils=S-3 Sputnik V Missing 2021-05-03".to_owned(),
            format!("4 CANCELLED {person} Sputnik V Missing 2021-05-04"),
        ]
    );
    assert_eq!(
        vaccinations.status_words.get("deleted"),
        Some(&StatusWord::Cancelled)
    );
    let told = likely(&proposal, Feed::Recoveries);
    assert!(
        told.contains("OH_DISEASE") && told.contains("table of persons"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_no_day_and_no_word_of_a_result() {
    for clinic in [Clinic::sqlite(), Clinic::postgres().await] {
        clinic
            .run(
                "CREATE TABLE patients (id INT PRIMARY KEY, last_name VARCHAR(20), snils VARCHAR(14));
                 CREATE TABLE lab_tests (id INT PRIMARY KEY, test VARCHAR(20), tested INT,
                   test_name VARCHAR(20), result NUMERIC(5, 2), result_text VARCHAR(20),
                   patient_id INT NOT NULL REFERENCES patients (id));
                 INSERT INTO patients VALUES (1, 'A', 'S-1');
                 INSERT INTO lab_tests VALUES (1, 'PCR', 7, 'PCR', 12.5, 'Detected', 1);",
            )
            .await;
        let told = likely(&propose(&clinic).await, Feed::Tests);
        assert!(told.contains("it has no column with the day"), "{told}");
        clinic.run("ALTER TABLE lab_tests ADD tested_on DATE").await;
        clinic
            .run("UPDATE lab_tests SET tested_on = '2021-05-01'")
            .await;
        let proposal = propose(&clinic).await;
        let tests = feed(&proposal, Feed::Tests);
        assert_eq!(
            records(&clinic, tests).await,
            ["1 Snils=S-1 PCR Detected 2021-05-01"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_a_list_without_names_is_told_to_be_one() {
    let clinic = Clinic::sqlite();
    clinic
        .run(
            "CREATE TABLE patients (id INT PRIMARY KEY, last_name VARCHAR(20), snils VARCHAR(14));
             CREATE TABLE stock_items (id INT PRIMARY KEY, amount INT);
             CREATE TABLE vaccinations (id INT PRIMARY KEY, given_on DATE,
               vaccine INT NOT NULL REFERENCES stock_items (id),
               patient_id INT NOT NULL REFERENCES patients (id));
             INSERT INTO patients VALUES (1, 'A', 'S-1');
             INSERT INTO stock_items VALUES (7, 100);
             INSERT INTO vaccinations VALUES (1, '2021-05-01', 7, 1);",
        )
        .await;
    let proposal = propose(&clinic).await;
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    assert_eq!(
        records(&clinic, vaccinations).await,
        ["1 Snils=S-1 7 Missing 2021-05-01"]
    );
    let notes = vaccinations.notes.join("\n");
    let told = "vaccine_code is vaccinations.vaccine, a number of stock_items";
    assert!(notes.contains(told), "{notes}");
}
