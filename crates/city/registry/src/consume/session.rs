//! Queue session of a consumer: takes batches and opens them, answers and acknowledges what is
//! stored.

use std::sync::Arc;
use std::time::Duration;

use az::SaturatingAs;
use broker::{BrokerError, Consumer, Delivery, Token};
use chrono::{DateTime, Utc};
use clock::Clock;
use contract::{Receipt, batch_id_of};
use fault::Point;
use tokio::sync::Notify;

use super::context::ConsumeContext;
use super::dead_letter_budget::DeadLetterBudget;
use super::metrics::{count_dead_letter, count_probes, count_thrown_away};
use super::step::{ConsumeError, StepTotals};
use super::store_batches::StoredGroup;
use super::suspects::Suspects;
use crate::config::ConsumeConfig;
use crate::open::{DeadLetterReason, GIVEN_UP, OpenedDelivery, Opening, STORE_REFUSES};
use crate::reader::Reader;
use crate::receipts::ReceiptSender;
use crate::store::StoreError;

/// Approximate number of bytes of messages that are taken at once, judged by the size of those
/// before.
const RECEIVE_BYTES: usize = 16 << 20;

/// Queue session of one consumer.
pub(super) struct QueueSession {
    consumer: Box<dyn Consumer>,
    /// Way out for receipts; absent where the registry has no key for them.
    receipts: Option<Arc<ReceiptSender>>,
    reader: Reader,
    settings: ConsumeConfig,
    clock: Arc<dyn Clock>,
    budget: DeadLetterBudget,
    /// Deliveries that were taken and are being opened.
    opening: Option<Opening>,
    /// Deliveries that were handed out before, and are opened one by one.
    pub suspects: Suspects,
    /// Stored batches that are neither answered nor acknowledged yet.
    unacknowledged: Option<Unacknowledged>,
    /// Mean size of the messages taken last, in bytes.
    mean_bytes: usize,
    /// Mean number of events of the batches opened last.
    mean_events: usize,
    /// Counts since the last step that ended well.
    pub totals: StepTotals,
}

struct Unacknowledged {
    tokens: Vec<Token>,
    stored: StoredGroup,
}

impl QueueSession {
    pub(super) fn new(context: &ConsumeContext) -> Result<Self, BrokerError> {
        Ok(Self {
            consumer: context.consumer()?,
            receipts: context.receipts.clone(),
            reader: context.reader.clone(),
            settings: context.settings.clone(),
            clock: Arc::clone(&context.clock),
            budget: DeadLetterBudget::new(context.clock.elapsed()),
            opening: None,
            suspects: Suspects::default(),
            unacknowledged: None,
            mean_bytes: 0,
            mean_events: 0,
            totals: StepTotals::default(),
        })
    }

    /// True where messages can arrive now.
    pub(super) fn connected(&self) -> bool {
        self.consumer.connected()
    }

    /// True where the registry has a key to sign receipts with.
    pub(super) const fn can_answer(&self) -> bool {
        self.receipts.is_some()
    }

    /// Waits shortly for batches and begins to open those that are new; false when none came. Those
    /// that were handed out before become suspects. Cancel-safe.
    pub(super) async fn receive(
        &mut self,
        now: DateTime<Utc>,
        max_wait: Duration,
    ) -> Result<bool, ConsumeError> {
        let deliveries = self.consumer.receive(self.max_batches(), max_wait).await?;
        if deliveries.is_empty() {
            return Ok(false);
        }
        if let Err(error) = fault::check::<StoreError>(Point::RegistryReceived) {
            self.requeue(deliveries).await;
            return Err(error.into());
        }
        let bytes: usize = deliveries.iter().map(|delivery| delivery.bytes.len()).sum();
        self.mean_bytes = bytes / deliveries.len();
        let (again, new): (Vec<_>, Vec<_>) = deliveries
            .into_iter()
            .partition(|delivery| delivery.redelivered);
        self.suspects.extend(again);
        if !new.is_empty() {
            self.open(new, now);
        }
        Ok(true)
    }

    /// Begins to open deliveries.
    pub(super) fn open(&mut self, deliveries: Vec<Delivery>, now: DateTime<Utc>) {
        self.opening = Some(Opening::start(deliveries, self.reader.clone(), now));
    }

    /// Number of batches to take: as many as fill a transaction, judged by those before.
    fn max_batches(&self) -> usize {
        // Rounded down: one batch too many would have a transaction of its own.
        let max_events: usize = self.settings.max_events.get().saturating_as();
        let by_events = max_events / self.mean_events.max(1);
        let by_bytes = RECEIVE_BYTES / self.mean_bytes.max(1);
        usize::from(self.settings.max_batches.get())
            .min(by_events)
            .min(by_bytes)
            .max(1)
    }

