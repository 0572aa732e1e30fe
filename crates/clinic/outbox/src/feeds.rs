//! Feeds of the sources: cursors, ends of runs, surprises.

use std::sync::Arc;

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};
use contract::FactKind;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::file::{Database, OutboxError, check_name, short_code, to_ms};

/// End of a feed's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome<'a> {
    /// Run that read the feed to its end.
    Ok,
    /// Run that ended early. The code is kept if it is 1 to 64 letters, digits, `-`, `_`, `.` or
    /// `:`, and is `other` if not, so that no free text can rest in the file.
    Failed {
        /// Short code.
        code: &'a str,
    },
}

/// The feeds, over the outbox file.
#[derive(Debug)]
pub(crate) struct Feeds {
    database: Arc<Database>,
}

impl Feeds {
    /// Feeds of the file.
    pub(crate) const fn new(database: Arc<Database>) -> Self {
        Self { database }
    }

    /// Notes the end of a feed's run.
    pub(crate) async fn record_run(
        &self,
        source: &str,
        feed: &str,
        outcome: RunOutcome<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        check_name(source)?;
        check_name(feed)?;
        let error = match outcome {
            RunOutcome::Ok => None,
            RunOutcome::Failed { code } => Some(short_code(code)),
        };
        let mut transaction = self.database.begin().await?;
        sqlx::query(
            "INSERT INTO feed (source, feed, last_run_at_ms, last_ok_at_ms, last_error, \
             consecutive_failures) \
             VALUES (?1, ?2, ?3, iif(?4 IS NULL, ?3, NULL), ?4, ?4 IS NOT NULL) \
             ON CONFLICT (source, feed) DO UPDATE SET last_run_at_ms = ?3, last_error = ?4, \
             last_ok_at_ms = iif(?4 IS NULL, ?3, last_ok_at_ms), \
             consecutive_failures = iif(?4 IS NULL, 0, consecutive_failures + 1)",
        )
        .bind(source)
        .bind(feed)
        .bind(to_ms(now))
        .bind(error)
        .execute(transaction.connection())
        .await?;
        transaction.commit().await
    }

    /// Forgets the cursors of the source's feeds and the open dead letters of its rows.
    pub(crate) async fn forget_cursors(&self, source: &str) -> Result<(), OutboxError> {
        let mut transaction = self.database.begin().await?;
        for statement in [
            "DELETE FROM dead_letter WHERE origin = 'clinic' AND discarded_at_ms IS NULL \
             AND feed_id IN (SELECT id FROM feed WHERE source = ?1)",
            "UPDATE feed SET cursor = NULL WHERE source = ?1",
        ] {
            sqlx::query(statement)
                .bind(source)
                .execute(transaction.connection())
                .await?;
        }
        transaction.commit().await
    }

    /// Notes that a source did something it should not, `count` times.
    pub(crate) async fn note_surprise(
        &self,
        source: &str,
        feed: &str,
        code: &str,
        count: u64,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        check_name(source)?;
        check_name(feed)?;
        let mut transaction = self.database.begin().await?;
        let feed_id = enter_feed(transaction.connection(), source, feed, None).await?;
        sqlx::query(
            "INSERT INTO surprise (feed_id, code, count, first_seen_at_ms, last_seen_at_ms) \
             VALUES (?1, ?2, ?3, ?4, ?4) \
             ON CONFLICT (feed_id, code) DO UPDATE SET count = count + ?3, last_seen_at_ms = ?4",
        )
        .bind(feed_id)
        .bind(short_code(code))
        .bind(count.saturating_as::<i64>())
        .bind(to_ms(now))
        .execute(transaction.connection())
        .await?;
        transaction.commit().await
    }
}

/// Number of the feed's row, which is made if there is none; `kind` is the kind of fact the feed
/// holds, if it is known.
pub(crate) async fn enter_feed(
    connection: &mut SqliteConnection,
    source: &str,
    feed: &str,
    kind: Option<FactKind>,
) -> Result<i64, OutboxError> {
    let feed_id = sqlx::query_scalar(
        "INSERT INTO feed (source, feed, kind) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET kind = coalesce(?3, kind) RETURNING id",
    )
    .bind(source)
    .bind(feed)
    .bind(kind.map(FactKind::as_str))
    .fetch_one(connection)
    .await?;
    Ok(feed_id)
}

/// Number of the feed's row, if there is one.
pub(crate) async fn feed_id(
    pool: &SqlitePool,
    source: &str,
    feed: &str,
) -> Result<Option<i64>, OutboxError> {
    let feed_id = sqlx::query_scalar("SELECT id FROM feed WHERE source = ?1 AND feed = ?2")
        .bind(source)
        .bind(feed)
        .fetch_optional(pool)
        .await?;
    Ok(feed_id)
}

/// Cursor of the feed, if it has one.
pub(crate) async fn cursor(
    pool: &SqlitePool,
    source: &str,
    feed: &str,
) -> Result<Option<String>, OutboxError> {
    let cursor: Option<Option<String>> =
        sqlx::query_scalar("SELECT cursor FROM feed WHERE source = ?1 AND feed = ?2")
            .bind(source)
            .bind(feed)
            .fetch_optional(pool)
            .await?;
    Ok(cursor.flatten())
}
