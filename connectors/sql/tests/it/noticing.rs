//! Ways in which changes are noticed: by one stamp, by several, and by content; and what `check`
//! says of them.

use connector_kit::{Connector, Level, SourceError, SourceSurprise, SweepReads};
use connector_sql::SqlConnector;

use crate::clinic::{Clinic, first_keys, first_page, now, run, run_at, short};
use crate::events::Events;
use crate::idle::until_counted;

const QUERY: &str = "SELECT v.id AS record_id, p.snils AS person_snils, v.vaccine AS vaccine_code, \
     v.given AS occurred_on FROM visit v JOIN patient p ON p.id = v.patient JOIN code c ON c.id = \
     v.vaccine";

const CHANGES: &str = "[vaccinations.changes]\nvisit = 'SELECT id AS record_id, changed AS changed_at \
     FROM visit'\npatient = 'SELECT v.id AS record_id, p.changed AS changed_at FROM patient AS p JOIN \
     visit AS v ON v.patient = p.id WHERE p.changed > :since'\n";

async fn tables(clinic: &Clinic, rows: u32) {
    let stamp = clinic.stamp_type();
    clinic
        .run(&format!(
            "CREATE TABLE patient (id int PRIMARY KEY, changed {stamp} NOT NULL, snils varchar(20)); \
             CREATE TABLE code (id varchar(20) PRIMARY KEY); CREATE TABLE visit (id int PRIMARY KEY, \
             patient int, vaccine varchar(20), changed {stamp} NOT NULL, given varchar(20)); CREATE \
             INDEX visit_changed ON visit (changed); CREATE INDEX patient_changed ON patient \
             (changed); CREATE INDEX visit_patient ON visit (patient); INSERT INTO code VALUES ('x')"
        ))
        .await;
    for first in (1..=rows).step_by(1000) {
        let ids = first..(first + 1000).min(rows + 1);
        let stamp = "'2021-07-01 10:00:00'";
        let patients: Vec<String> = ids
            .clone()
            .map(|id| format!("({id}, {stamp}, '{id}')"))
            .collect();
        let visits: Vec<String> = ids
            .map(|id| format!("({id}, {id}, 'x', {stamp}, '2021-07-01')"))
            .collect();
        clinic
            .run(&format!(
                "INSERT INTO patient VALUES {}",
                patients.join(", ")
            ))
            .await;
        clinic
            .run(&format!("INSERT INTO visit VALUES {}", visits.join(", ")))
            .await;
    }
}

