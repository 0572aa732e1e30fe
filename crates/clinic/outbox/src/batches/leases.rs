//! Leases: batches are leased in one short transaction, published outside it, settled in another.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};
use contract::{BatchId, SealedBatch};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::settlements::{self, LeaseToken, ReceiptRules, Settled, Settlement};
use crate::file::{Database, OutboxError, to_ms};
use crate::limits::{MAX_RESEND_MS, MAX_WAIT_MS};

/// Most batches in one lease.
const MAX_LEASE: usize = 1000;

/// Most sealed bytes in one lease, though always at least one batch.
const MAX_LEASE_BYTES: i64 = 32 << 20;

/// A batch to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// Sealed batch.
    pub batch: SealedBatch,
    /// Token to be given back with the settlement.
    pub token: LeaseToken,
    /// Number of leases of the batch, this one included.
    pub attempts: u32,
    /// True if it holds the beacon, and no fact.
    pub is_beacon: bool,
}

/// Leases of batches.
#[derive(Debug)]
pub(crate) struct Leases {
    database: Arc<Database>,
    rules: ReceiptRules,
    /// Last token given out; leases do not outlive the process, so counting from 1 is enough.
    last_token: AtomicI64,
}

impl Leases {
    pub(crate) const fn new(database: Arc<Database>, rules: ReceiptRules) -> Self {
        Self {
            database,
            rules,
            last_token: AtomicI64::new(0),
        }
    }

    /// Leases up to `max` batches that are due, oldest first.
    pub(crate) async fn lease(
        &self,
        max: usize,
        now: DateTime<Utc>,
        lease_for: Duration,
    ) -> Result<Vec<Leased>, OutboxError> {
        // Costs no write when nothing is due.
        if max == 0 || !any_due(self.database.readers(), to_ms(now)).await? {
            return Ok(Vec::new());
        }
        let token = self.last_token.fetch_add(1, Ordering::Relaxed) + 1;
        let lease_ms = lease_for.as_millis().saturating_as::<i64>();
        let until_ms = to_ms(now) + lease_ms.min(MAX_WAIT_MS);
        let max = max.min(MAX_LEASE).saturating_as();
        let mut transaction = self.database.begin_unsynced().await?;
        let leased = lease(transaction.connection(), token, max, to_ms(now), until_ms).await?;
        transaction.commit().await?;
        if leased == 0 {
            return Ok(Vec::new());
        }
        let batches = self.read(token).await;
        if batches.is_err() {
            // Nobody holds this lease. Where even this fails, its batches wait for its end or the
            // next opening; the first error is the one to report.
            self.give_back(token).await.ok();
        }
        batches
    }

    /// Writes down the outcomes of leased batches, all in one transaction.
    pub(crate) async fn settle(
        &self,
        settlements: &[Settlement],
        now: DateTime<Utc>,
    ) -> Result<Settled, OutboxError> {
        settlements::settle(&self.database, settlements, self.rules, now).await
    }

    /// Reads the batches under a lease, oldest first, while others write; those a receipt has
    /// settled meanwhile are gone.
    async fn read(&self, token: i64) -> Result<Vec<Leased>, OutboxError> {
        fault::check::<OutboxError>(fault::Point::OutboxLeased)?;
        let rows: Vec<(Vec<u8>, Vec<u8>, u32, bool)> = sqlx::query_as(
            "SELECT batch_id, bytes, attempts, beacon FROM batch JOIN sealed USING (seq) \
             WHERE lease_token = ?1 ORDER BY seq",
        )
        .bind(token)
        .fetch_all(self.database.readers())
        .await?;
        let batches = rows.into_iter().map(|(id, bytes, attempts, is_beacon)| {
            let id = BatchId(id.try_into().ok()?);
            Some(Leased {
                batch: SealedBatch { id, bytes },
                token: LeaseToken(token),
                attempts,
                is_beacon,
            })
        });
        batches
            .collect::<Option<_>>()
            .ok_or(OutboxError::Damaged { what: "a batch id" })
    }

