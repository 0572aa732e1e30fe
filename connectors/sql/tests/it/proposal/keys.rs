//! Views and tables whose key nothing declares.

use connector_kit::Feed;

use super::{feed, passes_check, propose, records};
use crate::clinic::Clinic;

/// Results as a view shows them, whose key nothing declares.
const VIEWS: &str = "
CREATE TABLE patients (patient_id INT PRIMARY KEY, last_name VARCHAR(20), snils VARCHAR(14));
CREATE TABLE r (n INT PRIMARY KEY, p INT, t VARCHAR(20), v VARCHAR(20), d DATE);
INSERT INTO patients VALUES (1, 'A', '112-233-445 95'), (2, 'B', '000-000-000 02');
INSERT INTO r VALUES (1, 1, 'PCR', 'negative', '2021-05-01'), (2, 1, 'PCR', 'positive',
  '2021-05-02'), (3, 2, 'PCR', 'negative', '2021-05-01');
";

#[tokio::test(flavor = "multi_thread")]
async fn a_view_has_the_key_that_its_name_says_if_it_tells_the_rows_apart() {
    let person = "Snils=112-233-445 95";
    for clinic in Clinic::of_each_database().await {
        for key in ["result_id", "id_result", "RESULTID"] {
            clinic.run(VIEWS).await;
            clinic
                .run(&format!(
                    "CREATE VIEW lab_results AS SELECT n AS {key}, p AS patient_id, \
                     t AS test_name, v AS result, d AS sample_date FROM r"
                ))
                .await;
            let proposal = propose(&clinic).await;
            let tests = feed(&proposal, Feed::Tests);
            assert_eq!(
                records(&clinic, tests).await,
                [
                    format!("1 {person} PCR negative 2021-05-01"),
                    format!("2 {person} PCR positive 2021-05-02"),
                    "3 Snils=000-000-000 02 PCR negative 2021-05-01".to_owned(),
                ],
                "{key}"
            );
            let notes = tests.notes.join("\n");
            assert!(notes.contains("is different for every row"), "{notes}");
            passes_check(&clinic, tests).await;
            clinic
                .run("DROP VIEW lab_results; DROP TABLE patients; DROP TABLE r")
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_key_has_a_composed_id_or_none_where_none_is_safe() {
    for clinic in Clinic::of_each_database().await {
        clinic.run(VIEWS).await;
        // The same number for all results of a report.
        clinic
            .run(
                "CREATE TABLE lab_results (result_id INT, patient_id INT, test_name VARCHAR(20), \
                 result VARCHAR(20), sample_date DATE); INSERT INTO lab_results VALUES \
                 (7, 1, 'PCR', 'negative', '2021-05-01'), (7, 1, 'PCR', 'positive', '2021-05-02'), \
                 (7, 2, 'PCR', 'negative', '2021-05-01'), (NULL, 2, NULL, NULL, '2021-05-03')",
            )
            .await;
        let proposal = propose(&clinic).await;
        let tests = feed(&proposal, Feed::Tests);
        let found = records(&clinic, tests).await;
        assert_eq!(
            found,
            [
                "1-PCR-2021-05-01 Snils=112-233-445 95 PCR negative 2021-05-01",
                "1-PCR-2021-05-02 Snils=112-233-445 95 PCR positive 2021-05-02",
                "2--2021-05-03 NO-FACT Snils=000-000-000 02 - - 2021-05-03",
                "2-PCR-2021-05-01 Snils=000-000-000 02 PCR negative 2021-05-01",
            ]
        );
        passes_check(&clinic, tests).await;
        // Two results of one day are two facts under one id.
        clinic
            .run("INSERT INTO lab_results VALUES (8, 1, 'PCR', 'negative', '2021-05-02')")
            .await;
        let proposal = propose(&clinic).await;
        let missing = proposal.missing.iter();
        let mut missing = missing.filter(|missing| missing.feed == Feed::Tests);
        let likely = &missing.next().expect("no tests").likely;
        assert!(
            likely[0].1.contains("together do not tell its rows apart"),
            "{likely:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_id_is_made_of_a_persons_identifiers_and_a_unique_index_is_a_key() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE TABLE vaccinations (snils text, vaccine text, given_on date);
             INSERT INTO vaccinations VALUES ('112-233-445 95', 'Sputnik V', '2021-05-01');",
        )
        .await;
    let proposal = propose(&clinic).await;
    let missing = proposal.missing.iter();
    let mut missing = missing.filter(|missing| missing.feed == Feed::Vaccinations);
    let likely = &missing.next().expect("no vaccinations").likely;
    assert!(likely[0].1.contains("would not be safe"), "{likely:?}");
    clinic
        .run(
            "ALTER TABLE vaccinations ADD email text NOT NULL DEFAULT 'a@b';
             ALTER TABLE vaccinations ALTER snils SET NOT NULL;
             CREATE UNIQUE INDEX ON vaccinations (snils);
             CREATE UNIQUE INDEX ON vaccinations (email);
             ALTER TABLE vaccinations ADD ticket text NOT NULL DEFAULT 'T-1';
             CREATE UNIQUE INDEX ON vaccinations (ticket)",
        )
        .await;
    let proposal = propose(&clinic).await;
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    assert_eq!(
        records(&clinic, vaccinations).await,
        ["T-1 Snils=112-233-445 95 Sputnik V Missing 2021-05-01"]
    );
}
