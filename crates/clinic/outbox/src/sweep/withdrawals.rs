//! Withdrawals that the outbox gives out by itself: of records a sweep misses, of a removed source,
//! of older versions whose correction is refused, and once more for a repair or a risen generation.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};
use contract::{Body, FactKind, RecordDigest};
use record_secrets::{RecordSecrets, Revision};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::bitmap::{self, Bits};
use super::missing::asserted_in;
use crate::batches::{Capacity, NewEvent, Sealing, store_batches};
use crate::classes;
use crate::corrections;
use crate::dead_letters::{
    RegistryLetter, VERSIONS_EXHAUSTED, WITHDRAWAL_OF_UNKNOWN_KIND, close_of_registry, open_letters,
};
use crate::file::{Database, OutboxError};
use crate::records::{
    KnownRecord, LookedUp, RecordUpdate, Records, SourceStamp, forget_names, last_record_no,
    store_known,
};
use crate::versions::{Renewal, Versions, end_renewal, next_revision, read_renewal};

/// Most records withdrawn in one transaction.
pub(super) const MAX_TRANSACTION_RECORDS: usize = 5000;

/// Records by the row of their feed, if they have one.
type ByFeed = BTreeMap<Option<i64>, Vec<(RecordDigest, KnownRecord)>>;

/// Withdrawal of records of one feed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Withdrawal {
    pub(crate) feed_id: i64,
    pub(crate) kind: FactKind,
    /// Last record number that may be withdrawn.
    pub(crate) horizon: i64,
    pub(crate) cause: WithdrawalCause,
    pub(crate) now: DateTime<Utc>,
}

/// Cause of a withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithdrawalCause {
    /// Sweep that has not seen the records; those it has seen are spared.
    Sweep,
    /// Source or feed that is no longer configured.
    RemovedSource,
    /// Correction that cannot be sent: the older version does not hold any more.
    RefusedCorrection,
    /// Repair or retry of a withdrawal that the registry does not hold.
    Repair,
    /// Generation that has risen.
    Renewal,
}

/// Records of one feed that stand withdrawn, each with a revision to go above.
pub(crate) struct WithdrawnAlike {
    pub(crate) withdrawal: Withdrawal,
    pub(crate) records: Vec<(RecordDigest, Option<Revision>)>,
}

/// Result of giving out withdrawals: those that no version was left for became dead letters.
#[derive(Debug, Default)]
pub(crate) struct GivenOut {
    /// Records withdrawn.
    pub(crate) sent: Vec<RecordDigest>,
    /// Numbers of the records that are parked.
    pub(crate) parked: Vec<i64>,
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

    /// Values that only this clinic can derive of its records.
    /// Present generation.
    pub(super) fn generation(&self) -> u32 {
        self.versions.generation()
    }

    pub(super) fn secrets(&self) -> &RecordSecrets {
        self.sealing.secrets()
    }

    /// Withdraws those of the missing records that are still asserted and unseen, in one
    /// transaction; returns their number.
    ///
    /// # Errors
    /// [`OutboxError::Full`] before anything is done, and the disk's failures.
    pub(super) async fn withdraw(
        &self,
        withdrawal: &Withdrawal,
        missing: &[i64],
    ) -> Result<u64, OutboxError> {
        let _guard = self.versions.gate().lock().await;
        self.capacity.check().await?;
        let Withdrawal {
            feed_id, horizon, ..
        } = *withdrawal;
        let blocks: BTreeSet<i64> = missing.iter().copied().map(bitmap::block_of).collect();
        let blocks: Vec<i64> = blocks.into_iter().collect();
        let seen = Bits::load(self.database.readers(), feed_id, Some(&blocks)).await?;
        let mut known = self.records.look_up_numbers(missing).await?;
        known.retain(|(_, known)| {
            known.state.feed_id == Some(feed_id)
                && known.is_asserted()
                && known.record_no <= horizon
                && !seen.has(known.record_no)
        });
        if known.is_empty() {
            return Ok(0);
        }
        let given_out = self.give_out(&known, withdrawal).await?;
        fault::check::<OutboxError>(fault::Point::OutboxSweepWithdrawing)?;
        Ok(given_out.sent.len() as u64)
    }

    /// Withdraws all records of a feed in one block of numbers, chunk by chunk; returns the number
    /// of those that were withdrawn.
    ///
    /// # Errors
    /// [`OutboxError::Full`] (call again, it goes on) and the disk's failures.
    pub(super) async fn withdraw_block(
        &self,
        withdrawal: &Withdrawal,
        block: i64,
    ) -> Result<u64, OutboxError> {
        let Withdrawal {
            feed_id, horizon, ..
        } = *withdrawal;
        let mut withdrawn = 0;
        let mut parked = HashSet::new();
        loop {
            let _guard = self.versions.gate().lock().await;
            self.capacity.check().await?;
            let mut asserted = asserted_in(&self.records, feed_id, horizon, block).await?;
            asserted.retain(|record_no| !parked.contains(record_no));
            asserted.truncate(MAX_TRANSACTION_RECORDS);
            if asserted.is_empty() {
                return Ok(withdrawn);
            }
            let known = self.records.look_up_numbers(&asserted).await?;
            let given_out = self.give_out(&known, withdrawal).await?;
            withdrawn += given_out.sent.len() as u64;
            parked.extend(given_out.parked);
            fault::check::<OutboxError>(fault::Point::OutboxSweepWithdrawing)?;
        }
    }

