//! What change queries hide or do not find, and how long the places in them may be.

use connector_kit::{Connector, Level};
use connector_sql::SqlConnector;

use crate::clinic::{Clinic, first_page, now, run};
use crate::events::Events;

/// The feed's own query.
const QUERY: &str = "SELECT v.id AS record_id, p.snils AS person_snils, v.vaccine AS vaccine_code, \
     v.given AS occurred_on FROM visit v JOIN patient p ON p.id = v.patient WHERE v.vaccine <> 'flu'";

/// Change query of the patients' table.
const OF_PATIENTS: &str = "SELECT v.id AS record_id, p.changed AS changed_at FROM patient p LEFT \
     JOIN visit v ON v.patient = p.id";

/// Four visits of two patients; a third patient never came.
async fn tables(clinic: &Clinic) {
    let stamp = clinic.stamp_type();
    clinic
        .run(&format!(
            "CREATE TABLE patient (id int PRIMARY KEY, changed {stamp}, snils varchar(20)); CREATE \
             TABLE visit (id int PRIMARY KEY, patient int, vaccine varchar(20), changed {stamp}, \
             given varchar(20)); INSERT INTO patient VALUES (101, '2021-07-01 10:00:00', '1'), (102, \
             NULL, '2'), (103, '2021-07-01 10:00:00', '3'); INSERT INTO visit VALUES (1, 101, 'x', \
             '2021-07-01 10:00:00', '2021-07-01'), (2, 102, 'x', '2021-07-01 10:00:00', \
             '2021-07-01'), (3, 102, 'flu', '2021-07-01 10:00:00', '2021-07-01'), (4, 101, 'x', \
             NULL, '2021-07-01')"
        ))
        .await;
}

fn connector(clinic: &Clinic, query: &str, changes: &str) -> SqlConnector {
    let feed =
        format!("[vaccinations]\nquery = '''{query}'''\n[vaccinations.changes]\n{changes}\n");
    clinic.connector_with(&feed).unwrap()
}

fn usual(clinic: &Clinic) -> SqlConnector {
    let changes = format!(
        "visit = 'SELECT id AS record_id, changed AS changed_at FROM visit'\npatient = \
         '''{OF_PATIENTS}'''"
    );
    connector(clinic, QUERY, &changes)
}

/// The findings of a check on this, with their levels.
async fn findings(connector: &SqlConnector, on: &str) -> Vec<(Level, String)> {
    let report = connector.check(now()).await;
    let on_it = report.findings.into_iter();
    let on_it = on_it.filter(|finding| finding.what.contains(on));
    on_it.map(|found| (found.level, found.what)).collect()
}

