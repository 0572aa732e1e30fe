//! Receipts: what the registry made of each batch, and what follows from it here.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::{
    Answer, AnswerKey, BatchId, RecordDigest, RefusalReason, StoredAnswer, Verdict, Version,
};
use sqlx::SqliteExecutor;
use sqlx::sqlite::SqliteConnection;

use crate::generation::raise;
use crate::index::ByDigest;
use crate::letters::{self, RefusedByRegistry};
use crate::mark::Raise;
use crate::outbox::Inner;
use crate::plan::Known;
use crate::publish::count_delivered;
use crate::reconcile::{self, Answered};
use crate::records::{LookedUp, json};
use crate::time::to_ms;
use crate::types::MAX_GENERATION;
use crate::{Outbox, OutboxError};

/// Why a generation rises when the registry holds what this outbox never sent.
const RESTORED: Raise = Raise::Told("the registry holds newer versions: the outbox was restored");

/// What receipts came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SettledVerdicts {
    /// Batches settled for good.
    pub batches: u64,
    /// Events the registry has, now or already before.
    pub accepted_events: u64,
    /// Events it refused.
    pub refused_events: u64,
    /// Batches it could not read; they stay, and are sent again in their time.
    pub unreadable: u64,
    /// Whether the generation rose, because the registry holds what this outbox never sent: the
    /// sources are to be read.
    pub raised: bool,
}

/// As its row has it: batch id, seq, event count, sends, reconciliation.
type OursRow = (Vec<u8>, i64, i64, i64, Option<i64>);

/// A batch of ours that a verdict speaks of.
struct Ours {
    seq: i64,
    event_count: i64,
    sends: i64,
    reconciliation_id: Option<i64>,
}

/// All that a set of verdicts says, before it is written down.
#[derive(Default)]
struct Findings {
    done: Vec<i64>,
    /// Batches and events whose delivery nobody has told of yet.
    delivered: (i64, i64),
    unreadable: Vec<(i64, &'static str)>,
    refused: Vec<RefusedByRegistry>,
    superseded: Vec<(RecordDigest, Version)>,
    reused: Vec<Version>,
    answered: Vec<Answered>,
    settled: SettledVerdicts,
}

impl Outbox {
    /// The keys to the registry's answers, of those batches that are this outbox's own and still
    /// wait.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn answer_keys(
        &self,
        ids: &[BatchId],
    ) -> Result<HashMap<BatchId, AnswerKey>, OutboxError> {
        let wanted: Vec<String> = ids.iter().map(|id| id.to_hex()).collect();
        let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
            "SELECT b.batch_id, b.answer_key FROM json_each(?1) AS j CROSS JOIN batch AS b \
             ON b.batch_id = unhex(j.value) WHERE b.answer_key IS NOT NULL",
        )
        .bind(json(&wanted))
        .fetch_all(self.inner.reader.pool())
        .await
        .map_err(OutboxError::database)?;
        let keys = rows.into_iter().map(|(id, key)| {
            Some((
                BatchId(id.try_into().ok()?),
                AnswerKey::from_bytes(key.try_into().ok()?),
            ))
        });
        keys.collect::<Option<_>>().ok_or(OutboxError::Damaged {
            what: "an answer key",
        })
    }

    /// Writes down what the registry said of our batches, all in one transaction; verdicts on
    /// unknown batches, and a second one on the same batch, change nothing. An answered batch is
    /// deleted and its refused events become dead letters; if the registry holds versions this
    /// outbox never gave out, the generation rises above them. Once begun it runs to its end, even
    /// if the caller stops waiting.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn settle_verdicts(
        &self,
        verdicts: &[(BatchId, Verdict)],
        now: DateTime<Utc>,
    ) -> Result<SettledVerdicts, OutboxError> {
        if verdicts.is_empty() {
            return Ok(SettledVerdicts::default());
        }
        let inner = Arc::clone(&self.inner);
        let verdicts = verdicts.to_vec();
        let settling = async move { inner.settle_verdicts(verdicts, now).await };
        tokio::spawn(settling)
            .await
            .map_err(OutboxError::unfinished)?
    }
}

impl Inner {
    async fn settle_verdicts(
        &self,
        verdicts: Vec<(BatchId, Verdict)>,
        now: DateTime<Utc>,
    ) -> Result<SettledVerdicts, OutboxError> {
        // Every gateway hears of every batch: those of others cost no write.
        if ours(self.reader.pool(), &verdicts).await?.is_empty() {
            return Ok(SettledVerdicts::default());
        }
        // No record changes; and pages look at the generation by themselves.
        let _turn = self.gate.lock_for_records().await;
        let mut transaction = self.writer.begin().await?;
        let connection = transaction.connection();
        let mut ours = ours(&mut *connection, &verdicts).await?;
        let mut findings = Findings::default();
        for (id, verdict) in verdicts {
            if let Some(ours) = ours.remove(&id) {
                findings.take(&ours, verdict);
            }
        }
        let LookedUp { known, .. } = self.look_up(&findings.records()).await?;
        store(connection, &findings, &known, now)
            .await
            .map_err(OutboxError::database)?;
        for answered in &findings.answered {
            reconcile::take(connection, answered, &known, now).await?;
        }
        let needed = needed_generation(&findings, &known, self.generation());
        fault::check::<OutboxError>(fault::Point::OutboxVerdict)?;
        match needed {
            None => transaction.commit().await?,
            Some(generation) => {
                findings.settled.raised = true;
                let mark = raise(transaction.connection(), generation, RESTORED, now).await?;
                self.commit_raised(transaction, mark).await?;
            }
        }
        fault::check::<OutboxError>(fault::Point::OutboxVerdictDone)?;
        Ok(findings.settled)
    }
}

