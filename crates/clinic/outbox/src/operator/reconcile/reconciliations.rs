//! Reconciliations, from the first probe to the repair.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};
use contract::wire::Probed;
use contract::{ContentDigest, RecordDigest, wire};
use record_secrets::{RecordSecrets, Revision};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::differences::{self, StoredDifference};
use super::parking;
use crate::batches::{Capacity, Sealing, seal_probes, store_batches};
use crate::dead_letters::{open_letters, refused_by_registry};
use crate::file::{Database, OutboxError, side_by_side, to_ms};
use crate::records::{self, KnownRecord, RecordMap, Records, last_record_no};
use crate::sweep::{GivenOut, Withdrawals, WithdrawnAlike};
use crate::versions::Versions;

/// Records put into probes by one call.
const MAX_CALL_PROBES: usize = 4 * wire::MAX_PROBED;

/// Reports kept.
const MAX_REPORTS: i64 = 100;

/// Steps that are left to do for a repair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairPlan {
    /// Number of withdrawals that were sent again.
    pub resent_withdrawals: u64,
    /// Number of records that became dead letters: no version of this clinic is above the
    /// registry's.
    pub parked: u64,
    /// Sources and feeds to sweep: their differing records are read and sent again on the way.
    pub by_sweep: Vec<(String, String)>,
}

/// Reconciliations with the registry.
#[derive(Debug)]
pub(crate) struct Reconciliations {
    database: Arc<Database>,
    records: Arc<Records>,
    versions: Arc<Versions>,
    sealing: Arc<Sealing>,
    capacity: Arc<Capacity>,
    withdrawals: Arc<Withdrawals>,
    /// True if the registry sends receipts, and so can answer a probe.
    receipts: bool,
}

/// Progress of a reconciliation's probes, as its row has it.
struct Probing {
    /// Last record number that was put into a probe.
    probed_to: i64,
    /// Last record number that is asked about.
    horizon: i64,
    all_sent: bool,
    source: Option<String>,
}

/// A record to be asked about.
struct ProbedRecord {
    record_no: i64,
    probed: Probed,
}

impl Reconciliations {
    pub(crate) const fn new(
        database: Arc<Database>,
        records: Arc<Records>,
        versions: Arc<Versions>,
        sealing: Arc<Sealing>,
        capacity: Arc<Capacity>,
        withdrawals: Arc<Withdrawals>,
        receipts: bool,
    ) -> Self {
        Self {
            database,
            records,
            versions,
            sealing,
            capacity,
            withdrawals,
            receipts,
        }
    }

