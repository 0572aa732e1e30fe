//! The beacon: one record of the gateway's own, whose revision rises whenever versions were given
//! out since the last one. The registry keeps the highest, so its answer shows whether this state
//! is the latest.
//!
//! No revision is counted up past one that the queue has not taken, or whose answer is forgotten: a
//! restored state could overtake the lost one without ever giving out the one that both have.
//!
//! A state that has read rows and given nothing out, since all are refused or withheld, has a first
//! revision as well: a state that was lost may have sent them.
//!
//! It is the same record for all states of a gateway: a state that was made anew while the old one
//! was away meets the old one's beacon, and the old one, put back, meets the new one's.
//!
//! It travels as the withdrawal of a record that never was, in a batch of its own, and the registry
//! cannot tell it from others. Its content is random for each revision: two states that give out
//! the same one are told apart.

mod judge;
mod row;

use std::collections::VecDeque;
use std::sync::Arc;

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};
use contract::{Body, FactKind, RecordDigest};
use parking_lot::Mutex;
use record_secrets::{MAX_COUNT, Revision};
use sqlx::sqlite::SqliteConnection;
use tokio::task::spawn_blocking;

pub(super) use self::judge::BeaconAnswer;
use self::judge::{Finding, is_other_gateway};
use self::row::BeaconRow;
use super::new_batch::{NewBatch, store_batches};
use super::new_event::NewEvent;
use super::sealing::Sealing;
use crate::file::{Database, OutboxError, to_ms};
use crate::options::OutboxOptions;
use crate::tokens::TokensInHand;
use crate::versions::{ReceiptRaise, Versions, decide_beacon_raise};

/// Most revisions that wait for the registry's answers; no other is given out until one has come.
const MAX_KEPT: u32 = 16;

/// Kind of fact that the beacon claims to withdraw: always the same, as the registry asks for, and
/// the most usual one.
const KIND: FactKind = FactKind::Vaccination;

/// Occasion on which the beacon is given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeaconOccasion {
    /// Start of the program, where it asks whether this state is the latest: the last one goes out
    /// once more if no new one does.
    Start,
    /// Batches about to leave: one goes out if versions were given out since the last, and that is
    /// [`crate::BEACON_PAUSE_MS`] ago or of an earlier generation.
    BatchesLeave,
    /// Sign of life of a day: the last one goes out once more if no new one does, so that the token
    /// of the day goes with it.
    SignOfLife,
    /// End of the program or of its work: one goes out if versions were given out since the last.
    End,
}

/// Result of the answers to beacons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BeaconDecision {
    /// No consequence: this state is the latest, or stands above the other one already.
    Nothing,
    /// Another state of this gateway is ahead: raise the generation, or wait with that.
    Raise(ReceiptRaise),
    /// Another gateway runs on a copy of this state, and this one has to stop.
    OtherGateway,
}

/// Beacons of this outbox.
#[derive(Debug)]
pub(crate) struct Beacons {
    database: Arc<Database>,
    versions: Arc<Versions>,
    sealing: Arc<Sealing>,
    /// The record that the beacon claims to withdraw.
    record: RecordDigest,
    /// True if the registry sends receipts: nobody would hear of a beacon otherwise.
    receipts: bool,
    memory: Mutex<Memory>,
}

/// Beacons of this process, as far as they are remembered.
#[derive(Debug, Default)]
struct Memory {
    /// Beacons of this process, the latest last.
    given_out: VecDeque<GivenOut>,
    /// Generation of the latest one that the registry took.
    accepted_generation: u32,
}

/// A beacon that this process has given out.
#[derive(Debug)]
struct GivenOut {
    /// Batch with the beacon.
    seq: i64,
    /// Generation of its revision.
    generation: u32,
    /// Generation of the latest one of this process that the registry had taken by then.
    accepted_before: u32,
}

impl Beacons {
    pub(crate) fn new(
        database: Arc<Database>,
        versions: Arc<Versions>,
        sealing: Arc<Sealing>,
        options: &OutboxOptions,
    ) -> Self {
        Self {
            database,
            versions,
            record: sealing.secrets().beacon(&options.sources),
            sealing,
            receipts: options.receipts,
            memory: Mutex::default(),
        }
    }