    /// Selects those of the records that stand withdrawn, and groups those of a feed. Each record
    /// has a revision to go above, or none.
    pub(crate) async fn select_withdrawn(
        &self,
        records: &[(RecordDigest, Option<Revision>)],
        now: DateTime<Utc>,
    ) -> Result<Vec<WithdrawnAlike>, OutboxError> {
        let digests: Vec<RecordDigest> = records.iter().map(|(record, _)| *record).collect();
        let LookedUp { known, .. } = self.records.look_up(&digests).await?;
        let withdrawn = records.iter().filter_map(|(record, above)| {
            let state = known.get(record)?.state;
            let feed_id = state.feed_id?;
            (state.withdrawn && state.was_sent()).then_some((feed_id, (*record, *above)))
        });
        let mut by_feed = BTreeMap::<i64, Vec<_>>::new();
        for (feed_id, record) in withdrawn {
            by_feed.entry(feed_id).or_default().push(record);
        }
        let kinds = kinds_of_feeds(self.database.readers()).await?;
        let groups = by_feed.into_iter().filter_map(|(feed_id, records)| {
            let withdrawal = Withdrawal {
                feed_id,
                kind: *kinds.get(&feed_id)?,
                horizon: 0,
                cause: WithdrawalCause::Repair,
                now,
            };
            Some(WithdrawnAlike {
                withdrawal,
                records,
            })
        });
        Ok(groups.collect())
    }

    /// Gives out every withdrawal of an earlier generation once more, after the generation rose: no
    /// source can be read for rows that are gone. Those whose kind of fact is unknown, of files
    /// from before feeds were remembered, become dead letters. Lets the outbox become fuller than
    /// it may. Does nothing where nothing is left of that.
    ///
    /// # Errors
    /// The disk's failures; the next call goes on.
    pub(crate) async fn renew(&self, now: DateTime<Utc>) -> Result<(), OutboxError> {
        let _guard = self.versions.gate().lock().await;
        let due = read_renewal(self.database.readers()).await?;
        if due != Some(Renewal::Withdrawals) {
            return Ok(());
        }
        let kinds = kinds_of_feeds(self.database.readers()).await?;
        let horizon = last_record_no(self.database.readers()).await?;
        let mut scanned = 0;
        let mut unknown = 0;
        while scanned < horizon {
            let (by_feed, upto) = self.old_withdrawals(scanned + 1, horizon).await?;
            scanned = upto;
            for (feed_id, known) in by_feed {
                let kind = feed_id.and_then(|feed_id| Some((feed_id, *kinds.get(&feed_id)?)));
                let Some((feed_id, kind)) = kind else {
                    self.park_unknown(&known, now).await?;
                    unknown += known.len();
                    continue;
                };
                let withdrawal = Withdrawal {
                    feed_id,
                    kind,
                    horizon,
                    cause: WithdrawalCause::Renewal,
                    now,
                };
                self.give_out(&known, &withdrawal).await?;
            }
        }
        if unknown > 0 {
            tracing::warn!(
                withdrawals = unknown,
                "withdrawals cannot follow the raise, since it is not known of which kind of fact \
                 their records were: they are dead letters"
            );
        }
        let mut transaction = self.database.begin().await?;
        end_renewal(transaction.connection()).await?;
        transaction.commit().await
    }

