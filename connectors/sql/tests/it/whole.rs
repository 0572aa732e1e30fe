//! Whole reads: first loads and sweeps read the query once, go on where they were left, and leave
//! nothing open when nobody takes what they read.

use std::time::Duration;

use connector_kit::{ClinicRecord, Connector, KeysRequest, PageRequest, RecordStatus};
use connector_sql::SqlConnector;

use crate::clinic::{Clinic, DOSES, first_keys, first_page, now, run, run_at, short, sweep};
use crate::events::Events;
use crate::idle::until_counted;

/// Three joined tables without an index that serves the order of the rows, a stamp over two of
/// them.
const JOINED: &str = "SELECT v.id AS record_id, CASE WHEN v.changed > p.changed THEN v.changed ELSE \
     p.changed END AS changed_at, p.snils AS person_snils, c.code AS vaccine_code, v.given AS \
     occurred_on FROM visit v JOIN patient p ON p.id = v.patient JOIN code c ON c.id = v.vaccine";

async fn three_tables(clinic: &Clinic, rows: u32) {
    let (numbers, moment) = match clinic {
        Clinic::Postgres(..) => (
            format!("generate_series(1, {rows}) AS n"),
            "'2021-01-01'::timestamp + n * interval '1 second'",
        ),
        Clinic::MariaDb(..) => (
            format!("(SELECT seq AS n FROM seq_1_to_{rows}) AS s"),
            "'2021-01-01' + INTERVAL n SECOND",
        ),
        Clinic::Sqlite(_) => (
            format!(
                "(WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) \
                 SELECT n FROM s)"
            ),
            "datetime('2021-01-01', n || ' seconds')",
        ),
    };
    let stamp = clinic.stamp_type();
    clinic
        .run(&format!(
            "CREATE TABLE patient (id int PRIMARY KEY, changed {stamp}, snils varchar(20)); CREATE \
             TABLE code (id int PRIMARY KEY, code varchar(20)); CREATE TABLE visit (id int, \
             patient int, vaccine int, changed {stamp}, given varchar(20)); INSERT INTO code VALUES (0, 'x'), (1, 'y'); INSERT \
             INTO patient SELECT n, {moment}, '1' FROM {numbers}; INSERT INTO visit SELECT n, n, n % \
             2, {moment}, '2021-07-01' FROM {numbers}"
        ))
        .await;
}

