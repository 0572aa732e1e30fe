//! PostgreSQL: use, crash, pause, encodings, credentials.

use std::time::Duration;
use testbed::postgres::Postgres;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Waits until nobody listens: a child that the killed server has just begun has its port until it
/// is scheduled.
async fn until_refused(port: u16) {
    let refused = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), refused).await.unwrap();
}

#[tokio::test]
async fn committed_rows_survive_kill_and_restart() {
    let mut server = Postgres::start().await.unwrap();
    server.create_database("clinic").await.unwrap();
    server
        .psql(
            "clinic",
            "CREATE TABLE t (n int, word text); INSERT INTO t VALUES (1, 'прививка')",
        )
        .await
        .unwrap();
    for _ in 0..3 {
        server.kill();
        until_refused(server.port()).await;
        server.restart().await.unwrap();
        assert_eq!(
            server
                .psql("clinic", "SELECT n, word FROM t")
                .await
                .unwrap(),
            "1|прививка"
        );
    }
    server.stop().await.unwrap();
    let error = server.psql("clinic", "SELECT 1").await.unwrap_err();
    assert!(error.to_string().contains("psql failed"), "{error}");
    assert_eq!(
        server.pause().unwrap_err().to_string(),
        "PostgreSQL is not running: call restart() first"
    );
}

#[tokio::test]
async fn two_servers_are_apart_and_crash_safe() {
    let (one, two) = tokio::join!(
        Postgres::start(),
        Postgres::start_with(&[("work_mem", "7MB")])
    );
    let one = one.unwrap();
    let two = two.unwrap();
    assert_ne!(one.port(), two.port());
    one.create_database("mine").await.unwrap();
    let count = "SELECT count(*) FROM pg_database WHERE datname = 'mine'";
    assert_eq!(one.psql("postgres", count).await.unwrap(), "1");
    assert_eq!(two.psql("postgres", count).await.unwrap(), "0");
    assert_eq!(
        two.psql("postgres", "SHOW work_mem; SHOW fsync")
            .await
            .unwrap(),
        "7MB\non"
    );
}

#[tokio::test]
async fn a_role_needs_its_password() {
    let server = Postgres::start().await.unwrap();
    server
        .psql("postgres", "CREATE ROLE reader LOGIN PASSWORD 'right'")
        .await
        .unwrap();
    let connect = async |password: &str| {
        let url = server.url_as("reader", password, "postgres");
        server
            .psql("postgres", &format!("\\connect {url}\nSELECT current_user"))
            .await
    };
    assert_eq!(connect("right").await.unwrap(), "reader");
    connect("wrong").await.unwrap_err();
}

#[tokio::test]
async fn a_database_can_hold_cp1251() {
    let server = Postgres::start().await.unwrap();
    server
        .create_database_with_encoding("mis", "WIN1251")
        .await
        .unwrap();
    server
        .psql(
            "mis",
            "CREATE TABLE t (word text); INSERT INTO t VALUES ('ёж')",
        )
        .await
        .unwrap();
    assert_eq!(
        server
            .psql("mis", "SHOW server_encoding; SELECT word FROM t")
            .await
            .unwrap(),
        "WIN1251\nёж"
    );
    assert_eq!(
        server
            .psql("mis", "SELECT octet_length(word) FROM t")
            .await
            .unwrap(),
        "2"
    );
}

#[tokio::test]
async fn a_paused_server_answers_only_after_resume() {
    let server = Postgres::start().await.unwrap();
    server.pause().unwrap();
    let mut query = Box::pin(server.psql("postgres", "SELECT 1"));
    timeout(Duration::from_millis(300), &mut query)
        .await
        .unwrap_err();
    server.resume().unwrap();
    assert_eq!(query.await.unwrap(), "1");
}
