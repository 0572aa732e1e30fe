//! MariaDB: use, crash, pause, credentials.

use std::time::Duration;
use testbed::mariadb::MariaDb;
use tokio::process::Command;
use tokio::time::timeout;

#[tokio::test]
async fn committed_rows_survive_kill_and_restart() {
    let mut server = MariaDb::start().await.unwrap();
    server.create_database("clinic").await.unwrap();
    server
        .execute(
            "clinic",
            "CREATE TABLE t (n INT, word TEXT); INSERT INTO t VALUES (1, 'прививка')",
        )
        .await
        .unwrap();
    server.kill();
    server.execute("clinic", "SELECT 1").await.unwrap_err();
    server.restart().await.unwrap();
    assert_eq!(
        server
            .execute("clinic", "SELECT n, word FROM t")
            .await
            .unwrap(),
        "1\tприви\u{432}ка"
    );
    server.stop().await.unwrap();
    server.restart().await.unwrap();
    assert_eq!(
        server
            .execute("clinic", "SELECT count(*) FROM t")
            .await
            .unwrap(),
        "1"
    );
}

#[tokio::test]
async fn a_paused_server_answers_only_after_resume() {
    let server = MariaDb::start().await.unwrap();
    server.pause().unwrap();
    let mut query = Box::pin(server.execute("mysql", "SELECT 1"));
    timeout(Duration::from_millis(300), &mut query)
        .await
        .unwrap_err();
    server.resume().unwrap();
    assert_eq!(query.await.unwrap(), "1");
}

/// Logs in with the client and says whether that worked.
async fn logs_in(server: &MariaDb, user: &str, password: &str) -> bool {
    let mut client = Command::new("mariadb");
    client.args([
        "--no-defaults",
        "--protocol=tcp",
        "--host=127.0.0.1",
        "--execute=SELECT 1",
    ]);
    client.args([
        format!("--port={}", server.port()),
        format!("--user={user}"),
        format!("--password={password}"),
    ]);
    client.output().await.unwrap().status.success()
}

#[tokio::test]
async fn only_known_accounts_get_in() {
    let server = MariaDb::start().await.unwrap();
    server
        .execute(
            "mysql",
            "CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'right'",
        )
        .await
        .unwrap();
    assert!(logs_in(&server, "reader", "right").await);
    assert!(!logs_in(&server, "reader", "wrong").await);
    assert!(!logs_in(&server, "nobody-we-know", "").await);
}
