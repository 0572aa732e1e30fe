//! Storing of pending batches: one transaction for a group of facts, or one look-up for a probe.

use chrono::{DateTime, Utc};
use clock::Clock;
use contract::{Answer, ProbeAnswer, Receipt};

use super::metrics::{count_commit, count_probed_records, count_probes, count_store_error};
use super::pending::PendingBatches;
use super::step::StepTotals;
use crate::open::BatchContent;
use crate::probe::OpenProbe;
use crate::store::{Applied, Store, StoreError};

/// Means to store pending batches.
pub(super) struct BatchStorer<'a> {
    pub store: &'a Store,
    pub clock: &'a dyn Clock,
    pub now: DateTime<Utc>,
    /// True where the registry has a key to sign receipts with.
    pub can_answer: bool,
}

/// Stored batches that are not acknowledged yet.
pub(super) struct StoredGroup {
    pub totals: StepTotals,
    /// Receipts for their senders, in the batches' order; none where the registry has no key.
    pub receipts: Vec<Receipt>,
}

impl BatchStorer<'_> {
    /// Stores the first `count` of the pending batches, or looks up what the first one asks for.
    pub(super) async fn store(
        &self,
        pending: &PendingBatches,
        count: usize,
    ) -> Result<StoredGroup, StoreError> {
        let mut totals = StepTotals::default();
        let mut answers = Vec::new();
        if let Some(BatchContent::Probe(probe)) = pending.first() {
            totals.probes = 1;
            let answer = self.answer_probe(probe).await?;
            answers.extend(answer.map(|answer| (probe.id, Answer::Probed(answer))));
        } else {
            let applied = self.apply(pending, count).await?;
            totals.batches = count;
            totals.outcome = applied.outcome;
            if self.can_answer {
                let stored = applied.answers.into_iter().map(Answer::Stored);
                answers.extend(pending.batch_ids(count).zip(stored));
            }
        }
        let receipts = answers
            .iter()
            .zip(pending.answer_keys(count))
            .map(|((id, answer), key)| Receipt::answered(*id, key, answer))
            .collect();
        Ok(StoredGroup { totals, receipts })
    }

    /// Stores the first `count` of the pending batches in one transaction.
    async fn apply(&self, pending: &PendingBatches, count: usize) -> Result<Applied, StoreError> {
        let batches = pending.facts(count);
        let started = self.clock.elapsed();
        let applied = self.store.apply(&batches, self.now).await;
        match &applied {
            Ok(applied) => {
                let took = self.clock.elapsed().saturating_sub(started);
                count_commit(batches.len(), &applied.outcome, took);
            }
            Err(error) => count_store_error(error),
        }
        applied
    }

    /// Compares the probed records with what is stored; `None` where no answer can be sent.
    async fn answer_probe(&self, probe: &OpenProbe) -> Result<Option<ProbeAnswer>, StoreError> {
        if !self.can_answer {
            tracing::warn!(
                event = "probe-unanswered",
                "a gateway asks what is held, and there is no key to answer with: set \
                 keys.receipt_key"
            );
            count_probes(1, false);
            return Ok(None);
        }
        let stored = self.store.stored(&probe.records).await;
        let stored = stored.inspect_err(count_store_error)?;
        let answer = probe.compare(&stored);
        count_probed_records(&answer);
        Ok(Some(answer))
    }
}
