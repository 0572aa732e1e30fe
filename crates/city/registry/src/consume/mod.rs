//! Consumer of the queue: receives, opens, stores in one transaction, answers, and only then
//! acknowledges. While the store works on one group of batches, the group before is answered and
//! the next is received and opened.

mod context;
mod dead_letter_budget;
mod failures;
mod guard;
mod metrics;
mod parts;
mod pending;
mod session;
mod step;
mod store_batches;
mod suspects;

use std::sync::Arc;
use std::time::Duration;

use az::SaturatingAs;
use broker::BrokerError;
use chrono::{DateTime, TimeDelta, Utc};
use clock::Clock;
use fault::Point;
use tokio::sync::Notify;

use crate::config::ConsumeConfig;
use crate::open::BatchContent;
use crate::store::{MessageKey, StoreError};
pub(crate) use context::ConsumeContext;
use failures::Failure;
use guard::GuardedStore;
#[cfg(feature = "portal")]
pub(crate) use metrics::count_store_error;
#[cfg(feature = "cli")]
pub(crate) use metrics::{count_expired, register as register_metrics};
use pending::{PendingBatch, PendingBatches};
use session::QueueSession;
pub use step::{ConsumeError, ConsumeStep};
use store_batches::{BatchStorer, Stored};

/// Longest time for which batches stay pending while the store is away, in seconds. RabbitMQ closes
/// a channel that acknowledges nothing for 30 minutes, and every return counts towards the queue's
/// delivery limit.
const HOLD_SECONDS: i64 = 600;
/// Longest wait for batches while a postponed one is due.
const SHORT_WAIT: Duration = Duration::from_millis(20);
/// Largest number of transactions in a step that takes the next batches while it stores these.
const AHEAD_GROUPS: usize = 8;

/// Consumer of the queue, with its pending batches and the store that it writes to.
pub(crate) struct BatchConsumer {
    store: GuardedStore,
    session: QueueSession,
    pending: PendingBatches,
    settings: ConsumeConfig,
    clock: Arc<dyn Clock>,
    /// True from a failure that may be the store's or a batch's, until a transaction went well.
    is_in_doubt: bool,
    /// Messages that are settled, and whose note the store could not remove then.
    noted_and_settled: Vec<MessageKey>,
}

impl BatchConsumer {
    /// Makes a consumer; the queue need not be reachable yet.
    pub(crate) fn new(context: &ConsumeContext) -> Result<Self, BrokerError> {
        Ok(Self {
            store: GuardedStore::new(context.reader.store.clone(), context.breaker.clone()),
            session: QueueSession::new(context)?,
            pending: PendingBatches::default(),
            settings: context.settings.clone(),
            clock: Arc::clone(&context.clock),
            is_in_doubt: false,
            noted_and_settled: Vec::new(),
        })
    }

    /// Does one step; see [`crate::Registry::consume_once`] and, for `ahead`,
    /// [`crate::Registry::consume_ahead`].
    pub(crate) async fn consume(
        &mut self,
        now: DateTime<Utc>,
        ahead: bool,
    ) -> Result<ConsumeStep, ConsumeError> {
        let step = self.step(now, ahead).await;
        self.store.end_step();
        step
    }

    async fn step(&mut self, now: DateTime<Utc>, ahead: bool) -> Result<ConsumeStep, ConsumeError> {
        // The last step may have left something stored or being opened.
        self.session.acknowledge().await?;
        self.forget_settled(now).await;
        self.collect_opened(now).await?;
        if self.pending.is_empty() && !self.refill(now).await? {
            return Ok(if self.session.totals.is_idle() {
                ConsumeStep::Idle
            } else {
                self.take_totals()
            });
        }
        let mut groups = 0;
        while !self.pending.is_empty() && (!ahead || groups < AHEAD_GROUPS) {
            if let Err(error) = self.store_group(now, ahead).await {
                if matches!(error, ConsumeError::Store(_)) {
                    self.give_back_if_long(now).await;
                }
                return Err(error);
            }
            groups += 1;
            if self.pending.is_empty() {
                self.collect_opened(now).await?;
            }
        }
        self.session.acknowledge().await?;
        Ok(self.take_totals())
    }

    fn take_totals(&mut self) -> ConsumeStep {
        std::mem::take(&mut self.session.totals).into()
    }

    /// Pause that the store needs; see [`crate::Registry::store_pause`].
    pub(crate) async fn store_pause(&mut self, now: DateTime<Utc>) -> Option<Duration> {
        let pause = self.store.pause()?;
        self.give_back_if_long(now).await;
        Some(pause)
    }

