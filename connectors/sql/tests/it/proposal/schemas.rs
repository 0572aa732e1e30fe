//! Copies of the clinic's tables, in another database or schema, are none of the clinic's.

use connector_kit::Feed;

use super::{feed, propose, records};
use crate::clinic::Clinic;

/// Tables in a database or schema, with the vaccine that tells which one it is.
fn tables(place: &str, vaccine: &str) -> String {
    format!(
        "CREATE TABLE {place}.patients (id INT PRIMARY KEY, last_name VARCHAR(20),
           snils VARCHAR(14), updated_at TIMESTAMP NOT NULL);
         CREATE TABLE {place}.vaccinations (id INT PRIMARY KEY, patient_id INT NOT NULL,
           vaccine VARCHAR(20), given_on DATE, updated_at TIMESTAMP NOT NULL);
         INSERT INTO {place}.patients VALUES (1, 'A', '112-233-445 95', '2021-06-01 10:00:00');
         INSERT INTO {place}.vaccinations VALUES
           (1, 1, '{vaccine}', '2021-05-01', '2021-06-01 10:00:00');"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_the_account_may_read_is_not_looked_at() {
    for (clinic, own, copy) in [
        (Clinic::mariadb().await, "mis", "DATABASE"),
        (Clinic::postgres().await, "public", "SCHEMA"),
    ] {
        // One that comes before in the order of names, and one behind.
        clinic
            .run(&format!("CREATE {copy} a_copy; CREATE {copy} z_copy;"))
            .await;
        if own == "mis" {
            clinic.run("GRANT SELECT ON *.* TO reader@'%'").await;
        }
        for (place, vaccine) in [(own, "Sputnik V"), ("a_copy", "Copy"), ("z_copy", "Copy")] {
            clinic.run(&tables(place, vaccine)).await;
        }
        let proposal = propose(&clinic).await;
        let vaccinations = feed(&proposal, Feed::Vaccinations);
        assert_eq!(
            records(&clinic, vaccinations).await,
            ["1 Snils=112-233-445 95 Sputnik V Missing 2021-05-01"]
        );
        let text = vaccinations.section("source.mis.sql");
        assert!(!text.contains("_copy"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_search_path_does_not_lead_to_is_taken_where_nothing_else_is_there_and_said() {
    let clinic = Clinic::postgres().await;
    clinic
        .run("CREATE SCHEMA lab; CREATE SCHEMA registry;")
        .await;
    clinic.run(&tables("public", "Sputnik V")).await;
    clinic
        .run(
            "CREATE TABLE registry.kinds (id int PRIMARY KEY, name text);
             CREATE TABLE lab.lab_results (id int PRIMARY KEY, patient_id int NOT NULL REFERENCES
               public.patients, test_id int NOT NULL REFERENCES registry.kinds, result text,
               sample_date date, updated_at timestamp NOT NULL);
             INSERT INTO registry.kinds VALUES (1, 'SARS-CoV-2 PCR');
             INSERT INTO lab.lab_results VALUES (1, 1, 1, 'negative', '2021-05-01', now());",
        )
        .await;
    let proposal = propose(&clinic).await;
    let tests = feed(&proposal, Feed::Tests);
    assert_eq!(
        records(&clinic, tests).await,
        ["1 Snils=112-233-445 95 SARS-CoV-2 PCR negative 2021-05-01"]
    );
    let notes = tests.notes.join("\n");
    assert!(
        notes.contains("nothing was found in the schemas of the search path: lab.lab_results"),
        "{notes}"
    );
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    let notes = vaccinations.notes.join("\n");
    assert!(!notes.contains("search path"), "{notes}");
}
