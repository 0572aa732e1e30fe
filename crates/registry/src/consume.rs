//! One step of the registry: receive, open, apply in one transaction, and only then acknowledge.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use broker::{BrokerError, Consumer, Delivery};
use chrono::{DateTime, TimeDelta, Utc};
use clock::Clock;

use crate::config::ConsumeConfig;
use crate::incoming::OpenBatch;
use crate::keys::Keys;
use crate::open::{DeadReason, STORE_REFUSES, open_all};
use crate::store::{Outcome, Store, StoreError};

/// Longest that batches are held in hand while the store is away, in seconds. RabbitMQ closes a channel that
/// acknowledges nothing for 30 minutes, and every return counts towards the queue's delivery limit.
const HOLD_SECONDS: i64 = 600;

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing was waiting.
    Idle,
    /// Batches were taken from the queue for good.
    Done {
        /// Stored and acknowledged.
        batches: usize,
        /// Moved to the dead letters.
        dead: usize,
        /// What the stored ones came to.
        outcome: Outcome,
    },
}

/// Why a step could not be finished. Nothing is lost: what is not stored is not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// The queue; its consumer paces itself, so call again.
    #[error("queue: {0}")]
    Queue(#[from] BrokerError),
    /// The store; pause before the next call.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// A consumer of the queue and what it holds in hand.
pub(crate) struct Worker {
    pub store: Store,
    pub keys: Arc<Keys>,
    pub consumer: Box<dyn Consumer>,
    pub settings: ConsumeConfig,
    pub clock: Arc<dyn Clock>,
    held: Held,
    /// The store was away for long and the batches went back. This is one of them: no new ones are taken, and none
    /// comes closer to the queue's delivery limit, until the store has taken it.
    probe: Option<OpenBatch>,
    /// What probes stored that no step has told yet.
    probed: Outcome,
}

/// Opened batches that are neither stored nor acknowledged yet, each beside its delivery.
#[derive(Default)]
struct Held {
    since: DateTime<Utc>,
    deliveries: VecDeque<Delivery>,
    batches: VecDeque<OpenBatch>,
    /// So many of the first are applied one by one, because the store refused them together.
    singly: usize,
}

impl Held {
    /// How many of the first batches make the next transaction.
    fn group(&self, max_events: usize) -> usize {
        if self.singly > 0 {
            return 1;
        }
        let mut events = 0;
        let fits = self.batches.iter().take_while(|batch| {
            events += batch.events.len() + batch.refusals.len();
            events <= max_events
        });
        fits.count().max(1)
    }

    fn drop_first(&mut self, count: usize) -> Vec<Delivery> {
        self.batches.drain(..count);
        self.singly = self.singly.saturating_sub(count);
        self.deliveries.drain(..count).collect()
    }
}

impl Worker {
    pub fn new(
        store: Store,
        keys: Arc<Keys>,
        consumer: Box<dyn Consumer>,
        settings: ConsumeConfig,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            keys,
            consumer,
            settings,
            clock,
            held: Held::default(),
            probe: None,
            probed: Outcome::default(),
        }
    }

    /// See [`crate::Registry::consume_once`].
    pub async fn consume_once(&mut self, now: DateTime<Utc>) -> Result<Step, ConsumeError> {
        let mut dead = 0;
        if self.held.batches.is_empty() {
            dead = match self.take(now).await? {
                Some(dead) => dead,
                None => return Ok(Step::Idle),
            };
        }
        let (mut batches, mut total) = (0, std::mem::take(&mut self.probed));
        while !self.held.batches.is_empty() {
            let count = self.held.group(to_usize(self.settings.max_events.get()));
            match self.apply(count, now).await {
                Ok(outcome) => {
                    total += outcome;
                    batches += count;
                    let tokens = self.held.drop_first(count).into_iter().map(|delivery| delivery.token);
                    self.consumer.ack(tokens.collect()).await?;
                }
                Err(StoreError::Refused { code }) if count == 1 => {
                    tracing::error!(
                        event = "batch-refused-by-store",
                        code,
                        "a batch goes to the dead letters"
                    );
                    for delivery in self.held.drop_first(1) {
                        self.bury(delivery, STORE_REFUSES).await?;
                        dead += 1;
                    }
                }
                // Too many at once, or one of them: each by itself.
                Err(StoreError::Refused { .. } | StoreError::TooSlow { .. }) if count > 1 => {
                    self.held.singly = count;
                }
                Err(error) => {
                    self.give_back_if_long(now).await;
                    return Err(error.into());
                }
            }
        }
        Ok(Step::Done { batches, dead, outcome: total })
    }

    /// Takes deliveries in hand and buries the unreadable ones; how many, or `None` when nothing came.
    async fn take(&mut self, now: DateTime<Utc>) -> Result<Option<usize>, ConsumeError> {
        self.ask_store(now).await?;
        let max_wait = Duration::from_millis(self.settings.max_wait_ms.get().into());
        let deliveries = self.consumer.receive(self.settings.max_batches.get().into(), max_wait).await?;
        if deliveries.is_empty() {
            return Ok(None);
        }
        let mut unreadable = Vec::new();
        self.held.since = now;
        for (delivery, opened) in open_all(deliveries, Arc::clone(&self.keys), now).await {
            match opened {
                Ok(batch) => {
                    self.held.deliveries.push_back(delivery);
                    self.held.batches.push_back(batch);
                }
                Err(reason) => unreadable.push((delivery, reason)),
            }
        }
        self.bury_all(unreadable).await.map(Some)
    }

    /// After a long outage, whether the store takes writes again. One that only answers does not count: a full disk
    /// and a standby do. What failed is written once more; the queue brings the same batch again, then as old news.
    async fn ask_store(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let Some(probe) = &self.probe else { return Ok(()) };
        self.store.ping_writing().await?;
        match self.store.apply(std::slice::from_ref(probe), now).await {
            Ok(outcome) => {
                count_events(&outcome);
                self.probed += outcome;
            }
            // The store works, and this batch is its own trouble: it must not hold up the others.
            Err(StoreError::Refused { .. } | StoreError::TooSlow { .. }) => {}
            Err(error) => return Err(error),
        }
        self.probe = None;
        Ok(())
    }

    /// Buries all, or gives back what it could not bury. The readable ones stay in hand for the next step either way.
    async fn bury_all(&mut self, unreadable: Vec<(Delivery, DeadReason)>) -> Result<usize, ConsumeError> {
        let dead = unreadable.len();
        let mut left = unreadable.into_iter();
        while let Some((delivery, reason)) = left.next() {
            if let Err(error) = self.bury(delivery, reason).await {
                self.requeue(left.map(|(delivery, _)| delivery)).await;
                return Err(error.into());
            }
        }
        Ok(dead)
    }

    async fn apply(&mut self, count: usize, now: DateTime<Utc>) -> Result<Outcome, StoreError> {
        let started = self.clock.elapsed();
        let batches = &self.held.batches.make_contiguous()[..count];
        let applied = self.store.apply(batches, now).await;
        match &applied {
            Ok(outcome) => {
                let took = self.clock.elapsed().saturating_sub(started);
                metrics::histogram!("registry_commit_seconds").record(took.as_secs_f64());
                metrics::counter!("registry_batches_total", "outcome" => "applied").increment(count as u64);
                count_events(outcome);
            }
            Err(error) => {
                metrics::counter!("registry_store_errors_total", "kind" => error.kind()).increment(1);
            }
        }
        applied
    }

    async fn bury(&mut self, delivery: Delivery, DeadReason(reason): DeadReason) -> Result<(), BrokerError> {
        tracing::warn!(event = "batch-dead-lettered", reason, bytes = delivery.bytes.len(), "unusable batch");
        self.consumer.dead_letter(delivery, reason).await?;
        metrics::counter!("registry_batches_total", "outcome" => "dead-lettered").increment(1);
        Ok(())
    }

    async fn give_back_if_long(&mut self, now: DateTime<Utc>) {
        if now - self.held.since < TimeDelta::seconds(HOLD_SECONDS) {
            return;
        }
        self.probe = self.held.batches.front().cloned();
        let count = self.held.batches.len();
        let deliveries = self.held.drop_first(count);
        self.requeue(deliveries.into_iter()).await;
    }

    async fn requeue(&mut self, deliveries: impl Iterator<Item = Delivery>) {
        let tokens = deliveries.map(|delivery| delivery.token).collect();
        if let Err(error) = self.consumer.requeue(tokens).await {
            tracing::warn!(event = "requeue-failed", %error, "the batches come again by themselves");
        }
    }

    /// Gives back what is in hand and says goodbye to the queue.
    pub async fn close(&mut self) {
        self.held = Held::default();
        self.consumer.close().await;
    }
}

fn count_events(outcome: &Outcome) {
    let counts =
        [("applied", outcome.applied), ("unchanged", outcome.unchanged), ("refused", outcome.refused)];
    for (name, events) in counts {
        metrics::counter!("registry_events_total", "outcome" => name).increment(events as u64);
    }
    metrics::counter!("registry_conflicts_total").increment(outcome.conflicts as u64);
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::BatchId;

    #[test]
    fn a_transaction_takes_what_fits_and_at_least_one() {
        let refusal = crate::incoming::Refusal {
            batch: BatchId([0; 16]),
            index: 0,
            record: None,
            version: None,
            reason: contract::RefusalReason::Malformed,
        };
        let batch = OpenBatch { id: BatchId([0; 16]), events: Vec::new(), refusals: vec![refusal; 4] };
        let mut held = Held { batches: vec![batch; 5].into(), ..Held::default() };
        assert_eq!(held.group(12), 3);
        assert_eq!(held.group(11), 2);
        assert_eq!(held.group(1), 1);
        held.singly = 2;
        assert_eq!(held.group(12), 1);
    }
}
