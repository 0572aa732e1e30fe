//! Looking into an outbox, with or without owning it.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};

use crate::status::{Backlog, Status};
use crate::{DeadLetter, DeadLetterFilter, OutboxError, connect, letters, overview};

/// A read-only pool over the file: takes no lock, never waits for the writer, sees what is
/// committed.
#[derive(Debug, Clone)]
pub struct OutboxReader {
    pool: SqlitePool,
}

impl OutboxReader {
    /// Looks into the outbox at `path`, whoever owns it.
    ///
    /// # Errors
    /// [`OutboxError::Missing`], [`OutboxError::NotAnOutbox`], [`OutboxError::NewerSchema`],
    /// [`OutboxError::OlderSchema`] and the disk's failures.
    pub async fn open(path: &Path) -> Result<Self, OutboxError> {
        connect::check_schema(path).await?;
        Ok(Self::over(path))
    }

    /// Over a file that is known to be an outbox.
    pub(crate) fn over(path: &Path) -> Self {
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(10));
        let pool = pool.test_before_acquire(false);
        Self {
            pool: pool.connect_lazy_with(connect::reading(path)),
        }
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Everything an operator wants at a glance, of one moment.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn status(&self) -> Result<Status, OutboxError> {
        overview::read_status(&self.pool)
            .await
            .map_err(OutboxError::database)
    }

    /// What waits for the broker.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn backlog(&self) -> Result<Backlog, OutboxError> {
        let mut connection = self.pool.acquire().await.map_err(OutboxError::database)?;
        overview::backlog(&mut connection)
            .await
            .map_err(OutboxError::database)
    }

    /// The dead letters meant, the last seen first.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
    ) -> Result<Vec<DeadLetter>, OutboxError> {
        letters::select(&self.pool, filter)
            .await
            .map_err(OutboxError::database)
    }

    pub(crate) async fn feed_id(
        &self,
        source: &str,
        feed: &str,
    ) -> Result<Option<i64>, OutboxError> {
        sqlx::query_scalar("SELECT id FROM feed WHERE source = ?1 AND feed = ?2")
            .bind(source)
            .bind(feed)
            .fetch_optional(&self.pool)
            .await
            .map_err(OutboxError::database)
    }

    /// The stored cursor of a feed, if it has one.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn cursor(&self, source: &str, feed: &str) -> Result<Option<String>, OutboxError> {
        let cursor: Option<Option<String>> =
            sqlx::query_scalar("SELECT cursor FROM feed WHERE source = ?1 AND feed = ?2")
                .bind(source)
                .bind(feed)
                .fetch_optional(&self.pool)
                .await
                .map_err(OutboxError::database)?;
        Ok(cursor.flatten())
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
