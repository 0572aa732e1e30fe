//! Rows the database cannot hand over as a whole: they are refused one by one, and those around
//! them are read.

use connector_kit::{ClinicRecord, Connector, RecordStatus, SourceError};
use connector_sql::SqlConnector;
use testbed::postgres::Postgres;

use crate::clinic::{Clinic, DOSES, Run, fetch, first_page, now, one_row_is_one_row, run, sweep};
use crate::events::Events;

/// Ids of a run's records, in order, those that are refused with a `!`.
pub(crate) fn marked(run: &Run) -> Vec<String> {
    let marked = |record: &ClinicRecord| match record.status {
        RecordStatus::Unreadable => {
            assert!(record.person.identifiers.is_empty());
            format!("{}!", record.record_id)
        }
        _ => {
            assert!(!record.person.identifiers.is_empty());
            record.record_id.clone()
        }
    };
    run.records.iter().map(marked).collect()
}

fn expected(rows: u32, poisoned: &[u32]) -> Vec<String> {
    (1..=rows)
        .map(|n| format!("{n}{}", if poisoned.contains(&n) { "!" } else { "" }))
        .collect()
}

fn calculating(clinic: &Clinic, expression: &str) -> SqlConnector {
    clinic.connector(&DOSES.replace(" FROM", &format!(", {expression} AS dose_number FROM")))
}

