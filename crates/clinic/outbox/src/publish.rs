//! The publishing side: batches are leased in one short transaction, published outside it, settled
//! in another.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::{BatchId, SealedBatch};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::outbox::short_code;
use crate::records::json;
use crate::time::to_ms;
use crate::{MAX_RESEND_MS, MAX_WAIT_MS, Outbox, OutboxError, OutboxOptions};

/// Most batches in one lease.
const MAX_LEASE: usize = 1000;

/// Most sealed bytes in one lease, though always at least one batch.
const MAX_LEASE_BYTES: i64 = 32 << 20;

/// A leased batch as its rows have it: id, sealed bytes, attempts.
type LeasedRow = (Vec<u8>, Vec<u8>, u32);

/// Proves that a settlement belongs to the latest lease of its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseToken(i64);

/// A batch to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// The batch.
    pub batch: SealedBatch,
    /// To be given back with the settlement.
    pub token: LeaseToken,
    /// How often it has been leased, this time included.
    pub attempts: u32,
}

/// What became of a leased batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The broker has it, durably: it is deleted here, or if the registry sends receipts waits for
    /// its receipt.
    Delivered,
    /// The broker does not have it, or did not say.
    Failed {
        /// When to try again; at most [`crate::MAX_WAIT_MS`] from now.
        retry_at: DateTime<Utc>,
        /// Why, as a short code.
        reason: &'static str,
    },
}

/// One leased batch and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// Which batch.
    pub id: BatchId,
    /// Under which lease.
    pub token: LeaseToken,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a settlement came to, in batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// With the broker: deleted, or waiting for their receipts.
    pub delivered: u64,
    /// Waiting for another try.
    pub failed: u64,
    /// Ignored: leased to another since, or settled already.
    pub stale: u64,
}

impl Outbox {
    /// Leases up to `max` batches that are due, oldest first, for `lease_for` (at most
    /// [`crate::MAX_WAIT_MS`]); after that an unsettled batch is due again. A delivered batch whose
    /// receipt has not come in time is due as well, the very same bytes. Empty when nothing is due.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn lease(
        &self,
        max: usize,
        now: DateTime<Utc>,
        lease_for: Duration,
    ) -> Result<Vec<Leased>, OutboxError> {
        let now_ms = to_ms(now);
        let reader = self.inner.reader.pool();
        // Costs no write when nothing is due.
        if max == 0
            || !any_due(reader, now_ms)
                .await
                .map_err(OutboxError::database)?
        {
            return Ok(Vec::new());
        }
        let token = self.inner.lease_tokens.fetch_add(1, Ordering::Relaxed) + 1;
        let until_ms = now_ms
            + i64::try_from(lease_for.as_millis())
                .unwrap_or(MAX_WAIT_MS)
                .min(MAX_WAIT_MS);
        let max = i64::try_from(max.min(MAX_LEASE)).unwrap_or(1);
        let mut transaction = self.inner.writer.begin_unsynced().await?;
        let connection = transaction.connection();
        let leased = lease(connection, token, max, now_ms, until_ms)
            .await
            .map_err(OutboxError::database)?;
        transaction.commit().await?;
        let batches = self.read_leased(token, leased).await;
        if batches.is_err() && leased > 0 {
            // Nobody holds this lease. Where even this fails, its batches wait for its end or the
            // next opening; what is told is why.
            self.give_back(token).await.ok();
        }
        batches
    }

    /// Writes down what became of leased batches, all in one transaction. A settlement whose lease
    /// has passed to another is ignored: the batch is then published once more, which the registry
    /// takes as one.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn settle(
        &self,
        settlements: &[Settlement],
        now: DateTime<Utc>,
    ) -> Result<Settled, OutboxError> {
        if settlements.is_empty() {
            return Ok(Settled::default());
        }
        let mut transaction = self.inner.writer.begin_unsynced().await?;
        let settled = settle(
            transaction.connection(),
            settlements,
            &self.inner.options,
            now,
        )
        .await;
        let settled = settled.map_err(OutboxError::database)?;
        fault::check::<OutboxError>(fault::Point::OutboxSettling)?;
        transaction.commit().await?;
        fault::check::<OutboxError>(fault::Point::OutboxSettled)?;
        Ok(settled)
    }

    /// The batches under a lease, oldest first, read while others write; those a receipt has
    /// settled meanwhile are gone.
    async fn read_leased(&self, token: i64, leased: u64) -> Result<Vec<Leased>, OutboxError> {
        if leased == 0 {
            return Ok(Vec::new());
        }
        fault::check::<OutboxError>(fault::Point::OutboxLeased)?;
        let rows: Vec<LeasedRow> = sqlx::query_as(
            "SELECT batch_id, bytes, attempts FROM batch JOIN sealed USING (seq) WHERE \
             lease_token = ?1 ORDER BY seq",
        )
        .bind(token)
        .fetch_all(self.inner.reader.pool())
        .await
        .map_err(OutboxError::database)?;
        let batches = rows.into_iter().map(|(id, bytes, attempts)| {
            let batch = SealedBatch {
                id: BatchId(id.try_into().ok()?),
                bytes,
            };
            Some(Leased {
                batch,
                token: LeaseToken(token),
                attempts,
            })
        });
        batches
            .collect::<Option<_>>()
            .ok_or(OutboxError::Damaged { what: "a batch id" })
    }

    async fn give_back(&self, token: i64) -> Result<(), OutboxError> {
        let mut transaction = self.inner.writer.begin_unsynced().await?;
        sqlx::query(
            "UPDATE batch SET state = 'pending', lease_token = NULL, due_at_ms = 0 WHERE \
             lease_token = ?1",
        )
        .bind(token)
        .execute(transaction.connection())
        .await
        .map_err(OutboxError::database)?;
        transaction.commit().await
    }

    /// Ends every lease and every pause; for the opening, when nobody else can hold one. Somebody
    /// who has just mended the queue and starts the program should not have to wait for an old
    /// pause. Where receipts were switched off, what the broker has need not wait for them any
    /// longer, and nobody will answer a probe.
    pub(crate) async fn release_all(&self) -> Result<(), OutboxError> {
        let mut transaction = self.inner.writer.begin().await?;
        sqlx::query(
            "UPDATE batch SET state = 'pending', lease_token = NULL, due_at_ms = 0 \
             WHERE state = 'leased' OR (state = 'pending' AND due_at_ms > 0)",
        )
        .execute(transaction.connection())
        .await
        .map_err(OutboxError::database)?;
        if !self.inner.options.receipts {
            sqlx::query("DELETE FROM batch WHERE state = 'sent' OR kind = 'probe'")
                .execute(transaction.connection())
                .await
                .map_err(OutboxError::database)?;
        }
        transaction.commit().await
    }
}

