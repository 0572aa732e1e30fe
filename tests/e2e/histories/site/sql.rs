//! Rows of a generated clinic in PostgreSQL: two tables, and views that raise for some rows.

use std::fmt::Write as _;

use testbed::postgres::Postgres;

use super::row::{Row, Trouble, dose, is_test};

/// The database that all clinics share, each with a schema of its own.
const DATABASE: &str = "mis";

/// Names of the views, which feeds read.
const VIEWS: [&str; 2] = ["shot", "swab"];

async fn run(postgres: &Postgres, sql: &str) {
    postgres
        .psql(DATABASE, sql)
        .await
        .expect("the clinic's database does as it is told");
}

/// Makes the tables and views. The function is STABLE: what is volatile inside a view runs for every
/// row of every statement, and one row that raises then stops the feed (connectors/sql/README.md).
pub(super) async fn create(postgres: &Postgres, schema: &str) {
    let mut sql = format!(
        "CREATE SCHEMA {schema}; CREATE DOMAIN {schema}.positive AS integer CHECK (VALUE > 0); \
         CREATE FUNCTION {schema}.dose(dose integer, trouble text) RETURNS integer STABLE LANGUAGE \
         plpgsql AS $$ BEGIN IF trouble = 'raise' THEN RAISE EXCEPTION 'the row is locked'; END \
         IF; IF trouble = 'two' THEN RETURN (SELECT n FROM generate_series(1, 2) n); END IF; IF \
         trouble = 'domain' THEN RETURN (-dose)::{schema}.positive; END IF; RETURN dose; END $$;"
    );
    for view in VIEWS {
        write!(
            sql,
            "CREATE TABLE {schema}.{view}_row (id integer PRIMARY KEY, snils text, code text NOT \
             NULL, dose integer NOT NULL, day date, state text NOT NULL, trouble text NOT NULL, \
             changed_at timestamptz NOT NULL); CREATE INDEX ON {schema}.{view}_row (changed_at, \
             id); CREATE VIEW {schema}.{view} AS SELECT id, snils, code, {schema}.dose(dose, \
             trouble) AS dose, day, state, changed_at FROM {schema}.{view}_row;"
        )
        .expect("a text takes text");
    }
    run(postgres, &sql).await;
}

/// The `[source.mis]` section; the clinic's word for "done" is mapped or not.
pub(super) fn source(postgres: &Postgres, schema: &str, mapped: bool) -> String {
    let done = if mapped { "done" } else { "finished" };
    let words = format!("status_words = {{ {done} = \"final\", void = \"cancelled\" }}\n");
    format!(
        "[source.mis]\npage_records = 7\n[source.mis.postgres]\nhost = \"127.0.0.1\"\nport = \
         {}\ndatabase = \"{DATABASE}\"\nuser = \"postgres\"\noverlap_seconds = 2\n\
         [source.mis.postgres.vaccinations]\nquery = \"\"\"\nSELECT id AS record_id, changed_at, \
         snils AS person_snils, code AS vaccine_code, dose AS dose_number, day AS occurred_on, \
         state AS status FROM {schema}.shot\n\"\"\"\n{words}\
         [source.mis.postgres.tests]\nquery = \"\"\"\nSELECT id AS record_id, changed_at, snils \
         AS person_snils, CASE WHEN dose > 0 THEN 'pcr covid-19' END AS test_code, code AS \
         result_code, day AS occurred_on, state AS status FROM {schema}.swab\n\"\"\"\n{words}",
        postgres.port()
    )
}

pub(super) async fn write(postgres: &Postgres, schema: &str, rows: &[(u32, &Row)]) {
    let mut sql = String::new();
    for (id, row) in rows {
        let view = VIEWS[usize::from(is_test(*id))];
        let text = |value: Option<String>| {
            value.map_or_else(|| "NULL".to_owned(), |value| format!("'{value}'"))
        };
        let state = match row.trouble {
            Some(Trouble::Status) => "ENTERED_IN_ERROR",
            _ if row.holds => "done",
            _ => "void",
        };
        let trouble = match row.trouble {
            Some(Trouble::Unreadable) => "raise",
            Some(Trouble::TwoRows) => "two",
            Some(Trouble::Domain) => "domain",
            _ => "",
        };
        write!(
            sql,
            "INSERT INTO {schema}.{view}_row VALUES ({id}, {}, '{}', {}, {}, '{state}', \
             '{trouble}', '{}') ON CONFLICT (id) DO UPDATE SET snils = excluded.snils, code = \
             excluded.code, day = excluded.day, state = excluded.state, trouble = \
             excluded.trouble, changed_at = excluded.changed_at;",
            text(row.snils()),
            row.code(*id),
            dose(*id),
            text(row.day(*id).map(|day| day.to_string())),
            row.stamp.format("%Y-%m-%d %H:%M:%S%.6f+00")
        )
        .expect("a text takes text");
    }
    run(postgres, &sql).await;
}

pub(super) async fn delete(postgres: &Postgres, schema: &str, id: u32) {
    let view = VIEWS[usize::from(is_test(id))];
    run(
        postgres,
        &format!("DELETE FROM {schema}.{view}_row WHERE id = {id}"),
    )
    .await;
}

/// Renames the views of broken feeds away, and back.
pub(super) async fn set_broken(
    postgres: &Postgres,
    schema: &str,
    before: [bool; 2],
    after: [bool; 2],
) {
    for (feed, view) in VIEWS.iter().enumerate() {
        let renamed = match (before[feed], after[feed]) {
            (false, true) => format!("ALTER VIEW {schema}.{view} RENAME TO {view}_away"),
            (true, false) => format!("ALTER VIEW {schema}.{view}_away RENAME TO {view}"),
            _ => continue,
        };
        run(postgres, &renamed).await;
    }
}