/// A table of 200 rows, and pages of several sizes over them, without and with an index.
async fn good_rows_around_bad_ones_are_read(
    clinic: &Clinic,
    good: &str,
    bad: &str,
    expression: &str,
) {
    let poisoned = [1, 10, 11, 100, 200];
    let rows: Vec<String> = (1..=200)
        .map(|n| {
            let dose = if poisoned.contains(&n) { bad } else { good };
            format!(
                "({n}, '2021-07-01 10:00:{:02}.000000', '1', 'x', '2021', '{dose}')",
                n / 50
            )
        })
        .collect();
    clinic
        .run(&format!(
            "CREATE TABLE doses (id int, changed {}, snils varchar(20), vaccine varchar(20), \
             given varchar(20), \
             dose varchar(20)); INSERT INTO doses VALUES {}",
            clinic.stamp_type(),
            rows.join(", ")
        ))
        .await;
    let connector = calculating(clinic, expression);
    for index in [
        "SELECT 1",
        "CREATE INDEX doses_changed ON doses (changed, id)",
    ] {
        clinic.run(index).await;
        for limit in [1, 7, 100, 500] {
            let found = run(&connector, None, limit).await;
            assert_eq!(marked(&found), expected(200, &poisoned), "limit {limit}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn good_rows_around_bad_ones_are_read_from_postgres() {
    good_rows_around_bad_ones_are_read(&Clinic::postgres().await, "2", "II", "dose::int").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn good_rows_around_bad_ones_are_read_from_mariadb() {
    let clinic = Clinic::mariadb().await;
    good_rows_around_bad_ones_are_read(&clinic, "7", "2", "CAST(dose AS UNSIGNED) - 5").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn good_rows_around_bad_ones_are_read_from_sqlite() {
    let clinic = Clinic::sqlite();
    good_rows_around_bad_ones_are_read(&clinic, r#"{"n": 2}"#, "{", "json_extract(dose, '$.n')")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_no_table_translates_refuses_its_own_row_only() {
    let server = Postgres::start().await.unwrap();
    server
        .create_database_with_encoding("old", "WIN1251")
        .await
        .unwrap();
    server
        .psql(
            "old",
            "CREATE TABLE doses (id int, changed timestamp, snils text, vaccine text, given text); \
             INSERT INTO doses SELECT n, '2021-07-01', '1', \
             CASE WHEN n = 2 THEN convert_from('\\x98', 'WIN1251') ELSE 'x' END, '2021' FROM \
             generate_series(1, 3) AS n",
        )
        .await
        .unwrap();
    let clinic = Clinic::Postgres(server, "old".into());
    let connector = clinic.connector(DOSES);
    for limit in [1, 2, 3, 4] {
        assert_eq!(
            marked(&run(&connector, None, limit).await),
            expected(3, &[2])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_nothing_but_bad_rows_is_refused_row_by_row_in_bounded_steps() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE TABLE doses (id int, changed timestamp DEFAULT '2021-07-01', snils text, \
             vaccine text, given text); \
             INSERT INTO doses (id, vaccine) SELECT n, 'x' FROM generate_series(1, 100) AS n",
        )
        .await;
    let (events, _listening) = Events::listen();
    let found = run(
        &clinic.connector(&DOSES.replace("vaccine AS", "vaccine::int AS")),
        None,
        100,
    )
    .await;
    let told = events.named("unreadable-rows");
    // The last page only looks for what has changed since the first.
    assert!(
        told.len() == found.pages - 1 && told[0].contains("SQLSTATE 22P02"),
        "{told:?}"
    );
    assert_eq!(
        marked(&found),
        expected(100, &(1..=100).collect::<Vec<_>>())
    );
    assert!((3..20).contains(&found.pages), "{} pages", found.pages);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_held_equal_to_a_bad_one_share_its_fate_and_none_is_lost() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE COLLATION loose (provider = icu, deterministic = false, locale = \
             'und-u-ks-level1'); \
             CREATE TABLE doses (id text COLLATE loose, changed timestamp DEFAULT '2021-07-01', \
             snils text DEFAULT '1', \
             vaccine text, given text); \
             INSERT INTO doses (id, vaccine) VALUES ('a', '1'), ('b', '1'), ('B', 'x'), ('c', '1')",
        )
        .await;
    let connector = clinic.connector(&DOSES.replace("vaccine AS", "vaccine::int AS"));
    for limit in [2, 3, 4, 5] {
        let mut found = marked(&run(&connector, None, limit).await);
        found.sort();
        assert_eq!(found, ["B!", "a", "b!", "c"], "limit {limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_fails_whatever_row_is_asked_for_refuses_no_row() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE TABLE doses (id int, changed timestamp DEFAULT '2021-07-01', snils text, \
             vaccine text, given text); \
             INSERT INTO doses (id, vaccine) VALUES (1, '1'), (2, 'x')",
        )
        .await;
    for query in [
        DOSES.replace("vaccine AS", "1 / 0 AS"),
        DOSES.replace("vaccine AS", "vaccine::int AS") + " OFFSET 0",
        format!("{DOSES} WHERE vaccine::int > 0"),
    ] {
        let query = query.replace("1 / 0 AS vaccine_code", "(1 / 0)::text AS vaccine_code");
        let error = clinic
            .connector(&query)
            .page(first_page(9))
            .await
            .unwrap_err();
        let told = matches!(&error, SourceError::Misconfigured { .. })
            && error.to_string().contains("SQLSTATE 22");
        assert!(told, "{query}: {error}");
    }
}

async fn long_ids_are_refused_and_passed(clinic: &Clinic) {
    let one = "m".repeat(1100);
    let two = "n".repeat(1100);
    clinic
        .run(&format!(
            "CREATE TABLE doses (id varchar(2000), changed {}, snils varchar(20), vaccine \
             varchar(20), given varchar(20)); \
             INSERT INTO doses VALUES ('a', '2021-07-01 10:00:00.000000', '1', 'x', '2021'), \
             ('{one}', '2021-07-01 10:00:00.000000', '1', 'x', '2021'), \
             ('{two}', '2021-07-01 10:00:00.000000', '1', 'x', '2021'), \
             ('z', '2021-07-01 10:00:00.000000', '1', 'x', '2021')",
            clinic.stamp_type()
        ))
        .await;
    let connector = clinic.connector(DOSES);
    for limit in [1, 2, 3, 4, 5] {
        let ids = marked(&run(&connector, None, limit).await);
        assert_eq!(
            (ids.len(), ids[0].as_str(), ids[3].as_str()),
            (4, "a", "z"),
            "{ids:?}"
        );
        assert!(
            ids[1].starts_with("mmmm") && ids[2].starts_with("nnnn"),
            "{ids:?}"
        );
        assert!(ids[1].ends_with('!') && ids[1].len() < 100, "{ids:?}");
    }
    assert_eq!(one_row_is_one_row(&connector, "long ids").await.len(), 4);
    let said = format!("{:?}", connector.check(now()).await);
    assert!(
        said.contains("2 of the newest 4 rows have a record_id of 1024 bytes or more"),
        "{said}"
    );
    assert!(
        !said.contains("status_words") && !said.contains("have no identifier"),
        "{said}"
    );
    // Two that differ only where nobody looks stay together.
    clinic
        .run(&format!(
            "UPDATE doses SET id = '{one}x' WHERE id = '{two}'"
        ))
        .await;
    for limit in [2, 3, 4] {
        assert_eq!(
            marked(&run(&connector, None, limit).await).len(),
            4,
            "limit {limit}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_ids_are_refused_and_passed_everywhere() {
    long_ids_are_refused_and_passed(&Clinic::sqlite()).await;
    long_ids_are_refused_and_passed(&Clinic::postgres().await).await;
    long_ids_are_refused_and_passed(&Clinic::mariadb().await).await;
}

/// Rows found by their ids around some the database cannot hand over, and keys that do not touch
/// what is bad.
async fn bad_rows_are_refused_by_id_too(clinic: &Clinic, good: &str, bad: &str, expression: &str) {
    let poisoned = [1, 10, 11, 30];
    let rows: Vec<String> = (1..=30)
        .map(|n| {
            format!(
                "({n}, NULL, '1', 'x', '2021', '{}')",
                if poisoned.contains(&n) { bad } else { good }
            )
        })
        .collect();
    clinic
        .run(&format!(
            "CREATE TABLE doses (id int, changed {}, snils varchar(20), vaccine varchar(20), \
             given varchar(20), \
             dose varchar(20)); INSERT INTO doses VALUES {}",
            clinic.stamp_type(),
            rows.join(", ")
        ))
        .await;
    let connector = calculating(clinic, expression);
    assert_eq!(sweep(&connector, 7).await.len(), 30);
    let ids: Vec<String> = (1..=40).map(|n| n.to_string()).collect();
    let (events, _listening) = Events::listen();
    let records = fetch(
        &connector,
        &ids.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .await;
    assert_eq!(events.named("unreadable-rows").len(), 1);
    let run = Run {
        ids: vec![],
        records,
        stored: None,
        pages: 1,
        surprises: vec![],
    };
    let mut found = marked(&run);
    found.sort_by_key(|id| id.trim_end_matches('!').parse::<u32>().unwrap());
    assert_eq!(found, expected(30, &poisoned));
    assert!(fetch(&connector, &["31", "x"]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_are_refused_by_id_everywhere() {
    bad_rows_are_refused_by_id_too(&Clinic::postgres().await, "2", "II", "dose::int").await;
    bad_rows_are_refused_by_id_too(
        &Clinic::mariadb().await,
        "7",
        "2",
        "CAST(dose AS UNSIGNED) - 5",
    )
    .await;
    bad_rows_are_refused_by_id_too(
        &Clinic::sqlite(),
        r#"{"n": 2}"#,
        "{",
        "json_extract(dose, '$.n')",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_fails_whatever_id_is_asked_for_loses_no_row() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE TABLE doses (id int, changed timestamp DEFAULT '2021-07-01', snils text, \
             vaccine text, given text); \
             INSERT INTO doses (id, vaccine) VALUES (1, '1'), (2, 'x')",
        )
        .await;
    for query in [
        DOSES.replace("vaccine AS", "vaccine::int AS") + " OFFSET 0",
        DOSES.replace("id AS", "vaccine::int AS"),
    ] {
        let found = clinic
            .connector(&query)
            .fetch(connector_kit::Feed::Vaccinations, &["1".into()], now())
            .await;
        let error = found.map(|_| ()).unwrap_err();
        let told = matches!(&error, SourceError::Misconfigured { .. })
            && error.to_string().contains("SQLSTATE 22");
        assert!(told, "{query}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_the_database_cannot_write_is_no_rows() {
    let server = Postgres::start().await.unwrap();
    server
        .create_database_with_encoding("old", "WIN1251")
        .await
        .unwrap();
    let table = "CREATE TABLE doses (id text, changed timestamp, snils text, vaccine text, given \
        text); \
                 INSERT INTO doses SELECT convert_from(id, 'WIN1251'), NULL, '1', \
                 convert_from(vaccine, 'WIN1251'), '2021' \
                 FROM (VALUES ('\\xb931'::bytea, 'x'::bytea), ('\\xb932', '\\x98')) AS v (id, \
                 vaccine)";
    server.psql("old", table).await.unwrap();
    let clinic = Clinic::Postgres(server, "old".into());
    let connector = clinic.connector(DOSES);
    assert_eq!(sweep(&connector, 1).await.len(), 2);
    let records = fetch(&connector, &["日本", "№1", "\0", "№2", "ё"]).await;
    let run = Run {
        ids: vec![],
        records,
        stored: None,
        pages: 1,
        surprises: vec![],
    };
    let mut found = marked(&run);
    found.sort();
    assert_eq!(found, ["№1", "№2!"]);
}
