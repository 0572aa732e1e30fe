//! Tests of a stop, which is heeded within seconds during any batch.

use std::time::Duration;

use broker::{DirectoryConfig, QueueConfig};
use contract::{PublicKey, wire};
use sqlx::Connection as _;

use crate::installed::{install, page_with, run, send, terminate, words};
use crate::world::within_patience;

/// A transaction that waits for a lock would go on for 30 s, and its batch must come again.
#[tokio::test]
async fn a_stop_is_heeded_while_a_transaction_hangs_and_health_answers() {
    let postgres = testbed::postgres::Postgres::start().await.unwrap();
    let url = postgres.create_database("registry").await.unwrap();
    let installed = install(Some(&format!(
        "[store.postgres]\nurl = \"{url}\"\ntls = \"off\""
    )));
    let folder = installed.folder.path();
    let mut daemon = installed.start();
    page_with(installed.port, "/health/ready", "200 OK").await;
    let mut holder = sqlx::PgConnection::connect(&url).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    sqlx::query("LOCK TABLE fact IN EXCLUSIVE MODE")
        .execute(&mut *held)
        .await
        .unwrap();
    send(folder, &installed.public).await;
    until_waiting(&postgres, 1).await;
    page_with(installed.port, "/health/live", "alive").await;
    assert_eq!(
        terminate(&mut daemon).await,
        Some(0),
        "the lock holds still"
    );
    // The server goes on waiting for it, in a session of which nobody reads the answer.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE wait_event_type = 'Lock'";
    postgres.psql("registry", end).await.unwrap();
    // It is only told to end.
    until_waiting(&postgres, 0).await;
    let mut drain = installed.start_with(&["run", "--drain"]);
    until_waiting(&postgres, 1).await;
    assert_eq!(terminate(&mut drain).await, Some(1));
    held.rollback().await.unwrap();
    let (code, printed, _) = words(&run(folder, &["run", "--drain"]));
    assert!(
        code == Some(0) && printed.contains("1 applied, 0 unchanged"),
        "{printed}"
    );
}

/// Waits until so many sessions wait for a lock.
async fn until_waiting(postgres: &testbed::postgres::Postgres, sessions: u32) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let expected = sessions.to_string();
    within_patience(&format!("{sessions} sessions wait for a lock"), async {
        while postgres.psql("registry", waiting).await.unwrap().trim() != expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_stop_is_heeded_while_a_stalled_server_is_waited_for() {
    let postgres = testbed::postgres::Postgres::start().await.unwrap();
    let url = postgres.create_database("registry").await.unwrap();
    let installed = install(Some(&format!(
        "[store.postgres]\nurl = \"{url}\"\ntls = \"off\""
    )));
    postgres.pause().unwrap();
    let mut daemon = installed.start();
    page_with(installed.port, "/health/live", "alive").await;
    assert_eq!(terminate(&mut daemon).await, Some(0));
    postgres.resume().unwrap();
}

#[tokio::test]
async fn a_stop_is_heeded_while_large_batches_are_opened() {
    let installed = install(None);
    let folder = installed.folder.path();
    let key = PublicKey::from_text(&installed.public).unwrap();
    let queue = QueueConfig::Directory(DirectoryConfig::at("queue"));
    let publisher = broker::publisher(&queue, folder).unwrap();
    // Numbers that no event may have, in an array of as many elements as the limit of bytes allows.
    let mut body = b"[".to_vec();
    while body.len() < wire::MAX_ENCODED_BYTES - 4 {
        body.extend_from_slice(b"1,");
    }
    body.extend_from_slice(b"1]");
    for _ in 0..40 {
        publisher
            .publish(&key.seal(&body).unwrap().0)
            .await
            .unwrap();
    }
    let mut daemon = installed.start();
    page_with(installed.port, "/health/live", "alive").await;
    within_patience("the first batch is taken", async {
        while broker::depth(&queue, folder).await.unwrap().waiting == 40 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    page_with(installed.port, "/health/live", "alive").await;
    assert_eq!(terminate(&mut daemon).await, Some(0));
    let depth = broker::depth(&queue, folder).await.unwrap();
    assert_eq!(depth.waiting + depth.dead, 40, "none is lost: {depth:?}");
}
