//! One step of the registry: receive, open, apply in one transaction, answer, and only then acknowledge.

use std::sync::Arc;
use std::time::Duration;

use broker::{BrokerError, Consumer, Delivery};
use chrono::{DateTime, TimeDelta, Utc};
use circuit::Permit;
use clock::Clock;
use contract::{Answer, DifferenceKind, ProbeAnswer, Receipt, batch_id_of};
use fault::Point;

use crate::breaker::Breaker;
use crate::config::ConsumeConfig;
use crate::held::{Held, InHand};
use crate::incoming::OpenBatch;
use crate::keys::Keys;
use crate::open::{Content, DeadReason, STORE_REFUSES, open_all};
use crate::probe::{OpenProbe, compare};
use crate::receipts::Receipts;
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
        /// Questions answered, or acknowledged without an answer, and nothing stored.
        probes: usize,
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
    /// The store; ask [`crate::Registry::rest`] when to call again.
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
    /// The store's circuit. Only told here; who calls decides whether to heed it.
    pub breaker: Breaker,
    /// Absent where the registry has no key for them.
    pub receipts: Option<Arc<Receipts>>,
    held: Held,
    /// The store was away for long and the batches went back. This is one of them: no new ones are taken, and none
    /// comes closer to the queue's delivery limit, until the store has taken it.
    retest: Option<OpenBatch>,
    /// Done since the last step that ended well.
    untold: Totals,
}

#[derive(Default)]
struct Totals {
    batches: usize,
    probes: usize,
    dead: usize,
    outcome: Outcome,
}

impl Worker {
    pub fn new(
        (store, keys): (Store, Arc<Keys>),
        consumer: Box<dyn Consumer>,
        settings: ConsumeConfig,
        clock: Arc<dyn Clock>,
        (breaker, receipts): (Breaker, Option<Arc<Receipts>>),
    ) -> Self {
        Self {
            store,
            keys,
            consumer,
            settings,
            clock,
            breaker,
            receipts,
            held: Held::default(),
            retest: None,
            untold: Totals::default(),
        }
    }

    /// See [`crate::Registry::consume_once`].
    pub async fn consume_once(&mut self, now: DateTime<Utc>) -> Result<Step, ConsumeError> {
        self.give_back_slow(now).await;
        if self.held.is_empty() && !self.refill(now).await? {
            return Ok(Step::Idle);
        }
        while !self.held.is_empty() {
            if let Err(error) = self.advance(now).await {
                if matches!(error, ConsumeError::Store(_)) {
                    self.give_back_if_long(now).await;
                }
                return Err(error);
            }
        }
        let Totals { batches, probes, dead, outcome } = std::mem::take(&mut self.untold);
        Ok(Step::Done { batches, probes, dead, outcome })
    }

    /// See [`crate::Registry::rest`].
    pub async fn rest(&mut self, now: DateTime<Utc>) -> Option<Duration> {
        let Permit::Open { wait } = self.breaker.permit() else { return None };
        self.give_back_if_long(now).await;
        Some(wait)
    }

    /// Gets something to do; false when there is nothing.
    async fn refill(&mut self, now: DateTime<Utc>) -> Result<bool, ConsumeError> {
        let room = self.held.aside() < usize::from(self.settings.max_batches.get());
        if room && self.take(now).await? {
            return Ok(true);
        }
        self.held.take_up();
        Ok(!self.held.is_empty())
    }

    /// Takes deliveries in hand and buries the unreadable ones; false when nothing came.
    async fn take(&mut self, now: DateTime<Utc>) -> Result<bool, ConsumeError> {
        self.ask_store(now).await?;
        let max_wait = Duration::from_millis(self.settings.max_wait_ms.get().into());
        let deliveries = self.consumer.receive(self.settings.max_batches.get().into(), max_wait).await?;
        if deliveries.is_empty() {
            return Ok(false);
        }
        if let Err(error) = broken(Point::RegistryReceived) {
            self.requeue(deliveries).await;
            return Err(error.into());
        }
        let (mut unreadable, mut probes) = (Vec::new(), Vec::new());
        for (delivery, opened) in open_all(deliveries, Arc::clone(&self.keys), now).await {
            match opened {
                Ok((content, answer_key)) => {
                    let batch = InHand { delivery, answer_key, content, since: now };
                    match &batch.content {
                        Content::Facts(_) => self.held.push(batch),
                        Content::Probe(_) => probes.push(batch),
                    }
                }
                Err(reason) => unreadable.push((delivery, reason)),
            }
        }
        // A directory knows no order: a batch that was sent before a probe may come behind it.
        probes.into_iter().for_each(|probe| self.held.push(probe));
        if let Err(error) = broken(Point::RegistryOpened) {
            self.requeue(unreadable.into_iter().map(|(delivery, _)| delivery).collect()).await;
            return Err(error.into());
        }
        self.bury_all(unreadable).await?;
        Ok(true)
    }