    /// Gives the beacon out if the occasion asks for it and there is a token for it where batches
    /// carry any; returns whether it did. One that the queue
    /// has not taken yet is kept instead, and leaves in its place. Costs one read otherwise.
    ///
    /// # Errors
    /// [`OutboxError::OtherGateway`] and the disk's failures.
    pub(crate) async fn give_out(
        &self,
        occasion: BeaconOccasion,
        now: DateTime<Utc>,
    ) -> Result<bool, OutboxError> {
        if !self.receipts || !self.is_wanted(occasion, now).await? {
            return Ok(false);
        }
        // With batches that leave, a token in hand is taken or none: these are not to wait for an
        // issuer that does not answer. Whoever seals the next batches tells of it.
        if occasion != BeaconOccasion::BatchesLeave
            && self.sealing.tokens_ready(1, None).await.is_err()
        {
            return Ok(false);
        }
        let mut guard = self.versions.gate().lock_for_records().await;
        if !self.is_wanted(occasion, now).await? {
            return Ok(false);
        }
        let mut row = row::read(self.database.readers()).await?;
        let generation = self.versions.generation();
        let is_new = row.needs_revision(generation);
        let is_of_before = row.is_of_before(generation);
        if is_new {
            let Some(revision) = next_revision(row.revision, generation) else {
                tracing::error!("no revision of the beacon is left");
                return Ok(false);
            };
            row.revision = revision;
            getrandom::fill(&mut row.content.0).map_err(|_| OutboxError::NoRandomness)?;
        }
        let batch = match self.seal(&row).await {
            Err(OutboxError::NoToken(_)) => return Ok(false),
            sealed => sealed?,
        };
        guard.announce(Vec::new(), batch.batch.bytes.len() as u64);
        let mut transaction = self.database.begin().await?;
        let connection = transaction.connection();
        if is_of_before {
            forget_old(connection).await?;
        }
        forget_repeats(connection, is_new).await?;
        let id = batch.batch.id;
        store_batches(connection, &[batch], now).await?;
        if is_new {
            row::store(connection, row.revision, row.content, now).await?;
        }
        let seq = sqlx::query_scalar(
            "UPDATE batch SET beacon_repeat = ?2 WHERE batch_id = ?1 RETURNING seq",
        )
        .bind(id.0.as_slice())
        .bind(!is_new)
        .fetch_one(connection)
        .await?;
        self.versions.commit(transaction, is_new).await?;
        self.memory.lock().note_given_out(seq, row.revision);
        Ok(true)
    }

    async fn is_wanted(
        &self,
        occasion: BeaconOccasion,
        now: DateTime<Utc>,
    ) -> Result<bool, OutboxError> {
        let row = row::read(self.database.readers()).await?;
        let generation = self.versions.generation();
        if row.is_kept_back(generation) {
            return Ok(false);
        }
        let is_new = row.needs_revision(generation);
        Ok(match occasion {
            BeaconOccasion::Start | BeaconOccasion::SignOfLife => row.has_something(),
            BeaconOccasion::BatchesLeave => {
                is_new && (row.is_of_before(generation) || row.pause_has_passed(to_ms(now)))
            }
            BeaconOccasion::End => is_new,
        })
    }

    async fn seal(&self, row: &BeaconRow) -> Result<NewBatch, OutboxError> {
        let secrets = Arc::clone(self.sealing.secrets());
        let event = NewEvent {
            record: self.record,
            revision: row.revision,
            content: row.content,
            body: Body::Withdrawn { kind: KIND },
        };
        let tokens = TokensInHand::take(self.sealing.tokens())?;
        let mut sealer = self.sealing.sealer();
        let sizes = self.sealing.padded_sizes();
        // By itself, and not with a page's events: their sizes are learnt from.
        let seal = move || -> Result<NewBatch, OutboxError> {
            let event = event.with_version(&secrets)?;
            let (batch, answer_key) = tokens.seal(sealer.compress(&[event])?, sizes)?;
            Ok(NewBatch {
                batch,
                answer_key,
                event_count: 0,
                answers: 1,
                reconciliation_id: None,
                is_beacon: true,
                tokens,
            })
        };
        spawn_blocking(seal).await?
    }

