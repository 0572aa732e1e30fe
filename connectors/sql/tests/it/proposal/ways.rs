//! Which of several ways leads to the patient, documents that a row names by their number, and
//! corrections of identifiers.

use connector_kit::Feed;
use connector_sql::{Changes, Proposal};

use super::{feed, passes_check, propose, records};
use crate::clinic::Clinic;

/// Patients and institutions that are parties both, in the style of GNU Health: a patient without a
/// number, one who is not active, and one who was merged into another.
const PARTIES: &str = "
CREATE TABLE party_party (id int PRIMARY KEY, name text, lastname text, gender text, dob date,
  active boolean, replaced_by int REFERENCES party_party, birth_certificate int,
  create_date timestamp(6), write_date timestamp(6));
CREATE TABLE party_identifier (id int PRIMARY KEY, party int NOT NULL REFERENCES party_party,
  type text, code text NOT NULL, create_date timestamp(6), write_date timestamp(6));
CREATE TABLE gnuhealth_institution (id int PRIMARY KEY, name int REFERENCES party_party,
  create_date timestamp(6), write_date timestamp(6));
CREATE TABLE gnuhealth_patient (id int PRIMARY KEY, party int NOT NULL REFERENCES party_party,
  active boolean, create_date timestamp(6), write_date timestamp(6));
CREATE TABLE product_template (id int PRIMARY KEY, name text NOT NULL, write_date timestamp(6));
CREATE TABLE product_product (id int PRIMARY KEY, write_date timestamp(6),
  template int NOT NULL REFERENCES product_template);
CREATE TABLE gnuhealth_medicament (id int PRIMARY KEY, name int NOT NULL REFERENCES product_product,
  write_date timestamp(6));
CREATE TABLE gnuhealth_vaccination (id int PRIMARY KEY, name int REFERENCES gnuhealth_patient,
  institution int REFERENCES gnuhealth_institution,
  vaccine int NOT NULL REFERENCES gnuhealth_medicament, dose int, date timestamp(0),
  create_uid int, write_uid int, create_date timestamp(6), write_date timestamp(6));
INSERT INTO party_party VALUES
  (1, 'A', 'A', 'f', '1970-01-01', true, NULL, 5, '2021-06-01', NULL),
  (2, 'B', 'B', 'f', '1970-01-01', true, NULL, 6, '2021-06-01', NULL),
  (3, 'C', 'C', 'f', '1970-01-01', true, NULL, 7, '2021-06-01', NULL),
  (4, 'D', 'D', 'f', '1970-01-01', false, 1, NULL, '2021-06-01', NULL),
  (9, 'Clinic', '', '', NULL, true, NULL, NULL, '2021-06-01', NULL);
INSERT INTO party_identifier VALUES (1, 1, 'snils', 'S-1', '2021-06-01', NULL),
  (3, 3, 'snils', 'S-3', '2021-06-01', NULL), (9, 9, 'snils', 'CLINIC', '2021-06-01', NULL);
INSERT INTO gnuhealth_institution VALUES (1, 9, '2021-06-01', NULL);
INSERT INTO gnuhealth_patient VALUES (11, 1, true, '2021-06-01', NULL),
  (12, 2, true, '2021-06-01', NULL), (13, 3, false, '2021-06-01', NULL),
  (14, 4, true, '2021-06-01', NULL);
INSERT INTO product_template VALUES (1, 'Sputnik V', NULL);
INSERT INTO product_product VALUES (1, NULL, 1);
INSERT INTO gnuhealth_medicament VALUES (1, 1, NULL);
INSERT INTO gnuhealth_vaccination VALUES
  (1, 11, 1, 1, 1, '2021-05-01 22:30', 1, NULL, '2021-06-01', NULL),
  (2, 12, 1, 1, 1, '2021-05-01 10:00', 1, NULL, '2021-06-01', NULL),
  (3, 13, 1, 1, 1, '2021-05-01 10:00', 1, NULL, '2021-06-01', NULL),
  (4, 14, 1, 1, 1, '2021-05-01 10:00', 1, NULL, '2021-06-01', NULL);
";

