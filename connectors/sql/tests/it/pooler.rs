//! PostgreSQL behind a real PgBouncer, whichever way it lends connections, and what it refuses.

use connector_kit::{Connector, Level, SourceError};
use connector_sql::SqlConnector;
use testbed::pgbouncer::{PgBouncer, PgBouncerSettings};
use testbed::postgres::Postgres;

use crate::clinic::{DOSES, fetch, first_page, now, private_file, run, sweep};

const PASSWORD: &str = "read-only-1";

/// A server with rows that an account may read, and a pooler in front of it.
async fn pooled(pool_mode: &str) -> (Postgres, PgBouncer) {
    let server = Postgres::start().await.expect("a server");
    server.create_database("mis").await.expect("a database");
    server
        .psql(
            "mis",
            "CREATE TYPE word AS ENUM ('x', 'y'); CREATE TABLE doses (id int, changed timestamp, \
             snils text, vaccine word, given text); INSERT INTO doses SELECT n, '2021-07-01', '1', \
             'x', '2021' FROM generate_series(1, 30) AS n; CREATE ROLE reader LOGIN PASSWORD \
             'read-only-1'; GRANT SELECT ON doses TO reader; CREATE ROLE other LOGIN PASSWORD \
             'another-1'",
        )
        .await
        .expect("rows");
    let settings = PgBouncerSettings {
        pool_mode,
        databases: &[("mis", "mis"), ("elsewhere", "nowhere")],
        accounts: &[
            ("reader", PASSWORD),
            ("other", "not-the-servers"),
            ("stranger", PASSWORD),
        ],
    };
    let pooler = PgBouncer::start(&server, settings).await.expect("a pooler");
    (server, pooler)
}

struct Access<'a> {
    database: &'a str,
    user: &'a str,
    password: &'a str,
    /// Longest wait for a connection, in seconds.
    connect_timeout: u32,
    more: &'a str,
}

const READER: Access<'_> = Access {
    database: "mis",
    user: "reader",
    password: PASSWORD,
    connect_timeout: 60,
    more: "",
};

fn connector(pooler: &PgBouncer, access: &Access<'_>) -> SqlConnector {
    let base = tempfile::tempdir().expect("a folder");
    private_file(&base.path().join("password"), access.password);
    let toml = format!(
        "host = '127.0.0.1'\nport = {}\ndatabase = '{}'\nuser = '{}'\npassword = {{ file = \
         'password' }}\nconnect_timeout_seconds = {}\nstatement_timeout_seconds = \
         60\n{}[vaccinations]\nquery = '''{DOSES}'''\n",
        pooler.port(),
        access.database,
        access.user,
        access.connect_timeout,
        access.more
    );
    let config = toml::from_str(&toml).expect("settings");
    SqlConnector::postgres(&config, base.path()).expect("a connector")
}

#[tokio::test(flavor = "multi_thread")]
async fn both_poolings_are_read_as_the_server_itself() {
    for pool_mode in ["session", "transaction"] {
        let (_server, pooler) = pooled(pool_mode).await;
        let connector = connector(&pooler, &READER);
        let reads = async || {
            assert_eq!(run(&connector, None, 7).await.ids.len(), 30);
            assert_eq!(sweep(&connector, 7).await.len(), 30);
            assert_eq!(fetch(&connector, &["7", "8", "99"]).await.len(), 2);
        };
        // At the same time, so that connections change hands between transactions.
        futures_util::future::join(reads(), reads()).await;
        let report = connector.check(now()).await;
        assert!(report.worst() < Level::Error, "{pool_mode}: {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pooler_refuses_is_named() {
    let (mut server, pooler) = pooled("transaction").await;
    let refused = async |access: Access<'_>| {
        let connector = connector(&pooler, &access);
        let page = connector.page(first_page(9)).await.map(|_| ());
        page.expect_err("no page")
    };
    for (access, words) in [
        (
            Access {
                password: "wrong",
                ..READER
            },
            "password",
        ),
        (
            Access {
                user: "nobody",
                ..READER
            },
            "account",
        ),
        (
            Access {
                database: "gone",
                ..READER
            },
            "no such database",
        ),
        (
            Access {
                database: "elsewhere",
                ..READER
            },
            "no such database",
        ),
        (
            Access {
                user: "other",
                password: "not-the-servers",
                ..READER
            },
            "password",
        ),
        (
            Access {
                user: "stranger",
                ..READER
            },
            "password",
        ),
    ] {
        let who = format!("{} {} {}", access.database, access.user, access.password);
        let error = refused(access).await;
        assert!(
            matches!(&error, SourceError::Misconfigured { .. })
                && error.to_string().contains(words),
            "{who}: {error}"
        );
    }
    server.stop().await.expect("a stop");
    let hasty = Access {
        connect_timeout: 5,
        ..READER
    };
    let error = refused(hasty).await;
    assert!(matches!(&error, SourceError::Retry { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_lends_by_the_statement_is_refused_in_words() {
    let (_server, pooler) = pooled("statement").await;
    let page = connector(&pooler, &READER).page(first_page(9)).await;
    let error = page.map(|_| ()).expect_err("no page");
    assert!(
        matches!(&error, SourceError::Misconfigured { .. })
            && error.to_string().contains("pool_mode"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_that_a_pooler_passes_no_notification_on() {
    let (_server, pooler) = pooled("transaction").await;
    let listening = connector(
        &pooler,
        &Access {
            more: "listen = 'clinic_facts'\n",
            ..READER
        },
    );
    let said = format!("{:?}", listening.check(now()).await);
    assert!(
        said.contains("hints do not arrive") && said.contains("pooler"),
        "{said}"
    );
    assert_eq!(run(&listening, None, 9).await.ids.len(), 30);
}
