//! Limit of a durable SQLite file: the gateway's own sealed batches as blobs, and nothing else.

use std::path::Path;
use std::time::Duration;

use clock::Clock;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};

use crate::error::Error;

/// Batches in a transaction: some thousands of records.
const BATCHES_A_TRANSACTION: usize = 20;

/// Inserts every batch as a row, write-ahead log and `synchronous = FULL`, in transactions of
/// [`BATCHES_A_TRANSACTION`]. Returns the time that took.
pub(crate) async fn insert_all(
    folder: &Path,
    batches: &[Vec<u8>],
    clock: &dyn Clock,
) -> Result<Duration, Error> {
    let path = folder.join("bare.sqlite");
    let took = insert(&path, batches, clock).await.map_err(Error::Sqlite)?;
    std::fs::remove_file(path).map_err(Error::io("remove the bare SQLite file"))?;
    Ok(took)
}

async fn insert(
    path: &Path,
    batches: &[Vec<u8>],
    clock: &dyn Clock,
) -> Result<Duration, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::raw_sql("CREATE TABLE batch (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL)")
        .execute(&mut connection)
        .await?;
    let started = clock.elapsed();
    for some in batches.chunks(BATCHES_A_TRANSACTION) {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        for batch in some {
            let insert =
                sqlx::query("INSERT INTO batch (sealed) VALUES (?)").bind(batch.as_slice());
            insert.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
    }
    let took = clock.elapsed().saturating_sub(started);
    // Takes the write-ahead log's files with it.
    connection.close().await?;
    Ok(took)
}
