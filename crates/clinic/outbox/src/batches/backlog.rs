//! The backlog of sealed batches, and the limit of their bytes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::file::{Database, OutboxError, from_ms};
use crate::versions::{CommitGuard, Versions};

/// Sealed batches that still have to leave, and those that wait for their receipts; beacons count
/// in the bytes alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// Batches that have to leave, leased ones included.
    pub batches: u64,
    /// Batches of those that are being published.
    pub leased: u64,
    /// Events in the batches that have to leave.
    pub events: u64,
    /// Sealed bytes kept, those waiting for receipts included: they count towards the limit.
    pub bytes: u64,
    /// Batches the broker has whose receipts have not come.
    pub awaiting_receipt_batches: u64,
    /// Batches the registry could not read.
    pub unreadable_batches: u64,
    /// Time at which the oldest batch that has to leave was committed.
    pub oldest_at: Option<DateTime<Utc>>,
}

/// Counts the backlog.
pub(crate) async fn count_backlog(
    connection: &mut SqliteConnection,
) -> Result<Backlog, OutboxError> {
    type Counts = (i64, i64, i64, i64, i64, i64, Option<i64>);
    let (batches, leased, events, bytes, awaiting, unreadable, oldest_ms): Counts = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE state <> 'sent' AND beacon = 0), \
         count(*) FILTER (WHERE state = 'leased' AND beacon = 0), \
         coalesce(sum(event_count) FILTER (WHERE state <> 'sent'), 0), \
         coalesce(sum(sealed_bytes), 0), \
         count(*) FILTER (WHERE state = 'sent' AND beacon = 0), \
         count(unreadable) FILTER (WHERE beacon = 0), \
         min(created_at_ms) FILTER (WHERE state <> 'sent' AND beacon = 0) FROM batch",
    )
    .fetch_one(connection)
    .await?;
    // SQLite counts in signed numbers; these never fall below zero.
    let unsigned = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(Backlog {
        batches: unsigned(batches),
        leased: unsigned(leased),
        events: unsigned(events),
        bytes: unsigned(bytes),
        awaiting_receipt_batches: unsigned(awaiting),
        unreadable_batches: unsigned(unreadable),
        oldest_at: oldest_ms.and_then(from_ms),
    })
}

/// Returns whether any batch waits for the broker.
pub(crate) async fn has_unsent(pool: &SqlitePool) -> Result<bool, OutboxError> {
    let any = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM batch WHERE state <> 'sent')")
        .fetch_one(pool)
        .await?;
    Ok(any)
}

/// Returns whether any batch, a beacon included, waits for the registry's answer.
pub(crate) async fn awaits_answer(pool: &SqlitePool) -> Result<bool, OutboxError> {
    let any = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM batch WHERE state = 'sent')")
        .fetch_one(pool)
        .await?;
    Ok(any)
}

/// Limit of the sealed bytes kept.
#[derive(Debug)]
pub(crate) struct Capacity {
    max_bytes: u64,
    database: Arc<Database>,
    versions: Arc<Versions>,
}

impl Capacity {
    pub(crate) const fn new(
        max_bytes: u64,
        database: Arc<Database>,
        versions: Arc<Versions>,
    ) -> Self {
        Self {
            max_bytes,
            database,
            versions,
        }
    }

    /// Returns whether the limit is reached.
    pub(crate) async fn is_full(&self) -> Result<bool, OutboxError> {
        Ok(!self.has_room_for_sure() && self.kept_bytes().await? >= self.max_bytes)
    }

    /// Refuses a page while the outbox is full. Batches are counted only when they may have become
    /// too many: a count looks at each of them.
    ///
    /// # Errors
    /// [`OutboxError::Full`] and the disk's failures.
    pub(crate) async fn check_for_page(&self, guard: &CommitGuard<'_>) -> Result<(), OutboxError> {
        if self.has_room_for_sure() {
            return Ok(());
        }
        let kept_bytes = self.kept_bytes().await?;
        guard.note_kept_bytes(kept_bytes);
        self.check_bytes(kept_bytes)
    }

    /// Counts the batches, and refuses whatever would add to them while the outbox is full.
    ///
    /// # Errors
    /// [`OutboxError::Full`] and the disk's failures.
    pub(crate) async fn check(&self) -> Result<(), OutboxError> {
        self.check_bytes(self.kept_bytes().await?)
    }

    fn has_room_for_sure(&self) -> bool {
        let kept_at_most = self.versions.gate().kept_at_most_bytes();
        kept_at_most.is_some_and(|bytes| bytes < self.max_bytes)
    }

    async fn kept_bytes(&self) -> Result<u64, OutboxError> {
        let mut connection = self.database.readers().acquire().await?;
        Ok(count_backlog(&mut connection).await?.bytes)
    }

    const fn check_bytes(&self, pending_bytes: u64) -> Result<(), OutboxError> {
        let max_bytes = self.max_bytes;
        if pending_bytes < max_bytes {
            Ok(())
        } else {
            Err(OutboxError::Full {
                pending_bytes,
                max_bytes,
            })
        }
    }
}
