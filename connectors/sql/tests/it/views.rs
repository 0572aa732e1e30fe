//! Accounts that may read a view and nothing behind it.

use connector_kit::{Connector, Level};
use connector_sql::SqlConnector;

use crate::clinic::{Clinic, DOSES, now, private_file, run};

/// Looks at a feed over `doses`, which is read in any case.
async fn told(connector: &SqlConnector) -> (Level, String) {
    assert_eq!(run(connector, None, 9).await.ids, ["1"]);
    let report = connector.check(now()).await;
    (report.worst(), format!("{report:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_may_not_be_explained_is_a_warning_mariadb() {
    let clinic = Clinic::mariadb().await;
    let made = "CREATE DATABASE behind; CREATE TABLE behind.doses (id int PRIMARY KEY, changed \
        datetime, snils text, vaccine text, given text); INSERT INTO behind.doses VALUES (1, \
        '2021-07-01 10:00', '112-233-445 95', 'x', '2021-07-01'); CREATE VIEW doses AS SELECT * \
        FROM behind.doses";
    clinic.run(made).await;
    let connector = clinic.connector(DOSES);
    let (worst, said) = told(&connector).await;
    assert_eq!(worst, Level::Warning, "{said}");
    let words = "whether an index serves changed_at and record_id could not be looked at: the \
        account may not EXPLAIN a view";
    assert_eq!(said.matches(words).count(), 1, "{said}");
    assert!(said.contains("SHOW VIEW on the view"), "{said}");
    assert!(!said.contains("tries again by itself"), "{said}");
    // What is advised helps.
    let granted = "GRANT SHOW VIEW ON mis.doses TO reader@'%'; GRANT SELECT ON behind.* TO \
        reader@'%'";
    clinic.run(granted).await;
    let (_, said) = told(&clinic.connector(DOSES)).await;
    assert!(!said.contains("could not be looked at"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_looked_at_by_who_may_only_read_it_postgresql() {
    let clinic = Clinic::postgres().await;
    let made = "CREATE ROLE reader LOGIN PASSWORD 'read-only-1'; CREATE SCHEMA behind; CREATE TABLE behind.doses (id int \
        PRIMARY KEY, changed timestamp, snils text, vaccine text, given text); INSERT INTO \
        behind.doses VALUES (1, '2021-07-01 10:00', '112-233-445 95', 'x', '2021-07-01'); CREATE \
        VIEW doses AS SELECT * FROM behind.doses; GRANT SELECT ON doses TO reader";
    clinic.run(made).await;
    let connection = clinic.connection().replace("'postgres'", "'reader'");
    let config = format!(
        "{connection}password = {{ file = 'password' }}\n[vaccinations]\nquery = '''{DOSES}'''\n"
    );
    let base = tempfile::tempdir().unwrap();
    private_file(&base.path().join("password"), "read-only-1");
    let config = toml::from_str(&config).unwrap();
    let connector = SqlConnector::postgres(&config, base.path()).unwrap();
    let (worst, said) = told(&connector).await;
    assert_eq!(worst, Level::Good, "{said}");
    clinic.run("GRANT INSERT ON behind.doses TO reader").await;
    let (_, said) = told(&connector).await;
    assert!(
        said.contains("the account may change data: INSERT on behind.doses;"),
        "{said}"
    );
    // Catalogs that only the administrator may read keep no feed from being read.
    clinic
        .run("REVOKE SELECT ON pg_catalog.pg_attribute FROM PUBLIC")
        .await;
    let (worst, said) = told(&connector).await;
    assert_eq!(worst, Level::Warning, "{said}");
    assert!(
        said.contains("whether an index serves changed_at and record_id could not be looked at"),
        "{said}"
    );
}
