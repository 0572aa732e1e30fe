//! MariaDB: what each column type means, zero dates, unsigned and decimal ids, collations that hide
//! differences.

use connector_kit::Connector;

use crate::clinic::{Clinic, DOSES, now, run, run_at, short};

const TYPES: &str = "SELECT id AS record_id, changed AS changed_at, snils AS person_snils, oms AS \
    person_oms, \
                     vaccine AS vaccine_code, dose AS dose_number, given AS occurred_on, state AS \
                     status FROM t";

#[tokio::test(flavor = "multi_thread")]
async fn every_type_has_the_meaning_the_readme_gives() {
    let clinic = Clinic::mariadb().await;
    for (columns, values, expected) in [
        (
            "id int, changed timestamp, snils varchar(20), oms text, vaccine varchar(40), dose \
             tinyint, given date, state varchar(20)",
            "7, '2021-07-01', '112-233-445 95', NULL, ' Гам-КОВИД-Вак ', 2, '2021-07-01', \
             'выполнена'",
            "7 Final 112-233-445 95 Гам-КОВИД-Вак 2 2021-07-01",
        ),
        (
            "id bigint unsigned, changed datetime(6), snils bigint unsigned, oms decimal(16), \
             vaccine int, dose decimal(4,2), given timestamp NULL, state tinyint(1)",
            "18446744073709551615, '2021-07-01', 8765432101, 77, 505, 2.00, '2021-07-01 \
             21:30:00', 1",
            "18446744073709551615 Final 08765432101+0000000000000077 505 2 2021-07-02",
        ),
        (
            "id decimal(20,2), changed date, snils varbinary(20), oms char(5), vaccine blob, dose \
             varchar(5), given datetime, state enum('выполнена', 'отменена')",
            "42.00, '2021-07-01', x'98', 'b', x'd1efb3f2ede8ea', '1.5', '2021-07-01 23:59:59', \
             'отменена'",
            "42 Cancelled b! Спітник «1.5» 2021-07-01",
        ),
        (
            "id varbinary(16), changed datetime, snils text, oms text, vaccine text, dose double, \
             given year, state text",
            "x'00ff', '2021-07-01', '1', '', 'x', 2, 2021, ''",
            "00ff NotAFact 1 x 2 2021",
        ),
        (
            "id varchar(9) CHARACTER SET cp1251, changed datetime, snils text, oms text, vaccine \
             text CHARACTER SET cp1251, dose int unsigned, given date, state text CHARACTER SET \
             koi8r",
            "'№ 1', '2021-07-01', '1', '', 'Спутник', 4294967295, '0000-00-00', 'Отменена'",
            "№ 1 Cancelled 1 Спутник 4294967295 NotADate",
        ),
        (
            "id int, changed datetime, snils text, oms text, vaccine text, dose int, given date, \
             state text",
            "1, '2021-07-01', '1', '', 'x', NULL, '2021-07-00', 'иное'",
            "1 Unknown 1 x - 2021-7",
        ),
        (
            "id int, changed datetime, snils text, oms text, vaccine text, dose int, given \
             datetime, state text",
            "1, '2021-07-01', NULL, '', 'x', NULL, '0000-00-00 00:00:00', 'иное'",
            "1 Unknown  x - NotADate",
        ),
    ] {
        clinic
            .run(&format!(
                "SET SESSION time_zone = '+00:00', sql_mode = ''; DROP TABLE IF EXISTS t; \
                 CREATE TABLE t ({columns}) CHARACTER SET utf8mb4; INSERT INTO t VALUES ({values})"
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
            "{columns}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_type_pages_in_its_own_order_without_a_gap() {
    let clinic = Clinic::mariadb().await;
    for (id, values) in [
        ("int", "(-2), (9), (10), (100)"),
        (
            "bigint unsigned",
            "(9), (10), (9223372036854775808), (18446744073709551615)",
        ),
        (
            "decimal(30,3)",
            "(9), (10), (10.5), (123456789012345678901234567)",
        ),
        ("varbinary(4)", "(x'00'), (x'7f'), (x'ff')"),
        ("varchar(9) COLLATE utf8mb4_bin", "('B'), ('a'), ('б')"),
        (
            "varchar(9) COLLATE utf8mb4_general_ci",
            "('a'), ('A'), ('á'), ('b'), ('B')",
        ),
        (
            "varchar(9) CHARACTER SET cp1251",
            "('а'), ('А'), ('б'), ('Б')",
        ),
    ] {
        for stamp in ["timestamp(6) NULL", "datetime(6)", "datetime", "date"] {
            clinic
                .run(&format!(
                    "SET SESSION time_zone = '+00:00', sql_mode = ''; DROP TABLE IF EXISTS doses; \
                     CREATE TABLE doses (id {id}, changed {stamp} DEFAULT '2021-07-01 \
                     10:00:00.123456', \
                     snils text, vaccine text, given date); INSERT INTO doses (id) VALUES \
                     {values}; \
                     INSERT INTO doses (id, changed) SELECT id, '0000-00-00' FROM doses"
                ))
                .await;
            let connector = clinic.connector(DOSES);
            let all = run(&connector, None, 100).await.ids;
            assert_eq!(all.len(), 2 * values.matches('(').count(), "{id} {stamp}");
            for limit in [3, 4] {
                let mut paged = run(&connector, None, limit).await.ids;
                let mut all = all.clone();
                paged.sort();
                all.sort();
                assert_eq!(paged, all, "{id} {stamp}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyset_query_runs_on_the_index_and_check_says_so_when_there_is_none() {
    let clinic = Clinic::mariadb().await;
    clinic
        .run(
            "CREATE TABLE doses (id int, changed datetime(6), snils varchar(20), vaccine \
             varchar(20), given date); \
             INSERT INTO doses SELECT seq, '2021-01-01' + INTERVAL seq SECOND, '1', 'x', \
             '2021-07-01' \
             FROM seq_1_to_20000; ANALYZE TABLE doses",
        )
        .await;
    let connector = clinic.connector(DOSES);
    let report = connector.check(now()).await;
    let advice = |report: &connector_kit::CheckReport| {
        report
            .findings
            .iter()
            .filter_map(|finding| finding.help.clone())
            .find(|help| help.contains("CREATE INDEX"))
    };
    let help = advice(&report).expect("an unindexed plan is told");
    assert_eq!(help, "CREATE INDEX doses_changed_id ON doses (changed, id)");
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.what == "the account can only read"),
        "{report:?}"
    );
    clinic.run(&format!("{help}; ANALYZE TABLE doses")).await;
    let help = advice(&connector.check(now()).await).expect("the sweep has no index");
    assert_eq!(help, "CREATE INDEX doses_id ON doses (id)");
    clinic
        .run("CREATE UNIQUE INDEX doses_id ON doses (id); ANALYZE TABLE doses")
        .await;
    assert_eq!(advice(&connector.check(now()).await), None);
    clinic.run("DROP INDEX doses_id ON doses").await;
    clinic
        .run("SET GLOBAL log_output = 'TABLE', slow_query_log = ON, long_query_time = 0")
        .await;
    // Settings of the server reach new sessions only.
    let connector = clinic.connector(DOSES);
    let loaded = run(&connector, None, 500).await;
    assert_eq!(loaded.ids.len(), 20_000);
    clinic
        .run("UPDATE doses SET changed = changed + INTERVAL 30 DAY; ANALYZE TABLE doses")
        .await;
    let again = run(&connector, loaded.stored, 500).await;
    assert_eq!(again.ids.len(), 20_000);
    let Clinic::MariaDb(server, _) = &clinic else {
        unreachable!()
    };
    let examined = "SELECT MAX(rows_examined) FROM slow_log WHERE sql_text LIKE '%LIMIT 501%' AND \
        start_time > 0";
    let examined = server.execute("mysql", examined).await.unwrap();
    assert!(
        examined.trim().parse::<u32>().unwrap() < 1000,
        "rows examined for a page: {examined}"
    );
}

async fn one_instant(clinic: &Clinic) {
    clinic
        .run(
            "SET SESSION time_zone = '+00:00'; \
             CREATE TABLE doses (id int, changed timestamp(6), snils varchar(20), vaccine \
             varchar(20), given timestamp NULL); \
             INSERT INTO doses VALUES (1, '2021-07-02 22:30:00.5', '1', 'x', '2021-07-01 \
             22:30:00')",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_over_an_instant_gives_the_clinics_day() {
    let clinic = Clinic::mariadb().await;
    one_instant(&clinic).await;
    for expression in [
        "given",
        "DATE(given)",
        "DATE_FORMAT(given, '%d.%m.%Y')",
        "CAST(given AS DATETIME)",
        "COALESCE(given, changed)",
    ] {
        let connector = clinic.connector(&DOSES.replace("given AS", &format!("{expression} AS")));
        let record = &run(&connector, None, 10).await.records[0];
        assert_eq!(short(record), "1 Final 1 x - 2021-07-02", "{expression}");
        let said = format!("{:?}", connector.check(now()).await);
        assert!(!said.contains("made of a TIMESTAMP"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_what_is_made_of_an_instant_where_the_clocks_change() {
    let clinic = Clinic::mariadb().await;
    one_instant(&clinic).await;
    for (expression, told) in [
        ("given", false),
        ("DATE(given)", true),
        ("CONVERT_TZ(given, '+00:00', '+02:00')", true),
    ] {
        let query = DOSES.replace("given AS", &format!("{expression} AS"));
        let settings =
            format!("time_zone = 'Europe/Berlin'\n[vaccinations]\nquery = '''{query}'''\n");
        let connector = clinic.connector_with(&settings).unwrap();
        let said = format!("{:?}", connector.check(now()).await);
        assert_eq!(
            said.contains("`occurred_on` is made of a TIMESTAMP"),
            told,
            "{expression}: {said}"
        );
        assert!(!said.contains("`changed_at` is made"), "{said}");
        // The session is in UTC again.
        let stored = run(&connector, None, 1).await.stored.unwrap();
        assert!(
            stored.as_str().contains("2021-07-02 22:30:00.500000"),
            "{}",
            stored.as_str()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instants_are_paged_to_the_microsecond_in_any_zone() {
    let clinic = Clinic::mariadb().await;
    clinic
        .run(
            "SET SESSION time_zone = '+00:00'; \
             CREATE TABLE doses (id int, changed timestamp(6), snils varchar(20), vaccine \
             varchar(20), given date)",
        )
        .await;
    for zone in ["Europe/Moscow", "Europe/Berlin"] {
        clinic
            .run(
                "SET SESSION time_zone = '+00:00'; DELETE FROM doses; INSERT INTO doses (id, \
                 changed) VALUES (9, '2021-10-30 12:00:01')",
            )
            .await;
        let settings = format!(
            "time_zone = '{zone}'\noverlap_seconds = 0\n[vaccinations]\nquery = '''{DOSES}'''\n"
        );
        let connector = clinic.connector_with(&settings).unwrap();
        let later = "2021-10-31T01:30:00.000001Z".parse().unwrap();
        let loaded = run_at(&connector, None, 1, later).await;
        clinic
            .run(
                "SET SESSION time_zone = '+00:00'; INSERT INTO doses (id, changed) VALUES (4, \
                 '2021-10-31 00:30:00.000001'), (3, '2021-10-31 00:30:00.000002'), (2, '2021-10-31 \
                 01:30:00.000001'), (1, '2021-10-31 01:30:00.000002'), (0, '2021-10-31 02:30:00')",
            )
            .await;
        let first = run_at(&connector, loaded.stored, 1, later).await;
        assert_eq!(first.ids, ["9", "4", "3", "2", "1", "0"]);
        assert_eq!(
            run_at(&connector, first.stored, 1, later).await.ids,
            ["2", "1", "0"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_stamps_do_not_stop_the_paging_of_a_server_in_traditional_mode() {
    let clinic = Clinic::mariadb().await;
    // With the index the key is evaluated once, as NULL where zero dates are forbidden.
    clinic
        .run(
            "SET GLOBAL sql_mode = 'TRADITIONAL'; SET SESSION sql_mode = ''; \
             CREATE TABLE doses (id int, changed datetime(6), snils text, vaccine text, given \
             date, \
             INDEX (changed, id)); INSERT INTO doses (id, changed) VALUES (1, 0), (2, 0), (3, 0), \
             (4, 0), (5, 0), (6, '2021-07-01')",
        )
        .await;
    let mut ids = run(&clinic.connector(DOSES), None, 3).await.ids;
    ids.sort();
    ids.dedup();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6"]);
}
