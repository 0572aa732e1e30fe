//! Cost of a run for the clinic's server while nothing changes: few statements, and indexes alone.

use connector_kit::SourceSurprise;
use testbed::postgres::Postgres;

use crate::clinic::{Clinic, DOSES, now, run, run_at};

/// A clinic's own table, whose counters nothing but the gateway has touched.
const TABLES: &str = "CREATE TABLE patients (id bigint PRIMARY KEY, snils text); \
    INSERT INTO patients SELECT n, '1' FROM generate_series(1, 30000) AS n; \
    CREATE TABLE doses (id bigint PRIMARY KEY, changed timestamptz NOT NULL, patient bigint NOT \
    NULL, vaccine text, given date); \
    CREATE INDEX ON doses (changed, id); \
    INSERT INTO doses SELECT n, '2021-07-01 00:00+00'::timestamptz + n * interval '5 s', n, 'x', \
    '2021-07-01' \
    FROM generate_series(1, 30000) AS n; ANALYZE patients; ANALYZE doses";

fn joined() -> String {
    let from = "doses AS d JOIN patients AS p ON p.id = d.patient";
    DOSES
        .replace("FROM doses", &format!("FROM {from}"))
        .replace("id AS record_id", "d.id AS record_id")
}

/// Statements the server has logged as run for the gateway.
fn statements(server: &Postgres) -> usize {
    let log = std::fs::read_to_string(server.log_file()).unwrap();
    log.lines()
        .filter(|line| line.contains("gateway=clinic-gateway ") && line.contains("LOG:  "))
        .count()
}

/// Waits until the gateway's connections have ended: the server has then counted all that they
/// read.
pub(crate) async fn until_counted(server: &Postgres) {
    let sessions =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'clinic-gateway'";
    while server.psql("mis", sessions).await.unwrap().trim() != "0" {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_clinic_is_asked_four_statements_that_read_indexes_alone() {
    let settings = [("log_statement", "all"), ("log_line_prefix", "gateway=%a ")];
    let server = Postgres::start_with(&settings).await.unwrap();
    server.create_database("mis").await.unwrap();
    let clinic = Clinic::Postgres(server, "mis".into());
    clinic.run(TABLES).await;
    let connector = clinic.connector(&joined());
    let Clinic::Postgres(server, _) = &clinic else {
        unreachable!()
    };
    let stored = run(&connector, None, 1000).await;
    assert_eq!(stored.ids.len(), 30_000);
    let before = statements(server);
    let quiet = run_at(
        &connector,
        stored.stored,
        1000,
        now() + chrono::TimeDelta::minutes(1),
    )
    .await;
    assert!(quiet.ids.is_empty(), "nothing that is closed comes again");
    let asked = statements(server) - before;
    assert_eq!(
        asked, 5,
        "the beginning of the transaction, the columns, the page, the newest stamp, and the end"
    );
    // Stamps that went back: the newest one is looked for in the index, too.
    clinic.run("DELETE FROM doses WHERE id > 29000").await;
    let back = run_at(
        &connector,
        quiet.stored,
        1000,
        now() + chrono::TimeDelta::minutes(2),
    )
    .await;
    assert_eq!(back.surprises, [SourceSurprise::StampsWentBack]);
    drop(connector);
    let read = "SELECT seq_tup_read, idx_scan > 0 FROM pg_stat_user_tables WHERE relname = 'doses'";
    until_counted(server).await;
    let figures = server.psql("mis", read).await.unwrap();
    // The clinic's own DELETE goes by the primary key.
    let load = "30000|t";
    assert_eq!(figures.trim(), load, "nothing else reads a whole table");
}