    /// Work on the queue while the store works on a group: answers and acknowledges the group
    /// before and, if `ahead`, takes the next batches, until `stored`.
    pub(super) async fn work_meanwhile(
        &mut self,
        stored: &Notify,
        ahead: bool,
        now: DateTime<Utc>,
    ) -> Result<(), ConsumeError> {
        self.acknowledge().await?;
        if !ahead || self.opening.is_some() {
            return Ok(());
        }
        let max_wait = Duration::from_millis(self.settings.max_wait_ms.get().into());
        tokio::select! {
            biased;
            received = self.receive(now, max_wait) => received.map(drop),
            () = stored.notified() => Ok(()),
        }
    }

    /// Waits for the deliveries that are being opened, and meanwhile acknowledges what is stored.
    /// Returns the deliveries also where acknowledging fails.
    pub(super) async fn opened(&mut self) -> (Vec<OpenedDelivery>, Result<(), ConsumeError>) {
        let Some(opening) = self.opening.take() else {
            return (Vec::new(), Ok(()));
        };
        let (opened, acknowledged) = tokio::join!(opening.finish(), self.acknowledge());
        let events = opened
            .iter()
            .filter_map(|opened| Some(opened.batch.as_ref().ok()?.content.len()));
        self.mean_events = events.sum::<usize>() / opened.len().max(1);
        (opened, acknowledged)
    }

    /// Notes that these deliveries are stored; the next [`QueueSession::acknowledge`] answers and
    /// acknowledges them.
    pub(super) fn push_stored(&mut self, deliveries: Vec<Delivery>, stored: StoredGroup) {
        let tokens = deliveries.into_iter().map(|delivery| delivery.token);
        match &mut self.unacknowledged {
            None => {
                self.unacknowledged = Some(Unacknowledged {
                    tokens: tokens.collect(),
                    stored,
                });
            }
            // The group before could not be acknowledged yet: both are acknowledged together.
            Some(before) => {
                before.tokens.extend(tokens);
                before.stored.receipts.extend(stored.receipts);
                before.stored.totals += stored.totals;
            }
        }
    }

    /// Answers what is stored, then acknowledges it.
    pub(super) async fn acknowledge(&mut self) -> Result<(), ConsumeError> {
        let Some(Unacknowledged { stored, .. }) = &self.unacknowledged else {
            return Ok(());
        };
        if let Some(receipts) = &self.receipts {
            let sent = receipts.send(&stored.receipts).await;
            count_probes(stored.totals.probes, sent == stored.receipts.len());
            fault::check::<StoreError>(Point::RegistryReceiptSent)?;
        }
        let Some(Unacknowledged { tokens, stored }) = self.unacknowledged.take() else {
            return Ok(());
        };
        self.totals += stored.totals;
        self.consumer.ack(tokens).await?;
        Ok(fault::check::<StoreError>(Point::RegistryAcked)?)
    }

    /// Tells the senders why their batches cannot be used, then moves all of them to the dead
    /// letters, or gives back to the queue those that could not be moved. What exceeds the budget
    /// is thrown away instead, and its sender told nothing.
    pub(super) async fn dead_letter_all(
        &mut self,
        unusable: Vec<(Delivery, DeadLetterReason)>,
    ) -> Result<(), BrokerError> {
        let now = self.clock.elapsed();
        let (unusable, excess): (Vec<_>, Vec<_>) = unusable.into_iter().partition(|(_, reason)| {
            [STORE_REFUSES, GIVEN_UP].contains(reason) || self.budget.take(now)
        });
        if let Err(error) = self.throw_away(excess, now).await {
            let deliveries = unusable.into_iter().map(|(delivery, _)| delivery);
            self.requeue(deliveries.collect()).await;
            return Err(error);
        }
        if let Some(out) = &self.receipts {
            let receipts: Vec<Receipt> = unusable
                .iter()
                .filter_map(|(delivery, reason)| {
                    let id = batch_id_of(&delivery.bytes)?;
                    Some(Receipt::unreadable(id, reason.answer))
                })
                .collect();
            out.send(&receipts).await;
        }
        let mut left = unusable.into_iter();
        while let Some((delivery, reason)) = left.next() {
            if let Err(error) = self.dead_letter(delivery, reason.code).await {
                self.requeue(left.map(|(delivery, _)| delivery).collect())
                    .await;
                return Err(error);
            }
            self.totals.dead += 1;
        }
        Ok(())
    }

