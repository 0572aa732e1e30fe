//! Reading an outbox, with or without owning it.

use std::collections::BTreeMap;
use std::path::Path;

use record_secrets::RecordSecrets;
use sqlx::sqlite::SqlitePool;

use super::overview;
use super::reconcile::{self, Report};
use super::status::Status;
use crate::batches::{Backlog, count_backlog};
use crate::classes::{self, WithheldRecord};
use crate::dead_letters::{self, DeadLetter, DeadLetterFilter};
use crate::feeds;
use crate::file::{KeyFingerprints, OutboxError, check_schema, compare_keys, read_only_pool};
use crate::records::count_asserted;
use crate::values::{self, UnknownValueRow};

/// A read-only pool over the file: takes no lock, never waits for the writer, sees what is
/// committed.
#[derive(Debug, Clone)]
pub struct OutboxReader {
    pool: SqlitePool,
}

impl OutboxReader {
    /// Opens the outbox at `path` for reading, whoever owns it.
    ///
    /// # Errors
    /// [`OutboxError::Missing`], [`OutboxError::NotAnOutbox`], [`OutboxError::NewerSchema`],
    /// [`OutboxError::OlderSchema`] and the disk's failures.
    pub async fn open(path: &Path) -> Result<Self, OutboxError> {
        check_schema(path).await?;
        Ok(Self::over(read_only_pool(path)))
    }

    /// Reader over the connections of an outbox.
    pub(crate) const fn over(pool: SqlitePool) -> Self {
        Self { pool }
    }

    /// Reads the status of the whole outbox, of one moment.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn status(&self) -> Result<Status, OutboxError> {
        overview::read_status(&self.pool).await
    }

    /// Counts the batches that wait for the broker.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn backlog(&self) -> Result<Backlog, OutboxError> {
        let mut connection = self.pool.acquire().await?;
        count_backlog(&mut connection).await
    }

    /// Dead letters that the filter selects, the last seen first.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
    ) -> Result<Vec<DeadLetter>, OutboxError> {
        dead_letters::select(&self.pool, filter).await
    }

    /// Values that nobody has mapped and that rows of this source, or of all, are refused for; the
    /// most frequent first.
    ///
    /// # Errors
    /// [`OutboxError::Damaged`] and the disk's failures.
    pub async fn unknown_values(
        &self,
        source: Option<&str>,
    ) -> Result<Vec<UnknownValueRow>, OutboxError> {
        values::select(&self.pool, source).await
    }

    /// Withheld records of this source, or of all, the oldest first, at most so many.
    ///
    /// # Errors
    /// [`OutboxError::Damaged`] for other secrets than those of the outbox, and the disk's failures.
    pub async fn withheld_records(
        &self,
        secrets: &RecordSecrets,
        source: Option<&str>,
        most: u32,
    ) -> Result<Vec<WithheldRecord>, OutboxError> {
        classes::select(&self.pool, secrets, source, most).await
    }

    /// Number of records of each feed of the source that stand asserted, counted one by one.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn asserted_records(
        &self,
        source: &str,
    ) -> Result<BTreeMap<String, u64>, OutboxError> {
        let feeds: Vec<(i64, String)> =
            sqlx::query_as("SELECT id, feed FROM feed WHERE source = ?1")
                .bind(source)
                .fetch_all(&self.pool)
                .await?;
        let ids = feeds.iter().map(|(id, _)| *id);
        let counts = count_asserted(&self.pool, ids).await?;
        let named = feeds.into_iter().map(|(id, feed)| (feed, counts[&id]));
        Ok(named.collect())
    }

    /// Stored cursor of a feed, if it has one.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn cursor(&self, source: &str, feed: &str) -> Result<Option<String>, OutboxError> {
        feeds::cursor(&self.pool, source, feed).await
    }

    /// Report of one reconciliation, as long as it is remembered.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn reconciliation(&self, id: i64) -> Result<Option<Report>, OutboxError> {
        reconcile::read_report(&self.pool, id).await
    }

    /// Report of the last reconciliation of one source; of `None`, the last one of all sources.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn last_reconciliation(
        &self,
        source: Option<&str>,
    ) -> Result<Option<Report>, OutboxError> {
        reconcile::read_last_report(&self.pool, source).await
    }

    /// Compares the keys with those that the outbox has worked under.
    ///
    /// # Errors
    /// [`OutboxError::OtherRecordKey`], [`OutboxError::OtherPseudonymKey`],
    /// [`OutboxError::NoKnownPseudonymKey`] and the disk's failures.
    pub async fn compare_keys(&self, keys: &KeyFingerprints) -> Result<(), OutboxError> {
        compare_keys(&mut *self.pool.acquire().await?, keys).await
    }

    /// Closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
