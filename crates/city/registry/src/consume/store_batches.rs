//! Storing of pending batches: one transaction for a group of facts, or one look-up for a probe; a
//! batch that failed before goes in parts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use chrono::{DateTime, Utc};
use clock::Clock;
use contract::{Answer, ProbeAnswer, Receipt, StoredAnswer};
use linking::{GroupOutcome, IncomingEvent, OpenBatch};

use super::metrics::{count_commit, count_probed_records, count_probes, count_store_error};
use super::pending::{PendingBatch, PendingBatches};
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

/// Number of events in a part of a batch at which the registry failed once.
const PART_EVENTS: usize = 100;

impl BatchStorer<'_> {
    /// Stores the first `count` of the pending batches, or looks up what the first one asks for. A
    /// panic is an error, so that it takes nothing else along.
    pub(super) async fn store(
        &self,
        pending: &PendingBatches,
        count: usize,
    ) -> Result<StoredGroup, StoreError> {
        catch_panic(self.store_or_panic(pending, count)).await
    }

    async fn store_or_panic(
        &self,
        pending: &PendingBatches,
        count: usize,
    ) -> Result<StoredGroup, StoreError> {
        let mut totals = StepTotals::default();
        let mut answers = Vec::new();
        if let Some(PendingBatch {
            content: BatchContent::Probe(probe),
            ..
        }) = pending.first()
        {
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

    /// Stores the first `count` of the pending batches, in one transaction where none of them has
    /// failed before.
    async fn apply(&self, pending: &PendingBatches, count: usize) -> Result<Applied, StoreError> {
        let batches = pending.facts(count);
        let started = self.clock.elapsed();
        let failures = pending.first().map_or(0, |first| first.failures);
        let applied = match (batches.as_slice(), failures) {
            (all, 0) => self.store.apply(all, self.now).await,
            ([batch], 1) => self.apply_parts(batch, PART_EVENTS).await,
            ([batch], _) => self.apply_parts(batch, 1).await,
            (all, _) => self.store.apply(all, self.now).await,
        };
        match &applied {
            Ok(applied) => {
                let took = self.clock.elapsed().saturating_sub(started);
                count_commit(batches.len(), &applied.outcome, took);
            }
            Err(error) => count_store_error(error),
        }
        applied
    }

    /// Stores a batch in transactions of at most `size` events. What is stored when one fails stays
    /// stored, and is unchanged at the next try.
    async fn apply_parts(&self, batch: &OpenBatch, size: usize) -> Result<Applied, StoreError> {
        let mut whole = Applied {
            outcome: GroupOutcome::default(),
            answers: vec![StoredAnswer::default()],
        };
        for part in parts(batch, size) {
            let applied = self.store.apply(&[&part], self.now).await?;
            whole.outcome += applied.outcome;
            for answer in applied.answers {
                whole.answers[0].accepted += answer.accepted;
                whole.answers[0].refused.extend(answer.refused);
                whole.answers[0].superseded.extend(answer.superseded);
            }
        }
        whole.answers[0]
            .refused
            .sort_unstable_by_key(|refused| refused.index);
        whole.answers[0]
            .superseded
            .sort_unstable_by_key(|superseded| superseded.record);
        Ok(whole)
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

/// Parts of a batch, of at most `size` events each; the first has all its refusals.
fn parts(batch: &OpenBatch, size: usize) -> Vec<OpenBatch> {
    let part = |events: &[IncomingEvent]| OpenBatch {
        id: batch.id,
        events: events.to_vec(),
        refusals: Vec::new(),
    };
    let mut parts: Vec<OpenBatch> = batch.events.chunks(size).map(part).collect();
    if parts.is_empty() {
        parts.push(part(&[]));
    }
    parts[0].refusals.clone_from(&batch.refusals);
    parts
}

/// Makes a panic of `work` an error.
pub(super) async fn catch_panic<T>(
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        polled.unwrap_or(Poll::Ready(Err(StoreError::Panicked)))
    })
    .await
}
