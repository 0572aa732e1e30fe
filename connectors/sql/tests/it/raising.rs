//! Rows that make the query fail, whatever the server says of it: each is refused by itself; what
//! fails for every row is told as what it is.

use connector_kit::{ClinicRecord, Connector, SourceError};
use connector_sql::SqlConnector;

use crate::clinic::{Clinic, DOSES, Run, fetch, first_keys, first_page, now, run, sweep};
use crate::events::Events;
use crate::poisoned::marked;

/// The row of twenty that makes the query fail.
const BAD: u32 = 7;

fn calculating(clinic: &Clinic, expression: &str) -> SqlConnector {
    clinic.connector(&query(expression))
}

fn query(expression: &str) -> String {
    DOSES.replace(" FROM", &format!(", {expression} AS dose_number FROM"))
}

/// Twenty rows, of which the seventh says `bad`.
async fn twenty_rows(clinic: &Clinic) {
    let rows: Vec<String> = (1..=20)
        .map(|n| {
            let how = if n == BAD { "bad" } else { "good" };
            format!("({n}, '2021-07-01 10:00:{n:02}.000000', '1', 'x', '2021', '{how}')")
        })
        .collect();
    clinic
        .run(&format!(
            "CREATE TABLE doses (id int, changed {}, snils varchar(20), vaccine varchar(20), \
             given varchar(20), how varchar(40)); INSERT INTO doses VALUES {}",
            clinic.stamp_type(),
            rows.join(", ")
        ))
        .await;
}

/// Twenty ids, that of the bad row with a `!`.
fn nineteen_and_one() -> Vec<String> {
    let mark = |n| if n == BAD { "!" } else { "" };
    (1..=20).map(|n| format!("{n}{}", mark(n))).collect()
}

