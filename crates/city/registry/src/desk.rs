//! A consumer's way to the queue and back: takes batches and opens them, answers and acknowledges
//! what is stored.

use std::sync::Arc;
use std::time::Duration;

use broker::{BrokerError, Consumer, Delivery, Token};
use chrono::{DateTime, Utc};
use contract::{Receipt, batch_id_of};
use fault::Point;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::config::ConsumeConfig;
use crate::consume::{ConsumeError, Totals, count_probes, to_usize};
use crate::keys::Keys;
use crate::open::{DeadReason, Open, open_all};
use crate::receipts::Receipts;
use crate::store::StoreError;

/// About so many bytes of messages are taken at once, judged by the size of those before.
const TAKE_BYTES: usize = 16 << 20;

/// Deliveries with what they hold, or why they cannot be read.
pub(crate) type Opened = Vec<(Delivery, Result<Open, DeadReason>)>;

/// What a transaction has settled and nobody was told yet.
pub(crate) struct Committed {
    /// To acknowledge by.
    pub tokens: Vec<Token>,
    /// What its senders are told.
    pub receipts: Vec<Receipt>,
    /// What it came to.
    pub totals: Totals,
}

/// The queue's side of a consumer.
pub(crate) struct Desk {
    consumer: Box<dyn Consumer>,
    /// Absent where the registry has no key for them.
    pub receipts: Option<Arc<Receipts>>,
    keys: Arc<Keys>,
    settings: ConsumeConfig,
    /// Taken while the store worked, and on its way to being read.
    opening: Option<JoinHandle<Opened>>,
    committed: Option<Committed>,
    /// Of the batches taken last.
    mean_bytes: usize,
    mean_events: usize,
    /// Done since the last step that ended well.
    pub untold: Totals,
}

impl Desk {
    pub(crate) fn new(
        consumer: Box<dyn Consumer>,
        keys: Arc<Keys>,
        settings: ConsumeConfig,
        receipts: Option<Arc<Receipts>>,
    ) -> Self {
        Self {
            consumer,
            receipts,
            keys,
            settings,
            opening: None,
            committed: None,
            mean_bytes: 0,
            mean_events: 0,
            untold: Totals::default(),
        }
    }

    pub(crate) fn connected(&self) -> bool {
        self.consumer.connected()
    }

    /// Waits shortly for batches and begins to open them; false when none came. Cancel-safe.
    pub(crate) async fn take(&mut self, now: DateTime<Utc>) -> Result<bool, ConsumeError> {
        let max_wait = Duration::from_millis(self.settings.max_wait_ms.get().into());
        let deliveries = self.consumer.receive(self.most(), max_wait).await?;
        if deliveries.is_empty() {
            return Ok(false);
        }
        if let Err(error) = fault::check::<StoreError>(Point::RegistryReceived) {
            self.requeue(deliveries).await;
            return Err(error.into());
        }
        let bytes: usize = deliveries.iter().map(|delivery| delivery.bytes.len()).sum();
        self.mean_bytes = bytes / deliveries.len();
        self.opening = Some(open_all(deliveries, Arc::clone(&self.keys), now));
        Ok(true)
    }

    /// How many batches to take: what fills a transaction, as far as those before tell.
    fn most(&self) -> usize {
        // Rounded down: one batch too many would have a transaction of its own.
        let by_events = to_usize(self.settings.max_events.get()) / self.mean_events.max(1);
        let by_bytes = TAKE_BYTES / self.mean_bytes.max(1);
        usize::from(self.settings.max_batches.get())
            .min(by_events)
            .min(by_bytes)
            .max(1)
    }

    /// While the store works on a group: answers and acknowledges the one before, and takes the
    /// next batches if `ahead` and until `stored`.
    pub(crate) async fn beside(
        &mut self,
        stored: &Notify,
        ahead: bool,
        now: DateTime<Utc>,
    ) -> Result<(), ConsumeError> {
        self.finish().await?;
        if !ahead || self.opening.is_some() {
            return Ok(());
        }
        tokio::select! {
            biased;
            taken = self.take(now) => taken.map(drop),
            () = stored.notified() => Ok(()),
        }
    }

    /// What was being opened, once it is; meanwhile answers and acknowledges what is stored.
    pub(crate) async fn opened(&mut self) -> (Opened, Result<(), ConsumeError>) {
        let Some(opening) = self.opening.take() else {
            return (Vec::new(), Ok(()));
        };
        let (opened, finished) = tokio::join!(opening, self.finish());
        match opened {
            Ok(opened) => {
                let events = opened
                    .iter()
                    .filter_map(|(_, open)| Some(open.as_ref().ok()?.0.events()));
                self.mean_events = events.sum::<usize>() / opened.len().max(1);
                (opened, finished)
            }
            Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
        }
    }