    /// While the store's circuit is not closed, whether the store takes writes again. One that only answers does not
    /// count: a full disk and a standby do. What failed in a long outage is written once more; the queue brings the
    /// same batch again, then as old news.
    async fn ask_store(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        if self.breaker.is_closed() && self.retest.is_none() {
            return Ok(());
        }
        let written = self.store.ping_writing().await;
        self.judge(&written);
        written?;
        let Some(batch) = &self.retest else { return Ok(()) };
        let applied = self.store.apply(std::slice::from_ref(batch), now).await;
        self.judge(&applied);
        match applied {
            Ok((outcome, _)) => {
                count_events(&outcome);
                self.untold.outcome += outcome;
            }
            // The store works, and this batch is its own trouble: it must not hold up the others.
            Err(StoreError::Refused { .. } | StoreError::TooSlow { .. }) => {}
            Err(error) => return Err(error),
        }
        self.retest = None;
        Ok(())
    }

    /// Settles the first group in hand: store or look up, answer, acknowledge.
    async fn advance(&mut self, now: DateTime<Utc>) -> Result<(), ConsumeError> {
        let count = self.held.group(to_usize(self.settings.max_events.get()));
        let (done, receipts) = match self.settle(count, now).await {
            Ok(settled) => settled,
            Err(StoreError::Refused { code }) if count == 1 => {
                tracing::error!(event = "batch-refused-by-store", code, "a batch goes to the dead letters");
                let unreadable =
                    self.held.drop_first(1).into_iter().map(|delivery| (delivery, STORE_REFUSES));
                return Ok(self.bury_all(unreadable.collect()).await?);
            }
            // Too many at once, or one of them: each by itself.
            Err(StoreError::Refused { .. } | StoreError::TooSlow { .. }) if count > 1 => {
                self.held.split(count);
                return Ok(());
            }
            Err(error @ StoreError::TooSlow { .. }) => {
                self.held.set_aside();
                return if self.held.is_empty() { Err(error.into()) } else { Ok(()) };
            }
            Err(error) => return Err(error.into()),
        };
        broken(Point::RegistryCommitted)?;
        if let Some(out) = &self.receipts {
            let sent = out.send(&receipts).await;
            count_probes(done.probes, sent == receipts.len());
            broken(Point::RegistryReceiptSent)?;
        }
        let tokens = self.held.drop_first(count).into_iter().map(|delivery| delivery.token).collect();
        self.untold.batches += done.batches;
        self.untold.probes += done.probes;
        self.untold.outcome += done.outcome;
        self.consumer.ack(tokens).await?;
        Ok(broken(Point::RegistryAcked)?)
    }

    /// Stores the first group, or looks up what it asks for; with the receipts for it.
    async fn settle(
        &mut self,
        count: usize,
        now: DateTime<Utc>,
    ) -> Result<(Totals, Vec<Receipt>), StoreError> {
        let settled = match self.held.first().map(|batch| &batch.content) {
            Some(Content::Probe(probe)) => {
                answer(&self.store, probe, self.receipts.is_some()).await.map(|told| {
                    let answers = told.map(|told| (probe.id, Answer::Probed(told)));
                    (Totals { probes: 1, ..Totals::default() }, answers.into_iter().collect::<Vec<_>>())
                })
            }
            _ => {
                let batches = self.held.facts(count);
                let applied = apply(&self.store, &batches, self.clock.as_ref(), now).await;
                applied.map(|(outcome, answers)| {
                    let ids = batches.iter().map(|batch| batch.id);
                    let answers = ids.zip(answers.into_iter().map(Answer::Stored)).collect();
                    (Totals { batches: count, outcome, ..Totals::default() }, answers)
                })
            }
        };
        // Together they may be too much for a store that is in order.
        if count == 1 || !matches!(settled, Err(StoreError::Refused { .. } | StoreError::TooSlow { .. })) {
            self.judge(&settled);
        }
        let (done, answers) = settled?;
        let receipt = |((id, answer), key)| Receipt::answered(id, key, &answer);
        let receipts = match &self.receipts {
            Some(_) => answers.into_iter().zip(self.held.answer_keys(count)).map(receipt).collect(),
            None => Vec::new(),
        };
        Ok((done, receipts))
    }

    /// Tells the circuit how the store did. One that refuses rows works.
    fn judge<T>(&self, done: &Result<T, StoreError>) {
        match done {
            Ok(_) | Err(StoreError::Refused { .. }) => self.breaker.success(),
            Err(_) => self.breaker.failure(),
        }
    }

    /// Tells the senders, then buries all, or gives back what it could not bury. What is in hand stays there.
    async fn bury_all(&mut self, unreadable: Vec<(Delivery, DeadReason)>) -> Result<(), BrokerError> {
        if let Some(out) = &self.receipts {
            let receipt = |(delivery, reason): &(Delivery, DeadReason)| {
                Some(Receipt::unreadable(batch_id_of(&delivery.bytes)?, reason.told))
            };
            let receipts: Vec<Receipt> = unreadable.iter().filter_map(receipt).collect();
            out.send(&receipts).await;
        }
        let mut left = unreadable.into_iter();
        while let Some((delivery, reason)) = left.next() {
            if let Err(error) = self.bury(delivery, reason.word).await {
                self.requeue(left.map(|(delivery, _)| delivery).collect()).await;
                return Err(error);
            }
            self.untold.dead += 1;
        }
        Ok(())
    }

