//! What other processes ask the owner of the outbox to do: the command line beside a running
//! daemon.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};

use crate::time::to_ms;
use crate::{DeadLetterFilter, Outbox, OutboxError, connect};

/// Most requests that wait at a time.
const MAX_WAITING: i64 = 100;

/// Longest request or answer, in bytes.
const MAX_TEXT_BYTES: usize = 64 << 10;

/// How long requests and answers are kept.
const KEPT: TimeDelta = TimeDelta::days(1);

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Sweep every feed of a source now.
    Sweep {
        /// Which source.
        source: String,
    },
    /// Permit what the safety catch holds.
    ConfirmWithdrawals {
        /// Which source.
        source: String,
    },
    /// Read the rows of dead letters again.
    Retry(DeadLetterFilter),
    /// Put dead letters aside.
    Discard(DeadLetterFilter),
    /// Compare with the registry.
    Reconcile {
        /// Only this source; `None`: all.
        source: Option<String>,
        /// Whether to send what differs again.
        repair: bool,
    },
}

/// Where a process without the lock leaves requests for the one that has it.
#[derive(Debug, Clone)]
pub struct Postbox {
    pool: SqlitePool,
}

impl Postbox {
    /// Opens the outbox at `path` for requests alone; takes no lock.
    ///
    /// # Errors
    /// [`OutboxError::Missing`], [`OutboxError::NotAnOutbox`], [`OutboxError::NewerSchema`],
    /// [`OutboxError::OlderSchema`] and the disk's failures.
    pub async fn open(path: &Path) -> Result<Self, OutboxError> {
        connect::check_schema(path).await?;
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false);
        let pool = pool
            .connect_with(connect::writing(path))
            .await
            .map_err(OutboxError::database)?;
        Ok(Self { pool })
    }

    /// Leaves a request; its number asks for the answer. Requests and answers older than a day are
    /// forgotten.
    ///
    /// # Errors
    /// [`OutboxError::TooLarge`] for a request beyond 64 KiB or behind 100 others, and the disk's
    /// failures.
    pub async fn ask(&self, request: &Request, now: DateTime<Utc>) -> Result<i64, OutboxError> {
        let body = crate::records::json(request);
        if body.len() > MAX_TEXT_BYTES {
            return Err(OutboxError::TooLarge { what: "a request" });
        }
        prune(&self.pool, now)
            .await
            .map_err(OutboxError::database)?;
        let id: Option<i64> = sqlx::query_scalar(
            "INSERT INTO request (asked_at_ms, body) SELECT ?1, ?2 \
             WHERE (SELECT count(*) FROM request WHERE state <> 'done') < ?3 RETURNING id",
        )
        .bind(to_ms(now))
        .bind(body)
        .bind(MAX_WAITING)
        .fetch_optional(&self.pool)
        .await
        .map_err(OutboxError::database)?;
        id.ok_or(OutboxError::TooLarge {
            what: "the list of waiting requests",
        })
    }

    /// The owner's answer, once there is one; an error is its words about what went wrong.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn answer(&self, id: i64) -> Result<Option<Result<String, String>>, OutboxError> {
        let answer: Option<(bool, String)> =
            sqlx::query_as("SELECT ok, answer FROM request WHERE id = ?1 AND state = 'done'")
                .bind(id)
                .fetch_optional(&self.pool)
                .await
                .map_err(OutboxError::database)?;
        Ok(answer.map(|(ok, text)| if ok { Ok(text) } else { Err(text) }))
    }

    /// Closes the connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl Outbox {
    /// The oldest request that waits, now being done. Without one it costs no write.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn next_request(&self) -> Result<Option<(i64, Request)>, OutboxError> {
        loop {
            let oldest = "SELECT min(id) FROM request WHERE state = 'waiting'";
            let oldest: Option<i64> = sqlx::query_scalar(oldest)
                .fetch_one(self.inner.reader.pool())
                .await
                .map_err(OutboxError::database)?;
            let Some(id) = oldest else { return Ok(None) };
            let mut transaction = self.inner.writer.begin().await?;
            let taken: Option<String> = sqlx::query_scalar(
                "UPDATE request SET state = 'doing' WHERE id = ?1 AND state = 'waiting' RETURNING \
                 body",
            )
            .bind(id)
            .fetch_optional(transaction.connection())
            .await
            .map_err(OutboxError::database)?;
            transaction.commit().await?;
            let Some(body) = taken else { continue };
            match serde_json::from_str(&body) {
                Ok(request) => return Ok(Some((id, request))),
                // A newer command line beside an older daemon.
                Err(_) => {
                    self.write_answer(
                        id,
                        Err("the running gateway does not know this request".into()),
                    )
                    .await?
                }
            }
        }
    }

    /// Answers a request. A text beyond 64 KiB is cut.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn answer_request(
        &self,
        id: i64,
        answer: Result<String, String>,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        self.write_answer(id, answer).await?;
        let mut transaction = self.inner.writer.begin().await?;
        prune(transaction.connection(), now)
            .await
            .map_err(OutboxError::database)?;
        transaction.commit().await
    }

    async fn write_answer(
        &self,
        id: i64,
        answer: Result<String, String>,
    ) -> Result<(), OutboxError> {
        let (ok, mut text) = match answer {
            Ok(text) => (true, text),
            Err(text) => (false, text),
        };
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        let mut transaction = self.inner.writer.begin().await?;
        sqlx::query("UPDATE request SET state = 'done', ok = ?2, answer = ?3 WHERE id = ?1")
            .bind(id)
            .bind(ok)
            .bind(text)
            .execute(transaction.connection())
            .await
            .map_err(OutboxError::database)?;
        transaction.commit().await
    }

    /// What a process that is gone was doing waits again.
    pub(crate) async fn take_requests_again(&self) -> Result<(), OutboxError> {
        let mut transaction = self.inner.writer.begin().await?;
        sqlx::query("UPDATE request SET state = 'waiting' WHERE state = 'doing'")
            .execute(transaction.connection())
            .await
            .map_err(OutboxError::database)?;
        transaction.commit().await
    }
}

async fn prune(
    executor: impl sqlx::SqliteExecutor<'_>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let prune = sqlx::query("DELETE FROM request WHERE asked_at_ms < ?1 AND state <> 'doing'");
    prune
        .bind(to_ms(now - KEPT))
        .execute(executor)
        .await
        .map(drop)
}