    /// Decides what the answers come to, and writes it down. `needed` is the generation that the
    /// answers to other events ask for. Only under the gate.
    pub(super) async fn decide(
        &self,
        connection: &mut SqliteConnection,
        answers: &[BeaconAnswer],
        needed: Option<u32>,
        now: DateTime<Utc>,
    ) -> Result<BeaconDecision, OutboxError> {
        if answers.is_empty() {
            return Ok(BeaconDecision::Nothing);
        }
        let row = row::read(&mut *connection).await?;
        let secrets = self.sealing.secrets();
        let may_have_left = |revision| row.may_have_left(revision);
        let finding = Finding::of(answers, &self.record, may_have_left, secrets);
        let generation = self.versions.generation();
        // Of the answers that come together those are judged first that tell of another state.
        let is_beside = self.memory.lock().is_beside(&finding.shown_by, generation);
        let accepted = self.memory.lock().note_accepted(&finding.accepted);
        if accepted > row.accepted_generation {
            row::store_accepted(connection, accepted).await?;
        }
        let Some(held) = finding.held.filter(|held| held.generation >= generation) else {
            return Ok(BeaconDecision::Nothing);
        };
        let accepted = row.accepted_generation.max(accepted);
        let has_risen = row.has_risen_lately(to_ms(now)) && accepted >= generation;
        if has_risen && is_other_gateway(held, generation, is_beside) {
            row::store_other(connection, held.generation, now).await?;
            return Ok(BeaconDecision::OtherGateway);
        }
        let wanted = needed.max(held.generation.checked_add(1));
        let raise = decide_beacon_raise(connection, wanted, generation, now).await?;
        Ok(BeaconDecision::Raise(raise))
    }
}

impl Memory {
    fn note_given_out(&mut self, seq: i64, revision: Revision) {
        self.given_out.push_back(GivenOut {
            seq,
            generation: revision.generation,
            accepted_before: self.accepted_generation,
        });
        // As many as may wait, one that leaves and one that repeats the last.
        if self.given_out.len() > MAX_KEPT.saturating_as::<usize>() + 2 {
            self.given_out.pop_front();
        }
    }

    /// Notes the batches that the registry took; returns the latest generation of those that this
    /// process has given out, 0 if there are none. An older process's answer says nothing of now.
    fn note_accepted(&mut self, batches: &[i64]) -> u32 {
        let ours = self.given_out.iter();
        let ours = ours.filter(|one| batches.contains(&one.seq));
        let latest = ours.map(|one| one.generation).max();
        let latest = latest.unwrap_or(0);
        self.accepted_generation = self.accepted_generation.max(latest);
        latest
    }

    /// Returns whether any of the batches, whose answers show another state, was given out after
    /// the registry had taken a beacon of the generation from this process. That other state was at
    /// work while this process ran, then; before, it may be the one that this one was restored
    /// from.
    fn is_beside(&self, batches: &[i64], generation: u32) -> bool {
        self.given_out
            .iter()
            .any(|one| one.accepted_before >= generation && batches.contains(&one.seq))
    }
}

/// Counts up within the generation, or on into the next where no count is left: only beacons are
/// compared with each other.
fn next_revision(last: Revision, generation: u32) -> Option<Revision> {
    let next = match last {
        Revision { generation: of, .. } if of < generation => Revision {
            generation,
            count: 1,
        },
        Revision { count, .. } if count < MAX_COUNT => Revision {
            count: count + 1,
            ..last
        },
        _ => Revision {
            generation: last.generation + 1,
            count: 1,
        },
    };
    next.is_within_limits().then_some(next)
}

/// Deletes beacons of earlier generations that have not left, and all but the latest that wait for
/// their answers: the first one of the present generation asks the same.
async fn forget_old(connection: &mut SqliteConnection) -> Result<(), OutboxError> {
    sqlx::query(
        "DELETE FROM batch WHERE beacon = 1 AND state <> 'leased' AND (sends = 0 OR seq NOT IN \
         (SELECT seq FROM batch WHERE beacon = 1 AND sends > 0 ORDER BY seq DESC LIMIT ?1))",
    )
    .bind(MAX_KEPT - 1)
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes earlier repeats, which asked what the next beacon asks; before a new revision only those
/// that have not left.
async fn forget_repeats(
    connection: &mut SqliteConnection,
    is_new: bool,
) -> Result<(), OutboxError> {
    sqlx::query(
        "DELETE FROM batch WHERE beacon = 1 AND beacon_repeat AND state <> 'leased' \
         AND (sends = 0 OR NOT ?1)",
    )
    .bind(is_new)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use record_secrets::MAX_GENERATION;

    use super::*;

    #[test]
    fn beacon_counts_up_and_on_into_the_next_generation() {
        let revision = |generation, count| Revision { generation, count };
        let next = |last, generation| next_revision(last, generation);
        assert_eq!(next(Revision::never_sent(0), 1), Some(revision(1, 1)));
        assert_eq!(next(revision(2, 7), 2), Some(revision(2, 8)));
        assert_eq!(next(revision(2, 7), 5), Some(revision(5, 1)));
        assert_eq!(next(revision(2, MAX_COUNT), 2), Some(revision(3, 1)));
        assert_eq!(
            next(revision(3, 1), 2),
            Some(revision(3, 2)),
            "it stays ahead"
        );
        assert_eq!(next(revision(MAX_GENERATION, MAX_COUNT), 2), None);
    }
}
