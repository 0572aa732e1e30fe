//! Looking into an outbox, with or without owning it.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnection, SqlitePool, SqlitePoolOptions};
use sqlx::{Connection as _, Row as _};

use crate::OutboxError;
use crate::connect;
use crate::status::{Backlog, DeadLetter, DeadLetterCount, FeedStatus, PublisherStatus, Status};
use crate::time::from_ms;

/// A read-only pool over the file: takes no lock, never waits for the writer, sees what is committed.
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
        if !connect::exists(path) {
            return Err(OutboxError::Missing);
        }
        let reader = Self::over(path);
        let mut connection = reader.pool.acquire().await.map_err(OutboxError::database)?;
        let (found, known) = (connect::schema_version(&mut connection).await?, connect::known_schema());
        match found.cmp(&known) {
            std::cmp::Ordering::Greater => Err(OutboxError::NewerSchema { found, known }),
            std::cmp::Ordering::Less => Err(OutboxError::OlderSchema { found, known }),
            std::cmp::Ordering::Equal => Ok(reader),
        }
    }

    /// Over a file that is known to be an outbox.
    pub(crate) fn over(path: &Path) -> Self {
        let pool = SqlitePoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(10));
        let pool = pool.test_before_acquire(false);
        Self { pool: pool.connect_lazy_with(connect::reading(path)) }
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Everything an operator wants at a glance, of one moment.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn status(&self) -> Result<Status, OutboxError> {
        read_status(&self.pool).await.map_err(OutboxError::database)
    }

    /// What waits for the broker.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn backlog(&self) -> Result<Backlog, OutboxError> {
        let mut connection = self.pool.acquire().await.map_err(OutboxError::database)?;
        backlog(&mut connection).await.map_err(OutboxError::database)
    }

    /// Open dead letters, the last seen first, at most `limit`.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, OutboxError> {
        let rows: Vec<(String, String, String, String, i64, i64)> = sqlx::query_as(
            "SELECT source, feed, record_id, reason, first_seen_at_ms, last_seen_at_ms \
             FROM dead_letter JOIN feed ON feed.id = feed_id \
             ORDER BY last_seen_at_ms DESC, source, feed, record_id LIMIT ?1",
        )
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(OutboxError::database)?;
        let letter = |(source, feed, record_id, reason, first, last)| DeadLetter {
            source,
            feed,
            record_id,
            reason,
            first_seen_at: from_ms(first),
            last_seen_at: from_ms(last),
        };
        Ok(rows.into_iter().map(letter).collect())
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

async fn read_status(pool: &SqlitePool) -> Result<Status, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    // One snapshot for all of it.
    let mut transaction = connection.begin().await?;
    let (generation, raised_at_ms, generation_raised_why): (u32, Option<i64>, Option<String>) =
        sqlx::query_as("SELECT generation, raised_at_ms, raised_why FROM meta WHERE id = 1")
            .fetch_one(&mut *transaction)
            .await?;
    Ok(Status {
        generation,
        generation_raised_at: raised_at_ms.and_then(from_ms),
        generation_raised_why,
        feeds: feeds(&mut transaction).await?,
        backlog: backlog(&mut transaction).await?,
        publisher: publisher(&mut transaction).await?,
        dead_letters: dead_letter_counts(&mut transaction).await?,
    })
}

async fn backlog(connection: &mut SqliteConnection) -> Result<Backlog, sqlx::Error> {
    let (batches, leased, events, bytes, oldest_ms): (i64, i64, i64, i64, Option<i64>) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE state = 'leased'), coalesce(sum(event_count), 0), \
         coalesce(sum(sealed_bytes), 0), min(created_at_ms) FROM batch WHERE state <> 'sent'",
    )
    .fetch_one(connection)
    .await?;
    Ok(Backlog {
        batches: unsigned(batches),
        leased: unsigned(leased),
        events: unsigned(events),
        bytes: unsigned(bytes),
        oldest_at: oldest_ms.and_then(from_ms),
    })
}

async fn feeds(connection: &mut SqliteConnection) -> Result<Vec<FeedStatus>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT source, feed, cursor IS NOT NULL AS has_cursor, pulled_at_ms, last_run_at_ms, last_ok_at_ms, \
         last_error, consecutive_failures, new_total, corrected_total, withdrawn_total, resent_total, \
         unchanged_total, refused_total FROM feed ORDER BY source, feed",
    )
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let moment = |column| row.try_get::<Option<i64>, _>(column).map(|ms| ms.and_then(from_ms));
            let total = |column| row.try_get::<i64, _>(column).map(unsigned);
            Ok(FeedStatus {
                source: row.try_get("source")?,
                feed: row.try_get("feed")?,
                has_cursor: row.try_get("has_cursor")?,
                pulled_at: moment("pulled_at_ms")?,
                last_run_at: moment("last_run_at_ms")?,
                last_ok_at: moment("last_ok_at_ms")?,
                last_error: row.try_get("last_error")?,
                consecutive_failures: row.try_get("consecutive_failures")?,
                new_total: total("new_total")?,
                corrected_total: total("corrected_total")?,
                withdrawn_total: total("withdrawn_total")?,
                resent_total: total("resent_total")?,
                unchanged_total: total("unchanged_total")?,
                refused_total: total("refused_total")?,
            })
        })
        .collect()
}

async fn publisher(connection: &mut SqliteConnection) -> Result<PublisherStatus, sqlx::Error> {
    let (batches, events, delivered_ms, failed_ms, last_error, failures) = sqlx::query_as(
        "SELECT delivered_batches, delivered_events, last_delivered_at_ms, last_failed_at_ms, last_error, \
         consecutive_failures FROM publisher WHERE id = 1",
    )
    .fetch_one(connection)
    .await?;
    let moment = |ms: Option<i64>| ms.and_then(from_ms);
    Ok(PublisherStatus {
        delivered_batches: unsigned(batches),
        delivered_events: unsigned(events),
        last_delivered_at: moment(delivered_ms),
        last_failed_at: moment(failed_ms),
        last_error,
        consecutive_failures: unsigned(failures),
    })
}

async fn dead_letter_counts(connection: &mut SqliteConnection) -> Result<Vec<DeadLetterCount>, sqlx::Error> {
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
        "SELECT source, feed, reason, count(*) FROM dead_letter JOIN feed ON feed.id = feed_id \
         GROUP BY feed_id, reason ORDER BY source, feed, reason",
    )
    .fetch_all(connection)
    .await?;
    let count =
        |(source, feed, reason, count)| DeadLetterCount { source, feed, reason, count: unsigned(count) };
    Ok(rows.into_iter().map(count).collect())
}

/// SQLite counts in signed numbers; ours never fall below zero.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