/// Says that one of the queries of changes names these records, and no others, since a moment.
async fn are_named(clinic: &Clinic, queries: &[(String, String)], since: &str, expected: &str) {
    let all: Vec<&str> = queries.iter().map(|(_, query)| query.as_str()).collect();
    clinic
        .run(&format!(
            "DO $$ DECLARE named text; BEGIN SELECT string_agg(DISTINCT q.record_id::text, ',') \
             INTO named FROM ({}) AS q WHERE q.changed_at > '{since}'; IF named IS DISTINCT FROM \
             '{expected}' THEN RAISE EXCEPTION 'named are %', named; END IF; END $$",
            all.join(" UNION ALL ")
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_institutions_number_is_no_patients_and_a_corrected_one_is_noticed() {
    let clinic = Clinic::postgres().await;
    clinic.run(PARTIES).await;
    let proposal = propose(&clinic).await;
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    let query = &vaccinations.query;
    assert!(!query.contains("institution"), "{query}");
    assert!(!query.contains("birth_certificate"), "{query}");
    // The day is that of the clinic, whatever the column to the party is called.
    let found = records(&clinic, vaccinations).await;
    assert!(
        found[0].starts_with("1 ") && found[0].contains("S-1"),
        "{found:?}"
    );
    assert!(
        found[0].ends_with("Sputnik V Value(1) 2021-05-02"),
        "{found:?}"
    );
    assert_eq!(found[1], "2  Sputnik V Value(1) 2021-05-01");
    assert!(found[2].starts_with("3 CANCELLED "), "{found:?}");
    assert!(
        found[3].starts_with("4 ") && found[3].contains("S-1"),
        "{found:?}"
    );
    let notes = vaccinations.notes.join("\n");
    assert!(
        notes.contains("person_birth_certificate is left out"),
        "{notes}"
    );
    let Changes::SeveralStamps(queries) = &vaccinations.changes else {
        panic!("{:?}", vaccinations.changes);
    };
    assert!(queries.len() <= 8, "{queries:?}");
    for (change, expected) in [
        // Of a patient who was never merged, and of the row that another one was merged into.
        (
            "UPDATE party_identifier SET write_date = '2021-08-01' WHERE id = 3",
            "3",
        ),
        (
            "UPDATE party_identifier SET write_date = '2021-08-02' WHERE id = 1",
            "1,4",
        ),
        (
            "INSERT INTO party_identifier VALUES (8, 2, 'snils', 'S-2', '2021-08-03', NULL)",
            "2",
        ),
        (
            "UPDATE gnuhealth_patient SET write_date = '2021-08-04' WHERE id = 13",
            "3",
        ),
        (
            "UPDATE party_party SET write_date = '2021-08-05' WHERE id = 1",
            "1,4",
        ),
        (
            "UPDATE product_template SET write_date = '2021-08-06'",
            "1,2,3,4",
        ),
    ]
    .into_iter()
    {
        clinic.run(change).await;
        let since = change.split("'2021-08-0").nth(1).expect("a day")[..1].to_owned();
        let since = format!(
            "2021-08-0{} 12:00",
            since.parse::<u8>().expect("a digit") - 1
        );
        are_named(&clinic, queries, &since.replace("08-00", "07-31"), expected).await;
    }
    passes_check(&clinic, vaccinations).await;
}

/// What is said of the table of vaccinations, where none are proposed.
fn lack(proposal: &Proposal) -> String {
    let mut missing = proposal.missing.iter();
    let missing = missing.find(|missing| missing.feed == Feed::Vaccinations);
    let missing = missing.expect("no vaccinations are proposed");
    missing.likely[0].1.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_ways_of_which_nothing_says_which_is_the_patients_none_is_taken() {
    for clinic in [Clinic::sqlite(), Clinic::postgres().await] {
        clinic
            .run(
                "CREATE TABLE citizens (id INT PRIMARY KEY, last_name VARCHAR(20), snils VARCHAR(14));
                 CREATE TABLE vaccinations (id INT PRIMARY KEY, vaccine VARCHAR(20), given_on DATE,
                   first INT NOT NULL REFERENCES citizens (id),
                   second INT NOT NULL REFERENCES citizens (id));",
            )
            .await;
        let told = lack(&propose(&clinic).await);
        let expected = "nothing says which of them is the patient";
        assert!(
            told.contains(expected) && told.contains("vaccinations.second"),
            "{told}"
        );
    }
}

/// Vaccinations of guests or of residents, both of whom are persons.
const TWO_WAYS: &str = "
CREATE TABLE persons (id INT PRIMARY KEY, last_name VARCHAR(20), snils VARCHAR(14),
  oms VARCHAR(16));
CREATE TABLE stays (id INT PRIMARY KEY, person_id INT NOT NULL REFERENCES persons (id));
CREATE TABLE homes (id INT PRIMARY KEY, person_id INT NOT NULL REFERENCES persons (id),
  is_deleted INT);
CREATE TABLE vaccinations (id INT PRIMARY KEY, vaccine VARCHAR(20), given_on DATE,
  stay_id INT REFERENCES stays (id), home_id INT REFERENCES homes (id));
INSERT INTO persons VALUES (1, 'A', 'S-1', NULL), (2, 'B', NULL, 'O-2');
INSERT INTO stays VALUES (1, 1);
INSERT INTO homes VALUES (1, 1, 0), (2, 2, 0), (3, 2, 1);
INSERT INTO vaccinations VALUES (1, 'Sputnik V', '2021-05-01', 1, NULL),
  (2, 'Sputnik V', '2021-05-02', NULL, 2), (3, 'Sputnik V', '2021-05-03', 1, 1),
  (4, 'Sputnik V', '2021-05-04', NULL, 3);
";

#[tokio::test(flavor = "multi_thread")]
async fn identifiers_of_two_ways_are_never_mixed() {
    for clinic in Clinic::of_each_database().await {
        clinic.run(TWO_WAYS).await;
        let proposal = propose(&clinic).await;
        let vaccinations = feed(&proposal, Feed::Vaccinations);
        let expected = [
            "1 Snils=S-1 Sputnik V Missing 2021-05-01",
            "2 Oms=O-2 Sputnik V Missing 2021-05-02",
            "3 Snils=S-1 Sputnik V Missing 2021-05-03",
            "4 CANCELLED Oms=O-2 Sputnik V Missing 2021-05-04",
        ];
        assert_eq!(records(&clinic, vaccinations).await, expected);
        // A row that leads to two persons, after the query was made: it is nobody's.
        clinic
            .run("INSERT INTO vaccinations VALUES (5, 'Sputnik V', '2021-05-05', 1, 2)")
            .await;
        let found = records(&clinic, vaccinations).await;
        assert_eq!(found[4], "5  Sputnik V Missing 2021-05-05");
        let told = lack(&propose(&clinic).await);
        assert!(told.contains("its rows lead to two persons"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_a_row_names_by_its_number_has_its_own() {
    for (clinic, small) in [(Clinic::sqlite(), "INT"), (Clinic::mariadb().await, "INT")] {
        clinic
            .run(&format!(
                "CREATE TABLE birth_certificate (id INT PRIMARY KEY, code VARCHAR(20), issued DATE);
                 CREATE TABLE patients (id INT PRIMARY KEY, last_name VARCHAR(20), sex CHAR(1),
                   birth_date DATE, snils BIGINT, passport {small},
                   birth_certificate INT REFERENCES birth_certificate (id));
                 CREATE TABLE vaccinations (id INT PRIMARY KEY, vaccine VARCHAR(20), given_on DATE,
                   patient_id INT NOT NULL REFERENCES patients (id));
                 INSERT INTO birth_certificate VALUES (5, 'II-123456', NULL);
                 INSERT INTO patients VALUES (1, 'A', 'f', '1970-01-01', 11223344595, 17, 5);
                 INSERT INTO vaccinations VALUES (1, 'Sputnik V', '2021-05-01', 1);"
            ))
            .await;
        let proposal = propose(&clinic).await;
        let vaccinations = feed(&proposal, Feed::Vaccinations);
        assert_eq!(
            records(&clinic, vaccinations).await,
            ["1 Snils=11223344595+BirthCertificate=II-123456 Sputnik V Missing 2021-05-01"]
        );
        let notes = vaccinations.notes.join("\n");
        assert!(
            notes.contains("patients.passport holds numbers of rows"),
            "{notes}"
        );
    }
}
