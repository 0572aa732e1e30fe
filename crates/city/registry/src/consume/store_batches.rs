//! Storing of pending batches: one transaction for a group of facts, or one look-up for a probe; a
//! batch that failed before goes in parts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clock::Clock;
use contract::{Answer, ProbeAnswer, Receipt};
use linking::OpenBatch;

use super::metrics::{
    count_batches, count_commit, count_events, count_probed_records, count_probes,
    count_store_error,
};
use super::parts::{StoredParts, add, part};
use super::pending::{PendingBatch, PendingBatches};
use super::step::StepTotals;
use crate::open::BatchContent;
use crate::probe::OpenProbe;
use crate::store::{Applied, Store, StoreError};
use crate::tokens::TokenFault;

/// Means to store pending batches.
pub(super) struct BatchStorer<'a> {
    pub store: &'a Store,
    pub clock: &'a dyn Clock,
    pub now: DateTime<Utc>,
    /// True where the registry has a key to sign receipts with.
    pub can_answer: bool,
}

/// Result of a transaction over pending batches.
pub(super) enum Stored {
    /// All of them are stored.
    Whole(StoredGroup),
    /// Part of the first one is stored.
    Part(StoredParts),
}

/// Result of a transaction over facts.
enum Progress {
    /// Everything is stored.
    Whole(Applied),
    /// Part of a batch is stored.
    Part(StoredParts),
}

/// Stored batches that are not acknowledged yet.
pub(super) struct StoredGroup {
    pub totals: StepTotals,
    /// Receipts for their senders, in the batches' order; none where the registry has no key.
    pub receipts: Vec<Receipt>,
}

/// Time after which the others get their turn between two parts of a batch.
const TURN: Duration = Duration::from_millis(300);
/// Number of events in a part of a batch at which the registry failed once.
const PART_EVENTS: usize = 100;

impl BatchStorer<'_> {
    /// Stores the first `count` of the pending batches, or a part of the first one, or looks up
    /// what that asks for. A panic is an error, so that it takes nothing else along.
    pub(super) async fn store(
        &self,
        pending: &PendingBatches,
        count: usize,
    ) -> Result<Stored, StoreError> {
        catch_panic(self.store_or_panic(pending, count)).await
    }

    async fn store_or_panic(
        &self,
        pending: &PendingBatches,
        count: usize,
    ) -> Result<Stored, StoreError> {
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
            let applied = match self.apply(pending, count).await? {
                Progress::Whole(applied) => applied,
                Progress::Part(part) => return Ok(Stored::Part(part)),
            };
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
        Ok(Stored::Whole(StoredGroup { totals, receipts }))
    }

    /// Stores the first `count` of the pending batches in one transaction, or the next part of the
    /// first one.
    async fn apply(&self, pending: &PendingBatches, count: usize) -> Result<Progress, StoreError> {
        let batches = pending.facts(count);
        let started = self.clock.elapsed();
        let progress = match (batches.as_slice(), pending.first()) {
            ([batch], Some(first)) => self.apply_parts(batch, first).await,
            (all, _) => self.store.apply(all, self.now).await.map(Progress::Whole),
        };
        match &progress {
            Ok(progress) => {
                let took = self.clock.elapsed().saturating_sub(started);
                count_commit(took);
                if let Progress::Whole(applied) = progress {
                    count_batches(&batches);
                    count_events(&applied.outcome);
                    if applied.replayed > 0 {
                        TokenFault::Replayed.count(applied.replayed as u64);
                        TokenFault::Replayed.tell("batch");
                    }
                }
            }
            Err(error) => count_store_error(error),
        }
        progress
    }

    /// Stores the next parts of a batch until its turn ends. One part is all of it, unless the
    /// batch failed before or changes too many persons. What is stored stays so, and is unchanged
    /// where the batch comes again.
    async fn apply_parts(
        &self,
        batch: &OpenBatch,
        pending: &PendingBatch,
    ) -> Result<Progress, StoreError> {
        let most = match pending.failures {
            0 => usize::MAX,
            1 => PART_EVENTS,
            _ => 1,
        };
        let before = pending.stored.as_ref();
        let mut done = before.map_or(0, |before| before.done);
        let mut size = before.map_or(most, |before| before.size.min(most));
        let mut whole = before.map(|before| before.applied.clone());
        let begun = self.clock.elapsed();
        loop {
            let end = done.saturating_add(size).min(batch.events.len());
            let applied = if end - done == batch.events.len() {
                self.store.apply(&[batch], self.now).await
            } else {
                let part = part(batch, done..end);
                self.store.apply(&[&part], self.now).await
            };
            let applied = match applied {
                Err(StoreError::TooMuch) if end - done > 1 => {
                    size = (end - done).div_ceil(4);
                    continue;
                }
                applied => add(whole.take(), applied?),
            };
            if end == batch.events.len() {
                return Ok(Progress::Whole(applied));
            }
            if self.clock.elapsed().saturating_sub(begun) >= TURN {
                let done = end;
                return Ok(Progress::Part(StoredParts {
                    done,
                    size,
                    applied,
                }));
            }
            whole = Some(applied);
            done = end;
        }
    }

    /// Spends the tokens of a probe; false where it has none that is good, and so no answer.
    async fn spend_for(&self, probe: &OpenProbe) -> Result<bool, StoreError> {
        let tokens = match &probe.tokens {
            Err(_) => return Ok(false),
            Ok(None) => return Ok(true),
            Ok(Some(tokens)) => tokens,
        };
        let spent = self.store.spend(tokens, self.now).await;
        let is_own = spent.inspect_err(count_store_error)?;
        if !is_own {
            TokenFault::Replayed.count(1);
            TokenFault::Replayed.tell("probe");
        }
        Ok(is_own)
    }

    /// Compares the probed records with what is stored; `None` where no answer can be sent.
    async fn answer_probe(&self, probe: &OpenProbe) -> Result<Option<ProbeAnswer>, StoreError> {
        if !self.spend_for(probe).await? {
            count_probes(1, false);
            return Ok(None);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_also_after_a_wait() {
        let work = async {
            tokio::task::yield_now().await;
            assert!(std::hint::black_box(false), "a mistake");
            Ok(())
        };
        assert_eq!(catch_panic(work).await, Err(StoreError::Panicked));
    }
}
