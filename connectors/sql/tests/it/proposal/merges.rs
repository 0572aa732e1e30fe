//! Chains of merged rows, however long they are, and circles.

use connector_kit::Feed;

use super::{feed, passes_check, propose, records};
use crate::clinic::Clinic;

/// Patients that facts know by one number and merges by another, in the style of OpenEMR.
const TWO_NUMBERS: &str = "
CREATE TABLE patient_data (id INT PRIMARY KEY, pid INT NOT NULL UNIQUE, lname VARCHAR(20),
  snils VARCHAR(14), is_deleted INT NOT NULL DEFAULT 0, merged_into INT,
  FOREIGN KEY (merged_into) REFERENCES patient_data (id));
CREATE TABLE immunizations (id INT PRIMARY KEY, patient_id INT NOT NULL, vaccine VARCHAR(20),
  given_on DATE, FOREIGN KEY (patient_id) REFERENCES patient_data (pid));
INSERT INTO patient_data VALUES (1, 100, 'A', 'S-1', 0, NULL), (2, 1, 'A', 'S-2', 1, 1),
  (3, 200, 'B', 'S-3', 0, NULL);
INSERT INTO immunizations VALUES (1, 100, 'Sputnik V', '2021-05-01'),
  (2, 1, 'Sputnik V', '2021-05-02'), (3, 200, 'Sputnik V', '2021-05-03');
";

#[tokio::test(flavor = "multi_thread")]
async fn merges_by_another_number_than_that_of_the_facts_are_followed() {
    for clinic in Clinic::of_each_database().await {
        clinic.run(TWO_NUMBERS).await;
        let proposal = propose(&clinic).await;
        let vaccinations = feed(&proposal, Feed::Vaccinations);
        assert_eq!(
            records(&clinic, vaccinations).await,
            [
                "1 Snils=S-1 Sputnik V Missing 2021-05-01",
                "2 Snils=S-1 Sputnik V Missing 2021-05-02",
                "3 Snils=S-3 Sputnik V Missing 2021-05-03",
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_merges_is_followed_and_a_list_of_suspicions_is_not() {
    let own = "CREATE TABLE person (person_id INT PRIMARY KEY, gender VARCHAR(1), \
        birthdate DATE, snils VARCHAR(14)); CREATE TABLE vaccinations (id INT PRIMARY KEY, \
        person_id INT NOT NULL REFERENCES person (person_id), vaccine VARCHAR(20), given_on DATE); \
        INSERT INTO person VALUES (1, 'F', '1970-01-01', 'S-1'), (2, 'F', '1970-01-01', 'S-2'); \
        INSERT INTO vaccinations VALUES (1, 2, 'Sputnik V', '2021-05-01');";
    for (table, columns, person) in [
        (
            "person_merge_log",
            "winner_person_id INT, loser_person_id INT",
            "S-1",
        ),
        (
            "person_merge_request",
            "winner_person_id INT, loser_person_id INT",
            "S-2",
        ),
        (
            "potential_duplicates",
            "duplicate_of INT, person_id INT",
            "S-2",
        ),
        (
            "person_merges",
            "merged_into INT, person_id INT, status VARCHAR(9) DEFAULT 'asked'",
            "S-2",
        ),
    ] {
        let clinic = Clinic::sqlite();
        let [into, from] = ["1", "2"];
        clinic.run(own).await;
        clinic
            .run(&format!(
                "CREATE TABLE {table} (id INTEGER PRIMARY KEY, {columns}); INSERT INTO {table} \
                 SELECT * FROM (SELECT 1, {into}, {from}{})",
                if columns.contains("status") {
                    ", 'asked'"
                } else {
                    ""
                }
            ))
            .await;
        let proposal = propose(&clinic).await;
        let vaccinations = feed(&proposal, Feed::Vaccinations);
        assert_eq!(
            records(&clinic, vaccinations).await,
            [format!("1 Snils={person} Sputnik V Missing 2021-05-01")],
            "{table}"
        );
    }
}

/// Length of the chain.
const LONG: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_any_length_ends_at_the_row_that_is_left_and_a_circle_at_none() {
    for (clinic, number) in [
        (Clinic::sqlite(), "INT"),
        (Clinic::postgres().await, "INT"),
        (Clinic::postgres().await, "UUID"),
        (Clinic::mariadb().await, "VARCHAR(36)"),
    ] {
        let id = |n: usize| match number {
            "INT" => n.to_string(),
            _ => format!("'00000000-0000-0000-0000-{n:012}'"),
        };
        let row = |n: usize, into: Option<usize>| {
            let into = into.map_or_else(|| "NULL".to_owned(), id);
            format!("({}, 'A', 'S-{n}', {into})", id(n))
        };
        // 1 into 2 into … into the last; 101 into 102 into 103 into 101; 104 into itself.
        let mut rows: Vec<String> = (1..LONG).map(|n| row(n, Some(n + 1))).collect();
        rows.push(row(LONG, None));
        for (n, into) in [(101, 102), (102, 103), (103, 101), (104, 104)] {
            rows.push(row(n, Some(into)));
        }
        let facts = [(1, 1), (2, LONG / 2), (3, LONG), (4, 101), (5, 104)];
        let facts = facts.map(|(n, of)| format!("({n}, {}, 'Sputnik V', '2021-05-01')", id(of)));
        clinic
            .run(&format!(
                "CREATE TABLE patients (id {number} PRIMARY KEY, last_name VARCHAR(20),
                   snils VARCHAR(14), merged_into_id {number});
                 CREATE TABLE vaccinations (id INT PRIMARY KEY, patient_id {number} NOT NULL,
                   vaccine VARCHAR(20), given_on DATE);
                 INSERT INTO patients VALUES {}; INSERT INTO vaccinations VALUES {};",
                rows.join(", "),
                facts.join(", ")
            ))
            .await;
        let proposal = propose(&clinic).await;
        let vaccinations = feed(&proposal, Feed::Vaccinations);
        let of = |fact: usize, person: &str| {
            format!("{fact} Snils={person} Sputnik V Missing 2021-05-01")
        };
        let last = format!("S-{LONG}");
        assert_eq!(
            records(&clinic, vaccinations).await,
            [
                of(1, &last),
                of(2, &last),
                of(3, &last),
                of(4, "S-101"),
                of(5, "S-104"),
            ],
            "{number}"
        );
        passes_check(&clinic, vaccinations).await;
    }
}