    async fn give_back(&self, token: i64) -> Result<(), OutboxError> {
        let mut transaction = self.database.begin_unsynced().await?;
        sqlx::query(
            "UPDATE batch SET state = 'pending', lease_token = NULL, due_at_ms = 0 \
             WHERE lease_token = ?1",
        )
        .bind(token)
        .execute(transaction.connection())
        .await?;
        transaction.commit().await
    }

    /// Makes every batch due that the broker has and whose receipt has not come; returns their
    /// number. Its waits then begin anew, with that after a second delivery.
    pub(crate) async fn resend(&self) -> Result<u64, OutboxError> {
        let mut transaction = self.database.begin().await?;
        let resent = sqlx::query(
            "UPDATE batch SET state = 'pending', due_at_ms = 0, sends = min(sends, 1) \
             WHERE state = 'sent'",
        )
        .execute(transaction.connection())
        .await?;
        transaction.commit().await?;
        Ok(resent.rows_affected())
    }

    /// Ends every lease and every pause; for the opening, when nobody else can hold one. Somebody
    /// who has just mended the queue and starts the program should not have to wait for an old
    /// pause. Where receipts were switched off, batches the broker has need not wait for them any
    /// longer, and nobody will answer a probe; what the registry could not read stays.
    pub(crate) async fn release_all(&self) -> Result<(), OutboxError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query(
            "UPDATE batch SET state = 'pending', lease_token = NULL, due_at_ms = 0 \
             WHERE state = 'leased' OR (state = 'pending' AND due_at_ms > 0)",
        )
        .execute(transaction.connection())
        .await?;
        if !self.rules.receipts {
            // Those that the registry could not read are nowhere but here.
            sqlx::query(
                "DELETE FROM batch WHERE kind = 'probe' OR beacon = 1 \
                 OR (state = 'sent' AND unreadable IS NULL)",
            )
            .execute(transaction.connection())
            .await?;
        }
        transaction.commit().await
    }
}

/// Returns whether anything is due. A look costs no write: an idle publisher may ask as often as it
/// likes.
async fn any_due(pool: &SqlitePool, now_ms: i64) -> Result<bool, OutboxError> {
    let any = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM batch WHERE state <> 'sent' \
         AND (due_at_ms <= ?1 OR due_at_ms > ?1 + ?2)) \
         OR EXISTS (SELECT 1 FROM batch WHERE state = 'sent' AND due_at_ms <= ?1) \
         OR EXISTS (SELECT 1 FROM batch WHERE state = 'sent' AND due_at_ms > ?1 + ?3)",
    )
    .bind(now_ms)
    .bind(MAX_WAIT_MS)
    .bind(MAX_RESEND_MS)
    .fetch_one(pool)
    .await?;
    Ok(any)
}

/// Leases the batches that are due; returns their number.
async fn lease(
    connection: &mut SqliteConnection,
    token: i64,
    max: i64,
    now_ms: i64,
    until_ms: i64,
) -> Result<u64, OutboxError> {
    let done = sqlx::query(
        "UPDATE batch SET state = 'leased', lease_token = ?1, due_at_ms = ?2, \
         attempts = attempts + 1 \
         WHERE seq IN (SELECT seq FROM (SELECT seq, \
         sum(sealed_bytes) OVER (ORDER BY seq) - sealed_bytes AS ahead \
         FROM (SELECT seq, sealed_bytes FROM batch WHERE seq IN (\
         SELECT * FROM (SELECT seq FROM batch \
         WHERE state <> 'sent' AND (due_at_ms <= ?3 OR due_at_ms > ?3 + ?4) ORDER BY seq LIMIT ?5) \
         UNION ALL SELECT * FROM (SELECT seq FROM batch \
         WHERE state = 'sent' AND due_at_ms <= ?3 ORDER BY due_at_ms LIMIT ?5) \
         UNION ALL SELECT * FROM (SELECT seq FROM batch \
         WHERE state = 'sent' AND due_at_ms > ?3 + ?7 LIMIT ?5)) ORDER BY seq LIMIT ?5)) \
         WHERE ahead < ?6)",
    )
    .bind(token)
    .bind(until_ms)
    .bind(now_ms)
    .bind(MAX_WAIT_MS)
    .bind(max)
    .bind(MAX_LEASE_BYTES)
    .bind(MAX_RESEND_MS)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