async fn ours(
    executor: impl SqliteExecutor<'_>,
    verdicts: &[(BatchId, Verdict)],
) -> Result<HashMap<BatchId, Ours>, OutboxError> {
    let ids: Vec<String> = verdicts.iter().map(|(id, _)| id.to_hex()).collect();
    let rows: Vec<OursRow> = sqlx::query_as(
        "SELECT b.batch_id, b.seq, b.event_count, b.sends, b.reconciliation_id \
         FROM json_each(?1) AS j CROSS JOIN batch AS b ON b.batch_id = unhex(j.value)",
    )
    .bind(json(&ids))
    .fetch_all(executor)
    .await
    .map_err(OutboxError::database)?;
    let ours = rows
        .into_iter()
        .map(|(id, seq, event_count, sends, reconciliation_id)| {
            Some((
                BatchId(id.try_into().ok()?),
                Ours {
                    seq,
                    event_count,
                    sends,
                    reconciliation_id,
                },
            ))
        });
    ours.collect::<Option<_>>()
        .ok_or(OutboxError::Damaged { what: "a batch id" })
}

impl Findings {
    fn take(&mut self, ours: &Ours, verdict: Verdict) {
        match (verdict, ours.reconciliation_id) {
            (Verdict::Answered(Answer::Stored(answer)), None) => self.take_stored(answer),
            (Verdict::Answered(Answer::Probed(answer)), Some(id)) => {
                self.answered.push((id, answer))
            }
            (Verdict::Unreadable(reason), _) => return self.leave(ours, reason.as_str()),
            // The registry answers something else than was asked: nothing can be taken from that.
            (Verdict::Answered(_), _) => return self.leave(ours, "other-answer"),
        }
        self.done.push(ours.seq);
        self.settled.batches += 1;
        if ours.sends == 0 {
            self.delivered = (self.delivered.0 + 1, self.delivered.1 + ours.event_count);
        }
    }

    /// The records that are spoken of.
    fn records(&self) -> Vec<RecordDigest> {
        let superseded = self.superseded.iter().map(|(record, _)| *record);
        let refused = self.refused.iter().map(|one| one.record);
        let differing = self
            .answered
            .iter()
            .flat_map(|(_, answer)| &answer.differences);
        superseded
            .chain(refused)
            .chain(differing.map(|difference| difference.record))
            .collect()
    }

    fn leave(&mut self, ours: &Ours, reason: &'static str) {
        self.unreadable.push((ours.seq, reason));
        self.settled.unreadable += 1;
    }

    fn take_stored(&mut self, answer: StoredAnswer) {
        self.settled.accepted_events += u64::from(answer.accepted);
        self.settled.refused_events += answer.refused.len() as u64;
        self.superseded.extend(
            answer
                .superseded
                .into_iter()
                .map(|one| (one.record, one.held)),
        );
        for refused in answer.refused {
            match (refused.reason, refused.record, refused.version) {
                (RefusalReason::VersionReused, _, Some(version)) => self.reused.push(version),
                (reason, Some(record), version) => {
                    let reason = format!("registry:{}", reason.as_str());
                    self.refused.push(RefusedByRegistry {
                        record,
                        version,
                        reason,
                    });
                }
                (reason, None, _) => {
                    tracing::error!(
                        reason = reason.as_str(),
                        "the registry refused an event without being able to say of which record"
                    );
                }
            }
        }
    }
}

async fn store(
    connection: &mut SqliteConnection,
    findings: &Findings,
    known: &HashMap<RecordDigest, Known, ByDigest>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM batch WHERE seq IN (SELECT value FROM json_each(?1))")
        .bind(json(&findings.done))
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE batch SET unreadable = j.value ->> 1 FROM json_each(?1) AS j WHERE seq = j.value \
         ->> 0",
    )
    .bind(json(&findings.unreadable))
    .execute(&mut *connection)
    .await?;
    let (batches, events) = findings.delivered;
    if batches > 0 {
        count_delivered(connection, batches, events, now).await?;
    }
    let SettledVerdicts {
        accepted_events,
        refused_events,
        ..
    } = findings.settled;
    sqlx::query(
        "UPDATE publisher SET accepted_events = accepted_events + ?1, refused_events = \
         refused_events + ?2, \
         last_receipt_at_ms = ?3",
    )
    .bind(i64::try_from(accepted_events).unwrap_or(i64::MAX))
    .bind(i64::try_from(refused_events).unwrap_or(i64::MAX))
    .bind(to_ms(now))
    .execute(&mut *connection)
    .await?;
    letters::open_of_registry(connection, &findings.refused, known, now).await
}

/// The generation to rise to, if the registry holds something that this outbox, as it is now,
/// cannot have sent.
fn needed_generation(
    findings: &Findings,
    known: &HashMap<RecordDigest, Known, ByDigest>,
    generation: u32,
) -> Option<u32> {
    let beyond = findings
        .superseded
        .iter()
        .filter(|(record, held)| known.get(record).is_none_or(|known| *held > known.version));
    let held = beyond.map(|(_, held)| held).chain(&findings.reused);
    // What was held before the present generation began is exceeded by whatever is sent in it.
    let highest = held
        .map(|held| held.generation)
        .filter(|held| *held >= generation)
        .max();
    match highest {
        Some(held) if held >= MAX_GENERATION => {
            tracing::error!("the registry holds a version of the last generation there can be");
            None
        }
        highest => highest.map(|held| held + 1),
    }
}