    /// A group is stored; its senders hear of it with the next [`Desk::finish`].
    pub(crate) fn commit(&mut self, committed: Committed) {
        match &mut self.committed {
            None => self.committed = Some(committed),
            // The one before could not be told yet: both are told together.
            Some(before) => {
                before.tokens.extend(committed.tokens);
                before.receipts.extend(committed.receipts);
                before.totals += committed.totals;
            }
        }
    }

    /// Answers what is stored, then acknowledges it.
    pub(crate) async fn finish(&mut self) -> Result<(), ConsumeError> {
        let Some(committed) = &self.committed else {
            return Ok(());
        };
        if let Some(out) = &self.receipts {
            let sent = out.send(&committed.receipts).await;
            count_probes(committed.totals.probes, sent == committed.receipts.len());
            fault::check::<StoreError>(Point::RegistryReceiptSent)?;
        }
        let Some(Committed { tokens, totals, .. }) = self.committed.take() else {
            return Ok(());
        };
        self.untold += totals;
        self.consumer.ack(tokens).await?;
        Ok(fault::check::<StoreError>(Point::RegistryAcked)?)
    }

    /// Tells the senders, then buries all, or gives back what it could not bury. What is in hand
    /// stays there.
    pub(crate) async fn bury_all(
        &mut self,
        unreadable: Vec<(Delivery, DeadReason)>,
    ) -> Result<(), BrokerError> {
        if let Some(out) = &self.receipts {
            let receipt = |(delivery, reason): &(Delivery, DeadReason)| {
                Some(Receipt::unreadable(
                    batch_id_of(&delivery.bytes)?,
                    reason.told,
                ))
            };
            let receipts: Vec<Receipt> = unreadable.iter().filter_map(receipt).collect();
            out.send(&receipts).await;
        }
        let mut left = unreadable.into_iter();
        while let Some((delivery, reason)) = left.next() {
            if let Err(error) = self.bury(delivery, reason.word).await {
                self.requeue(left.map(|(delivery, _)| delivery).collect())
                    .await;
                return Err(error);
            }
            self.untold.dead += 1;
        }
        Ok(())
    }

    async fn bury(&mut self, delivery: Delivery, reason: &'static str) -> Result<(), BrokerError> {
        if let Err(error) = fault::check::<BrokerError>(Point::RegistryBurying) {
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
        metrics::counter!("registry_batches_total", "outcome" => "dead-lettered").increment(1);
        Ok(())
    }

    pub(crate) async fn requeue(&mut self, deliveries: Vec<Delivery>) {
        if deliveries.is_empty() {
            return;
        }
        let tokens = deliveries
            .into_iter()
            .map(|delivery| delivery.token)
            .collect();
        if let Err(error) = self.consumer.requeue(tokens).await {
            tracing::warn!(event = "requeue-failed", %error, "the batches come again by \
                themselves");
        }
    }

    /// Answers what is stored, gives back everything else and says goodbye to the queue.
    pub(crate) async fn close(&mut self) {
        if let Err(error) = self.finish().await {
            tracing::warn!(event = "finish-failed", %error, "the batches come again by themselves");
        }
        self.opening = None;
        self.consumer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::second_layer::SecondLayerKey;

    #[tokio::test]
    async fn what_could_not_be_told_is_told_with_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
        let publisher = broker::publisher(&queue, folder.path()).unwrap();
        for _ in 0..2 {
            let batch = contract::SealedBatch {
                id: contract::BatchId::random(),
                bytes: vec![1],
            };
            publisher.publish(&batch).await.unwrap();
        }
        let private = contract::PrivateKey::generate();
        let keys = Arc::new(Keys::new(private, Vec::new(), SecondLayerKey::generate()));
        let consumer = broker::consumer(&queue, folder.path()).unwrap();
        let mut desk = Desk::new(consumer, keys, ConsumeConfig::default(), None);
        let mut deliveries = Vec::new();
        while deliveries.len() < 2 {
            desk.take(DateTime::UNIX_EPOCH).await.unwrap();
            deliveries.extend(desk.opened().await.0);
        }
        for (delivery, _) in deliveries {
            let totals = Totals {
                batches: 1,
                ..Totals::default()
            };
            desk.commit(Committed {
                tokens: vec![delivery.token],
                receipts: Vec::new(),
                totals,
            });
        }
        desk.close().await;
        assert_eq!(desk.untold.batches, 2);
        assert_eq!(
            broker::depth(&queue, folder.path()).await.unwrap().waiting,
            0,
            "both acknowledged"
        );
    }
}
