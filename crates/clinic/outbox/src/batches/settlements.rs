//! Settlements: what became of leased batches, written down.

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};
use contract::BatchId;
use sqlx::sqlite::SqliteConnection;

use crate::file::{Database, OutboxError, json, short_code, to_ms};
use crate::limits::{MAX_RESEND_MS, MAX_WAIT_MS};
use crate::options::OutboxOptions;

/// Proof that a settlement belongs to the latest lease of its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseToken(pub(super) i64);

/// Outcome of publishing a leased batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// Batch that the broker has, durably: it is deleted here, or if the registry sends receipts
    /// waits for its receipt.
    Delivered,
    /// Batch that the broker does not have, or did not confirm.
    Failed {
        /// Time of the next try; at most [`MAX_WAIT_MS`] from now.
        retry_at: DateTime<Utc>,
        /// Reason, as a short code.
        reason: &'static str,
    },
}

/// A leased batch and its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// Id of the batch.
    pub id: BatchId,
    /// Token of the lease.
    pub token: LeaseToken,
    /// Outcome of publishing it.
    pub outcome: DeliveryOutcome,
}

/// Result of settlements, in batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Batches with the broker: deleted, or waiting for their receipts.
    pub delivered: u64,
    /// Batches waiting for another try.
    pub failed: u64,
    /// Settlements that were ignored: leased to another since, or settled already.
    pub stale: u64,
}

/// Rules for delivered batches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiptRules {
    /// True if delivered batches wait for a receipt.
    pub(super) receipts: bool,
    /// Wait for the first receipt until the batch is sent again, in milliseconds.
    resend_after_ms: i64,
}

impl ReceiptRules {
    /// Rules of the options.
    pub(crate) fn of(options: &OutboxOptions) -> Self {
        Self {
            receipts: options.receipts,
            resend_after_ms: options.resend_after_ms(),
        }
    }
}

/// Writes down the outcomes of leased batches, all in one transaction.
pub(super) async fn settle(
    database: &Database,
    settlements: &[Settlement],
    rules: ReceiptRules,
    now: DateTime<Utc>,
) -> Result<Settled, OutboxError> {
    if settlements.is_empty() {
        return Ok(Settled::default());
    }
    let mut transaction = database.begin_unsynced().await?;
    let connection = transaction.connection();
    let delivered = settle_delivered(connection, settlements, rules, now).await?;
    let failed = put_back_failed(connection, settlements, now).await?;
    fault::check::<OutboxError>(fault::Point::OutboxSettling)?;
    transaction.commit().await?;
    fault::check::<OutboxError>(fault::Point::OutboxSettled)?;
    Ok(Settled {
        delivered,
        failed,
        stale: (settlements.len() as u64).saturating_sub(delivered + failed),
    })
}

/// Deletes the batches the broker has, or makes them wait for their receipts; returns their number,
/// and counts those that had not been delivered before.
async fn settle_delivered(
    connection: &mut SqliteConnection,
    settlements: &[Settlement],
    rules: ReceiptRules,
    now: DateTime<Utc>,
) -> Result<u64, OutboxError> {
    let delivered: Vec<_> = settlements
        .iter()
        .filter(|settlement| settlement.outcome == DeliveryOutcome::Delivered)
        .map(|settlement| (settlement.id.to_hex(), settlement.token.0))
        .collect();
    if delivered.is_empty() {
        return Ok(0);
    }
    let delivered = json(&delivered);
    let mut settled = await_receipts(connection, &delivered, rules, now).await?;
    // Without receipts the others; with receipts those from before there were answer keys.
    settled.extend(delete(connection, &delivered).await?);
    if !settled.is_empty() {
        let first_sends = settled
            .iter()
            .filter(|(_, sends, is_beacon)| *sends == 1 && !is_beacon);
        let batches = first_sends.clone().count().saturating_as();
        let events = first_sends.map(|(event_count, ..)| event_count).sum();
        count_delivered(connection, batches, events, now).await?;
    }
    Ok(settled.len() as u64)
}

/// A batch that the broker has: number of events, deliveries with this one, true for a beacon.
type Delivered = (i64, i64, bool);

