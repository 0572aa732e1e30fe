//! The database: one connection that writes, a pool of connections that read.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{Mutex, MutexGuard};

use super::connect::{read_only_pool, writing_options};
use super::error::OutboxError;

/// Connections to the outbox file.
///
/// The one connection that writes is taken out for each transaction and put back after the commit
/// only: a failed or abandoned transaction closes it, which rolls back whatever SQLite had not, and
/// the next one opens another.
#[derive(Debug)]
pub(crate) struct Database {
    options: SqliteConnectOptions,
    writer: Mutex<Option<SqliteConnection>>,
    readers: SqlitePool,
}

impl Database {
    /// Takes over the writing connection.
    pub(crate) fn new(path: &Path, connection: SqliteConnection) -> Self {
        Self {
            options: writing_options(path),
            writer: Mutex::new(Some(connection)),
            readers: read_only_pool(path),
        }
    }

    /// Connections that only read. They never wait for the writer, and see what is committed.
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Begins a transaction that holds SQLite's write lock from the start.
    pub(crate) async fn begin(&self) -> Result<WriteTransaction<'_>, OutboxError> {
        self.begin_with("BEGIN IMMEDIATE", "COMMIT").await
    }

    /// Begins a transaction whose commit does not wait for the disk: a power cut may undo it, and
    /// with it nothing that was committed by [`Self::begin`] before or after (the WAL holds all of
    /// them in their order). Only for changes that may be undone.
    pub(crate) async fn begin_unsynced(&self) -> Result<WriteTransaction<'_>, OutboxError> {
        self.begin_with(
            "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
            "COMMIT; PRAGMA synchronous = FULL",
        )
        .await
    }

    async fn begin_with(
        &self,
        begin: &'static str,
        commit: &'static str,
    ) -> Result<WriteTransaction<'_>, OutboxError> {
        let mut slot = self.writer.lock().await;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        sqlx::query(begin).execute(&mut connection).await?;
        Ok(WriteTransaction {
            slot,
            connection,
            commit,
        })
    }

    /// Closes all connections, so that the WAL is folded into the file.
    pub(crate) async fn close(&self) -> Result<(), OutboxError> {
        self.readers.close().await;
        match self.writer.lock().await.take() {
            Some(connection) => Ok(connection.close().await?),
            None => Ok(()),
        }
    }
}

/// A transaction of the writer; dropped without a commit, it is undone.
pub(crate) struct WriteTransaction<'a> {
    slot: MutexGuard<'a, Option<SqliteConnection>>,
    connection: SqliteConnection,
    commit: &'static str,
}

impl<'a> WriteTransaction<'a> {
    /// Connection to run statements of the transaction on.
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Commits, durably where the transaction was not begun otherwise.
    pub(crate) async fn commit(self) -> Result<(), OutboxError> {
        self.commit_and_hold().await.map(drop)
    }

    /// Commits. Nobody else writes, or leases a batch, until the returned guard is dropped.
    pub(crate) async fn commit_and_hold(
        mut self,
    ) -> Result<MutexGuard<'a, Option<SqliteConnection>>, OutboxError> {
        sqlx::query(self.commit)
            .execute(&mut self.connection)
            .await?;
        *self.slot = Some(self.connection);
        Ok(self.slot)
    }
}