    /// Begins to compare one source's records, or all, with the registry's; an older unfinished
    /// reconciliation of the same source ends. Returns its number.
    pub(crate) async fn begin(
        &self,
        source: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<i64, OutboxError> {
        if !self.receipts {
            return Err(OutboxError::ReceiptsOff);
        }
        let mut transaction = self.database.begin().await?;
        let id = begin(transaction.connection(), source, now).await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// Puts the next records into sealed probes; returns whether all are.
    pub(crate) async fn add_probes(
        &self,
        id: i64,
        now: DateTime<Utc>,
    ) -> Result<bool, OutboxError> {
        let pool = self.database.readers();
        let _guard = self.versions.gate().lock().await;
        self.capacity.check().await?;
        let probing = read_probing(pool, id).await?;
        if probing.all_sent {
            return Ok(true);
        }
        let next = self.next_to_probe(&probing).await?;
        let all_sent = next.len() < MAX_CALL_PROBES;
        let probed_to = next.last().map_or(probing.horizon, |last| last.record_no);
        let digests = side_by_side(next.iter().map(|next| &next.probed.record));
        let refused = refused_by_registry(pool, digests).await?;
        let probed: Vec<Probed> = next
            .into_iter()
            .map(|next| next.probed)
            .filter(|probed| !refused.contains(&probed.record))
            .collect();
        let probes = probed.len().saturating_as::<i64>();
        let batches = seal_probes(&self.sealing, probed, id).await?;
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        store_batches(connection, &batches, now).await?;
        sqlx::query(
            "UPDATE reconciliation SET probed_to = ?2, probes = probes + ?3, all_sent = ?4, \
             finished_at_ms = iif(?4 AND answered >= probes + ?3, ?5, NULL) WHERE id = ?1",
        )
        .bind(id)
        .bind(probed_to)
        .bind(probes)
        .bind(all_sent)
        .bind(to_ms(now))
        .execute(connection)
        .await?;
        self.versions.commit(transaction, false).await?;
        Ok(all_sent)
    }

    async fn next_to_probe(&self, probing: &Probing) -> Result<Vec<ProbedRecord>, OutboxError> {
        let source = probing.source.as_deref();
        let feeds: Vec<i64> = sqlx::query_scalar("SELECT id FROM feed WHERE source = ?1")
            .bind(source)
            .fetch_all(self.database.readers())
            .await?;
        let is_of_source = |feed_id: Option<i64>| {
            source.is_none() || feed_id.is_some_and(|feed_id| feeds.contains(&feed_id))
        };
        let secrets = self.sealing.secrets();
        let generation = self.versions.generation();
        let mut next = Vec::new();
        self.records
            .scan(probing.probed_to + 1..=probing.horizon, |record, known| {
                if is_of_source(known.state.feed_id)
                    && let Some(probed) = question(record, known, secrets, generation)
                {
                    let record_no = known.record_no;
                    next.push(ProbedRecord { record_no, probed });
                }
                if next.len() == MAX_CALL_PROBES {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
            .await?;
        Ok(next)
    }

    /// Prepares records that differ to be sent again: withdrawals at once, the rest when a sweep
    /// reads it.
    pub(crate) async fn prepare_repair(
        &self,
        id: i64,
        now: DateTime<Utc>,
    ) -> Result<RepairPlan, OutboxError> {
        let _guard = self.versions.gate().lock().await;
        differences::note_repair(&self.database, id, now).await?;
        let parked = self.park(id, now).await?;
        let resent_withdrawals = self.resend_withdrawals(id, now).await?;
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        let feeds = self.forget_differing_records(connection, id).await?;
        let by_sweep = differences::forget_all(connection, id, &feeds).await?;
        transaction.commit().await?;
        Ok(RepairPlan {
            resent_withdrawals,
            parked,
            by_sweep,
        })
    }

    /// Makes dead letters of the records that cannot be sent above the versions the registry holds,
    /// and forgets their differences; returns their number.
    async fn park(&self, id: i64, now: DateTime<Utc>) -> Result<u64, OutboxError> {
        let mut parked = 0;
        let mut after = None;
        loop {
            let differing = self.read_differences(id, after).await?;
            let Some(last) = differing.last() else {
                return Ok(parked);
            };
            after = Some(last.record);
            let known = self.known_of(&differing).await?;
            let secrets = self.sealing.secrets();
            let generation = self.versions.generation();
            let letters = parking::letters(&differing, &known, secrets, generation);
            if letters.is_empty() {
                continue;
            }
            parked += letters.len() as u64;
            let records: Vec<RecordDigest> = letters.iter().map(|letter| letter.record).collect();
            let mut transaction = self.database.begin().await?;
            let connection = transaction.connection();
            open_letters(connection, letters, now).await?;
            differences::forget(connection, id, records.iter()).await?;
            transaction.commit().await?;
        }
    }

    /// Sends again, above the versions the registry holds, the withdrawals that differ; returns
    /// their number. They need no source: they say nothing else.
    async fn resend_withdrawals(&self, id: i64, now: DateTime<Utc>) -> Result<u64, OutboxError> {
        let mut resent = 0;
        let mut after = None;
        loop {
            let differing = self.read_differences(id, after).await?;
            let Some(last) = differing.last() else {
                return Ok(resent);
            };
            after = Some(last.record);
            let records: Vec<(RecordDigest, Option<Revision>)> = differing
                .iter()
                .map(|difference| (difference.record, self.held_revision(difference)))
                .collect();
            for alike in self.withdrawals.select_withdrawn(&records, now).await? {
                resent += self.resend(id, &alike).await?;
            }
        }
    }

    /// Revision that the registry holds; `None` for a version that is not of this clinic, which
    /// only a lower one can be once the others are parked.
    fn held_revision(&self, difference: &StoredDifference) -> Option<Revision> {
        let secrets = self.sealing.secrets();
        secrets.revision(&difference.record, difference.held?)
    }

    async fn resend(&self, id: i64, alike: &WithdrawnAlike) -> Result<u64, OutboxError> {
        let mut resent = 0;
        for chunk in alike.chunks() {
            let withdrawals = &self.withdrawals;
            let GivenOut { sent, .. } =
                withdrawals.give_out_again(&alike.withdrawal, chunk).await?;
            resent += sent.len() as u64;
        }
        let mut transaction = self.database.begin().await?;
        let records = alike.records.iter().map(|(record, _)| record);
        differences::forget(transaction.connection(), id, records).await?;
        transaction.commit().await?;
        Ok(resent)
    }

    async fn read_differences(
        &self,
        id: i64,
        after: Option<RecordDigest>,
    ) -> Result<Vec<StoredDifference>, OutboxError> {
        differences::read_after(self.database.readers(), id, after).await
    }

    /// Records that differ, as far as they are known here.
    async fn known_of(
        &self,
        differing: &[StoredDifference],
    ) -> Result<RecordMap<KnownRecord>, OutboxError> {
        let digests = differing.iter().map(|difference| difference.record);
        let digests: Vec<RecordDigest> = digests.collect();
        Ok(self.records.look_up(&digests).await?.known)
    }

    /// Adopts the revisions the registry holds, and forgets content and stamp of all records that
    /// differ; returns their feeds.
    async fn forget_differing_records(
        &self,
        connection: &mut SqliteConnection,
        id: i64,
    ) -> Result<BTreeSet<i64>, OutboxError> {
        let mut feeds = BTreeSet::new();
        let mut after = None;
        loop {
            let differing = self.read_differences(id, after).await?;
            let Some(last) = differing.last() else {
                return Ok(feeds);
            };
            after = Some(last.record);
            let known = self.known_of(&differing).await?;
            let mut held = Vec::with_capacity(differing.len());
            for difference in &differing {
                let is_held = difference.held.is_some();
                let is_sent = |known: &&KnownRecord| known.state.was_sent() || is_held;
                let known = known.get(&difference.record);
                if let Some(known) = known.filter(is_sent) {
                    feeds.extend(known.state.feed_id);
                    held.push((known.record_no, self.held_revision(difference)));
                }
            }
            records::adopt(connection, held).await?;
        }
    }
}

/// Question about a record; none about one that is about to be read again. A row that was refused
/// from the first is asked about after a raise: a state that was lost may have sent it.
fn question(
    record: &RecordDigest,
    known: &KnownRecord,
    secrets: &RecordSecrets,
    generation: u32,
) -> Option<Probed> {
    let state = known.state;
    // No version stands for a count of 0.
    let revision = Revision {
        count: state.revision.count.max(1),
        ..state.revision
    };
    // None only for counts of files from before versions had a limit of their own.
    let version = secrets.version(record, revision)?;
    let probed = |content, withdrawn| Probed {
        record: *record,
        version,
        content,
        withdrawn,
    };
    if state.was_sent() {
        return Some(probed(state.content?, state.withdrawn));
    }
    let may_be_lost = generation > 1 && state.content.is_none();
    // Whatever the registry holds of it differs from that.
    may_be_lost.then(|| probed(ContentDigest([0; 16]), true))
}

/// Reads the progress of a reconciliation's probes.
async fn read_probing(pool: &SqlitePool, id: i64) -> Result<Probing, OutboxError> {
    let row: Option<(i64, i64, bool, Option<String>)> = sqlx::query_as(
        "SELECT probed_to, horizon, all_sent, source FROM reconciliation WHERE id = ?1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?;
    let (probed_to, horizon, all_sent, source) = row.ok_or(OutboxError::NoReconciliation)?;
    Ok(Probing {
        probed_to,
        horizon,
        all_sent,
        source,
    })
}

async fn begin(
    connection: &mut SqliteConnection,
    source: Option<&str>,
    now: DateTime<Utc>,
) -> Result<i64, OutboxError> {
    let horizon = last_record_no(&mut *connection).await?;
    for statement in [
        "DELETE FROM batch WHERE reconciliation_id IN (SELECT id FROM reconciliation \
         WHERE source IS ?1)",
        "DELETE FROM difference WHERE reconciliation_id IN (SELECT id FROM reconciliation \
         WHERE source IS ?1)",
    ] {
        sqlx::query(statement)
            .bind(source)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query("DELETE FROM reconciliation WHERE id <= (SELECT max(id) FROM reconciliation) - ?1")
        .bind(MAX_REPORTS)
        .execute(&mut *connection)
        .await?;
    let id = sqlx::query_scalar(
        "INSERT INTO reconciliation (source, started_at_ms, horizon) VALUES (?1, ?2, ?3) \
         RETURNING id",
    )
    .bind(source)
    .bind(to_ms(now))
    .bind(horizon)
    .fetch_one(connection)
    .await?;
    Ok(id)
}
