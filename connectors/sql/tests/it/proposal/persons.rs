//! Ways from facts to persons, rows of persons that were merged, and passports in two columns.

use connector_kit::Feed;
use connector_sql::Changes;

use super::{feed, propose, records, system};
use crate::clinic::Clinic;

/// A laboratory whose results come to the patient's person over four tables, and to several others
/// over fewer.
const LABORATORY: &str = "
CREATE TABLE person (id int PRIMARY KEY, last_name text, snils text, updated_at timestamp NOT NULL);
CREATE TABLE doctor (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person);
CREATE TABLE app_user (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person);
CREATE TABLE patient (id int PRIMARY KEY, person_id int NOT NULL REFERENCES person,
  chart_no text, updated_at timestamp NOT NULL);
CREATE TABLE encounter (id int PRIMARY KEY, patient_id int NOT NULL REFERENCES patient,
  doctor_id int REFERENCES doctor, updated_at timestamp NOT NULL);
CREATE TABLE sample (id int PRIMARY KEY, encounter_id int NOT NULL REFERENCES encounter,
  taken_on date, created_by int REFERENCES person, updated_at timestamp NOT NULL);
CREATE TABLE lab_result (id int PRIMARY KEY, sample_id int NOT NULL REFERENCES sample,
  responsible int REFERENCES app_user, performed_for int REFERENCES doctor,
  validated_by int REFERENCES person, changed_by int REFERENCES person,
  test_code text, result text, updated_at timestamp NOT NULL);
INSERT INTO person VALUES (1, 'A', '112-233-445 95', now()), (2, 'B', '000-000-000 02', now());
INSERT INTO doctor VALUES (2, 2);
INSERT INTO app_user VALUES (2, 2);
INSERT INTO patient VALUES (3, 1, 'C-1', now());
INSERT INTO encounter VALUES (4, 3, 2, now());
INSERT INTO sample VALUES (5, 4, '2021-05-01', 2, now());
INSERT INTO lab_result VALUES (6, 5, 2, 2, 2, 2, 'ПЦР', 'не обнаружено', now());
";

#[tokio::test(flavor = "multi_thread")]
async fn a_way_over_four_tables_is_found_and_none_over_those_who_work_there() {
    let clinic = Clinic::postgres().await;
    clinic.run(LABORATORY).await;
    let proposal = propose(&clinic).await;
    let tests = feed(&proposal, Feed::Tests);
    assert_eq!(
        records(&clinic, tests).await,
        ["6 Snils=112-233-445 95 ПЦР не обнаружено 2021-05-01"]
    );
    let Changes::SeveralStamps(queries) = &tests.changes else {
        panic!("{:?}", tests.changes);
    };
    let names: Vec<&str> = queries.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["lab_result", "sample", "encounter", "patient", "person"]
    );
}

/// Samples that a table of its own joins with patients, and others with doctors.
const JOINED: &str = "
CREATE TABLE patient (id INT PRIMARY KEY, national_id VARCHAR(20), birth_date DATE);
CREATE TABLE provider (id INT PRIMARY KEY, national_id VARCHAR(20), birth_date DATE);
CREATE TABLE sample (id INT PRIMARY KEY, collection_date DATE);
CREATE TABLE sample_human (id INT PRIMARY KEY, samp_id INT NOT NULL REFERENCES sample (id),
  patient_id INT REFERENCES patient (id), provider_id INT REFERENCES provider (id));
CREATE TABLE sample_item (id INT PRIMARY KEY, samp_id INT NOT NULL REFERENCES sample (id));
CREATE TABLE test (id INT PRIMARY KEY, name VARCHAR(40), loinc VARCHAR(20));
CREATE TABLE analysis (id INT PRIMARY KEY, sampitem_id INT NOT NULL REFERENCES sample_item (id),
  test_id INT NOT NULL REFERENCES test (id));
CREATE TABLE result (id INT PRIMARY KEY, analysis_id INT NOT NULL REFERENCES analysis (id),
  value VARCHAR(20));
