//! Records that differ at the registry, as a reconciliation remembers them.

use std::collections::BTreeSet;

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};
use contract::{RecordDigest, Version};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::batches::MAX_DIFFERENCES;
use crate::file::{Database, OutboxError, digest_from, json, to_ms};
use crate::sweep::owe_sweeps;

/// Differences read at a time.
const MAX_READ: usize = 5000;

/// A record that differs.
pub(super) struct StoredDifference {
    pub(super) record: RecordDigest,
    /// Version the registry holds; `None` if it has none.
    pub(super) held: Option<Version>,
}

/// Reads the next differences of a reconciliation, a bounded number of them, in the order of their
/// records.
pub(super) async fn read_after(
    pool: &SqlitePool,
    reconciliation_id: i64,
    after: Option<RecordDigest>,
) -> Result<Vec<StoredDifference>, OutboxError> {
    let rows: Vec<(Vec<u8>, Option<i64>)> = sqlx::query_as(
        "SELECT record, held FROM difference WHERE reconciliation_id = ?1 AND record > ?2 \
         ORDER BY record LIMIT ?3",
    )
    .bind(reconciliation_id)
    .bind(after.map_or_else(Vec::new, |record| record.0.to_vec()))
    .bind(MAX_READ.saturating_as::<i64>())
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(record, held)| {
            Ok(StoredDifference {
                record: digest_from(record)?,
                held: held.and_then(|held| Version::new(held.unsigned_abs())),
            })
        })
        .collect()
}

/// Notes that all differences that are left are about to be repaired: a repair that is cut short
/// goes on with the next call.
pub(super) async fn note_repair(
    database: &Database,
    reconciliation_id: i64,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    let mut transaction = database.begin().await?;
    sqlx::query(
        "UPDATE reconciliation SET repaired_at_ms = ?2, repaired = max(repaired, \
         (SELECT count(*) FROM difference WHERE reconciliation_id = ?1)) \
         WHERE id = ?1 AND EXISTS (SELECT 1 FROM difference WHERE reconciliation_id = ?1)",
    )
    .bind(reconciliation_id)
    .bind(to_ms(now))
    .execute(transaction.connection())
    .await?;
    transaction.commit().await
}

/// Forgets these differences.
pub(super) async fn forget(
    connection: &mut SqliteConnection,
    reconciliation_id: i64,
    records: impl Iterator<Item = &RecordDigest>,
) -> Result<(), OutboxError> {
    let records: Vec<String> = records.map(RecordDigest::to_hex).collect();
    sqlx::query(
        "DELETE FROM difference WHERE reconciliation_id = ?1 \
         AND record IN (SELECT unhex(value) FROM json_each(?2))",
    )
    .bind(reconciliation_id)
    .bind(json(&records))
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets all differences of the reconciliation; returns source and feed of the feeds.
pub(super) async fn forget_all(
    connection: &mut SqliteConnection,
    reconciliation_id: i64,
    feeds: &BTreeSet<i64>,
) -> Result<Vec<(String, String)>, OutboxError> {
    let feeds: Vec<(String, String)> = sqlx::query_as(
        "SELECT source, feed FROM feed WHERE id IN (SELECT value FROM json_each(?1)) \
         ORDER BY source, feed",
    )
    .bind(json(feeds))
    .fetch_all(&mut *connection)
    .await?;
    // Their records are forgotten: only a sweep reads them, whatever happens to this program.
    owe_sweeps(&mut *connection, &feeds).await?;
    sqlx::query("DELETE FROM difference WHERE reconciliation_id = ?1")
        .bind(reconciliation_id)
        .execute(&mut *connection)
        .await?;
    delete_unreadable_batches(connection, reconciliation_id).await?;
    forget_needed_raise(connection, reconciliation_id).await?;
    Ok(feeds)
}

/// Forgets that receipts ask for a higher generation, once the registry was asked about everything:
/// each record that it holds a higher version of was prepared to be sent above that. Not if
/// receipts have asked since the reconciliation began: it may have known nothing of their records.
async fn forget_needed_raise(
    connection: &mut SqliteConnection,
    reconciliation_id: i64,
) -> Result<(), OutboxError> {
    sqlx::query(
        "UPDATE meta SET raise_needed = NULL \
         WHERE coalesce(raise_asked_after < ?1, true) AND EXISTS \
         (SELECT 1 FROM reconciliation WHERE id = ?1 AND source IS NULL \
         AND finished_at_ms IS NOT NULL AND missing + stale + extra + conflicting <= ?2)",
    )
    .bind(reconciliation_id)
    .bind(MAX_DIFFERENCES)
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes batches the registry could not read, once it was asked about all that is in them: the
/// records that it lacks of those have been prepared to be sent anew. A batch sealed to a wrong key
/// would be sent in vain for ever, and fill the outbox.
async fn delete_unreadable_batches(
    connection: &mut SqliteConnection,
    reconciliation_id: i64,
) -> Result<(), OutboxError> {
    sqlx::query(
        "DELETE FROM batch WHERE kind = 'events' AND state = 'sent' AND unreadable IS NOT NULL \
         AND created_at_ms < \
         (SELECT started_at_ms FROM reconciliation WHERE id = ?1 AND source IS NULL \
         AND finished_at_ms IS NOT NULL AND missing + stale + extra + conflicting <= ?2)",
    )
    .bind(reconciliation_id)
    .bind(MAX_DIFFERENCES)
    .execute(connection)
    .await?;
    Ok(())
}