/// Whether anything is due. A look costs no write: an idle publisher may ask as often as it likes.
async fn any_due(pool: &SqlitePool, now_ms: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM batch WHERE state <> 'sent' AND (due_at_ms <= ?1 OR \
         due_at_ms > ?1 + ?2)) \
         OR EXISTS (SELECT 1 FROM batch WHERE state = 'sent' AND due_at_ms <= ?1) \
         OR EXISTS (SELECT 1 FROM batch WHERE state = 'sent' AND due_at_ms > ?1 + ?3)",
    )
    .bind(now_ms)
    .bind(MAX_WAIT_MS)
    .bind(MAX_RESEND_MS)
    .fetch_one(pool)
    .await
}

/// Leases what is due; how many batches.
async fn lease(
    connection: &mut SqliteConnection,
    token: i64,
    max: i64,
    now_ms: i64,
    until_ms: i64,
) -> Result<u64, sqlx::Error> {
    sqlx::query(
        "UPDATE batch SET state = 'leased', lease_token = ?1, due_at_ms = ?2, attempts = attempts \
         + 1 \
         WHERE seq IN (SELECT seq FROM (SELECT seq, sum(sealed_bytes) OVER (ORDER BY seq) - \
         sealed_bytes AS ahead \
         FROM (SELECT seq, sealed_bytes FROM batch WHERE seq IN ( \
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
    .await
    .map(|done| done.rows_affected())
}

async fn settle(
    connection: &mut SqliteConnection,
    settlements: &[Settlement],
    options: &OutboxOptions,
    now: DateTime<Utc>,
) -> Result<Settled, sqlx::Error> {
    let delivered = settle_delivered(connection, settlements, options, now).await?;
    let failed = put_back_failed(connection, settlements, now).await?;
    let stale = (settlements.len() as u64).saturating_sub(delivered + failed);
    Ok(Settled {
        delivered,
        failed,
        stale,
    })
}

/// Lets go of what the broker has, or makes it wait for its receipt; counts what had not been
/// delivered before.
async fn settle_delivered(
    connection: &mut SqliteConnection,
    settlements: &[Settlement],
    options: &OutboxOptions,
    now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    let delivered = settlements
        .iter()
        .filter(|settlement| settlement.outcome == Outcome::Delivered);
    let delivered: Vec<_> = delivered
        .map(|one| (one.id.to_hex(), one.token.0))
        .collect();
    if delivered.is_empty() {
        return Ok(0);
    }
    let delivered = json(&delivered);
    let mut events: Vec<(i64, i64)> = Vec::new();
    if options.receipts {
        events = sqlx::query_as(
            "UPDATE batch SET state = 'sent', lease_token = NULL, last_error = NULL, sends = \
             sends + 1, \
             due_at_ms = ?2 + min(?3 << min(sends, 20), ?4) \
             WHERE answer_key IS NOT NULL AND seq IN (SELECT b.seq FROM json_each(?1) AS j CROSS \
             JOIN batch AS b \
             ON b.batch_id = unhex(j.value ->> 0) AND b.lease_token = j.value ->> 1) RETURNING \
             event_count, sends",
        )
        .bind(&delivered)
        .bind(to_ms(now))
        .bind(options.resend_after_ms())
        .bind(MAX_RESEND_MS)
        .fetch_all(&mut *connection)
        .await?;
    }
    // Without receipts all of them; with receipts those from before there were answer keys.
    let deleted: Vec<(i64, i64)> = sqlx::query_as(
        "DELETE FROM batch WHERE seq IN (SELECT b.seq FROM json_each(?1) AS j CROSS JOIN batch AS \
         b \
         ON b.batch_id = unhex(j.value ->> 0) AND b.lease_token = j.value ->> 1) RETURNING \
         event_count, sends + 1",
    )
    .bind(&delivered)
    .fetch_all(&mut *connection)
    .await?;
    events.extend(deleted);
    if !events.is_empty() {
        let first = events.iter().filter(|(_, sends)| *sends == 1);
        let (batches, count) = first.fold((0, 0), |(batches, sum), (count, _)| {
            (batches + 1, sum + count)
        });
        count_delivered(connection, batches, count, now).await?;
    }
    Ok(events.len() as u64)
}

/// Counts batches the broker took for the first time; whatever their number, publishing works.
pub(crate) async fn count_delivered(
    connection: &mut SqliteConnection,
    batches: i64,
    events: i64,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE publisher SET delivered_batches = delivered_batches + ?1, \
         delivered_events = delivered_events + ?2, last_delivered_at_ms = ?3, \
         consecutive_failures = 0, \
         last_error = NULL",
    )
    .bind(batches)
    .bind(events)
    .bind(to_ms(now))
    .execute(connection)
    .await
    .map(drop)
}

