//! Requests of other processes to the owner of the outbox: of the command line beside a running
//! daemon.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};

use crate::corrections::HeldCorrections;
use crate::dead_letters::DeadLetterFilter;
use crate::file::{Database, OutboxError, check_schema, json, to_ms, writing_options};
use crate::sweep::ShownMissing;

/// Most requests that wait at a time.
const MAX_WAITING: i64 = 100;

/// Longest request or answer, in bytes.
const MAX_TEXT_BYTES: usize = 64 << 10;

/// Age up to which requests and answers are kept.
const MAX_AGE: TimeDelta = TimeDelta::days(1);

/// Request to the owner of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Sweep every feed of a source now.
    Sweep {
        /// Name of the source.
        source: String,
        /// True if whole rows are to be read, also where stamps show changes. Left out where it is
        /// not, so that an older gateway knows the request.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        contents: bool,
    },
    /// Permit the withdrawals that the safety catch holds.
    ConfirmWithdrawals {
        /// Name of the source.
        source: String,
        /// Refused corrections that the operator was shown, which alone are permitted; `None`: all
        /// that are held when the request is begun.
        #[serde(default)]
        shown: Option<HeldCorrections>,
        /// Records that the operator was shown as gone, of which no more are permitted; `None`, as
        /// of an older command: all that are held when the permission is noted.
        #[serde(default)]
        shown_missing: Option<ShownMissing>,
    },
    /// Read the rows of dead letters again.
    Retry(DeadLetterFilter),
    /// Discard dead letters.
    Discard(DeadLetterFilter),
    /// Compare with the registry.
    Reconcile {
        /// Name of the source; `None`: all sources.
        source: Option<String>,
        /// True if differing records are to be sent again.
        repair: bool,
    },
    /// Send the batches again whose receipts have not come.
    Resend,
}

/// Place where a process without the lock leaves requests for the one that has it.
#[derive(Debug, Clone)]
pub struct RequestQueue {
    pool: SqlitePool,
}

impl RequestQueue {
    /// Opens the outbox at `path` for requests alone; takes no lock.
    ///
    /// # Errors
    /// [`OutboxError::Missing`], [`OutboxError::NotAnOutbox`], [`OutboxError::NewerSchema`],
    /// [`OutboxError::OlderSchema`] and the disk's failures.
    pub async fn open(path: &Path) -> Result<Self, OutboxError> {
        check_schema(path).await?;
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            // Without them the pool has a task that looks after idle connections; it may spin for
            // ever on a whole processor (sqlx issue 3645).
            .max_lifetime(None)
            .idle_timeout(None)
            .test_before_acquire(false)
            .connect_with(writing_options(path))
            .await?;
        Ok(Self { pool })
    }

    /// Leaves a request, and returns its number, to ask for the answer with. Requests and answers
    /// older than a day are forgotten.
    ///
    /// # Errors
    /// [`OutboxError::TooLarge`] for a request beyond 64 KiB or behind 100 others, and the disk's
    /// failures.
    pub async fn ask(&self, request: &Request, now: DateTime<Utc>) -> Result<i64, OutboxError> {
        let body = json(request);
        if body.len() > MAX_TEXT_BYTES {
            return Err(OutboxError::TooLarge { what: "a request" });
        }
        prune(&self.pool, now).await?;
        let id: Option<i64> = sqlx::query_scalar(
            "INSERT INTO request (asked_at_ms, body) SELECT ?1, ?2 \
             WHERE (SELECT count(*) FROM request WHERE state <> 'done') < ?3 RETURNING id",
        )
        .bind(to_ms(now))
        .bind(body)
        .bind(MAX_WAITING)
        .fetch_optional(&self.pool)
        .await?;
        id.ok_or(OutboxError::TooLarge {
            what: "the list of waiting requests",
        })
    }

    /// Answer of the owner, once there is one; an error is its text about the failure.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn answer(&self, id: i64) -> Result<Option<Result<String, String>>, OutboxError> {
        let answer: Option<(bool, String)> =
            sqlx::query_as("SELECT ok, answer FROM request WHERE id = ?1 AND state = 'done'")
                .bind(id)
                .fetch_optional(&self.pool)
                .await?;
        Ok(answer.map(|(ok, text)| if ok { Ok(text) } else { Err(text) }))
    }

    /// Closes the connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Requests, as the owner of the outbox takes and answers them.
#[derive(Debug)]
pub(crate) struct Requests {
    database: Arc<Database>,
}

impl Requests {
    pub(crate) const fn new(database: Arc<Database>) -> Self {
        Self { database }
    }

    /// Takes the oldest request that waits. Without one it costs no write.
    pub(crate) async fn take_next(&self) -> Result<Option<(i64, Request)>, OutboxError> {
        loop {
            let oldest = "SELECT min(id) FROM request WHERE state = 'waiting'";
            let oldest: Option<i64> = sqlx::query_scalar(oldest)
                .fetch_one(self.database.readers())
                .await?;
            let Some(id) = oldest else { return Ok(None) };
            let Some(body) = self.take(id).await? else {
                continue;
            };
            match serde_json::from_str(&body) {
                Ok(request) => return Ok(Some((id, request))),
                // A newer command line beside an older daemon.
                Err(_) => {
                    let answer = "the running gateway does not know this request";
                    self.write_answer(id, Err(answer.into())).await?;
                }
            }
        }
    }

    async fn take(&self, id: i64) -> Result<Option<String>, OutboxError> {
        let mut transaction = self.database.begin().await?;
        let taken = sqlx::query_scalar(
            "UPDATE request SET state = 'doing' WHERE id = ?1 AND state = 'waiting' RETURNING body",
        )
        .bind(id)
        .fetch_optional(transaction.connection())
        .await?;
        transaction.commit().await?;
        Ok(taken)
    }

    /// Answers a request, and forgets old ones. A text beyond 64 KiB is cut.
    pub(crate) async fn answer(
        &self,
        id: i64,
        answer: Result<String, String>,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        self.write_answer(id, answer).await?;
        let mut transaction = self.database.begin().await?;
        prune(transaction.connection(), now).await?;
        transaction.commit().await
    }

    async fn write_answer(
        &self,
        id: i64,
        answer: Result<String, String>,
    ) -> Result<(), OutboxError> {
        let ok = answer.is_ok();
        let mut text = answer.unwrap_or_else(|error| error);
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        let mut transaction = self.database.begin().await?;
        sqlx::query("UPDATE request SET state = 'done', ok = ?2, answer = ?3 WHERE id = ?1")
            .bind(id)
            .bind(ok)
            .bind(text)
            .execute(transaction.connection())
            .await?;
        transaction.commit().await
    }

    /// Makes the requests wait again that a process that is gone had taken.
    pub(crate) async fn release_taken(&self) -> Result<(), OutboxError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query("UPDATE request SET state = 'waiting' WHERE state = 'doing'")
            .execute(transaction.connection())
            .await?;
        transaction.commit().await
    }
}

async fn prune(
    executor: impl sqlx::SqliteExecutor<'_>,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    sqlx::query("DELETE FROM request WHERE asked_at_ms < ?1 AND state <> 'doing'")
        .bind(to_ms(now - MAX_AGE))
        .execute(executor)
        .await?;
    Ok(())
}
