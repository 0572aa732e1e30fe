//! Ways to the queue and receipts that were ignored, as the running gateway writes them down.

use std::sync::Arc;

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};

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
