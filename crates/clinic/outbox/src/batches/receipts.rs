//! Receipts: the registry's verdict on each batch, and what follows from it here.

use std::collections::HashMap;
use std::sync::Arc;

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};
use contract::{AnswerKey, BatchId, Verdict};
use record_secrets::RecordSecrets;
use sqlx::SqliteExecutor;
use sqlx::sqlite::SqliteConnection;

use super::beacon::{BeaconDecision, Beacons};
use super::probes::count_answer;
use super::sealing::Sealing;
use super::settlements::count_delivered;
use super::verdicts::{AnsweredBatch, Findings, SettledVerdicts};
use crate::corrections;
use crate::dead_letters::open_of_registry;
use crate::file::{Database, OutboxError, json, to_ms};
use crate::records::{Key, KnownRecord, LookedUp, RecordMap, Records, key_of};
use crate::versions::{RaiseReason, ReceiptRaise, Versions, decide_receipt_raise, is_raise_due};

/// Reason for a risen generation when the registry holds versions that this outbox never sent.
const RESTORED: RaiseReason =
    RaiseReason::Given("the registry holds newer versions: the outbox was restored");

/// Reason for a risen generation when the registry knows a later beacon.
const LATER_STATE: RaiseReason = RaiseReason::Given(
    "the registry knows a later state of this gateway: the outbox was lost, restored or copied",
);

/// Receipts of the registry.
#[derive(Debug)]
pub(crate) struct BatchReceipts {
    database: Arc<Database>,
    records: Arc<Records>,
    versions: Arc<Versions>,
    sealing: Arc<Sealing>,
    beacons: Arc<Beacons>,
}

impl BatchReceipts {
    pub(crate) const fn new(
        database: Arc<Database>,
        records: Arc<Records>,
        versions: Arc<Versions>,
        sealing: Arc<Sealing>,
        beacons: Arc<Beacons>,
    ) -> Self {
        Self {
            database,
            records,
            versions,
            sealing,
            beacons,
        }
    }

    /// Keys to the registry's answers, of those batches that are this outbox's own and still wait.
    pub(crate) async fn answer_keys(
        &self,
        ids: &[BatchId],
    ) -> Result<HashMap<BatchId, AnswerKey>, OutboxError> {
        let wanted: Vec<String> = ids.iter().map(|id| id.to_hex()).collect();
        let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
            "SELECT b.batch_id, b.answer_key FROM json_each(?1) AS j CROSS JOIN batch AS b \
             ON b.batch_id = unhex(j.value) WHERE b.answer_key IS NOT NULL",
        )
        .bind(json(&wanted))
        .fetch_all(self.database.readers())
        .await?;
        let keys = rows.into_iter().map(|(id, key)| {
            let id = BatchId(id.try_into().ok()?);
            Some((id, AnswerKey::from_bytes(key.try_into().ok()?)))
        });
        keys.collect::<Option<_>>().ok_or(OutboxError::Damaged {
            what: "an answer key",
        })
    }

    /// Writes down the registry's verdicts on batches of this outbox, all in one transaction.
    pub(crate) async fn settle(
        &self,
        verdicts: Vec<(BatchId, Verdict)>,
        now: DateTime<Utc>,
    ) -> Result<SettledVerdicts, OutboxError> {
        // Every gateway hears of every batch: those of others cost no write.
        let own = own_batches(self.database.readers(), &verdicts).await?;
        if own.is_empty() {
            return Ok(SettledVerdicts::default());
        }
        // Pages look at the generation by themselves.
        let mut guard = self.versions.gate().lock_for_records().await;
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        let mut own = own_batches(&mut *connection, &verdicts).await?;
        let mut findings = Findings::default();
        for (id, verdict) in verdicts {
            if let Some(batch) = own.remove(&id) {
                findings.add(&batch, verdict);
            }
        }
        let LookedUp { known, .. } = self.records.look_up(&findings.records()).await?;
        let secrets = self.sealing.secrets();
        findings.judge(&known, secrets);
        let refused = findings.refused_corrections(&known);
        // No record changes, but a draft of one whose correction is refused is planned otherwise.
        let mut noted: Vec<Key> = refused.iter().map(|one| key_of(&one.record)).collect();
        noted.sort_unstable();
        guard.announce(noted, 0);
        store(connection, &findings, &known, secrets, now).await?;
        corrections::notice(connection, &refused, now).await?;
        let (raise, reason) = self.decide_raise(connection, &mut findings, now).await?;
        fault::check::<OutboxError>(fault::Point::OutboxVerdict)?;
        findings.settled.raise_waits = raise == ReceiptRaise::Waits;
        match raise {
            ReceiptRaise::NotNeeded | ReceiptRaise::Waits => transaction.commit().await?,
            ReceiptRaise::To(generation) => {
                findings.settled.raised = true;
                self.versions
                    .commit_raised(transaction, generation, reason, now)
                    .await?;
            }
        }
        if findings.settled.other_gateway {
            self.versions.stop();
        }
        fault::check::<OutboxError>(fault::Point::OutboxVerdictDone)?;
        Ok(findings.settled)
    }

    /// Decides on the raise that the findings ask for: the beacon's before the others', since it
    /// proves more.
    async fn decide_raise(
        &self,
        connection: &mut SqliteConnection,
        findings: &mut Findings,
        now: DateTime<Utc>,
    ) -> Result<(ReceiptRaise, RaiseReason), OutboxError> {
        let generation = self.versions.generation();
        let needed = findings.needed_generation(generation);
        let answers = std::mem::take(&mut findings.beacons);
        let decision = self
            .beacons
            .decide(connection, &answers, needed, now)
            .await?;
        let raise = match decision {
            BeaconDecision::Raise(raise) => return Ok((raise, LATER_STATE)),
            BeaconDecision::OtherGateway => {
                findings.settled.other_gateway = true;
                ReceiptRaise::NotNeeded
            }
            BeaconDecision::Nothing => {
                decide_receipt_raise(connection, needed, generation, now).await?
            }
        };
        Ok((raise, RESTORED))
    }

    /// Makes a raise that earlier receipts have asked for and that had to wait, if its day has
    /// come; returns whether it did.
    pub(crate) async fn raise_if_due(&self, now: DateTime<Utc>) -> Result<bool, OutboxError> {
        if !is_raise_due(self.database.readers(), self.versions.generation(), now).await? {
            return Ok(false);
        }
        let _guard = self.versions.gate().lock_for_records().await;
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        let generation = self.versions.generation();
        match decide_receipt_raise(connection, None, generation, now).await? {
            ReceiptRaise::NotNeeded | ReceiptRaise::Waits => Ok(false),
            ReceiptRaise::To(generation) => {
                self.versions
                    .commit_raised(transaction, generation, RESTORED, now)
                    .await?;
                Ok(true)
            }
        }
    }
}