INSERT INTO patient VALUES (1, 'AA111', '1970-01-01');
INSERT INTO provider VALUES (1, 'BB222', '1960-01-01');
INSERT INTO sample VALUES (2, '2021-05-01');
INSERT INTO sample_human VALUES (3, 2, 1, 1);
INSERT INTO sample_item VALUES (4, 2);
INSERT INTO test VALUES (5, 'SARS-CoV-2 PCR', '94500-6');
INSERT INTO analysis VALUES (6, 4, 5);
INSERT INTO result VALUES (7, 6, 'Negative');
";

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_joins_samples_with_patients_is_a_step_on_the_way() {
    for clinic in [Clinic::sqlite(), Clinic::postgres().await] {
        clinic.run(JOINED).await;
        let proposal = propose(&clinic).await;
        let tests = feed(&proposal, Feed::Tests);
        assert_eq!(
            records(&clinic, tests).await,
            ["7 NationalId=AA111 94500-6 Negative 2021-05-01"]
        );
        let notes = tests.notes.join("\n");
        assert!(notes.contains("a table that joins two others"), "{notes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_party_behind_a_patient_has_the_identifiers() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE TABLE party_party (id int PRIMARY KEY, name text, lastname text, gender text,
               dob date, write_date timestamp);
             CREATE TABLE party_alternative_identification (id int PRIMARY KEY,
               name int REFERENCES party_party, code text, alternative_id_type text);
             CREATE TABLE res_user (id int PRIMARY KEY, party int REFERENCES party_party);
             CREATE TABLE gnuhealth_patient (id int PRIMARY KEY,
               name int NOT NULL REFERENCES party_party, write_date timestamp);
             CREATE TABLE gnuhealth_vaccination (id int PRIMARY KEY,
               name int NOT NULL REFERENCES gnuhealth_patient, vaccine text, dose int,
               date timestamp, create_uid int REFERENCES res_user,
               write_uid int REFERENCES res_user, create_date timestamp, write_date timestamp);
             INSERT INTO party_party VALUES (1, 'A', 'A', 'f', '1970-01-01', NULL),
               (2, 'B', 'B', 'm', '1960-01-01', NULL);
             INSERT INTO party_alternative_identification VALUES (1, 1, '112-233-445 95', 'snils'),
               (2, 1, 'C-1', 'medical_record'), (3, 2, '000-000-000 02', 'snils');
             INSERT INTO res_user VALUES (2, 2);
             INSERT INTO gnuhealth_patient VALUES (3, 1, NULL);
             INSERT INTO gnuhealth_vaccination VALUES (4, 3, 'Sputnik V', 1, '2021-05-01 22:30:00',
               2, 2, now(), NULL);",
        )
        .await;
    let proposal = propose(&clinic).await;
    assert_eq!(system(&proposal), "GNU Health");
    assert_eq!(
        records(&clinic, feed(&proposal, Feed::Vaccinations)).await,
        ["4 Snils=112-233-445 95 Sputnik V Value(1) 2021-05-02"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_names_only_who_entered_it_has_no_person() {
    for clinic in [Clinic::sqlite(), Clinic::mariadb().await] {
        clinic
            .run(
                "CREATE TABLE persons (id INT PRIMARY KEY, last_name VARCHAR(20), snils VARCHAR(14));
                 CREATE TABLE vaccinations (id INT PRIMARY KEY, vaccine VARCHAR(20), given_on DATE,
                   created_by INT, changed_by INT, validated_by INT,
                   FOREIGN KEY (created_by) REFERENCES persons (id),
                   FOREIGN KEY (changed_by) REFERENCES persons (id),
                   FOREIGN KEY (validated_by) REFERENCES persons (id));
                 INSERT INTO persons VALUES (1, 'A', '112-233-445 95');
                 INSERT INTO vaccinations VALUES (1, 'Sputnik V', '2021-05-01', 1, 1, 1);",
            )
            .await;
        let proposal = propose(&clinic).await;
        let missing = proposal.missing.iter();
        let mut missing = missing.filter(|missing| missing.feed == Feed::Vaccinations);
        let likely = &missing.next().expect("no vaccinations").likely;
        let lacks = (
            "vaccinations".to_owned(),
            "it refers to no table of persons".to_owned(),
        );
        assert_eq!(likely, &[lacks]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_persons_facts_are_those_of_the_surviving_row() {
    for clinic in Clinic::of_each_database().await {
        clinic
            .run(
                "CREATE TABLE patients (id INT PRIMARY KEY, last_name VARCHAR(20), snils VARCHAR(14),
                   passport_series VARCHAR(4), passport_number VARCHAR(6),
                   is_deleted INT NOT NULL DEFAULT 0, merged_into_id INT,
                   updated_at TIMESTAMP NOT NULL);
                 CREATE TABLE vaccinations (id INT PRIMARY KEY,
                   patient_id INT NOT NULL REFERENCES patients (id), vaccine VARCHAR(20),
                   given_on DATE, updated_at TIMESTAMP NOT NULL);
                 INSERT INTO patients VALUES
                   (1, 'A', '112-233-445 95', NULL, '123456', 0, NULL, '2021-06-01 10:00:00'),
                   (2, 'A', '000-000-000 02', '4509', NULL, 1, 1, '2021-06-01 10:00:00'),
                   (3, 'B', '000-000-000 03', NULL, NULL, 1, NULL, '2021-06-01 10:00:00'),
                   (4, 'C', '000-000-000 04', '4510', '000004', 1, 3, '2021-06-01 10:00:00'),
                   (5, 'D', '000-000-000 05', '4510', '000005', 0, 0, '2021-06-01 10:00:00');
                 INSERT INTO vaccinations VALUES
                   (10, 1, 'Sputnik V', '2021-05-01', '2021-06-01 10:00:00'),
                   (20, 2, 'Sputnik V', '2021-05-02', '2021-06-01 10:00:00'),
                   (30, 3, 'Sputnik V', '2021-05-03', '2021-06-01 10:00:00'),
                   (40, 4, 'Sputnik V', '2021-05-04', '2021-06-01 10:00:00'),
                   (50, 5, 'Sputnik V', '2021-05-05', '2021-06-01 10:00:00');",
            )
            .await;
        let proposal = propose(&clinic).await;
        let vaccinations = feed(&proposal, Feed::Vaccinations);
        let survivor = "Snils=112-233-445 95+PassportRu=123456";
        assert_eq!(
            records(&clinic, vaccinations).await,
            [
                format!("10 {survivor} Sputnik V Missing 2021-05-01"),
                format!("20 {survivor} Sputnik V Missing 2021-05-02"),
                "30 CANCELLED Snils=000-000-000 03 Sputnik V Missing 2021-05-03".to_owned(),
                "40 CANCELLED Snils=000-000-000 03+PassportRu=4510000004 Sputnik V Missing \
                 2021-05-04"
                    .to_owned(),
                "50 Snils=000-000-000 05+PassportRu=4510000005 Sputnik V Missing 2021-05-05"
                    .to_owned(),
            ],
            "no series of one row comes to the number of another"
        );
        let Changes::SeveralStamps(queries) = &vaccinations.changes else {
            panic!("{:?}", vaccinations.changes);
        };
        assert_eq!(
            queries.len(),
            3,
            "that of the surviving row, too: {queries:?}"
        );
        for (_, query) in queries {
            clinic
                .run(&format!("SELECT record_id, changed_at FROM ({query}) AS q"))
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passport_in_two_columns_becomes_one_number() {
    for [series, number, kind] in [
        ["passport_serial", "passport_number", ""],
        ["\"Серия\"", "\"Номер\"", ""],
        ["S_DOC", "N_DOC", "C_DOC"],
        ["DOCSER", "DOCNUM", "DOCTYPE"],
    ] {
        for clinic in [Clinic::sqlite(), Clinic::postgres().await] {
            let kind_column = match kind {
                "" => String::new(),
                kind => format!(", {kind} int"),
            };
            let value = |value: &str| match kind {
                "" => String::new(),
                _ => format!(", {value}"),
            };
            clinic
                .run(&format!(
                    "CREATE TABLE patients (id int PRIMARY KEY, fam text, snils text, {series} text,
                       {number} int{kind_column});
                     CREATE TABLE vaccinations (id int PRIMARY KEY,
                       patient_id int NOT NULL REFERENCES patients (id), vaccine text,
                       seriya text, given_on date);
                     INSERT INTO patients VALUES (1, 'A', '1', '4509', 12345{}),
                       (2, 'B', '2', 'VII-AK', 7{});
                     INSERT INTO vaccinations VALUES (1, 1, 'Sputnik V', 'II-123', '2021-05-01'),
                       (2, 2, 'Sputnik V', 'II-123', '2021-05-02');",
                    value("14"),
                    value("3")
                ))
                .await;
            let proposal = propose(&clinic).await;
            let found = records(&clinic, feed(&proposal, Feed::Vaccinations)).await;
            let other = match kind {
                "" => "+PassportRu=VII-AK000007",
                _ => "",
            };
            assert_eq!(
                found,
                [
                    "1 Snils=1+PassportRu=4509012345 Sputnik V Missing 2021-05-01".to_owned(),
                    format!("2 Snils=2{other} Sputnik V Missing 2021-05-02"),
                ],
                "{series} {number}"
            );
        }
    }
}
