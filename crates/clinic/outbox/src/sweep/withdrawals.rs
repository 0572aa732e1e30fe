//! Withdrawals that the outbox gives out by itself: of records a sweep misses, of a removed source,
//! and once more for a repair.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};
use contract::{Body, ContentDigest, Event, FactKind, RecordDigest, Version};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::bitmap::Bits;
use super::missing::asserted_in;
use crate::batches::{Capacity, Sealing, store_batches};
use crate::dead_letters::close_of_registry;
use crate::file::{Database, OutboxError};
use crate::records::{KnownRecord, LookedUp, RecordUpdate, Records, store_known};
use crate::versions::{Versions, next_version};

/// Most records withdrawn in one transaction.
const MAX_TRANSACTION_RECORDS: usize = 5000;

/// Withdrawal of records of one feed that say the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Withdrawal {
    pub(crate) feed_id: i64,
    pub(crate) kind: FactKind,
    pub(crate) content: ContentDigest,
    /// Last record number that may be withdrawn.
    pub(crate) horizon: i64,
    /// True if records that the running sweep has seen are spared.
    pub(crate) is_swept: bool,
    pub(crate) now: DateTime<Utc>,
}

/// Records that stand withdrawn alike, each with a version to go above.
pub(crate) struct WithdrawnAlike {
    pub(crate) withdrawal: Withdrawal,
    pub(crate) records: Vec<(RecordDigest, Version)>,
}

/// Withdrawals, over one writer.
#[derive(Debug)]
pub(crate) struct Withdrawals {
    database: Arc<Database>,
    records: Arc<Records>,
    versions: Arc<Versions>,
    sealing: Arc<Sealing>,
    capacity: Arc<Capacity>,
}

impl Withdrawals {
    pub(crate) const fn new(
        database: Arc<Database>,
        records: Arc<Records>,
        versions: Arc<Versions>,
        sealing: Arc<Sealing>,
        capacity: Arc<Capacity>,
    ) -> Self {
        Self {
            database,
            records,
            versions,
            sealing,
            capacity,
        }
    }

    /// Withdraws the missing records of one block of the bitmap, chunk by chunk, looking again
    /// before each.
    ///
    /// # Errors
    /// [`OutboxError::Full`] (call again, it goes on) and the disk's failures.
    pub(super) async fn withdraw_block(
        &self,
        withdrawal: &Withdrawal,
        block: i64,
    ) -> Result<(), OutboxError> {
        let pool = self.database.readers();
        let Withdrawal {
            feed_id, horizon, ..
        } = *withdrawal;
        loop {
            let _guard = self.versions.gate().lock().await;
            self.capacity.check().await?;
            let seen = if withdrawal.is_swept {
                Bits::load(pool, feed_id, Some(&[block])).await?
            } else {
                Bits::default()
            };
            let mut missing = asserted_in(&self.records, feed_id, horizon, block).await?;
            missing.retain(|record_no| !seen.has(*record_no));
            missing.truncate(MAX_TRANSACTION_RECORDS);
            if missing.is_empty() {
                return Ok(());
            }
            let known = self.records.look_up_numbers(&missing).await?;
            self.give_out(&known, withdrawal).await?;
            fault::check::<OutboxError>(fault::Point::OutboxSweepWithdrawing)?;
        }
    }

    /// Selects those of the records that stand withdrawn, and groups those that say the same. Each
    /// record has a version to go above.
    pub(crate) async fn select_withdrawn(
        &self,
        records: &[(RecordDigest, Version)],
        now: DateTime<Utc>,
    ) -> Result<Vec<WithdrawnAlike>, OutboxError> {
        let kinds = kinds_of_feeds(self.database.readers()).await?;
        let digests: Vec<RecordDigest> = records.iter().map(|(record, _)| *record).collect();
        let LookedUp { known, .. } = self.records.look_up(&digests).await?;
        let mut alike = BTreeMap::<_, Vec<_>>::new();
        for (record, above) in records {
            let state = known.get(record).map(|known| known.state);
            let withdrawn = state.filter(|state| state.withdrawn && state.was_sent());
            let feed_and_content = withdrawn.and_then(|state| state.feed_id.zip(state.content));
            if let Some((feed_id, content)) = feed_and_content
                && kinds.contains_key(&feed_id)
            {
                let group = alike.entry((feed_id, content.0)).or_default();
                group.push((*record, *above));
            }
        }
        let groups = alike.into_iter().map(|((feed_id, content), records)| {
            let withdrawal = Withdrawal {
                feed_id,
                kind: kinds[&feed_id],
                content: ContentDigest(content),
                horizon: 0,
                is_swept: false,
                now,
            };
            WithdrawnAlike {
                withdrawal,
                records,
            }
        });
        Ok(groups.collect())
    }