fn by_several(clinic: &Clinic) -> SqlConnector {
    let feed = format!("[vaccinations]\nquery = '''{QUERY}'''\n{CHANGES}");
    clinic.connector_with(&feed).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_in_a_joined_table_brings_its_records() {
    for clinic in Clinic::of_each_database().await {
        tables(&clinic, 30).await;
        clinic
            .run("UPDATE visit SET patient = 5 WHERE id IN (6, 7)")
            .await;
        let connector = by_several(&clinic);
        let first = run(&connector, None, 7).await;
        assert_eq!(first.ids.len(), 30);
        assert_eq!(
            run(&connector, first.stored.clone(), 7).await.ids,
            [] as [&str; 0]
        );
        clinic
            .run("UPDATE patient SET snils = '999', changed = '2021-07-09 10:00:00' WHERE id = 5")
            .await;
        clinic
            .run(
                "INSERT INTO visit VALUES (31, 1, 'x', '2021-07-09 10:00:00', '2021-07-02'); UPDATE \
                 visit SET changed = '2021-07-09 10:00:01', given = '2021-07-03' WHERE id = 5",
            )
            .await;
        let second = run(&connector, first.stored.clone(), 7).await;
        let mut ids = second.ids.clone();
        ids.sort();
        ids.dedup();
        assert_eq!(ids, ["31", "5", "6", "7"]);
        assert!(second.records.iter().all(|row| row.stamp.is_none()));
        let fifth = second
            .records
            .iter()
            .find(|row| row.record_id == "5")
            .unwrap();
        assert_eq!(short(fifth), "5 Final 999 x - 2021-07-03");
        // Closed, each for itself: nothing comes again.
        let later = now() + chrono::TimeDelta::days(2);
        let third = run_at(&connector, second.stored, 7, later).await;
        let quiet = run_at(&connector, third.stored, 7, later).await;
        assert_eq!((quiet.ids, quiet.surprises), (vec![], vec![]));
        // The change query of one table goes back, that of the other goes on.
        clinic.run("DELETE FROM visit WHERE id IN (31, 5)").await;
        let back = run_at(&connector, first.stored, 7, later).await;
        assert_eq!(back.surprises, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stamps_that_went_back_in_one_table_are_told() {
    let clinic = Clinic::postgres().await;
    tables(&clinic, 10).await;
    clinic
        .run("UPDATE visit SET changed = '2021-07-08 10:00:00' WHERE id = 3")
        .await;
    let connector = by_several(&clinic);
    let stored = run(&connector, None, 100).await.stored;
    clinic
        .run(
            "DELETE FROM visit WHERE id = 3; INSERT INTO visit VALUES (11, 1, 'x', '2021-07-02 \
             10:00:00', '2021-07-02')",
        )
        .await;
    let back = run(&connector, stored, 100).await;
    assert_eq!(back.surprises, [SourceSurprise::StampsWentBack]);
    assert_eq!(back.ids, ["11"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_run_by_several_stamps_reads_few_rows() {
    let clinic = Clinic::postgres().await;
    tables(&clinic, 20_000).await;
    clinic.run("ANALYZE").await;
    let Clinic::Postgres(server, _) = &clinic else {
        unreachable!()
    };
    let connector = by_several(&clinic);
    let stored = run(&connector, None, 1000).await.stored;
    drop(connector);
    until_counted(server).await;
    clinic.run("SELECT pg_stat_reset()").await;
    let connector = by_several(&clinic);
    let quiet = run(&connector, stored, 1000).await;
    assert_eq!(quiet.ids, [] as [&str; 0]);
    drop(connector);
    let read = "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), \
                sum(coalesce(idx_scan, 0)) > 0 FROM pg_stat_user_tables";
    until_counted(server).await;
    let figures = server.psql("mis", read).await.unwrap();
    assert!(figures.trim().ends_with("|t"), "{figures}");
    let rows: u32 = figures.trim().split('|').next().unwrap().parse().unwrap();
    assert!(rows < 1000, "{rows} rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_by_content_is_made_once_and_sweeps_read_whole_rows() {
    for clinic in Clinic::of_each_database().await {
        tables(&clinic, 30).await;
        let feed = format!("[vaccinations]\nquery = '''{QUERY}'''\nchange_detection = 'content'\n");
        let connector = clinic.connector_with(&feed).unwrap();
        let first = run(&connector, None, 7).await;
        assert_eq!(first.ids.len(), 30);
        // A stamp that does not move.
        clinic
            .run("UPDATE visit SET given = '2021-07-04' WHERE id = 9")
            .await;
        let second = run(&connector, first.stored, 7).await;
        assert_eq!((second.ids, second.pages), (vec![], 1));
        let feed = connector.feeds()[0];
        assert_eq!(connector.sweep_reads(feed), SweepReads::Contents);
        let rows = connector.contents(first_keys(100)).await.unwrap().records;
        let ninth = rows.iter().find(|row| row.record_id == "9").unwrap();
        assert_eq!(short(ninth), "9 Final 9 x - 2021-07-04");
        let said = format!("{:?}", connector.check(now()).await);
        assert!(said.contains("noticed by sweeps alone"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_way_of_noticing_starts_the_feed_over() {
    let clinic = Clinic::sqlite();
    tables(&clinic, 3).await;
    let content = format!("[vaccinations]\nquery = '''{QUERY}'''\nchange_detection = 'content'\n");
    let stored = run(&by_several(&clinic), None, 9).await.stored;
    let (events, _listening) = Events::listen();
    let anew = run(&clinic.connector_with(&content).unwrap(), stored, 9).await;
    assert_eq!(anew.ids.len(), 3);
    assert_eq!(events.named("cursor-not-understood").len(), 1);
}

fn refused(clinic: &Clinic, feed: &str) -> String {
    match clinic.connector_with(&format!("[vaccinations]\nquery = '''{QUERY}'''\n{feed}")) {
        Err(SourceError::Misconfigured { what, help }) => format!("{what}; {help}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("taken: {feed}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_without_effect_are_refused() {
    let clinic = Clinic::sqlite();
    for (feed, words) in [
        (
            "change_detection = 'several-stamps'",
            "there is no change query",
        ),
        (
            "change_detection = 'content'\nchanges = { a = 'SELECT 1 AS record_id, 2 AS changed_at' }",
            "no effect with this change_detection",
        ),
        ("changes = { 'a b' = 'SELECT 1' }", "of other letters"),
        (
            "changes = { a = 'DELETE FROM visit' }",
            "changes.a: the query is not a SELECT",
        ),
        (
            "changes = { a = 'SELECT :other' }",
            "changes.a: the query holds a placeholder (:other); the only one that it may hold is \
             :since",
        ),
    ] {
        let said = refused(&clinic, feed);
        assert!(said.contains(words), "{said}");
    }
    let query = format!("[vaccinations]\nquery = '''{QUERY} WHERE v.changed > :since'''");
    let said = clinic.connector_with(&query).err().unwrap().to_string();
    assert!(
        said.contains("has a meaning in the queries under `changes` alone"),
        "{said}"
    );
    let many: Vec<String> = (0..9).map(|n| format!("c{n} = 'SELECT 1'")).collect();
    let said = refused(&clinic, &format!("changes = {{ {} }}", many.join(", ")));
    assert!(said.contains("more than 8 change queries"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_without_a_stamp_is_told_the_three_choices() {
    let clinic = Clinic::postgres().await;
    tables(&clinic, 3).await;
    let connector = clinic.connector(QUERY);
    let report = connector.check(now()).await;
    assert_eq!(report.worst(), Level::Error);
    for said in [
        format!("{report:?}"),
        connector
            .page(first_page(9))
            .await
            .map(|_| ())
            .unwrap_err()
            .to_string(),
    ] {
        for words in ["no column `changed_at`", "`changes`", "content"] {
            assert!(said.contains(words), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_tables_without_a_stamp_and_indexes_that_are_missing() {
    for clinic in Clinic::of_each_database().await {
        tables(&clinic, 12_000).await;
        match &clinic {
            Clinic::Postgres(..) => clinic.run("ANALYZE").await,
            Clinic::MariaDb(..) => clinic.run("ANALYZE TABLE patient, visit, code").await,
            Clinic::Sqlite(_) => clinic.run("ANALYZE").await,
        }
        let said = format!("{:?}", by_several(&clinic).check(now()).await);
        for words in [
            "vaccinations: changes.visit: an index serves changed_at",
            "vaccinations: changes.patient: an index serves changed_at",
            "no change query tells of code; what changes there alone is not noticed until the next",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
        let drop = match &clinic {
            Clinic::MariaDb(..) => "DROP INDEX patient_changed ON patient",
            _ => "DROP INDEX patient_changed",
        };
        clinic.run(drop).await;
        let said = format!("{:?}", by_several(&clinic).check(now()).await);
        assert!(
            said.contains("every run reads all of patient")
                && said.contains("CREATE INDEX patient_changed ON patient (changed)"),
            "{said}"
        );
        // One stamp over several tables, and over one of them.
        let over =
            |stamp: &str| QUERY.replacen("SELECT", &format!("SELECT {stamp} AS changed_at,"), 1);
        let both = over("COALESCE(v.changed, p.changed)");
        let said = format!("{:?}", clinic.connector(&both).check(now()).await);
        assert!(
            said.contains("several stamps fit better")
                && said.contains("what changes in code alone is not noticed"),
            "{said}"
        );
        let feed = format!(
            "[vaccinations]\nsweep_contents = true\nquery = '''{}'''\n",
            over("v.changed")
        );
        let connector = clinic.connector_with(&feed).unwrap();
        assert_eq!(
            connector.sweep_reads(connector.feeds()[0]),
            SweepReads::Contents
        );
        let said = format!("{:?}", connector.check(now()).await);
        assert!(
            said.contains("what changes in code, patient alone is noticed by sweeps"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_another_type_are_told() {
    let clinic = Clinic::postgres().await;
    tables(&clinic, 3).await;
    let feed = format!(
        "[vaccinations]\nquery = '''{QUERY}'''\n{}",
        CHANGES.replace("id AS", "id::text AS")
    );
    let connector = clinic.connector_with(&feed).unwrap();
    let said = format!("{:?}", connector.check(now()).await);
    assert!(
        said.contains("changes.visit: its record_id is of another type"),
        "{said}"
    );
    let failed = connector
        .page(first_page(9))
        .await
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        failed.contains("its record_id is of another type"),
        "{failed}"
    );
}
