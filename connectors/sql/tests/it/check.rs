//! `check` on a clinic whose query is wrong in many ways, each told by the column's name; and what
//! is refused at once.

use connector_kit::{Connector, Level};
use connector_sql::{MySqlConfig, PostgresConfig, SqlConnector, SqliteConfig};

use crate::clinic::{Clinic, DOSES, first_page, now};

async fn findings(clinic: &Clinic, feed: &str) -> Vec<(Level, String)> {
    let report = clinic.connector_with(feed).unwrap().check(now()).await;
    let text = |finding: connector_kit::Finding| {
        (
            finding.level,
            format!("{}; {}", finding.what, finding.help.unwrap_or_default()),
        )
    };
    report.findings.into_iter().map(text).collect()
}

fn has(findings: &[(Level, String)], level: Level, parts: &[&str]) {
    let found = findings
        .iter()
        .any(|(of, text)| *of == level && parts.iter().all(|part| text.contains(part)));
    assert!(found, "{level:?} {parts:?} is not in {findings:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_columns_are_told_by_name_with_what_to_write_instead() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE TABLE t (id float, changed text, snils date, code text, dose boolean, at int, \
             room text)",
        )
        .await;
    let query = "SELECT id AS record_id, changed AS changed_at, snils AS person_snils, code AS \
        vacine_code, \
                 dose AS dose_number, at AS occurred_on, room AS room, code AS status FROM t";
    let found = findings(&clinic, &format!("[vaccinations]\nquery = '''{query}'''\n")).await;
    has(
        &found,
        Level::Error,
        &["column `record_id` is of type float8", "CAST"],
    );
    has(
        &found,
        Level::Error,
        &["column `changed_at` is of type text", "timestamp"],
    );
    has(
        &found,
        Level::Error,
        &["column `person_snils` is of type date"],
    );
    has(
        &found,
        Level::Error,
        &[
            "column `dose_number` is of type bool",
            "a whole number, or text",
        ],
    );
    has(
        &found,
        Level::Error,
        &["column `occurred_on` is of type int4", "a date"],
    );
    has(
        &found,
        Level::Error,
        &[
            "no column `vaccine_code`",
            "rename `vacine_code` to `vaccine_code`",
        ],
    );
    has(
        &found,
        Level::Error,
        &["`status`, but status_words is empty"],
    );
    has(
        &found,
        Level::Warning,
        &["column `room` is not one the gateway knows", "leave it out"],
    );
    has(
        &found,
        Level::Warning,
        &["column `vacine_code`", "is `vaccine_code` meant?"],
    );

    let query = "SELECT 1 AS record_id, 2 AS record_id, now() AS changed_at, 'x' AS vaccine_code, \
        now() AS occurred_on";
    let words = "status_words = { 'x' = 'final' }";
    let found = findings(
        &clinic,
        &format!("[vaccinations]\nquery = '''{query}'''\n{words}\n"),
    )
    .await;
    has(&found, Level::Error, &["two columns `record_id`"]);
    has(&found, Level::Error, &["no person_* column"]);
    has(
        &found,
        Level::Error,
        &["status_words is set, but the query has no column `status`"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_newest_rows_come_to_is_counted_and_never_quoted() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE TABLE t (id int, changed timestamp, snils text, passport bytea, code text, at \
             text, state text); \
             INSERT INTO t VALUES (1, '2021-07-10 11:00', '112-233-445 95', NULL, 'x', \
             '2021-07-01', 'готово'), \
             (1, '2021-07-10 11:01', '112-233-445 95', NULL, 'x', 'вчера', 'готово'), \
             (2, '2021-07-10 15:01', NULL, NULL, 'x', NULL, 'секретно'), \
             (3, '2099-07-10 15:01', NULL, '\\xff', 'x', NULL, 'готово')",
        )
        .await;
    let query = "SELECT id AS record_id, changed AS changed_at, snils AS person_snils, passport \
        AS person_passport_foreign, \
                 code AS vaccine_code, at AS occurred_on, state AS status FROM t";
    let feed =
        format!("[vaccinations]\nquery = '''{query}'''\nstatus_words = {{ 'готово' = 'final' }}\n");
    let found = findings(&clinic, &feed).await;
    has(&found, Level::Good, &["PostgreSQL 1", "answers"]);
    has(
        &found,
        Level::Warning,
        &["the account may change data: everything, since it is a superuser; the gateway"],
    );
    has(
        &found,
        Level::Warning,
        &["person_passport_foreign stands without"],
    );
    has(
        &found,
        Level::Warning,
        &["1 row has a changed_at in the future"],
    );
    has(
        &found,
        Level::Warning,
        &[
            "1 row has a changed_at some hours ahead",
            "time_zone (now Europe/Moscow)",
        ],
    );
    has(
        &found,
        Level::Error,
        &["1 of the newest 4 rows repeats a record_id"],
    );
    has(
        &found,
        Level::Warning,
        &["1 of the newest 4 rows has a status"],
    );
    has(
        &found,
        Level::Warning,
        &["1 of the newest 4 rows has no identifier"],
    );
    has(
        &found,
        Level::Warning,
        &["1 of the newest 4 rows has an identifier that cannot be decoded"],
    );
    has(
        &found,
        Level::Warning,
        &["1 of the newest 4 rows has an occurred_on that is no date"],
    );
    let all = format!("{found:?}");
    for value in ["112-233", "секретно", "вчера", "готово"] {
        assert!(!all.contains(value), "{value} in {all}");
    }
}

#[test]
fn what_cannot_be_wrapped_is_refused_before_any_connection() {
    let sqlite = |query: &str| {
        let config: SqliteConfig = toml::from_str(&format!(
            "path = 'x'\n[vaccinations]\nquery = '''{query}'''\n"
        ))
        .unwrap();
        SqlConnector::sqlite(&config, std::path::Path::new("/"))
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    for (query, reason) in [
        ("DELETE FROM t", "not a SELECT"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("SELECT 1) AS q; DROP TABLE t; --", "did not open"),
        ("SELECT 1 WHERE id = ?", "placeholder"),
        ("PRAGMA writable_schema = ON", "not a SELECT"),
    ] {
        let error = sqlite(query).unwrap_err();
        assert!(
            error.contains("feed vaccinations") && error.contains(reason),
            "{error}"
        );
    }
    assert!(sqlite("-- прививки\nSELECT 1 AS record_id;").is_ok());
}

#[test]
fn the_configuration_refuses_what_it_does_not_know() {
    let base = "host = 'h'\ndatabase = 'd'\nuser = 'u'\n";
    let error = |text: &str| {
        toml::from_str::<PostgresConfig>(&format!("{base}{text}"))
            .unwrap_err()
            .to_string()
    };
    assert!(error("overlap = 5").contains("unknown field `overlap`"));
    assert!(error("time_zone = 'Europe/Moskow'").contains("Europe/Moscow"));
    assert!(error("tls = { mode = 'verify' }").contains("verify-full"));
    assert!(error("tls = 'require'").contains("disable, prefer, require or verify-full"));
    assert!(error("encoding = 'cp1251'").contains("windows-1251"));
    assert!(error("[tests]\nquery = ''\nstatus_words = { a = 'done' }").contains("not-a-fact"));
    let plain: MySqlConfig = toml::from_str(base).unwrap();
    assert_eq!(
        (plain.port, plain.overlap_seconds, plain.time_zone.0.name()),
        (3306, 300, "Europe/Moscow")
    );
    let error = SqlConnector::mysql(&plain, std::path::Path::new("/"))
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("no feed"), "{error}");
    let schema = serde_json::to_string(&schemars::schema_for!(PostgresConfig)).unwrap();
    assert!(
        schema.contains("needs SELECT on what the queries read"),
        "{schema}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_without_an_address_and_a_file_that_is_not_there_are_told_as_such() {
    // A name that no resolver knows (RFC 2606).
    let base = "host = 'mis.invalid'\ndatabase = 'd'\nuser = 'u'\nconnect_timeout_seconds = 300\n\
                [tests]\nquery = 'SELECT 1'\n";
    let folder = std::path::Path::new("/");
    let postgres = SqlConnector::postgres(&toml::from_str(base).unwrap(), folder).unwrap();
    let mysql = SqlConnector::mysql(&toml::from_str(base).unwrap(), folder).unwrap();
    for connector in [postgres, mysql] {
        let said = format!("{:?}", connector.check(now()).await);
        assert!(
            said.contains("the host name of ") && said.contains(" cannot be resolved"),
            "{said}"
        );
    }
    let said = format!("{:?}", Clinic::sqlite().connector(DOSES).check(now()).await);
    assert!(
        said.contains("mis.db cannot be opened: it does not exist"),
        "{said}"
    );
}

#[tokio::test]
async fn a_feed_that_is_not_configured_is_an_error_and_not_an_empty_page() {
    let clinic = Clinic::sqlite();
    let connector = clinic.connector(DOSES);
    assert_eq!(connector.kind(), "sqlite");
    let request = connector_kit::PageRequest {
        feed: connector_kit::Feed::Tests,
        ..first_page(1)
    };
    assert!(connector.page(request).await.is_err());
}