/// Makes batches of the lease wait for their receipts; without receipts those alone that the
/// registry could not read, since the broker's confirm does not settle them. `delivered` is a JSON
/// array of ids and tokens.
async fn await_receipts(
    connection: &mut SqliteConnection,
    delivered: &str,
    rules: ReceiptRules,
    now: DateTime<Utc>,
) -> Result<Vec<Delivered>, OutboxError> {
    let waiting = sqlx::query_as(
        "UPDATE batch SET state = 'sent', lease_token = NULL, last_error = NULL, \
         sends = sends + 1, due_at_ms = ?2 + min(?3 << min(sends, 20), ?4) \
         WHERE answer_key IS NOT NULL AND (?5 OR unreadable IS NOT NULL) \
         AND seq IN (SELECT b.seq FROM json_each(?1) AS j \
         CROSS JOIN batch AS b \
         ON b.batch_id = unhex(j.value ->> 0) AND b.lease_token = j.value ->> 1) \
         RETURNING event_count, sends, beacon",
    )
    .bind(delivered)
    .bind(to_ms(now))
    .bind(rules.resend_after_ms)
    .bind(MAX_RESEND_MS)
    .bind(rules.receipts)
    .fetch_all(connection)
    .await?;
    Ok(waiting)
}

/// Deletes batches of the lease.
async fn delete(
    connection: &mut SqliteConnection,
    delivered: &str,
) -> Result<Vec<Delivered>, OutboxError> {
    let deleted = sqlx::query_as(
        "DELETE FROM batch WHERE seq IN (SELECT b.seq FROM json_each(?1) AS j \
         CROSS JOIN batch AS b \
         ON b.batch_id = unhex(j.value ->> 0) AND b.lease_token = j.value ->> 1) \
         RETURNING event_count, sends + 1, beacon",
    )
    .bind(delivered)
    .fetch_all(connection)
    .await?;
    Ok(deleted)
}

/// Counts batches the broker took for the first time; whatever their number, publishing works.
pub(super) async fn count_delivered(
    connection: &mut SqliteConnection,
    batches: i64,
    events: i64,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    sqlx::query(
        "UPDATE publisher SET delivered_batches = delivered_batches + ?1, \
         delivered_events = delivered_events + ?2, last_delivered_at_ms = ?3, \
         consecutive_failures = 0, last_error = NULL",
    )
    .bind(batches)
    .bind(events)
    .bind(to_ms(now))
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes failed batches wait for their retry time, and counts the failures that came after the last
/// delivery.
async fn put_back_failed(
    connection: &mut SqliteConnection,
    settlements: &[Settlement],
    now: DateTime<Utc>,
) -> Result<u64, OutboxError> {
    let mut failed = Vec::new();
    let mut in_a_row = 0_i64;
    let mut last_reason = "";
    let now_ms = to_ms(now);
    for settlement in settlements {
        match settlement.outcome {
            DeliveryOutcome::Delivered => in_a_row = 0,
            DeliveryOutcome::Failed { retry_at, reason } => {
                in_a_row += 1;
                last_reason = short_code(reason);
                let due_at_ms = to_ms(retry_at).clamp(now_ms, now_ms + MAX_WAIT_MS);
                let id = settlement.id.to_hex();
                failed.push((id, settlement.token.0, due_at_ms, last_reason));
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
         value ->> 3 AS reason FROM json_each(?1)) AS f \
         WHERE batch_id = f.id AND lease_token = f.token",
    )
    .bind(json(&failed))
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if put_back > 0 && in_a_row > 0 {
        count_failures(connection, in_a_row, last_reason, now_ms).await?;
    }
    Ok(put_back)
}

async fn count_failures(
    connection: &mut SqliteConnection,
    failures: i64,
    reason: &str,
    now_ms: i64,
) -> Result<(), OutboxError> {
    sqlx::query(
        "UPDATE publisher SET consecutive_failures = consecutive_failures + ?1, \
         last_error = ?2, last_failed_at_ms = ?3",
    )
    .bind(failures)
    .bind(reason)
    .bind(now_ms)
    .execute(connection)
    .await?;
    Ok(())
}