/// A batch as its row has it: batch id, seq, event count, sends, reconciliation, number of events
/// or records to be answered, true for a beacon.
type BatchRow = (Vec<u8>, i64, i64, i64, Option<i64>, Option<u32>, bool);

/// Batches of this outbox that the verdicts speak of.
async fn own_batches(
    executor: impl SqliteExecutor<'_>,
    verdicts: &[(BatchId, Verdict)],
) -> Result<HashMap<BatchId, AnsweredBatch>, OutboxError> {
    let ids: Vec<String> = verdicts.iter().map(|(id, _)| id.to_hex()).collect();
    let rows: Vec<BatchRow> = sqlx::query_as(
        "SELECT b.batch_id, b.seq, b.event_count, b.sends, b.reconciliation_id, \
         coalesce(b.answers, iif(b.kind = 'events', b.event_count, NULL)), b.beacon \
         FROM json_each(?1) AS j CROSS JOIN batch AS b ON b.batch_id = unhex(j.value)",
    )
    .bind(json(&ids))
    .fetch_all(executor)
    .await?;
    let batches = rows.into_iter().map(|row| {
        let (id, seq, event_count, sends, reconciliation_id, answers, is_beacon) = row;
        let batch = AnsweredBatch {
            seq,
            event_count,
            answers,
            is_beacon,
            sends,
            reconciliation_id,
        };
        Some((BatchId(id.try_into().ok()?), batch))
    });
    batches
        .collect::<Option<_>>()
        .ok_or(OutboxError::Damaged { what: "a batch id" })
}

async fn store(
    connection: &mut SqliteConnection,
    findings: &Findings,
    known: &RecordMap<KnownRecord>,
    secrets: &RecordSecrets,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    sqlx::query("DELETE FROM batch WHERE seq IN (SELECT value FROM json_each(?1))")
        .bind(json(&findings.done))
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE batch SET unreadable = j.value ->> 1 FROM json_each(?1) AS j \
         WHERE seq = j.value ->> 0",
    )
    .bind(json(&findings.unreadable))
    .execute(&mut *connection)
    .await?;
    if findings.delivered_batches > 0 {
        let batches = findings.delivered_batches;
        count_delivered(connection, batches, findings.delivered_events, now).await?;
    }
    let settled = &findings.settled;
    sqlx::query(
        "UPDATE publisher SET accepted_events = accepted_events + ?1, \
         refused_events = refused_events + ?2, last_receipt_at_ms = ?3",
    )
    .bind(settled.accepted_events.saturating_as::<i64>())
    .bind(settled.refused_events.saturating_as::<i64>())
    .bind(to_ms(now))
    .execute(&mut *connection)
    .await?;
    open_of_registry(connection, &findings.refused, known, now).await?;
    for probe in &findings.probes {
        count_answer(connection, probe, known, secrets, now).await?;
    }
    Ok(())
}