/// Runs, sweeps and fetches: nineteen rows arrive, and one is refused by its id.
async fn one_is_refused(clinic: &Clinic, expression: &str, code: &str) {
    let connector = calculating(clinic, expression);
    let (events, _listening) = Events::listen();
    for limit in [1, 7, 100] {
        let found = run(&connector, None, limit).await;
        assert_eq!(
            marked(&found),
            nineteen_and_one(),
            "{expression}, limit {limit}"
        );
        assert!(found.stored.is_some());
    }
    assert_eq!(sweep(&connector, 7).await.len(), 20, "{expression}");
    let ids: Vec<String> = (1..=20).map(|n| n.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut records = fetch(&connector, &ids).await;
    records.sort_by_key(|record| record.record_id.parse::<u32>().unwrap());
    let fetched = Run {
        ids: vec![],
        records,
        stored: None,
        pages: 1,
        surprises: vec![],
    };
    assert_eq!(marked(&fetched), nineteen_and_one(), "{expression}");
    let told = events.named("unreadable-rows");
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(
        told.iter()
            .all(|told| told.contains(code) && told.contains(" rows=1 ")),
        "{told:?}"
    );
}

/// Every request fails in this way, and none gives a row.
async fn nothing_is_refused(connector: &SqlConnector, words: &str, retry: bool) {
    let ids: Vec<String> = (1..=20).map(|n| n.to_string()).collect();
    let feed = connector.feeds()[0];
    let page = connector.page(first_page(9)).await.map(|_| ());
    let fetched = connector.fetch(feed, &ids, now()).await.map(|_| ());
    for error in [page.expect_err("no page"), fetched.expect_err("no rows")] {
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert_eq!(
            matches!(error, SourceError::Retry { .. }),
            retry,
            "{words}: {error}"
        );
    }
}

/// A function that fails in a way that its second argument names, for rows that say `bad`.
const POSTGRES_FUNCTIONS: &str = "\
    CREATE DOMAIN small AS int CHECK (VALUE < 5); \
    CREATE TABLE names (how varchar(40), n int); \
    INSERT INTO names VALUES ('good', 1), ('bad', 1), ('bad', 2); \
    CREATE FUNCTION volatile(how text) RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN \
    IF how = 'bad' THEN RAISE 'Ivanov'; END IF; RETURN 1; END $$; \
    CREATE FUNCTION raising(how text, code text) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN \
    IF how = 'bad' THEN RAISE EXCEPTION 'Ivanov' USING ERRCODE = code; END IF; RETURN 1; END $$; \
    CREATE FUNCTION strict(what text) RETURNS int LANGUAGE plpgsql STABLE AS $$ DECLARE found int; \
    BEGIN SELECT n INTO STRICT found FROM names WHERE how = what LIMIT 1; RETURN found; END $$; \
    CREATE FUNCTION looked_up(what text) RETURNS int LANGUAGE plpgsql STABLE AS $$ DECLARE found \
    int; BEGIN SELECT n INTO found FROM names WHERE how = what; RETURN found; END $$; \
    CREATE FUNCTION calling(what text) RETURNS int LANGUAGE plpgsql STABLE AS $$ DECLARE found \
    int; BEGIN EXECUTE 'SELECT ' || what INTO found; RETURN found; END $$";

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_raises_anything_is_refused_from_postgres() {
    let clinic = Clinic::postgres().await;
    twenty_rows(&clinic).await;
    clinic.run(POSTGRES_FUNCTIONS).await;
    let told = |what: &str| format!("CASE how WHEN 'bad' THEN '{what}' ELSE '1' END");
    for (expression, code) in [
        (
            "(SELECT n FROM names WHERE names.how = doses.how)".to_owned(),
            "SQLSTATE 21000",
        ),
        ("raising(how, 'P0001')".into(), "SQLSTATE P0001"),
        (
            format!("strict({})", told("none").replace("'1'", "'good'")),
            "SQLSTATE P0002",
        ),
        (format!("{}::int::small", told("7")), "SQLSTATE 23514"),
        (format!("1 / ({}::int - 7)", told("7")), "SQLSTATE 22012"),
        ("volatile(how)".into(), "SQLSTATE P0001"),
        ("raising(how, 'XX000')".into(), "SQLSTATE XX000"),
        ("raising(how, '53100')".into(), "SQLSTATE 53100"),
        ("raising(how, '42501')".into(), "SQLSTATE 42501"),
        ("raising(how, '40001')".into(), "SQLSTATE 40001"),
        ("raising(how, 'IVANO')".into(), "SQLSTATE of its own"),
        (format!("calling({})", told("no_such()")), "SQLSTATE 42883"),
        (
            format!("calling({})", told("n FROM gone")),
            "SQLSTATE 42P01",
        ),
    ] {
        one_is_refused(&clinic, &expression, code).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_never_ends_is_refused_and_a_server_that_is_slow_for_all_is_not() {
    let clinic = Clinic::postgres().await;
    twenty_rows(&clinic).await;
    let settings = |expression: &str| {
        format!(
            "statement_timeout_seconds = 1\n[vaccinations]\nquery = '''{}'''\n",
            query(expression)
        )
    };
    let connector = |clinic: &Clinic, expression: &str| {
        let toml = clinic
            .connection()
            .replace("statement_timeout_seconds = 60\n", "")
            + &settings(expression);
        SqlConnector::postgres(&toml::from_str(&toml).unwrap(), std::path::Path::new("/")).unwrap()
    };
    let slow = "CASE WHEN how = 'bad' THEN length(pg_sleep(3600)::text) ELSE 1 END";
    let found = run(&connector(&clinic, slow), None, 100).await;
    assert_eq!(marked(&found), nineteen_and_one());
    let slow_for_all = connector(&clinic, "length(pg_sleep(3600)::text)");
    let error = slow_for_all.page(first_page(9)).await.map(|_| ());
    let error = error.unwrap_err();
    assert!(
        matches!(&error, SourceError::Retry { .. }) && error.to_string().contains("stopped at"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_every_row_refuses_none_of_postgres() {
    let clinic = Clinic::postgres().await;
    twenty_rows(&clinic).await;
    clinic.run(POSTGRES_FUNCTIONS).await;
    let looked_up = calculating(&clinic, "looked_up(how)");
    assert_eq!(run(&looked_up, None, 9).await.ids.len(), 20);
    clinic.run("ALTER TABLE names RENAME TO gone").await;
    nothing_is_refused(&looked_up, "SQLSTATE 42P01", false).await;
    clinic.run("ALTER TABLE gone RENAME TO names").await;
    for (code, retry) in [("53100", true), ("42501", false), ("58030", true)] {
        let all = calculating(&clinic, &format!("raising('bad', '{code}')"));
        nothing_is_refused(&all, &format!("SQLSTATE {code}"), retry).await;
    }
    clinic.run("ALTER TABLE doses RENAME TO doses_old").await;
    nothing_is_refused(&looked_up, "SQLSTATE 42P01", false).await;
    clinic.run("ALTER TABLE doses_old RENAME TO doses").await;
    assert_eq!(run(&looked_up, None, 9).await.ids.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_new_row_is_refused_where_older_ones_can_be_read() {
    let clinic = Clinic::postgres().await;
    twenty_rows(&clinic).await;
    clinic.run(POSTGRES_FUNCTIONS).await;
    let connector = calculating(&clinic, "raising(how, '42P01')");
    let stored = run(&connector, None, 100).await.stored;
    clinic
        .run(
            "INSERT INTO doses VALUES (21, '2021-07-02 10:00:00', '1', 'x', '2021', 'bad'); \
             UPDATE doses SET changed = '2021-06-01' WHERE id <> 21",
        )
        .await;
    let found = run(&connector, stored, 100).await;
    assert_eq!(marked(&found), ["21!"]);
}

/// The bad row as a run and a fetch hand it over: whether it has a stamp.
async fn is_stamped(connector: &SqlConnector) -> bool {
    let found = run(connector, None, 100).await;
    assert_eq!(marked(&found), nineteen_and_one());
    let bad = |records: &[ClinicRecord]| {
        let is_bad = |record: &&ClinicRecord| record.record_id == BAD.to_string();
        records.iter().find(is_bad).unwrap().stamp.is_some()
    };
    let in_run = bad(&found.records);
    assert_eq!(bad(&fetch(connector, &["6", "7", "8"]).await), in_run);
    // What a sweep compares it with.
    let keys = sweep(connector, 100).await;
    assert!(keys.iter().all(|key| key.stamp.is_some()));
    in_run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_whose_values_may_not_be_the_cause_has_no_stamp_and_is_read_again() {
    let clinic = Clinic::postgres().await;
    twenty_rows(&clinic).await;
    clinic.run(POSTGRES_FUNCTIONS).await;
    for code in ["53100", "57000", "58030", "HV000", "XX000", "26000"] {
        let raising = calculating(&clinic, &format!("raising(how, '{code}')"));
        assert!(!is_stamped(&raising).await, "{code}");
    }
    for code in ["P0001", "22012", "IVANO"] {
        let raising = calculating(&clinic, &format!("raising(how, '{code}')"));
        assert!(is_stamped(&raising).await, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_rows_that_all_raise_is_refused_in_bounded_steps() {
    let clinic = Clinic::postgres().await;
    twenty_rows(&clinic).await;
    clinic.run(POSTGRES_FUNCTIONS).await;
    clinic
        .run(
            "INSERT INTO doses SELECT n, '2021-07-01', '1', 'x', '2021', 'good' FROM \
             generate_series(21, 400) AS n; UPDATE doses SET how = 'bad'",
        )
        .await;
    let (events, _listening) = Events::listen();
    let found = run(&calculating(&clinic, "raising(how, 'P0001')"), None, 400).await;
    assert!(marked(&found).iter().all(|id| id.ends_with('!')));
    assert_eq!(found.ids.len(), 400);
    // Each page may take 64 statements and two to find its keys.
    // The last one only looks for what has changed since the first.
    assert_eq!(events.named("unreadable-rows").len(), found.pages - 1);
    assert!((10..30).contains(&found.pages), "{} pages", found.pages);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stamp_that_cannot_be_read_leaves_its_row_to_the_sweep() {
    let clinic = Clinic::postgres().await;
    twenty_rows(&clinic).await;
    let query = DOSES.replace(
        "changed AS",
        "(CASE how WHEN 'bad' THEN 'yesterdays' ELSE changed::text END)::timestamp AS",
    );
    let connector = clinic.connector(&query);
    let error = connector.page(first_page(9)).await.map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, SourceError::Misconfigured { .. }) && error.to_string().contains("22007"),
        "{error}"
    );
    for limit in [1, 3, 7, 20, 21] {
        let keys = sweep(&connector, limit).await;
        let unstamped: Vec<&str> = keys
            .iter()
            .filter(|key| key.stamp.is_none())
            .map(|key| key.record_id.as_str())
            .collect();
        assert_eq!((keys.len(), unstamped), (20, vec!["7"]), "limit {limit}");
    }
    let records = fetch(&connector, &["6", "7", "8", "99"]).await;
    let mut ids: Vec<String> = records
        .iter()
        .map(|record| format!("{} {:?}", record.record_id, record.status))
        .collect();
    ids.sort();
    assert_eq!(ids, ["6 Final", "7 Unreadable", "8 Final"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_constant_that_fails_makes_no_row_gone() {
    let clinic = Clinic::postgres().await;
    twenty_rows(&clinic).await;
    let connector = clinic.connector(&format!("{DOSES} WHERE 1 / 0 = 1"));
    nothing_is_refused(&connector, "SQLSTATE 22012", false).await;
    let keys = connector.keys(first_keys(9)).await.map(|_| ()).unwrap_err();
    assert!(keys.to_string().contains("22012"), "{keys}");
}

/// Functions that fail for rows that say `bad`.
const MARIADB_FUNCTIONS: &str = "\
    CREATE TABLE names (how varchar(40), n int); \
    INSERT INTO names VALUES ('good', 1), ('bad', 1), ('bad', 2); \
    GRANT EXECUTE ON mis.* TO reader@'%';\n\
    DELIMITER //\n\
    CREATE FUNCTION raising(how varchar(40), number int) RETURNS int READS SQL DATA BEGIN IF how = \
    'bad' THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = number, MESSAGE_TEXT = 'Ivanov'; END IF; \
    RETURN 1; END//\n\
    CREATE FUNCTION failing(how varchar(40), number int) RETURNS int READS SQL DATA BEGIN IF how = \
    'bad' THEN SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = number; END IF; RETURN 1; END//\n\
    CREATE FUNCTION strict(how varchar(40)) RETURNS int READS SQL DATA BEGIN DECLARE found int; \
    SET found = IF(how = 'bad', 'x', 1); RETURN found; END//\n\
    CREATE FUNCTION looked_up(what varchar(40)) RETURNS int READS SQL DATA RETURN (SELECT min(n) \
    FROM names WHERE names.how = what)//\n\
    DELIMITER ;\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_raises_anything_is_refused_from_mariadb() {
    let clinic = Clinic::mariadb().await;
    twenty_rows(&clinic).await;
    clinic.run(MARIADB_FUNCTIONS).await;
    for (expression, code) in [
        (
            "(SELECT n FROM names WHERE names.how = doses.how)",
            "error 1242",
        ),
        ("raising(how, 1644)", "error 1644"),
        ("raising(how, 1146)", "error 1146"),
        ("failing(how, 1021)", "error 1021"),
        ("failing(how, 1146)", "error 1146"),
        ("raising(how, 11223)", "error of its own"),
        ("failing(how, 29)", "error of its own"),
        ("strict(how)", "error 1366"),
        (
            "CAST(IF(how = 'bad', '18446744073709551615', '1') AS UNSIGNED) + 1",
            "error 1690",
        ),
    ] {
        one_is_refused(&clinic, expression, code).await;
    }
    assert!(!is_stamped(&calculating(&clinic, "failing(how, 1021)")).await);
    // What the server says of its own files may have hit the row alone.
    assert!(!is_stamped(&calculating(&clinic, "failing(how, 29)")).await);
    assert!(is_stamped(&calculating(&clinic, "raising(how, 1644)")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_every_row_refuses_none_of_mariadb() {
    let clinic = Clinic::mariadb().await;
    twenty_rows(&clinic).await;
    clinic.run(MARIADB_FUNCTIONS).await;
    let looked_up = calculating(&clinic, "looked_up(how)");
    assert_eq!(run(&looked_up, None, 9).await.ids.len(), 20);
    clinic.run("RENAME TABLE names TO gone").await;
    nothing_is_refused(&looked_up, "error 1146", false).await;
    clinic.run("RENAME TABLE gone TO names").await;
    let full = calculating(&clinic, "failing('bad', 1021)");
    nothing_is_refused(&full, "error 1021", true).await;
    clinic.run("RENAME TABLE doses TO doses_old").await;
    nothing_is_refused(&looked_up, "error 1146", false).await;
    clinic.run("RENAME TABLE doses_old TO doses").await;
    assert_eq!(run(&looked_up, None, 9).await.ids.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_raises_anything_is_refused_from_sqlite() {
    let clinic = Clinic::sqlite();
    twenty_rows(&clinic).await;
    for expression in [
        "abs(CASE how WHEN 'bad' THEN -9223372036854775807 - 1 ELSE 1 END)",
        "json_extract(CASE how WHEN 'bad' THEN '{' ELSE '{\"n\": 1}' END, '$.n')",
        "json_extract('{\"n\": 1}', CASE how WHEN 'bad' THEN 'n' ELSE '$.n' END)",
        "length(zeroblob(CASE how WHEN 'bad' THEN 2000000000 ELSE 1 END))",
        "'x' LIKE 'x' ESCAPE (CASE how WHEN 'bad' THEN 'no' ELSE 'n' END)",
    ] {
        one_is_refused(&clinic, expression, "SQLite error").await;
    }
}