    async fn bury(&mut self, delivery: Delivery, reason: &'static str) -> Result<(), BrokerError> {
        if let Some(fault) = fault::at(Point::RegistryBurying) {
            self.requeue(vec![delivery]).await;
            let what = "a fault was injected".into();
            return Err(match fault {
                fault::Fault::Retry => BrokerError::Retry { what },
                fault::Fault::Permanent => {
                    BrokerError::Misconfigured { what, help: "take it out again".into() }
                }
            });
        }
        tracing::warn!(event = "batch-dead-lettered", reason, bytes = delivery.bytes.len(), "unusable batch");
        self.consumer.dead_letter(delivery, reason).await?;
        metrics::counter!("registry_batches_total", "outcome" => "dead-lettered").increment(1);
        Ok(())
    }

    async fn give_back_if_long(&mut self, now: DateTime<Utc>) {
        if self.held.oldest().is_none_or(|oldest| now - oldest < TimeDelta::seconds(HOLD_SECONDS)) {
            return;
        }
        if let Some(batch) = self.held.facts(usize::MAX).first() {
            self.retest = Some((*batch).clone());
        }
        let deliveries = self.held.drop_all();
        self.requeue(deliveries).await;
    }

    /// A batch that stays too slow goes back from time to time, so that it ends at the queue's delivery limit.
    async fn give_back_slow(&mut self, now: DateTime<Utc>) {
        let deliveries = self.held.drop_aside(now - TimeDelta::seconds(HOLD_SECONDS));
        self.requeue(deliveries).await;
    }

    async fn requeue(&mut self, deliveries: Vec<Delivery>) {
        if deliveries.is_empty() {
            return;
        }
        let tokens = deliveries.into_iter().map(|delivery| delivery.token).collect();
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

async fn apply(
    store: &Store,
    batches: &[&OpenBatch],
    clock: &dyn Clock,
    now: DateTime<Utc>,
) -> Result<crate::apply::Applied, StoreError> {
    let started = clock.elapsed();
    let applied = store.apply(batches, now).await;
    match &applied {
        Ok((outcome, _)) => {
            let took = clock.elapsed().saturating_sub(started);
            metrics::histogram!("registry_commit_seconds").record(took.as_secs_f64());
            metrics::counter!("registry_batches_total", "outcome" => "applied")
                .increment(batches.len() as u64);
            count_events(outcome);
        }
        Err(error) => {
            metrics::counter!("registry_store_errors_total", "kind" => error.kind()).increment(1);
        }
    }
    applied
}

/// What the store holds of the probed records; `None` where nobody could be told.
async fn answer(store: &Store, probe: &OpenProbe, tell: bool) -> Result<Option<ProbeAnswer>, StoreError> {
    if !tell {
        tracing::warn!(
            event = "probe-unanswered",
            "a gateway asks what is held, and there is no key to answer with: set keys.receipt_key"
        );
        count_probes(1, false);
        return Ok(None);
    }
    let records: Vec<[u8; 32]> = probe.probed.iter().map(|probed| probed.record.0).collect();
    let held = store.stored(&records).await.inspect_err(|error| {
        metrics::counter!("registry_store_errors_total", "kind" => error.kind()).increment(1);
    })?;
    let told = compare(&probe.probed, &held);
    let count = |outcome: &'static str, records: usize| {
        metrics::counter!("registry_probed_records_total", "outcome" => outcome).increment(records as u64);
    };
    count("equal", to_usize(told.equal));
    for kind in DifferenceKind::ALL {
        let of_kind = told.differences.iter().filter(|difference| difference.what == kind);
        count(kind.as_str(), of_kind.count());
    }
    Ok(Some(told))
}

fn count_probes(probes: usize, told: bool) {
    let outcome = if told { "answered" } else { "unanswered" };
    metrics::counter!("registry_probes_total", "outcome" => outcome).increment(probes as u64);
}

fn count_events(outcome: &Outcome) {
    let counts = [
        ("applied", outcome.applied),
        ("unchanged", outcome.unchanged),
        ("superseded", outcome.superseded),
        ("version-reused", outcome.version_reused),
        ("refused", outcome.refused - outcome.version_reused),
    ];
    for (name, events) in counts {
        metrics::counter!("registry_events_total", "outcome" => name).increment(events as u64);
    }
    metrics::counter!("registry_conflicts_total").increment(outcome.conflicts as u64);
}

/// Where a test breaks this step.
fn broken(point: Point) -> Result<(), StoreError> {
    fault::at(point).map_or(Ok(()), |fault| Err(StoreError::injected(fault)))
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