    /// Gives out a withdrawal of each record once more, above the versions that were sent and those
    /// named. Only under the gate.
    ///
    /// # Errors
    /// [`OutboxError::Full`] before anything is done, and the disk's failures.
    pub(crate) async fn give_out_again(
        &self,
        withdrawal: &Withdrawal,
        records: &[(RecordDigest, Version)],
    ) -> Result<(), OutboxError> {
        self.capacity.check().await?;
        let digests: Vec<RecordDigest> = records.iter().map(|(record, _)| *record).collect();
        let LookedUp { mut known, .. } = self.records.look_up(&digests).await?;
        let adopted = records.iter().filter_map(|(record, above)| {
            let mut known = known.remove(record)?;
            known.state.version = known.state.version.max(*above);
            Some((*record, known))
        });
        let adopted: Vec<(RecordDigest, KnownRecord)> = adopted.collect();
        self.give_out(&adopted, withdrawal).await
    }

    /// Gives out a withdrawal of each record, in one transaction. Only under the gate.
    async fn give_out(
        &self,
        known: &[(RecordDigest, KnownRecord)],
        withdrawal: &Withdrawal,
    ) -> Result<(), OutboxError> {
        let Withdrawal { kind, content, .. } = *withdrawal;
        let generation = self.versions.generation();
        let mut updates = Vec::with_capacity(known.len());
        let mut events = Vec::with_capacity(known.len());
        for (record, known) in known {
            let version = next_version(Some(known), generation)?;
            updates.push(RecordUpdate {
                record: *record,
                record_no: Some(known.record_no),
                content: Some(content),
                version,
                withdrawn: true,
                // None, so that a row that comes back is read again.
                stamp: None,
            });
            events.push(Event {
                record: *record,
                version,
                content: Some(content),
                body: Body::Withdrawn { kind },
            });
        }
        let batches = self.sealing.shuffle_and_seal(events).await?;
        fault::check::<OutboxError>(fault::Point::OutboxSealed)?;
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        store_batches(connection, &batches, withdrawal.now).await?;
        store_known(connection, &updates, withdrawal.feed_id).await?;
        close_of_registry(connection, updates.iter().map(|update| &update.record)).await?;
        count(connection, withdrawal, updates.len().saturating_as()).await?;
        self.versions.commit(transaction, true).await
    }
}

impl WithdrawnAlike {
    /// Parts that fit a transaction each.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &[(RecordDigest, Version)]> {
        self.records.chunks(MAX_TRANSACTION_RECORDS)
    }
}

/// Kinds of fact of the feeds, of those where it is known.
async fn kinds_of_feeds(pool: &SqlitePool) -> Result<HashMap<i64, FactKind>, OutboxError> {
    let kinds: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, kind FROM feed WHERE kind IS NOT NULL")
            .fetch_all(pool)
            .await?;
    let kinds = kinds.into_iter().filter_map(|(feed_id, name)| {
        let kind = FactKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)?;
        Some((feed_id, kind))
    });
    Ok(kinds.collect())
}

async fn count(
    connection: &mut SqliteConnection,
    withdrawal: &Withdrawal,
    records: i64,
) -> Result<(), OutboxError> {
    sqlx::query("UPDATE feed SET withdrawn_total = withdrawn_total + ?2 WHERE id = ?1")
        .bind(withdrawal.feed_id)
        .bind(records)
        .execute(&mut *connection)
        .await?;
    if !withdrawal.is_swept {
        return Ok(());
    }
    sqlx::query(
        "UPDATE sweep SET withdrawn = withdrawn + ?2, withdrawn_total = withdrawn_total + ?2 \
         WHERE feed_id = ?1",
    )
    .bind(withdrawal.feed_id)
    .bind(records)
    .execute(connection)
    .await?;
    Ok(())
}