fn says(found: &[(Level, String)], level: Level, words: &str) {
    let is_it = |one: &(Level, String)| one.0 == level && one.1.contains(words);
    assert!(found.iter().any(is_it), "{words}: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_change_query_hides_for_want_of_a_stamp_are_counted() {
    for clinic in Clinic::of_each_database().await {
        tables(&clinic).await;
        let connector = usual(&clinic);
        let found = findings(&connector, "changes.").await;
        says(
            &found,
            Level::Warning,
            "changes.patient: 2 rows have no usable changed_at; what changes in them is not noticed",
        );
        says(&found, Level::Warning, "changes.visit: 1 row has no usable");
        says(
            &found,
            Level::Good,
            "changes.patient: 1 row has no record_id and name no record",
        );
        let (events, _listening) = Events::listen();
        let first = run(&connector, None, 9).await;
        run(&connector, first.stored.clone(), 9).await;
        let told = events.named("rows-without-key");
        assert_eq!(told.len(), 2, "once an hour: {told:?}");
        assert!(
            told[0].contains("change=\"patient\" rows=2")
                && told[1].contains("change=\"visit\" rows=1"),
            "{told:?}"
        );
        let later = now() + chrono::TimeDelta::hours(2);
        crate::clinic::run_at(&connector, first.stored, 9, later).await;
        assert_eq!(events.named("rows-without-key").len(), 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stamp_that_is_empty_until_something_happens_is_nothing_to_mend() {
    for clinic in Clinic::of_each_database().await {
        tables(&clinic).await;
        let stamp = clinic.stamp_type();
        clinic
            .run(&format!("ALTER TABLE visit ADD voided {stamp}"))
            .await;
        let changes = "visit = 'SELECT id AS record_id, changed AS changed_at FROM visit'\n\
             visit_voided = 'SELECT id AS record_id, voided AS changed_at FROM visit'\n";
        let told = connector(&clinic, QUERY, changes);
        let found = findings(&told, "no usable changed_at").await;
        // The fourth visit has neither stamp.
        says(&found, Level::Warning, "changes.visit: 1 row has no usable");
        says(
            &found,
            Level::Warning,
            "changes.visit_voided: 1 row has no usable",
        );
        clinic
            .run("UPDATE visit SET changed = '2021-07-01 10:00:00' WHERE id = 4")
            .await;
        assert_eq!(findings(&told, "no usable changed_at").await, []);
        // Without the other query the empty stamps are all that there is.
        let alone = changes.lines().last().unwrap();
        let found = findings(&connector(&clinic, QUERY, alone), "no usable").await;
        says(
            &found,
            Level::Warning,
            "changes.visit_voided: 4 rows have no usable",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_stamp_without_an_order_is_one_that_is_missing() {
    let clinic = Clinic::sqlite();
    tables(&clinic).await;
    clinic
        .run("UPDATE visit SET changed = '1.7.2021' WHERE id < 3")
        .await;
    let found = findings(&usual(&clinic), "changes.visit").await;
    says(&found, Level::Warning, "changes.visit: 3 rows have no");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_are_of_no_row_are_counted() {
    for clinic in Clinic::of_each_database().await {
        tables(&clinic).await;
        clinic
            .run("UPDATE visit SET changed = '2021-07-01 10:00:00'")
            .await;
        let connector = usual(&clinic);
        let found = findings(&connector, "ids").await;
        says(
            &found,
            Level::Good,
            "changes.visit: of its newest 4 ids 1 are of no row of the query",
        );
        let found = findings(&connector, "changes.patient: the newest rows").await;
        assert_eq!(found.len(), 1, "{found:?}");
        let stored = run(&connector, None, 9).await.stored;
        clinic
            .run("UPDATE visit SET changed = '2021-07-02 10:00:00' WHERE id > 1")
            .await;
        let (events, _listening) = Events::listen();
        let mut second = run(&connector, stored.clone(), 9).await.ids;
        second.sort();
        assert_eq!(second, ["2", "4"]);
        run(&connector, stored, 9).await;
        let told = events.named("ids-without-row");
        assert_eq!(told.len(), 1, "once an hour: {told:?}");
        assert!(
            told[0].contains("change=\"visit\" ids=3 without_row=1"),
            "{told:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_query_that_names_something_else_is_a_fault() {
    for clinic in Clinic::of_each_database().await {
        tables(&clinic).await;
        let changes = "patient = 'SELECT id AS record_id, changed AS changed_at FROM patient'";
        let wrong = connector(&clinic, QUERY, changes);
        let found = findings(&wrong, "changes.patient").await;
        says(&found, Level::Error, "none of its ids is that of a row");
        // The newest are all left out by the query, but others are not.
        let flu: Vec<String> = (10..120)
            .map(|id| format!("({id}, 101, 'flu', '2021-07-09 10:00:00', '2021-07-01')"))
            .collect();
        clinic
            .run(&format!("INSERT INTO visit VALUES {}", flu.join(", ")))
            .await;
        let found = findings(&usual(&clinic), "changes.visit").await;
        says(
            &found,
            Level::Good,
            "of its newest 100 ids 100 are of no row",
        );
        // Without a row there is nothing to compare with.
        clinic.run("DELETE FROM visit").await;
        let found = findings(&wrong, "none of its ids").await;
        assert_eq!(found, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_text_are_one_id_where_they_are_written_alike() {
    let changes =
        "visit = 'SELECT CAST(id AS {type}) AS record_id, changed AS changed_at FROM visit'";
    for clinic in Clinic::of_each_database().await {
        tables(&clinic).await;
        let text = match clinic {
            Clinic::MariaDb(..) => "char(20)",
            _ => "varchar(20)",
        };
        let named = connector(&clinic, QUERY, &changes.replace("{type}", text));
        let found = findings(&named, "changes.visit").await;
        if !matches!(clinic, Clinic::Sqlite(_)) {
            says(&found, Level::Error, "record_id is of another type");
            let failed = named.page(first_page(9)).await.map(|_| ()).unwrap_err();
            assert!(failed.to_string().contains("of another type"), "{failed}");
            continue;
        }
        // An SQLite file has no types to compare; its values tell.
        says(&found, Level::Good, "of its newest 3 ids 1 are of no row");
        let stored = run(&named, None, 9).await.stored;
        clinic
            .run("UPDATE visit SET changed = '2021-07-02 10:00:00' WHERE id = 2")
            .await;
        assert_eq!(run(&named, stored, 9).await.ids, ["2"]);
        let padded = changes.replace("CAST(id AS {type})", "printf(\"%03d\", id)");
        let found = findings(&connector(&clinic, QUERY, &padded), "changes.visit").await;
        says(&found, Level::Error, "none of its ids is that of a row");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_with_an_empty_fraction_is_the_whole_number() {
    let changes = "visit = 'SELECT CAST(id AS decimal(10,2)) AS record_id, changed AS changed_at \
                   FROM visit'";
    for clinic in Clinic::of_each_database().await {
        tables(&clinic).await;
        let named = connector(&clinic, QUERY, changes);
        let stored = run(&named, None, 9).await.stored;
        clinic
            .run("UPDATE visit SET changed = '2021-07-02 10:00:00' WHERE id = 2")
            .await;
        assert_eq!(run(&named, stored, 9).await.ids, ["2"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_may_be_named_more_often_at_one_time_than_a_page_holds() {
    for clinic in Clinic::of_each_database().await {
        tables(&clinic).await;
        let stamp = clinic.stamp_type();
        let values: Vec<String> = (1..=12)
            .map(|attribute| format!("(101, {attribute}, '2021-07-01 10:00:00')"))
            .collect();
        clinic
            .run(&format!(
                "CREATE TABLE answer (patient int, attribute int, changed {stamp}); INSERT INTO \
                 answer VALUES {}",
                values.join(", ")
            ))
            .await;
        let changes = "answer = 'SELECT v.id AS record_id, a.changed AS changed_at FROM answer a \
                       JOIN visit v ON v.patient = a.patient'";
        let named = connector(&clinic, QUERY, changes);
        let stored = run(&named, None, 5).await.stored;
        clinic
            .run("UPDATE answer SET changed = '2021-07-02 10:00:00'")
            .await;
        let mut second = run(&named, stored, 5).await.ids;
        second.sort();
        second.dedup();
        assert_eq!(second, ["1", "4"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_among_ids_of_the_greatest_length_in_eight_change_queries() {
    for clinic in Clinic::of_each_database().await {
        let stamp = clinic.stamp_type();
        let id = match clinic {
            Clinic::MariaDb(..) => "varchar(1023) CHARACTER SET ascii COLLATE ascii_bin",
            _ => "varchar(1023)",
        };
        let rows: Vec<String> = (1..=5)
            .map(|n| format!("('{n}{}', '2021-07-01 10:00:00')", "x".repeat(1022)))
            .collect();
        clinic
            .run(&format!(
                "CREATE TABLE doses (id {id} PRIMARY KEY, changed {stamp} NOT NULL); INSERT INTO \
                 doses VALUES {}",
                rows.join(", ")
            ))
            .await;
        let changes: Vec<String> = (1..=8)
            .map(|n| {
                let name = format!("{n}{}", "n".repeat(39));
                format!("{name} = 'SELECT id AS record_id, changed AS changed_at FROM doses'")
            })
            .collect();
        let query = "SELECT id AS record_id, '1' AS person_snils, 'x' AS vaccine_code, '2021' AS \
                     occurred_on FROM doses";
        let connector = connector(&clinic, query, &changes.join("\n"));
        let later = |days| now() + chrono::TimeDelta::days(days);
        let stored = crate::clinic::run_at(&connector, None, 2, later(1)).await;
        clinic
            .run("UPDATE doses SET changed = '2021-07-05 10:00:00'")
            .await;
        let second = crate::clinic::run_at(&connector, stored.stored, 2, later(2)).await;
        assert_eq!(
            second.ids.len(),
            5 * 8,
            "each change query names all of them"
        );
        // Left in its midst.
        let mut request = first_page(2);
        clinic
            .run("UPDATE doses SET changed = '2021-07-06 10:00:00'")
            .await;
        request.after = second.stored;
        request.now = later(3);
        let mut longest = 0;
        for _ in 0..23 {
            let page = connector.page(request.clone()).await.unwrap();
            request.first_of_run = false;
            longest = longest.max(page.next.as_ref().unwrap().as_str().len());
            request.after = page.next;
        }
        assert!(longest > 4096, "{longest}");
    }
}
