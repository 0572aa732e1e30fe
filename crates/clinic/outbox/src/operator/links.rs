//! Ways to the queue, waits for services, and receipts that were ignored, as the running gateway
//! writes them down.

use std::sync::Arc;

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};

use super::status::ServiceWait;
use crate::file::{Database, OutboxError, own_words, short_code, to_ms};

/// Notes of the running gateway on its ways to the queue.
#[derive(Debug)]
pub(crate) struct Links {
    database: Arc<Database>,
}

impl Links {
    /// Notes in the file.
    pub(crate) const fn new(database: Arc<Database>) -> Self {
        Self { database }
    }

    /// Notes a change of a way's state, or of its cause alone: then it stands since the same time.
    pub(crate) async fn note(
        &self,
        name: &str,
        state: &str,
        why: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        let mut transaction = self.database.begin_unsynced().await?;
        sqlx::query(
            "INSERT INTO link (name, state, since_ms, why) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (name) DO UPDATE SET since_ms = iif(state = ?2, since_ms, ?3), \
             state = ?2, why = ?4",
        )
        .bind(name)
        .bind(short_code(state))
        .bind(to_ms(now))
        .bind(why.map(own_words))
        .execute(transaction.connection())
        .await?;
        transaction.commit().await
    }

    /// Notes which pages wait for a service, in place of those noted before.
    pub(crate) async fn note_waits(&self, waits: &[ServiceWait]) -> Result<(), OutboxError> {
        let mut transaction = self.database.begin_unsynced().await?;
        sqlx::query("DELETE FROM service_wait")
            .execute(transaction.connection())
            .await?;
        for wait in waits {
            sqlx::query(
                "INSERT INTO service_wait (source, feed, service, since_ms) \
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT (source, feed, service) \
                 DO UPDATE SET since_ms = min(since_ms, ?4)",
            )
            .bind(&wait.source)
            .bind(&wait.feed)
            .bind(own_words(&wait.service))
            .bind(wait.since.map(to_ms).unwrap_or_default())
            .execute(transaction.connection())
            .await?;
        }
        transaction.commit().await
    }

    /// Adds receipts that were ignored for this reason.
    pub(crate) async fn note_rejected(
        &self,
        reason: &str,
        count: u64,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        let mut transaction = self.database.begin_unsynced().await?;
        sqlx::query(
            "INSERT INTO rejected_receipt (reason, count, first_seen_at_ms, last_seen_at_ms) \
             VALUES (?1, ?2, ?3, ?3) ON CONFLICT (reason) DO UPDATE SET count = count + ?2, \
             last_seen_at_ms = ?3",
        )
        .bind(short_code(reason))
        .bind(count.saturating_as::<i64>())
        .bind(to_ms(now))
        .execute(transaction.connection())
        .await?;
        transaction.commit().await
    }
}