/// All rows by `contents`.
async fn contents(connector: &SqlConnector, limit: u32) -> Vec<ClinicRecord> {
    let mut records = vec![];
    let mut request = first_keys(limit);
    loop {
        let page = connector.contents(request.clone()).await.unwrap();
        assert!(page.records.len() <= limit as usize);
        records.extend(page.records);
        match page.next {
            Some(next) => request.after = Some(next),
            None => return records,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_and_its_sweeps_read_three_tables_once_each_postgresql() {
    let clinic = Clinic::postgres().await;
    three_tables(&clinic, 9000).await;
    let Clinic::Postgres(server, _) = &clinic else {
        unreachable!()
    };
    let connector = clinic.connector(JOINED);
    clinic.run("SELECT pg_stat_reset()").await;
    assert_eq!(run(&connector, None, 500).await.ids.len(), 9000);
    assert_eq!(sweep(&connector, 500).await.len(), 9000);
    assert_eq!(contents(&connector, 500).await.len(), 9000);
    drop(connector);
    let read = "SELECT coalesce(seq_scan, 0) FROM pg_stat_user_tables WHERE relname = 'visit'";
    until_counted(server).await;
    let scans = server.psql("mis", read).await.unwrap();
    let scans: u32 = scans.trim().parse().unwrap();
    // The first page also counts the rows that no page can hold.
    assert!((3..=5).contains(&scans), "{scans} scans of the table");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_reads_three_tables_once_mariadb() {
    let clinic = Clinic::mariadb().await;
    three_tables(&clinic, 2000).await;
    let Clinic::MariaDb(server, _) = &clinic else {
        unreachable!()
    };
    let connector = clinic.connector(JOINED);
    let read = async || {
        let status = "SHOW GLOBAL STATUS LIKE 'Com_select'";
        let said = server.execute("mis", status).await.unwrap();
        said.split_whitespace()
            .last()
            .unwrap()
            .parse::<u32>()
            .unwrap()
    };
    let before = read().await;
    assert_eq!(run(&connector, None, 100).await.ids.len(), 2000);
    let asked = read().await - before;
    assert!(asked <= 6, "{asked} statements for 20 pages");
}

/// Loads that are broken off behind every page by a restart, or by a statement's end.
async fn a_load_goes_on_where_it_was_left(clinic: &Clinic) {
    three_tables(clinic, 3500).await;
    let mut stored = None;
    let mut read = Vec::new();
    for _ in 0..4 {
        // As after a restart.
        let connector = clinic.connector(JOINED);
        let page = connector
            .page(PageRequest {
                after: stored.clone(),
                ..first_page(1000)
            })
            .await
            .unwrap();
        read.extend(page.records.into_iter().map(|record| record.record_id));
        stored = page.resume.or(stored);
        // Written behind the place that the load has come to, and before it.
        clinic
            .run("UPDATE visit SET changed = '2021-07-10 11:59:30' WHERE id IN (1, 3400)")
            .await;
    }
    let all: Vec<String> = (1..=3500).map(|id| id.to_string()).collect();
    assert_eq!(read, all);
    let rest = run(&clinic.connector(JOINED), stored.clone(), 1000).await;
    assert!(rest.ids.contains(&"1".to_owned()), "{:?}", rest.ids);
    let quiet = run_at(
        &clinic.connector(JOINED),
        rest.stored,
        1000,
        now() + chrono::TimeDelta::days(2),
    )
    .await;
    let quiet = run_at(
        &clinic.connector(JOINED),
        quiet.stored,
        1000,
        now() + chrono::TimeDelta::days(3),
    )
    .await;
    assert_eq!(quiet.ids, [] as [&str; 0]);
    assert_eq!(quiet.surprises, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_goes_on_where_it_was_left_everywhere() {
    a_load_goes_on_where_it_was_left(&Clinic::sqlite()).await;
    a_load_goes_on_where_it_was_left(&Clinic::postgres().await).await;
    a_load_goes_on_where_it_was_left(&Clinic::mariadb().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_left_alone_is_closed_and_the_load_goes_on() {
    let clinic = Clinic::postgres().await;
    three_tables(&clinic, 50_000).await;
    let Clinic::Postgres(server, _) = &clinic else {
        unreachable!()
    };
    let settings = format!("max_read_seconds = 2\n[vaccinations]\nquery = '''{JOINED}'''\n");
    let connector = clinic.connector_with(&settings).unwrap();
    let first = connector.page(first_page(1000)).await.unwrap();
    let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'clinic-gateway' AND \
                xact_start IS NOT NULL";
    let is_open = async || server.psql("mis", open).await.unwrap().trim() == "1";
    let until_closed = async {
        while is_open().await {
            tokio::task::yield_now().await;
        }
    };
    let closed = tokio::time::timeout(Duration::from_secs(60), until_closed).await;
    assert!(closed.is_ok(), "nobody takes what it reads");
    let mut read = first.records.len();
    let mut request = PageRequest {
        after: first.next,
        first_of_run: false,
        ..first_page(1000)
    };
    while request.after.is_some() {
        let page = connector.page(request.clone()).await.unwrap();
        read += page.records.len();
        request.after = page.next;
    }
    assert_eq!(read, 50_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_row_in_the_midst_is_refused_and_the_statement_goes_on() {
    let clinic = Clinic::postgres().await;
    three_tables(&clinic, 6000).await;
    clinic
        .run(
            "ALTER TABLE visit ADD dose text; UPDATE visit SET dose = CASE WHEN id IN (2500, 2501, \
             5900) THEN 'II' ELSE '2' END",
        )
        .await;
    let query = JOINED.replace(" FROM visit", ", v.dose::int AS dose_number FROM visit");
    let connector = clinic.connector(&query);
    let (events, _listening) = Events::listen();
    let found = run(&connector, None, 500).await;
    let all: Vec<String> = (1..=6000).map(|id| id.to_string()).collect();
    assert_eq!(found.ids, all);
    let refused = found
        .records
        .iter()
        .filter(|one| one.status == RecordStatus::Unreadable);
    let refused: Vec<&str> = refused.map(|one| one.record_id.as_str()).collect();
    assert_eq!(refused, ["2500", "2501", "5900"]);
    assert!((2..=3).contains(&events.named("unreadable-rows").len()));
    assert!(found.stored.is_some());
    let read = contents(&connector, 500).await;
    assert_eq!(read.len(), 6000);
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_ids_stay_together_wherever_a_statement_is_opened_again() {
    for clinic in Clinic::of_each_database().await {
        let rows =
            ["a", "b", "b", "b", "c", "d", "d"].map(|id| (id.to_owned(), "'2021-07-01 10:00:00'"));
        crate::conformance::table(&clinic, &rows).await;
        for limit in [3, 4, 5] {
            let mut request = first_keys(limit);
            let mut found = Vec::new();
            loop {
                // Every page by a statement of its own.
                let page = clinic.connector(DOSES).keys(request.clone()).await.unwrap();
                found.extend(page.keys.into_iter().map(|key| key.record_id));
                match page.next {
                    Some(after) => {
                        request = KeysRequest {
                            after: Some(after),
                            ..request
                        }
                    }
                    None => break,
                }
            }
            assert_eq!(found, ["a", "b", "b", "b", "c", "d", "d"], "limit {limit}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_are_the_rows_as_they_are_now() {
    for clinic in Clinic::of_each_database().await {
        three_tables(&clinic, 30).await;
        let connector = clinic.connector(JOINED);
        let before: Vec<String> = contents(&connector, 7).await.iter().map(short).collect();
        assert_eq!(before.len(), 30);
        let first = connector.contents(first_keys(7)).await.unwrap();
        clinic.run("UPDATE code SET code = 'z' WHERE id = 1").await;
        // Whoever asks for a row has newer ones than the open statement: it is opened again.
        crate::clinic::fetch(&connector, &["29"]).await;
        let request = KeysRequest {
            after: first.next,
            ..first_keys(7)
        };
        let next = connector.contents(request).await.unwrap();
        let codes: Vec<String> = next.records.iter().map(short).collect();
        assert!(
            codes[0].contains(" x ") && codes[1].contains(" z "),
            "{codes:?}"
        );
    }
}
