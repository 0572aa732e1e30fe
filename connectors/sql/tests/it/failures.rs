//! Failures, and their words: one clear sentence, retry or misconfigured, and nothing of the
//! server's own text.

use connector_kit::{Connector, Level, PageRequest, SourceError};
use connector_sql::SqlConnector;

use crate::clinic::{Clinic, DOSES, first_page, now};

fn retryable(error: &SourceError) -> bool {
    matches!(error, SourceError::Retry { .. })
}

async fn three_doses(clinic: &Clinic) {
    clinic
        .run(&format!(
            "CREATE TABLE doses (id varchar(40), changed {}, snils varchar(20), vaccine \
             varchar(40), given varchar(20)); \
             INSERT INTO doses VALUES ('a', '2021-07-01 10:00:00', '1', 'x', '2021'), ('b', \
             '2021-07-01 10:00:00', '1', 'x', '2021'), \
             ('c', '2021-07-01 10:00:01', '1', 'x', '2021')",
            clinic.stamp_type()
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_killed_mid_run_is_retried_and_the_run_goes_on() {
    let mut clinic = Clinic::postgres().await;
    three_doses(&clinic).await;
    let connector = clinic.connector(DOSES);
    let first = connector.page(first_page(2)).await.unwrap();
    let rest = PageRequest {
        after: first.next,
        first_of_run: false,
        ..first_page(2)
    };
    let Clinic::Postgres(server, _) = &mut clinic else {
        unreachable!()
    };
    server.kill();
    // The killed server's child may answer once more before it notices.
    let until_it_fails = async {
        loop {
            if let Err(error) = connector.page(rest.clone()).await {
                break error;
            }
        }
    };
    let error = tokio::time::timeout(std::time::Duration::from_secs(120), until_it_fails)
        .await
        .unwrap();
    assert!(retryable(&error), "{error}");
    server.restart().await.unwrap();
    assert_eq!(
        connector.page(rest).await.unwrap().records[0].record_id,
        "c"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mariadb_killed_mid_run_is_retried_and_the_run_goes_on() {
    let mut clinic = Clinic::mariadb().await;
    three_doses(&clinic).await;
    let connector = clinic.connector(DOSES);
    let first = connector.page(first_page(2)).await.unwrap();
    let rest = PageRequest {
        after: first.next,
        first_of_run: false,
        ..first_page(2)
    };
    let Clinic::MariaDb(server, _) = &mut clinic else {
        unreachable!()
    };
    server.kill();
    // What was read before is handed out once.
    let until_it_fails = async {
        loop {
            if let Err(error) = connector.page(rest.clone()).await {
                break error;
            }
        }
    };
    let error = tokio::time::timeout(std::time::Duration::from_secs(120), until_it_fails)
        .await
        .unwrap();
    assert!(retryable(&error), "{error}");
    server.restart().await.unwrap();
    assert_eq!(
        connector.page(rest).await.unwrap().records[0].record_id,
        "c"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_stalls_or_breaks_is_given_up_in_time() {
    let clinic = Clinic::postgres().await;
    three_doses(&clinic).await;
    let Clinic::Postgres(server, database) = &clinic else {
        unreachable!()
    };
    let proxy = testbed::proxy::TcpProxy::start(server.port())
        .await
        .unwrap();
    let config = format!(
        "host = '127.0.0.1'\nport = {}\ndatabase = '{database}'\nuser = \
         'postgres'\nconnect_timeout_seconds = 1\n\
         statement_timeout_seconds = 1\n[vaccinations]\nquery = \"{DOSES}\"\n",
        proxy.port()
    );
    let connector =
        SqlConnector::postgres(&toml::from_str(&config).unwrap(), std::path::Path::new("/"))
            .unwrap();
    for break_off in [
        testbed::proxy::TcpProxy::stall,
        testbed::proxy::TcpProxy::cut,
    ] {
        assert_eq!(ids_in_the_end(&connector).await, ["a", "b", "c"]);
        break_off(&proxy);
        let error = connector.page(first_page(2)).await.unwrap_err();
        assert!(retryable(&error), "{error}");
        proxy.restore();
    }
    assert_eq!(ids_in_the_end(&connector).await, ["a", "b", "c"]);
}

/// Ids of a whole run, which is made again as a gateway does where a timeout ends it: short ones
/// are shorter than the pauses of a busy machine.
async fn ids_in_the_end(connector: &SqlConnector) -> Vec<String> {
    let trying = async {
        loop {
            match ids(connector).await {
                Ok(ids) => break ids,
                Err(error) => assert!(retryable(&error), "{error}"),
            }
        }
    };
    let patience = std::time::Duration::from_secs(120);
    tokio::time::timeout(patience, trying).await.unwrap()
}

async fn ids(connector: &SqlConnector) -> Result<Vec<String>, SourceError> {
    let mut ids = Vec::new();
    let mut request = first_page(2);
    loop {
        let page = connector.page(request.clone()).await?;
        ids.extend(page.records.into_iter().map(|record| record.record_id));
        let Some(next) = page.next else {
            return Ok(ids);
        };
        request = PageRequest {
            after: Some(next),
            first_of_run: false,
            ..request
        };
    }
}

/// Statement timeout, in seconds: one that is reached where the query sleeps, and otherwise one
/// that no pause of a busy machine reaches.
fn statement_timeout(query: &str) -> u32 {
    if query.to_lowercase().contains("sleep") {
        2
    } else {
        60
    }
}

/// The one thing that `check` complains about; `page` must agree.
async fn told(connector: &SqlConnector) -> String {
    let report = connector.check(now()).await;
    let errors: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| finding.level == Level::Error)
        .collect();
    assert_eq!(errors.len(), 1, "{report:?}");
    assert!(connector.page(first_page(1)).await.is_err());
    format!(
        "{}; {}",
        errors[0].what,
        errors[0].help.as_deref().unwrap_or("no help")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_says_in_words_what_to_change() {
    let clinic = Clinic::postgres().await;
    three_doses(&clinic).await;
    clinic
        .run(
            "CREATE ROLE reader LOGIN PASSWORD 'right-1'; CREATE ROLE outsider LOGIN PASSWORD \
            'read-only-1'",
        )
        .await;
    let Clinic::Postgres(server, _) = &clinic else {
        unreachable!()
    };
    let base = tempfile::tempdir().unwrap();
    crate::clinic::private_file(&base.path().join("password"), "read-only-1");
    let connect = |port: u16, database: &str, user: &str, extra: &str, query: &str| {
        let timeout = statement_timeout(query);
        let config = format!(
            "host = '127.0.0.1'\nport = {port}\ndatabase = '{database}'\nuser = \
             '{user}'\npassword = {{ file = 'password' }}\n\
             connect_timeout_seconds = 60\nstatement_timeout_seconds = \
             {timeout}\n{extra}\n[vaccinations]\nquery = '''{query}'''\n"
        );
        SqlConnector::postgres(&toml::from_str(&config).unwrap(), base.path()).unwrap()
    };
    let port = server.port();
    let sleepy = DOSES.replace("vaccine AS", "(SELECT 'x' || pg_sleep(9)) AS");
    let cast = DOSES.replace("vaccine AS", "id::int AS") + " OFFSET 0";
    for (connector, expected) in [
        (
            connect(port, "mis", "reader", "", DOSES),
            "refuses the password (SQLSTATE 28P01)",
        ),
        (
            connect(port, "nowhere", "postgres", "", DOSES),
            "no such database (SQLSTATE 3D000)",
        ),
        (
            connect(testbed::ports::free_port(), "mis", "postgres", "", DOSES),
            "cannot be reached: connection refused",
        ),
        (
            connect(port, "mis", "postgres", "tls = { mode = 'require' }", DOSES),
            "check tls.mode",
        ),
        (
            connect(port, "mis", "outsider", "", DOSES),
            "may not read something in the query (SQLSTATE 42501) (near `doses`)",
        ),
        (
            connect(
                port,
                "mis",
                "postgres",
                "",
                &DOSES.replace("doses", "прививки"),
            ),
            "table that does not exist (SQLSTATE 42P01) (near `прививки`)",
        ),
        (
            connect(
                port,
                "mis",
                "postgres",
                "",
                &DOSES.replace("vaccine AS", "препарат AS"),
            ),
            "column that does not exist (SQLSTATE 42703) (near `препарат`)",
        ),
        (
            connect(port, "mis", "postgres", "", "SELECT FROM WHERE"),
            "syntax error",
        ),
        (
            connect(port, "mis", "postgres", "", &sleepy),
            "stopped at statement_timeout_seconds (SQLSTATE 57014)",
        ),
        (
            connect(port, "mis", "postgres", "", &cast),
            "the query fails (SQLSTATE 22P02)",
        ),
    ] {
        let said = told(&connector).await;
        assert!(said.contains(expected), "{said}");
        assert!(
            !said.contains("invalid input syntax") && !said.contains("\"a\""),
            "the server's own words: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_says_in_words_what_to_change() {
    let clinic = Clinic::mariadb().await;
    three_doses(&clinic).await;
    let Clinic::MariaDb(server, _) = &clinic else {
        unreachable!()
    };
    let base = tempfile::tempdir().unwrap();
    crate::clinic::private_file(&base.path().join("right"), "read-only-1");
    crate::clinic::private_file(&base.path().join("wrong"), "read-only-2");
    let connect = |port: u16, database: &str, password: &str, extra: &str, query: &str| {
        let timeout = statement_timeout(query);
        let config = format!(
            "host = '127.0.0.1'\nport = {port}\ndatabase = '{database}'\nuser = \
             'reader'\npassword = {{ file = '{password}' }}\n\
             connect_timeout_seconds = 60\nstatement_timeout_seconds = \
             {timeout}\n{extra}\n[vaccinations]\nquery = '''{query}'''\n"
        );
        SqlConnector::mysql(&toml::from_str(&config).unwrap(), base.path()).unwrap()
    };
    let port = server.port();
    let sleepy = DOSES.replace("vaccine AS", "IF(SLEEP(9), vaccine, id) AS");
    for (connector, expected) in [
        (
            connect(port, "mis", "wrong", "", DOSES),
            "refuses the account or its password, or wants it to use TLS (error 1045)",
        ),
        (
            connect(port, "nowhere", "right", "", DOSES),
            "may not use this database (error 1044)",
        ),
        (
            connect(testbed::ports::free_port(), "mis", "right", "", DOSES),
            "cannot be reached: connection refused",
        ),
        (
            connect(port, "mis", "right", "tls = { mode = 'require' }", DOSES),
            "check tls.mode",
        ),
        (
            connect(
                port,
                "mis",
                "right",
                "",
                &DOSES.replace("doses", "прививки"),
            ),
            "(near `прививки`)",
        ),
        (
            connect(
                port,
                "mis",
                "right",
                "",
                &DOSES.replace("vaccine AS", "препарат AS"),
            ),
            "column that does not exist (error 1054) (near `препарат`)",
        ),
        (
            connect(port, "mis", "right", "", "SELECT FROM WHERE"),
            "syntax error",
        ),
        (
            connect(port, "mis", "right", "", &sleepy),
            "stopped at statement_timeout_seconds (error 1969)",
        ),
    ] {
        let said = told(&connector).await;
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_says_in_words_what_to_change() {
    let clinic = Clinic::sqlite();
    let missing = told(&clinic.connector(DOSES)).await;
    assert!(
        missing.contains("cannot be opened: it does not exist; check `path`"),
        "{missing}"
    );
    three_doses(&clinic).await;
    for (query, expected) in [
        (DOSES.replace("doses", "прививки"), "(near `прививки`)"),
        (
            DOSES.replace("vaccine AS", "препарат AS"),
            "(near `препарат`)",
        ),
    ] {
        let said = told(&clinic.connector(&query)).await;
        assert!(said.contains(expected), "{said}");
    }
    let Clinic::Sqlite(folder) = &clinic else {
        unreachable!()
    };
    std::fs::write(
        folder.path().join("mis.db"),
        "PGDMP is no SQLite database, however long it may be",
    )
    .unwrap();
    let said = told(&clinic.connector(DOSES)).await;
    assert!(said.contains("no SQLite database"), "{said}");
}