    /// Asks whether the store answers.
    pub(crate) async fn ping_store(&mut self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    /// True where messages can arrive now.
    pub(crate) fn queue_connected(&self) -> bool {
        self.session.connected()
    }

    /// Gets batches to store; false when there are none.
    async fn refill(&mut self, now: DateTime<Utc>) -> Result<bool, ConsumeError> {
        let has_room = self.pending.postponed() < usize::from(self.settings.max_batches.get());
        if self.session.suspects.is_empty() && has_room {
            self.receive(now).await?;
        }
        if self.pending.is_empty() {
            self.take_up_suspect(now).await?;
        }
        self.pending.resume_due(now);
        Ok(!self.pending.is_empty())
    }

    /// Takes batches from the queue and opens them.
    async fn receive(&mut self, now: DateTime<Utc>) -> Result<(), ConsumeError> {
        self.session.totals.outcome += self.store.ensure_writable(now).await?;
        let max_wait = if self.pending.has_due(now) {
            SHORT_WAIT
        } else {
            Duration::from_millis(self.settings.max_wait_ms.get().into())
        };
        self.session.receive(now, max_wait).await?;
        self.collect_opened(now).await
    }

    /// Waits for the batches that are being opened. Those that cannot be opened go to the dead
    /// letters.
    async fn collect_opened(&mut self, now: DateTime<Utc>) -> Result<(), ConsumeError> {
        let (opened, acknowledged) = self.session.opened().await;
        if opened.is_empty() {
            return acknowledged;
        }
        let mut unreadable = Vec::new();
        let mut probes = Vec::new();
        for opened in opened {
            let delivery = opened.delivery;
            match opened.batch {
                Ok(batch) => {
                    let batch = PendingBatch::new(delivery, batch, now);
                    match &batch.content {
                        BatchContent::Facts(_) => self.pending.push(batch),
                        BatchContent::Probe(_) => probes.push(batch),
                    }
                }
                Err(reason) => unreadable.push((delivery, reason)),
            }
        }
        // A directory knows no order: a batch that was sent before a probe may come behind it.
        for probe in probes {
            self.pending.push(probe);
        }
        if let Err(error) = fault::check::<StoreError>(Point::RegistryOpened) {
            let deliveries = unreadable.into_iter().map(|(delivery, _)| delivery);
            self.session.requeue(deliveries.collect()).await;
            return Err(error.into());
        }
        self.session.dead_letter_all(unreadable).await?;
        acknowledged
    }

    /// Settles the first group of pending batches, and works on the queue meanwhile.
    async fn store_group(&mut self, now: DateTime<Utc>, ahead: bool) -> Result<(), ConsumeError> {
        let count = self
            .pending
            .group_size(self.settings.max_events.get().saturating_as());
        let ahead = ahead && self.may_receive_ahead(count);
        let is_store_well = self.prepare_try(count, now).await?;
        let storing_ended = Notify::new();
        let storer = BatchStorer {
            store: &self.store.store,
            clock: self.clock.as_ref(),
            now,
            can_answer: self.session.can_answer(),
        };
        let pending = &self.pending;
        let storing = async {
            let stored = storer.store(pending, count).await;
            storing_ended.notify_one();
            stored
        };
        let meanwhile = self.session.work_meanwhile(&storing_ended, ahead, now);
        let (stored, meanwhile) = tokio::join!(storing, meanwhile);
        match stored {
            Ok(Stored::Part(parts)) => {
                self.store.report_works();
                self.is_in_doubt = false;
                self.pending.rotate_first(parts, now);
                meanwhile
            }
            Ok(Stored::Whole(stored)) => {
                self.store.report_works();
                self.is_in_doubt = false;
                self.forget_failures(now).await;
                let deliveries = self.pending.take_first(count);
                self.session.push_stored(deliveries, stored);
                meanwhile?;
                Ok(fault::check::<StoreError>(Point::RegistryCommitted)?)
            }
            // A failure of the queue, if any, shows again at the next use of the queue.
            Err(error) => {
                let failure = Failure {
                    error,
                    count,
                    is_store_well,
                };
                self.handle_failure(failure, now).await.and(meanwhile)
            }
        }
    }

    /// Returns whether batches may be taken while the store works on the first `count`. A store in
    /// trouble gets no more than what is pending.
    fn may_receive_ahead(&self, count: usize) -> bool {
        // Probes are stored one by one: of many, more would be taken than stored.
        let left = self.pending.len() - count;
        left < usize::from(self.settings.max_batches.get())
            && self.pending.is_in_order()
            && self.store.is_in_order()
    }

    /// Gives all pending batches back to the queue where one of them is pending for too long, and
    /// keeps a copy of one to try the store with.
    async fn give_back_if_long(&mut self, now: DateTime<Utc>) {
        let limit = now - TimeDelta::seconds(HOLD_SECONDS);
        if self.pending.oldest().is_none_or(|oldest| oldest > limit) {
            return;
        }
        if let Some(batch) = self.pending.facts(usize::MAX).first() {
            self.store.set_trial((*batch).clone());
        }
        let mut deliveries = self.pending.take_all();
        deliveries.extend(self.session.suspects.take_all());
        self.session.requeue(deliveries).await;
    }

    /// Gives back what is pending and closes the queue session.
    pub(crate) async fn close(&mut self) {
        let now = self.clock.now();
        self.unnote(now).await;
        self.pending = PendingBatches::default();
        self.session.close().await;
    }
}