    /// Reads the next withdrawals of earlier generations, a bounded number of them, by their feed;
    /// returns the number of the last record that was looked at too.
    async fn old_withdrawals(
        &self,
        first: i64,
        horizon: i64,
    ) -> Result<(ByFeed, i64), OutboxError> {
        let generation = self.versions.generation();
        let mut by_feed = ByFeed::new();
        let mut found = 0;
        let mut upto = horizon;
        let visit = |record: &RecordDigest, known: &KnownRecord| {
            let state = known.state;
            if state.withdrawn && state.was_sent() && state.revision.generation < generation {
                let of_feed = by_feed.entry(state.feed_id).or_default();
                of_feed.push((*record, *known));
                found += 1;
            }
            if found == MAX_TRANSACTION_RECORDS {
                upto = known.record_no;
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        self.records.scan(first..=horizon, visit).await?;
        Ok((by_feed, upto))
    }

    /// Makes dead letters of withdrawn records whose kind of fact is unknown.
    async fn park_unknown(
        &self,
        known: &[(RecordDigest, KnownRecord)],
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        let letters = known
            .iter()
            .map(|(record, known)| RegistryLetter::of(*record, known, WITHDRAWAL_OF_UNKNOWN_KIND));
        let mut transaction = self.database.begin().await?;
        open_letters(transaction.connection(), letters, now).await?;
        transaction.commit().await
    }

    /// Gives out a withdrawal of each record once more, above the revisions that were sent and
    /// those named. Only under the gate.
    ///
    /// # Errors
    /// [`OutboxError::Full`] before anything is done, and the disk's failures.
    pub(crate) async fn give_out_again(
        &self,
        withdrawal: &Withdrawal,
        records: &[(RecordDigest, Option<Revision>)],
    ) -> Result<GivenOut, OutboxError> {
        self.capacity.check().await?;
        let digests: Vec<RecordDigest> = records.iter().map(|(record, _)| *record).collect();
        let LookedUp { mut known, .. } = self.records.look_up(&digests).await?;
        let adopted = records.iter().filter_map(|(record, above)| {
            let mut known = known.remove(record)?;
            known.state.revision = known
                .state
                .revision
                .max(above.unwrap_or(known.state.revision));
            Some((*record, known))
        });
        let adopted: Vec<(RecordDigest, KnownRecord)> = adopted.collect();
        self.give_out(&adopted, withdrawal).await
    }

    /// Gives out a withdrawal of each record that a version is left for, and parks the others, in
    /// one transaction. Only under the gate.
    pub(super) async fn give_out(
        &self,
        known: &[(RecordDigest, KnownRecord)],
        withdrawal: &Withdrawal,
    ) -> Result<GivenOut, OutboxError> {
        let kind = withdrawal.kind;
        let generation = self.versions.generation();
        let secrets = self.sealing.secrets();
        let mut given_out = GivenOut::default();
        let mut letters = Vec::new();
        let mut updates = Vec::with_capacity(known.len());
        let mut events = Vec::with_capacity(known.len());
        for (record, known) in known {
            let Some(revision) = next_revision(Some(known), generation) else {
                given_out.parked.push(known.record_no);
                letters.push(RegistryLetter::of(*record, known, VERSIONS_EXHAUSTED));
                continue;
            };
            let content = secrets.withdrawal_content(record, kind);
            given_out.sent.push(*record);
            updates.push(RecordUpdate {
                record: *record,
                record_no: Some(known.record_no),
                content: Some(content),
                revision,
                withdrawn: true,
                stamp: withdrawal.cause.stamp_left(known),
            });
            events.push(NewEvent {
                record: *record,
                revision,
                content,
                body: Body::Withdrawn { kind },
            });
        }
        let batches = self.sealing.shuffle_and_seal(events).await?;
        fault::check::<OutboxError>(fault::Point::OutboxSealed)?;
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        store_batches(connection, &batches, withdrawal.now).await?;
        store_known(connection, &updates, withdrawal.feed_id).await?;
        let record_nos: Vec<i64> = updates
            .iter()
            .filter_map(|update| update.record_no)
            .collect();
        forget_names(connection, &record_nos).await?;
        note_withdrawn(connection, withdrawal, &given_out.sent).await?;
        classes::forget_standing(connection, given_out.sent.iter()).await?;
        close_of_registry(connection, given_out.sent.iter()).await?;
        open_letters(connection, letters, withdrawal.now).await?;
        count(connection, withdrawal, updates.len().saturating_as()).await?;
        self.versions
            .commit(transaction, !batches.is_empty())
            .await?;
        Ok(given_out)
    }
}

impl WithdrawalCause {
    /// Stamp of a record that is withdrawn: of a row that was read and refused its own, so that it
    /// is read again when it has changed; none else, so that a row that comes back is read again.
    const fn stamp_left(self, known: &KnownRecord) -> SourceStamp {
        match self {
            Self::RefusedCorrection => known.state.stamp,
            Self::Sweep | Self::RemovedSource | Self::Repair | Self::Renewal => None,
        }
    }
}

/// Notes of refused corrections that the withdrawals have an effect on: they tell of it, or go with
/// the rows.
async fn note_withdrawn(
    connection: &mut SqliteConnection,
    withdrawal: &Withdrawal,
    records: &[RecordDigest],
) -> Result<(), OutboxError> {
    match withdrawal.cause {
        WithdrawalCause::RefusedCorrection => {
            corrections::mark_withdrawn(connection, records.iter(), withdrawal.now).await
        }
        WithdrawalCause::Sweep | WithdrawalCause::RemovedSource => {
            corrections::forget(connection, records.iter()).await?;
            Ok(())
        }
        WithdrawalCause::Repair | WithdrawalCause::Renewal => Ok(()),
    }
}

impl WithdrawnAlike {
    /// Parts that fit a transaction each.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &[(RecordDigest, Option<Revision>)]> {
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
    let is_renewal = withdrawal.cause == WithdrawalCause::Renewal;
    sqlx::query(
        "UPDATE feed SET withdrawn_total = withdrawn_total + iif(?3, 0, ?2), \
         resent_total = resent_total + iif(?3, ?2, 0) WHERE id = ?1",
    )
    .bind(withdrawal.feed_id)
    .bind(records)
    .bind(is_renewal)
    .execute(&mut *connection)
    .await?;
    if withdrawal.cause != WithdrawalCause::Sweep {
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
