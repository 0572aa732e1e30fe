//! Limit of a change of stored names in a database: every row that the change rewrites is given
//! other values of the same length by one statement a table, in one transaction.

use std::path::Path;
use std::time::Duration;

use clock::Clock;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};

use crate::error::Error;

/// Statements for PostgreSQL. Each name and each set of names becomes another one, and what names
/// were called is kept.
const POSTGRES: &str = "BEGIN;
    INSERT INTO former_name (former, name, made_at)
        SELECT value, sha256(value), 0 FROM pseudonym;
    UPDATE pseudonym SET value = sha256(value), epoch = 2;
    UPDATE link SET pseudonym = sha256(pseudonym), name_set = substr(sha256(name_set), 1, 16);
    UPDATE name_set SET id = substr(sha256(id), 1, 16), names = names;
    UPDATE fact SET name_set = substr(sha256(name_set), 1, 16) WHERE name_set IS NOT NULL;
    COMMIT";
/// Statements for SQLite, which has no digests: the values are random.
const SQLITE: &str = "BEGIN IMMEDIATE;
    INSERT INTO former_name (former, name, made_at)
        SELECT value, randomblob(32), 0 FROM pseudonym;
    UPDATE pseudonym SET value = randomblob(32), epoch = 2;
    UPDATE link SET pseudonym = randomblob(32), name_set = randomblob(16);
    UPDATE name_set SET id = randomblob(16), names = names;
    UPDATE fact SET name_set = randomblob(16) WHERE name_set IS NOT NULL;
    COMMIT";

/// Rewrites the rows of a registry's database in PostgreSQL, and makes it worthless. Returns the
/// time that took.
pub(crate) async fn in_postgres(url: &str, clock: &dyn Clock) -> Result<Duration, Error> {
    let mut connection = PgConnection::connect(url).await?;
    let started = clock.elapsed();
    sqlx::raw_sql(POSTGRES).execute(&mut connection).await?;
    let took = clock.elapsed().saturating_sub(started);
    connection.close().await?;
    Ok(took)
}

/// Rewrites the rows of a registry's SQLite file, and makes it worthless. Returns the time that
/// took.
pub(crate) async fn in_sqlite(file: &Path, clock: &dyn Clock) -> Result<Duration, Error> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // As many pages in memory as the change has.
        .pragma("cache_size", "-65536");
    let connection = SqliteConnection::connect_with(&options).await;
    let mut connection = connection.map_err(Error::Sqlite)?;
    let started = clock.elapsed();
    let done = sqlx::raw_sql(SQLITE).execute(&mut connection).await;
    done.map_err(Error::Sqlite)?;
    let took = clock.elapsed().saturating_sub(started);
    connection.close().await.map_err(Error::Sqlite)?;
    Ok(took)
}
