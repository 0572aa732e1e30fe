//! PostgreSQL: what each column type means, key types in their own order, text that is not UTF-8.

use connector_kit::Connector;
use testbed::postgres::Postgres;

use crate::clinic::{Clinic, DOSES, now, one_row_is_one_row, run, run_at, short};
use crate::idle::until_counted;

const TYPES: &str = "SELECT id AS record_id, changed AS changed_at, snils AS person_snils, oms AS \
    person_oms, \
                     vaccine AS vaccine_code, dose AS dose_number, given AS occurred_on, state AS \
                     status FROM t";

async fn one_row(clinic: &Clinic, columns: &str, values: &str, encoding: &str) -> String {
    clinic
        .run(&format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t ({columns}); INSERT INTO t VALUES ({values})"
        ))
        .await;
    let connector = clinic
        .connector_with(&format!(
            "encoding = '{encoding}'\n[vaccinations]\nquery = '''{TYPES}'''\n\
             status_words = {{ 'Выполнена' = 'final', '1' = 'final', 'true' = 'final', 'отменена' \
             = 'cancelled', '' = 'not-a-fact' }}\n"
        ))
        .expect("a connector");
    short(&run(&connector, None, 10).await.records[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_has_the_meaning_the_readme_gives() {
    let clinic = Clinic::postgres().await;
    clinic
        .run("CREATE TYPE state AS ENUM ('выполнена', 'отменена')")
        .await;
    let text = "id int, changed timestamptz, snils text, oms text, vaccine text, dose int, given \
        date, state text";
    for (columns, values, expected) in [
        (
            text,
            "7, '2021-07-01 10:00+03', '112-233-445 95', NULL, ' Гам-КОВИД-Вак ', 2, \
             '2021-07-01', ' ВЫПОЛНЕНА '",
            "7 Final 112-233-445 95 Гам-КОВИД-Вак 2 2021-07-01",
        ),
        (
            text,
            "7, now(), '', '  ', 'x', NULL, NULL, ''",
            "7 NotAFact  x - missing",
        ),
        (
            text,
            "7, now(), '1', '2', NULL, -1, 'infinity', 'странно'",
            "7 Unknown 1+2  «-1» NotADate",
        ),
        (
            "id bigint, changed timestamp, snils bigint, oms numeric(16), vaccine int, dose \
             numeric(4,2), given timestamptz, state state",
            "9223372036854775807, '2021-07-01', 8765432101, 77, 505, 2.00, '2021-07-01 21:30+00', \
             'отменена'",
            "9223372036854775807 Cancelled 08765432101+0000000000000077 505 2 2021-07-02",
        ),
        (
            "id uuid, changed date, snils char(20), oms varchar(5), vaccine bytea, dose text, \
             given timestamp, state boolean",
            "'0b6e2b3c-9d0a-4d6f-8a3e-1f2d3c4b5a69', '2021-07-01', 'a', 'b', '\\xd1efb3f2ede8ea', \
             '1.5', '2021-07-01 23:59:59', true",
            "0b6e2b3c-9d0a-4d6f-8a3e-1f2d3c4b5a69 Final a+b Спітник «1.5» 2021-07-01",
        ),
        (
            "id numeric(20,2), changed timestamptz, snils bytea, oms text, vaccine text, dose \
             real, given text, state int",
            "42.00, now(), '\\x98', NULL, 'x', 2, '01.07.2021', 1",
            "42 Final ! x 2 2021-07-01",
        ),
        (
            "id bytea, changed timestamptz, snils text, oms text, vaccine text, dose smallint, \
             given text, state text",
            "'\\x00ff', now(), '1', NULL, 'x', 1, '2021-07', NULL",
            "00ff NotAFact 1 x 1 2021-7",
        ),
    ] {
        assert_eq!(
            one_row(&clinic, columns, values, "windows-1251").await,
            expected,
            "{columns}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_type_pages_in_its_own_order_without_a_gap() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE COLLATION loose (provider = icu, deterministic = false, locale = \
            'und-u-ks-level1')",
        )
        .await;
    for (id, values) in [
        ("smallint", "(-2), (9), (10), (100)"),
        (
            "bigint",
            "(9), (10), (9007199254740993), (9007199254740994)",
        ),
        (
            "numeric",
            "(9), (10), (10.5), (123456789012345678901234567890)",
        ),
        (
            "uuid",
            "('00000000-0000-0000-0000-000000000009'), ('ffffffff-0000-0000-0000-000000000000')",
        ),
        ("bytea", "('\\x00'), ('\\x7f'), ('\\xff')"),
        ("char(5)", "('a'), ('a b'), ('b')"),
        ("text COLLATE \"C\"", "('B'), ('a'), ('б')"),
        ("text COLLATE loose", "('a'), ('A'), ('á'), ('b'), ('B')"),
    ] {
        for stamp in ["timestamptz", "timestamp", "date"] {
            let changed = if stamp == "date" {
                "'2021-07-01'"
            } else {
                "'2021-07-01 10:00:00.123456'"
            };
            clinic
                .run(&format!(
                    "DROP TABLE IF EXISTS doses; CREATE TABLE doses (id {id}, changed {stamp} \
                     DEFAULT {changed}, \
                     snils text, vaccine text, given date); INSERT INTO doses (id) VALUES {values}"
                ))
                .await;
            let connector = clinic.connector(DOSES);
            let all = run(&connector, None, 100).await.ids;
            assert_eq!(all.len(), values.matches('(').count());
            for limit in [3, 4] {
                assert_eq!(run(&connector, None, limit).await.ids, all, "{id} {stamp}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stamps_no_calendar_holds_are_delivered_and_never_stored() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE TABLE doses (id text, changed timestamptz, snils text, vaccine text, given \
             date); \
             INSERT INTO doses (id, changed) VALUES ('never', '-infinity'), ('caesar', \
             '0044-03-15 BC'), \
             ('now', '2021-07-10 08:00+00'), ('always', 'infinity')",
        )
        .await;
    let connector = clinic.connector(DOSES);
    let first = run(&connector, None, 1).await;
    assert_eq!(first.ids, ["always", "caesar", "never", "now"]);
    assert!(
        first
            .stored
            .as_ref()
            .unwrap()
            .as_str()
            .contains("2021-07-10 08:00:00")
    );
    clinic
        .run("INSERT INTO doses (id, changed) VALUES ('next', '2021-07-10 08:30+00')")
        .await;
    let second = run_at(
        &connector,
        first.stored,
        2,
        now() + chrono::TimeDelta::hours(1),
    )
    .await;
    assert_eq!(second.ids, ["now", "next", "always"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_an_encoding_is_read_in_the_configured_one() {
    let server = Postgres::start().await.unwrap();
    server
        .create_database_with_encoding("old", "SQL_ASCII")
        .await
        .unwrap();
    server
        .psql(
            "old",
            "CREATE TABLE doses (id text, changed timestamp DEFAULT '2021-07-01', snils text, \
             vaccine text, given text); \
             INSERT INTO doses SELECT convert_from(id, 'SQL_ASCII'), '2021-07-01', '1', \
             convert_from('\\xd1efb3f2ede8ea', 'SQL_ASCII'), '2021' \
             FROM (VALUES ('\\xb931'::bytea), ('\\xb932'), ('\\xb933')) AS v (id)",
        )
        .await
        .unwrap();
    let clinic = Clinic::Postgres(server, "old".into());
    let connector = clinic
        .connector_with(&format!(
            "encoding = 'windows-1251'\n[vaccinations]\nquery = '''{DOSES}'''\n"
        ))
        .unwrap();
    let found = run(&connector, None, 1).await;
    assert_eq!(found.ids, ["№1", "№2", "№3"]);
    assert_eq!(one_row_is_one_row(&connector, "raw bytes").await, found.ids);
    assert_eq!(short(&found.records[0]), "№1 Final 1 Спітник - 2021");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyset_query_runs_on_the_index_and_check_says_so_when_there_is_none() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE TABLE doses (id int, changed timestamptz, snils text, vaccine text, given \
             date); \
             INSERT INTO doses SELECT n, '2021-01-01'::timestamptz + n * interval '1 s', '1', \
             'x', '2021-07-01' \
             FROM generate_series(1, 20000) AS n; ANALYZE doses",
        )
        .await;
    let connector = clinic.connector(DOSES);
    let advice = async || {
        let report = connector.check(now()).await;
        report
            .findings
            .into_iter()
            .filter_map(|finding| finding.help)
            .find(|help| help.contains("CREATE INDEX"))
    };
    let help = advice().await.expect("an unindexed plan is told");
    assert_eq!(help, "CREATE INDEX doses_changed_id ON doses (changed, id)");
    clinic.run(&help).await;
    let help = advice().await.expect("the sweep has no index");
    assert_eq!(help, "CREATE INDEX doses_id ON doses (id)");
    clinic.run(&help).await;
    assert_eq!(advice().await, None);
    clinic.run("DROP INDEX doses_id").await;
    drop(connector);
    // Another table, whose counters nothing but the run has touched.
    clinic
        .run(
            "CREATE TABLE more (LIKE doses INCLUDING INDEXES); INSERT INTO more SELECT * FROM \
            doses; ANALYZE more",
        )
        .await;
    let connector = clinic.connector(&DOSES.replace("doses", "more"));
    let loaded = run(&connector, None, 500).await;
    assert_eq!(loaded.ids.len(), 20_000);
    drop(connector);
    let Clinic::Postgres(server, _) = &clinic else {
        unreachable!()
    };
    // The load's own counters are sent as its session ends.
    until_counted(server).await;
    clinic
        .run(
            "UPDATE more SET changed = changed + interval '30 days'; ANALYZE more; SELECT \
             pg_stat_reset()",
        )
        .await;
    let connector = clinic.connector(&DOSES.replace("doses", "more"));
    let again = run_at(
        &connector,
        loaded.stored,
        500,
        now() + chrono::TimeDelta::minutes(61),
    )
    .await;
    assert_eq!(again.ids.len(), 20_000);
    let read = "SELECT seq_tup_read, coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE \
        relname = 'more'";
    // The counters are sent at the latest when the session ends.
    drop(connector);
    until_counted(server).await;
    let figures = server.psql("mis", read).await.unwrap();
    assert!(!figures.trim().ends_with("|0"), "{figures}");
    let (sequential, by_index) = figures.trim().split_once('|').unwrap();
    let sequential: u32 = sequential.parse().unwrap();
    assert!(
        sequential <= 60_000,
        "{sequential}: none of the 40 pages reads the whole table; the count of rows without a key \
         does, and the clinic's own UPDATE"
    );
    assert!(by_index.parse::<u32>().unwrap() < 21_000, "{figures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_over_an_instant_gives_the_clinics_day() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "ALTER DATABASE mis SET TimeZone = 'America/New_York'; \
             CREATE TABLE doses (id int, changed timestamptz, snils text, vaccine text, given \
             timestamptz); \
             INSERT INTO doses VALUES (1, '2021-07-02 22:30:00.5+00', '1', 'x', '2021-07-01 \
             22:30+00')",
        )
        .await;
    for expression in [
        "given",
        "given::date",
        "to_char(given, 'DD.MM.YYYY')",
        "given::text",
        "given::timestamp",
    ] {
        let connector = clinic.connector(&DOSES.replace("given AS", &format!("{expression} AS")));
        let record = &run(&connector, None, 10).await.records[0];
        assert_eq!(short(record), "1 Final 1 x - 2021-07-02", "{expression}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_that_comes_twice_is_paged_to_the_microsecond() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE TABLE doses (id int, changed timestamptz, snils text, vaccine text, given \
             date); INSERT INTO doses (id, changed) VALUES (9, '2021-10-30 12:00:01+00')",
        )
        .await;
    let connector = clinic
        .connector_with(&format!(
            "time_zone = 'Europe/Berlin'\noverlap_seconds = 0\n[vaccinations]\nquery = \
             '''{DOSES}'''\n"
        ))
        .unwrap();
    let later = "2021-10-31T01:30:00.000001Z".parse().unwrap();
    let loaded = run_at(&connector, None, 1, later).await;
    clinic
        .run(
            "INSERT INTO doses (id, changed) VALUES (4, '2021-10-31 00:30:00.000001+00'), (3, \
             '2021-10-31 00:30:00.000002+00'), (2, '2021-10-31 01:30:00.000001+00'), (1, \
             '2021-10-31 01:30:00.000002+00'), (0, '2021-10-31 02:30:00+00')",
        )
        .await;
    let first = run_at(&connector, loaded.stored, 1, later).await;
    assert_eq!(first.ids, ["9", "4", "3", "2", "1", "0"]);
    assert_eq!(
        run_at(&connector, first.stored, 1, later).await.ids,
        ["2", "1", "0"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn arrays_and_json_are_lists_of_identifiers() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE TABLE t (id int, passports text[], ids jsonb, countries text); \
             INSERT INTO t VALUES (1, '{4509 123456,\"4510, 654321\",NULL}', \
             '[\"740104/0020\", \"81\"]', 'CZ;SK'), (2, '{}', NULL, NULL), (3, NULL, '{\"a\": 1}', \
             NULL)",
        )
        .await;
    let query = "SELECT id AS record_id, timestamp '2021-07-01 10:00' AS changed_at, passports AS person_passport_list, \
        ids AS person_national_id_list, countries AS person_national_id_list_country, '45' AS \
        person_passport_9, 'x' AS vaccine_code, '1.7.2021' AS occurred_on, '2/2' AS dose_number \
        FROM t";
    let connector = clinic
        .connector_with(&format!(
            "date_formats = ['d.M.yyyy']\n[vaccinations]\nquery = \"\"\"{query}\"\"\"\n"
        ))
        .expect("a connector");
    let records = run(&connector, None, 10).await.records;
    let shown: Vec<String> = records.iter().map(short).collect();
    assert_eq!(
        shown,
        [
            "1 Final 45+4509 123456+4510, 654321+740104/0020+81 x «2/2» 2021-07-01",
            "2 Final 45 x «2/2» 2021-07-01",
            "3 Final 45! x «2/2» 2021-07-01",
        ]
    );
    let countries: Vec<_> = records[0]
        .person
        .identifiers
        .iter()
        .map(|one| one.country.as_deref())
        .collect();
    assert_eq!(countries, [None, None, None, Some("CZ"), Some("SK")]);
}