    async fn throw_away(
        &mut self,
        excess: Vec<(Delivery, DeadLetterReason)>,
        now: Duration,
    ) -> Result<(), BrokerError> {
        let count = excess.len();
        if let Some(batches) = self.budget.note_thrown_away(count.saturating_as(), now) {
            tracing::warn!(
                event = "batches-thrown-away",
                batches,
                "unreadable batches come faster than they are kept: somebody floods the queue, or \
                 seals to another key"
            );
        }
        if count == 0 {
            return Ok(());
        }
        let tokens = excess.into_iter().map(|(delivery, _)| delivery.token);
        self.consumer.ack(tokens.collect()).await?;
        self.totals.dead += count;
        count_thrown_away(count.saturating_as());
        Ok(())
    }

    async fn dead_letter(
        &mut self,
        delivery: Delivery,
        reason: &'static str,
    ) -> Result<(), BrokerError> {
        if let Err(error) = fault::check::<BrokerError>(Point::RegistryDeadLettering) {
            self.requeue(vec![delivery]).await;
            return Err(error);
        }
        tracing::warn!(
            event = "batch-dead-lettered",
            reason,
            bytes = delivery.bytes.len(),
            "unusable batch"
        );
        self.consumer.dead_letter(delivery, reason).await?;
        count_dead_letter();
        Ok(())
    }

    /// Gives deliveries back to the queue.
    pub(super) async fn requeue(&mut self, deliveries: Vec<Delivery>) {
        if deliveries.is_empty() {
            return;
        }
        let tokens = deliveries
            .into_iter()
            .map(|delivery| delivery.token)
            .collect();
        if let Err(error) = self.consumer.requeue(tokens).await {
            tracing::warn!(
                event = "requeue-failed", %error, "the batches come again by themselves"
            );
        }
    }

    /// Answers what is stored, gives back everything else and closes the consumer.
    pub(super) async fn close(&mut self) {
        if let Err(error) = self.acknowledge().await {
            tracing::warn!(event = "finish-failed", %error, "the batches come again by themselves");
        }
        self.opening = None;
        self.suspects = Suspects::default();
        self.receipts = None;
        self.consumer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use broker::QueueConfig;
    use clock::{Clock, ManualClock};
    use contract::PrivateKey;
    use linking::SecondLayerKey;

    use crate::breaker::{Breaker, STORE};
    use crate::config::{SqliteConfig, StoreConfig};
    use crate::keys::Keys;

    async fn context(queue: &QueueConfig, base: &Path) -> ConsumeContext {
        let keys = Keys::new(
            PrivateKey::generate(),
            Vec::new(),
            SecondLayerKey::generate(),
        );
        let store = StoreConfig::Sqlite(SqliteConfig {
            path: "registry.sqlite".into(),
        });
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(DateTime::UNIX_EPOCH));
        ConsumeContext {
            reader: Reader::open(&store, keys, base).await.unwrap(),
            queue: queue.clone(),
            settings: ConsumeConfig::default(),
            base: base.to_owned(),
            breaker: Breaker::new("store", STORE, Arc::clone(&clock)),
            clock,
            receipts: None,
        }
    }

    #[tokio::test]
    async fn a_group_that_could_not_be_acknowledged_is_acknowledged_with_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let queue = QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
        let publisher = broker::publisher(&queue, folder.path()).unwrap();
        for _ in 0..2 {
            let batch = contract::SealedBatch {
                id: contract::BatchId::random(),
                bytes: vec![1],
            };
            publisher.publish(&batch).await.unwrap();
        }
        let mut session = QueueSession::new(&context(&queue, folder.path()).await).unwrap();
        let mut deliveries = Vec::new();
        while deliveries.len() < 2 {
            session
                .receive(DateTime::UNIX_EPOCH, Duration::from_secs(1))
                .await
                .unwrap();
            deliveries.extend(session.opened().await.0);
        }
        for opened in deliveries {
            let totals = StepTotals {
                batches: 1,
                ..StepTotals::default()
            };
            let stored = StoredGroup {
                totals,
                receipts: Vec::new(),
            };
            session.push_stored(vec![opened.delivery], stored);
        }
        session.close().await;
        assert_eq!(session.totals.batches, 2);
        assert_eq!(
            broker::depth(&queue, folder.path()).await.unwrap().waiting,
            0,
            "both acknowledged"
        );
    }
}
