//! Faults that stay until somebody mends them, each told as what it is; and values of one bit as a
//! status.

use connector_kit::{Connector, RecordStatus, SourceError};
use connector_sql::SqlConnector;

use crate::clinic::{Clinic, DOSES, first_page, now, private_file, run, sqlite_writer};

/// The error of a page, which a person has to act upon, with its help.
async fn standing(connector: &SqlConnector) -> String {
    let page = connector.page(first_page(9)).await.map(|_| ());
    match page.expect_err("no page") {
        SourceError::Misconfigured { what, help } => format!("{what}; {help}"),
        SourceError::Retry { what, .. } => panic!("told as passing: {what}"),
    }
}

fn says(said: &str, words: &[&str]) {
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
}

async fn table(clinic: &Clinic, more: &str) {
    clinic
        .run(&format!(
            "CREATE TABLE doses (id int, changed {}, snils varchar(20), vaccine varchar(20), given \
             varchar(20)){more}; INSERT INTO doses VALUES (1, '2021-07-01 10:00:00', '1', 'x', \
             '2021')",
            clinic.stamp_type()
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_mariadb_refuses_are_told_why() {
    let clinic = Clinic::mariadb().await;
    table(&clinic, "").await;
    clinic
        .run(
            "INSTALL SONAME 'auth_ed25519'; CREATE USER signer@'%' IDENTIFIED VIA ed25519 USING \
             PASSWORD('read-only-1'); CREATE USER sealed@'%' IDENTIFIED BY 'read-only-1' REQUIRE \
             SSL; CREATE USER ghost@'%'; GRANT SELECT ON mis.* TO ghost@'%'; CREATE DEFINER = \
             ghost@'%' VIEW seen AS SELECT * FROM doses; DROP USER ghost@'%'",
        )
        .await;
    let base = tempfile::tempdir().expect("a folder");
    private_file(&base.path().join("password"), "read-only-1");
    let as_user = |user: &str| {
        let connection = clinic
            .connection()
            .replace("'reader'", &format!("'{user}'"));
        let connection =
            connection.replace("env = 'CONNECTOR_SQL_TEST_PASSWORD'", "file = 'password'");
        let toml = format!("{connection}[vaccinations]\nquery = '''{DOSES}'''\n");
        let config = toml::from_str(&toml).expect("settings");
        SqlConnector::mysql(&config, base.path()).expect("a connector")
    };
    says(
        &standing(&as_user("signer")).await,
        &["method that the gateway does not have", "ed25519"],
    );
    says(
        &standing(&as_user("sealed")).await,
        &["wants it to use TLS (error 1045)", "REQUIRE SSL"],
    );
    let of_view = clinic.connector(&DOSES.replace("FROM doses", "FROM seen"));
    says(&standing(&of_view).await, &["definer is gone"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_table_of_mariadb_is_told_as_damaged() {
    let clinic = Clinic::mariadb().await;
    let Clinic::MariaDb(server, _) = &clinic else {
        unreachable!()
    };
    for (engine, index) in [("MyISAM", "doses.MYI"), ("Aria", "doses.MAI")] {
        clinic
            .run("SET GLOBAL aria_recover_options = 'OFF'; DROP TABLE IF EXISTS doses")
            .await;
        table(&clinic, &format!(" ENGINE = {engine}")).await;
        clinic
            .run("CREATE INDEX changed ON doses (changed, id); FLUSH TABLES")
            .await;
        let index = server.data_dir().join("mis").join(index);
        let mut bytes = std::fs::read(&index).expect("an index");
        bytes[24..200].fill(0xff);
        std::fs::write(&index, bytes).expect("a damaged index");
        says(
            &standing(&clinic.connector(DOSES)).await,
            &["damaged", "REPAIR TABLE"],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_public_may_write_is_named_with_its_database() {
    let clinic = Clinic::mariadb().await;
    table(&clinic, "").await;
    let connector = clinic.connector(DOSES);
    let said = format!("{:?}", connector.check(now()).await);
    says(&said, &["the account can only read"]);
    clinic
        .run("GRANT SELECT, INSERT, UPDATE ON test.* TO PUBLIC")
        .await;
    let said = format!("{:?}", connector.check(now()).await);
    says(
        &said,
        &["INSERT, UPDATE on `test`.*, as PUBLIC may", "REVOKE"],
    );
    assert!(!said.contains("can only read"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_not_filled_is_told_as_that() {
    let clinic = Clinic::postgres().await;
    table(&clinic, "").await;
    clinic
        .run("CREATE MATERIALIZED VIEW seen AS SELECT * FROM doses WITH NO DATA")
        .await;
    let connector = clinic.connector(&DOSES.replace("FROM doses", "FROM seen"));
    says(
        &standing(&connector).await,
        &["SQLSTATE 55000", "REFRESH MATERIALIZED VIEW"],
    );
    let said = format!("{:?}", clinic.connector(DOSES).check(now()).await);
    says(&said, &["everything, since it is a superuser"]);
}

/// Copies of the files that a program leaves which dies while it writes.
async fn died_while_writing(journal: &str) -> Clinic {
    let clinic = Clinic::sqlite();
    let Clinic::Sqlite(folder) = &clinic else {
        unreachable!()
    };
    clinic
        .run(&format!("PRAGMA journal_mode = {journal}"))
        .await;
    table(&clinic, "").await;
    let mut writer = sqlite_writer(folder.path()).await;
    sqlx::raw_sql(
        "PRAGMA cache_size = 1; PRAGMA wal_autocheckpoint = 0; BEGIN IMMEDIATE; WITH RECURSIVE n \
         (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO doses SELECT \
         i, '2021-07-02 10:00:00', '1', 'x', '2021' FROM n",
    )
    .execute(&mut writer)
    .await
    .expect("rows");
    if journal == "WAL" {
        sqlx::raw_sql("COMMIT")
            .execute(&mut writer)
            .await
            .expect("a commit");
    }
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["mis.db", "mis.db-journal", "mis.db-wal"] {
        if folder.path().join(name).exists() {
            std::fs::copy(folder.path().join(name), copy.path().join(name)).expect("a copy");
        }
    }
    Clinic::Sqlite(copy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_a_dead_writer_is_no_question_of_permissions() {
    let clinic = died_while_writing("DELETE").await;
    let said = standing(&clinic.connector(DOSES)).await;
    says(
        &said,
        &["in the middle of a transaction", "776", "-journal"],
    );
    assert!(!said.contains("permission"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_a_dead_writer_is_read_or_told() {
    let clinic = died_while_writing("WAL").await;
    let page = clinic.connector(DOSES).page(first_page(9)).await;
    match page {
        Ok(page) => assert_eq!(page.records.len(), 9, "what was committed is there"),
        Err(error) => says(&error.to_string(), &["-wal"]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_of_one_bit_can_be_mapped() {
    for (clinic, kind, yes, no, words) in [
        (
            Clinic::mariadb().await,
            "bit(1)",
            "b'1'",
            "b'0'",
            ("1", "0"),
        ),
        (
            Clinic::mariadb().await,
            "boolean",
            "true",
            "false",
            ("1", "0"),
        ),
        (
            Clinic::postgres().await,
            "bit(1)",
            "B'1'",
            "B'0'",
            ("1", "0"),
        ),
        (
            Clinic::postgres().await,
            "boolean",
            "true",
            "false",
            ("true", "false"),
        ),
        (Clinic::sqlite(), "boolean", "true", "false", ("1", "0")),
    ] {
        table(&clinic, "").await;
        clinic
            .run(&format!(
                "ALTER TABLE doses ADD done {kind}; UPDATE doses SET done = {yes}; INSERT INTO \
                 doses VALUES (2, '2021-07-01 10:00:01', '1', 'x', '2021', {no}), (3, '2021-07-01 \
                 10:00:02', '1', 'x', '2021', NULL)"
            ))
            .await;
        let query = DOSES.replace(" FROM", ", done AS status FROM");
        let feed = format!(
            "[vaccinations]\nquery = '''{query}'''\nstatus_words = {{ '{}' = 'final', '{}' = \
             'cancelled', '' = 'not-a-fact' }}\n",
            words.0, words.1
        );
        let connector = clinic.connector_with(&feed).expect("a connector");
        let found = run(&connector, None, 9).await.records;
        let found: Vec<RecordStatus> = found.iter().map(|record| record.status).collect();
        assert_eq!(
            found,
            [
                RecordStatus::Final,
                RecordStatus::Cancelled,
                RecordStatus::NotAFact
            ],
            "{kind}"
        );
    }
}
