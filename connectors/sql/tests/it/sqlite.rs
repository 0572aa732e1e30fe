//! SQLite: values typed one by one, several forms of stamps, a file that a live program writes.

use connector_kit::Connector;
use connector_sql::SqlConnector;

use crate::clinic::{Clinic, DOSES, now, one_row_is_one_row, run, short, sqlite_writer};

const TYPES: &str = "SELECT id AS record_id, changed AS changed_at, snils AS person_snils, oms AS \
    person_oms, \
                     vaccine AS vaccine_code, dose AS dose_number, given AS occurred_on, state AS \
                     status FROM t";

#[tokio::test(flavor = "multi_thread")]
async fn every_storage_class_has_the_meaning_the_readme_gives() {
    let clinic = Clinic::sqlite();
    for (values, expected) in [
        (
            "7, '2021-07-01', '112-233-445 95', NULL, ' Гам-КОВИД-Вак ', 2, '2021-07-01', ' \
             ВЫПОЛНЕНА '",
            "7 Final 112-233-445 95 Гам-КОВИД-Вак 2 2021-07-01",
        ),
        (
            "42.0, 1625173200, 8765432101, 77, 505, 2.0, 1625173200, 1",
            "42 Final 08765432101+0000000000000077 505 2 2021-07-02",
        ),
        (
            "x'00ff', '2021-07-01T10:00:00Z', x'98', '', CAST(x'd1efb3f2ede8ea' AS TEXT), '1.5', \
             '2021-07-01T21:30:00Z', ''",
            "00ff NotAFact ! Спітник «1.5» 2021-07-02",
        ),
        (
            "'a', '2021-07-01', '1', 'b', x'd1efb3f2ede8ea', NULL, '31.06.2021', 'иное'",
            "a Unknown 1+b Спітник - NotADate",
        ),
        (
            "1, '2021-07-01', 11223344595.0, NULL, NULL, -1, 2021, 'отменена'",
            "1 Cancelled 11223344595  «-1» 2021",
        ),
    ] {
        clinic
            .run(&format!(
                "DROP TABLE IF EXISTS t; CREATE TABLE t (id, changed, snils, oms, vaccine, dose, \
                 given, state); \
                 INSERT INTO t VALUES ({values})"
            ))
            .await;
        let connector = clinic
            .connector_with(&format!(
                "encoding = 'windows-1251'\n[vaccinations]\nquery = '''{TYPES}'''\n\
                 status_words = {{ 'выполнена' = 'final', '1' = 'final', 'отменена' = \
                 'cancelled', '' = 'not-a-fact' }}\n"
            ))
            .unwrap();
        assert_eq!(
            short(&run(&connector, None, 10).await.records[0]),
            expected,
            "{values}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_any_storage_class_page_without_a_gap() {
    let clinic = Clinic::sqlite();
    for (id, values) in [
        (
            "INTEGER PRIMARY KEY",
            "(9), (10), (9007199254740993), (9223372036854775807)",
        ),
        (
            "",
            "(9), (10.5), ('10'), ('b'), ('B'), (x'00'), (x'ff'), (CAST(x'ff' AS TEXT)), \
             (CAST(x'fe' AS TEXT))",
        ),
        ("TEXT COLLATE NOCASE", "('a'), ('A'), ('b'), ('B'), ('c')"),
        ("NUMERIC", "(9), ('10'), ('x')"),
    ] {
        for changed in ["'2021-07-01 10:00:00.123456'", "1625173200"] {
            clinic
                .run(&format!(
                    "DROP TABLE IF EXISTS doses; CREATE TABLE doses (id {id}, changed DEFAULT \
                     {changed}, \
                     snils, vaccine, given); INSERT INTO doses (id) VALUES {values}"
                ))
                .await;
            let connector = clinic.connector(DOSES);
            let all = run(&connector, None, 100).await.ids;
            assert_eq!(
                all.len(),
                values.matches("(").count() - values.matches("CAST(").count()
            );
            for limit in [3, 4] {
                assert_eq!(
                    run(&connector, None, limit).await.ids,
                    all,
                    "{id} {changed}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_wal_mode_is_read_while_it_is_written() {
    let clinic = Clinic::sqlite();
    clinic
        .run("PRAGMA journal_mode = WAL; CREATE TABLE doses (id, changed, snils, vaccine, given)")
        .await;
    let Clinic::Sqlite(folder) = &clinic else {
        unreachable!()
    };
    let mut writer = sqlite_writer(folder.path()).await;
    sqlx::raw_sql(
        "INSERT INTO doses (id, changed) VALUES (1, '2021-07-01 10:00:00'); BEGIN \
        IMMEDIATE; INSERT INTO doses (id, changed) VALUES (2, '2021-07-01 10:00:01')",
    )
    .execute(&mut writer)
    .await
    .unwrap();
    let connector = clinic.connector(DOSES);
    assert_eq!(run(&connector, None, 10).await.ids, ["1"]);
    sqlx::raw_sql("COMMIT").execute(&mut writer).await.unwrap();
    assert_eq!(run(&connector, None, 10).await.ids, ["1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_replaced_by_a_fresh_export_is_read_anew() {
    let clinic = Clinic::sqlite();
    clinic
        .run("CREATE TABLE doses (id, changed, snils, vaccine, given)")
        .await;
    let Clinic::Sqlite(folder) = &clinic else {
        unreachable!()
    };
    let connector = clinic.connector(DOSES);
    assert!(run(&connector, None, 10).await.ids.is_empty());
    let other = Clinic::sqlite();
    other
        .run(
            "CREATE TABLE doses (id, changed, snils, vaccine, given); INSERT INTO doses (id, \
        changed) VALUES (3, '2021-07-02 10:00:00')",
        )
        .await;
    let Clinic::Sqlite(source) = &other else {
        unreachable!()
    };
    std::fs::rename(source.path().join("mis.db"), folder.path().join("mis.db")).unwrap();
    assert_eq!(run(&connector, None, 10).await.ids, ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_stamps_whose_order_is_not_that_of_time() {
    let clinic = Clinic::sqlite();
    clinic
        .run(
            "CREATE TABLE doses (id, changed, snils, vaccine, given); INSERT INTO doses (id, \
             changed) VALUES \
             (1, '2021-07-01 10:00:00'), (2, '2021-07-01T10:00:00'), (3, 1625173200), (4, \
             2459396.5)",
        )
        .await;
    let report = clinic.connector(DOSES).check(now()).await;
    let said = format!("{report:?}");
    assert!(
        said.contains("text in some rows and a number in others"),
        "{said}"
    );
    assert!(
        said.contains("1 row has a changed_at that is neither text nor a whole number"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_finds_stamps_of_several_offsets() {
    for (one, other, told) in [
        (
            "2021-07-01T10:00:00+05:00",
            "2021-07-01T10:00:00+03:00",
            true,
        ),
        ("2021-07-01T10:00:00Z", "2021-07-01T10:00:00+00:00", true),
        ("2021-07-01T10:00:00", "2021-07-01T10:00:00+03:00", true),
        ("2021-07-01T10:00:00", "2021-07-01", true),
        (
            "2021-07-01T10:00:00+03:00",
            "2021-07-01T10:00:00.5+03:00",
            false,
        ),
    ] {
        let clinic = Clinic::sqlite();
        clinic
            .run(&format!(
                "CREATE TABLE doses (id, changed, snils, vaccine, given); INSERT INTO doses (id, \
                 changed) VALUES (1, '{one}'), (2, '{other}')"
            ))
            .await;
        let said = format!("{:?}", clinic.connector(DOSES).check(now()).await);
        let is_told = said.contains("changed_at is written in several ways");
        assert_eq!(is_told, told, "{one} {other}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unindexed_table_is_told_with_the_index_to_make() {
    let clinic = Clinic::sqlite();
    clinic
        .run(
            "CREATE TABLE doses (id, changed, snils, vaccine, given); WITH RECURSIVE n (i) AS \
             (SELECT 1 UNION ALL \
             SELECT i + 1 FROM n WHERE i < 12000) INSERT INTO doses SELECT i, \
             datetime('2021-01-01', i || ' seconds'), '1', 'x', '2021' FROM n",
        )
        .await;
    let connector = clinic.connector(DOSES);
    let said = format!("{:?}", connector.check(now()).await);
    assert!(
        said.contains("CREATE INDEX doses_changed_id ON doses (changed, id)"),
        "{said}"
    );
    clinic
        .run("CREATE INDEX doses_changed ON doses (changed, id)")
        .await;
    let said = format!("{:?}", connector.check(now()).await);
    assert!(
        said.contains("a row that is asked for by its id sorts")
            && !said.contains("each page sorts"),
        "{said}"
    );
    clinic.run("CREATE INDEX doses_id ON doses (id)").await;
    assert!(!format!("{:?}", connector.check(now()).await).contains("CREATE INDEX"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_never_ends_is_stopped() {
    let clinic = Clinic::sqlite();
    clinic
        .run("CREATE TABLE doses (id, changed, snils, vaccine, given)")
        .await;
    let endless = "SELECT i AS record_id, '2021' AS changed_at, '1' AS person_snils, 'x' AS \
        vaccine_code, '2021' AS occurred_on \
                   FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT \
                   i FROM n)";
    let usual = "statement_timeout_seconds = 60";
    assert!(clinic.connection().contains(usual));
    let toml = format!(
        "{}[vaccinations]\nquery = '''{endless}'''\n",
        clinic
            .connection()
            .replace(usual, "statement_timeout_seconds = 1")
    );
    let config = toml::from_str(&toml).unwrap();
    let connector = SqlConnector::sqlite(&config, std::path::Path::new("/")).unwrap();
    let ids = ["7".to_owned()];
    for error in [
        connector
            .page(crate::clinic::first_page(1))
            .await
            .map(|_| ())
            .unwrap_err(),
        connector
            .keys(crate::clinic::first_keys(1))
            .await
            .map(|_| ())
            .unwrap_err(),
        connector
            .fetch(connector_kit::Feed::Vaccinations, &ids, now())
            .await
            .map(|_| ())
            .unwrap_err(),
    ] {
        assert!(
            matches!(error, connector_kit::SourceError::Retry { .. }),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_differ_only_in_blanks_stay_apart() {
    let clinic = Clinic::sqlite();
    clinic
        .run(
            "CREATE TABLE doses (id, changed DEFAULT '2021-07-01', snils, vaccine, given); \
             INSERT INTO doses (id) VALUES (' '), ('20'), ('7'), (' 7'), ('7 ')",
        )
        .await;
    let ids = one_row_is_one_row(&clinic.connector(DOSES), "blanks").await;
    assert_eq!(ids, [" ", " 7", "20", "7", "7 "]);
}