/// Makes failed batches wait for their retry time, and counts the failures that came after the last
/// delivery.
async fn put_back_failed(
    connection: &mut SqliteConnection,
    settlements: &[Settlement],
    now: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    let mut failed = Vec::new();
    let mut in_a_row = 0_i64;
    let mut last_reason = "";
    let now_ms = to_ms(now);
    for settlement in settlements {
        match settlement.outcome {
            Outcome::Delivered => in_a_row = 0,
            Outcome::Failed { retry_at, reason } => {
                (in_a_row, last_reason) = (in_a_row + 1, short_code(reason));
                let due_at_ms = to_ms(retry_at).clamp(now_ms, now_ms + MAX_WAIT_MS);
                failed.push((
                    settlement.id.to_hex(),
                    settlement.token.0,
                    due_at_ms,
                    last_reason,
                ));
            }
        }
    }
    if failed.is_empty() {
        return Ok(0);
    }
    let put_back = sqlx::query(
        "UPDATE batch SET state = 'pending', lease_token = NULL, due_at_ms = f.due_at_ms, \
         last_error = f.reason \
         FROM (SELECT unhex(value ->> 0) AS id, value ->> 1 AS token, value ->> 2 AS due_at_ms, \
         value ->> 3 AS reason FROM json_each(?1)) AS f WHERE batch_id = f.id AND lease_token = \
         f.token",
    );
    let put_back = put_back
        .bind(json(&failed))
        .execute(&mut *connection)
        .await?
        .rows_affected();
    if put_back > 0 && in_a_row > 0 {
        sqlx::query(
            "UPDATE publisher SET consecutive_failures = consecutive_failures + ?1, last_error = \
             ?2, \
             last_failed_at_ms = ?3",
        )
        .bind(in_a_row)
        .bind(last_reason)
        .bind(now_ms)
        .execute(connection)
        .await?;
    }
    Ok(put_back)
}
