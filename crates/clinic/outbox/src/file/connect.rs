//! Connections to the SQLite file, and the checks before the first word is written.

use std::cmp::Ordering;
use std::fs;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};
use state_folder::FileLock;

use super::error::OutboxError;
use super::lock::acquire_lock;
use super::paths::folder_of;
use super::schema;

/// Wait of a statement for another connection's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Wait of a reader for a free connection of the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that read at the same time.
const MAX_READERS: u32 = 4;

/// Options of a connection that may write.
pub(crate) fn writing_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "10000")
        // After a burst the WAL shrinks to this many bytes.
        .pragma("journal_size_limit", "67108864")
        // KiB: known records of a page lie anywhere, and a merge of key runs writes many pages.
        .pragma("cache_size", "-4096")
        .disable_statement_logging()
}

/// Options of a connection that only reads.
fn reading_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .read_only(true)
        // KiB, for each of several connections: the branches of the largest table; its leaves are
        // the operating system's to keep.
        .pragma("cache_size", "-1024")
        .disable_statement_logging()
}

/// Pool of connections that only read a file that is known to be an outbox.
pub(crate) fn read_only_pool(path: &Path) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(MAX_READERS)
        // Without them the pool has a task that looks after idle connections; it may spin for ever
        // on a whole processor (sqlx issue 3645).
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .connect_lazy_with(reading_options(path))
}

/// Makes sure that there is an outbox of exactly this program's schema, whoever owns it.
///
/// # Errors
/// [`OutboxError::Missing`], [`OutboxError::NoFolder`], [`OutboxError::NotAnOutbox`],
/// [`OutboxError::NewerSchema`], [`OutboxError::OlderSchema`] and the disk's failures.
pub(crate) async fn check_schema(path: &Path) -> Result<(), OutboxError> {
    let has_content = fs::metadata(path).is_ok_and(|file| file.len() > 0);
    if !has_content {
        return Err(match folder_of(path).try_exists() {
            Ok(false) => OutboxError::NoFolder,
            _ => OutboxError::Missing,
        });
    }
    let mut connection = reading_options(path).connect().await?;
    let found = schema::version(&mut connection).await?;
    let known = schema::known_version();
    connection.close().await?;
    match found.cmp(&known) {
        Ordering::Greater => Err(OutboxError::NewerSchema { found, known }),
        Ordering::Less => Err(OutboxError::OlderSchema { found, known }),
        Ordering::Equal => Ok(()),
    }
}

/// Opens the writing connection: right SQLite, right file, known schema; then WAL and the missing
/// migrations.
///
/// # Errors
/// [`OutboxError::SqliteTooOld`], [`OutboxError::NotAnOutbox`], [`OutboxError::NewerSchema`] and
/// the disk's failures.
pub(crate) async fn open_writer(path: &Path) -> Result<SqliteConnection, OutboxError> {
    let mut connection = writing_options(path).connect().await?;
    check_sqlite(&mut connection).await?;
    let found = schema::version(&mut connection).await?;
    let known = schema::known_version();
    if found > known {
        return Err(OutboxError::NewerSchema { found, known });
    }
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode = WAL")
        .fetch_one(&mut connection)
        .await?;
    if mode != "wal" {
        return Err(OutboxError::Io {
            what: "the outbox file",
            kind: "the file system has no shared memory for a WAL: use a local disk".into(),
        });
    }
    schema::migrate(&mut connection, &schema::MIGRATIONS).await?;
    Ok(connection)
}

/// Outbox that no other process writes to meanwhile.
pub(super) struct Alone {
    _lock: FileLock,
    pub(super) connection: SqliteConnection,
}

/// Takes the lock of an outbox that is there, and opens the writing connection. `owner` is shown to
/// whoever finds the outbox locked.
///
/// # Errors
/// [`OutboxError::Missing`], [`OutboxError::Locked`] and the errors of opening.
pub(super) async fn open_alone(path: &Path, owner: &str) -> Result<Alone, OutboxError> {
    match check_schema(path).await {
        Ok(()) | Err(OutboxError::OlderSchema { .. }) => {}
        Err(error) => return Err(error),
    }
    let lock = acquire_lock(path, owner, None)?;
    Ok(Alone {
        _lock: lock,
        connection: open_writer(path).await?,
    })
}

async fn check_sqlite(connection: &mut SqliteConnection) -> Result<(), OutboxError> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(connection)
        .await?;
    if is_new_enough(&found) {
        Ok(())
    } else {
        Err(OutboxError::SqliteTooOld { found })
    }
}

/// Returns whether the version has the repair of 3.51.3: a bug could corrupt a WAL database before.
fn is_new_enough(version: &str) -> bool {
    let mut parts = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next()) >= (3, 51, 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_with_the_wal_bug_is_refused() {
        assert!(is_new_enough("3.51.3") && is_new_enough("3.52.0") && is_new_enough("4.0"));
        assert!(
            !is_new_enough("3.51.2")
                && !is_new_enough("3.50.9")
                && !is_new_enough("2.99.99")
                && !is_new_enough("?")
        );
    }
}
