//! Pending batches: opened, but neither stored nor acknowledged yet.

use std::collections::VecDeque;

use broker::Delivery;
use chrono::{DateTime, Utc};
use contract::{AnswerKey, BatchId};
use linking::OpenBatch;

use super::parts::StoredParts;
use crate::open::{BatchContent, OpenedBatch};

/// Opened batch that is neither stored nor acknowledged yet.
pub(super) struct PendingBatch {
    /// Delivery to acknowledge.
    pub delivery: Delivery,
    /// Key to answer the sender under.
    pub answer_key: AnswerKey,
    /// Events or a probe.
    pub content: BatchContent,
    /// Time at which the batch was opened.
    pub since: DateTime<Utc>,
    /// Number of times that the registry failed at it by itself.
    pub failures: u32,
    /// Time of the next try, where it was postponed.
    pub due: DateTime<Utc>,
    /// Parts of it that are stored already.
    pub stored: Option<StoredParts>,
}

impl PendingBatch {
    /// Batch that was just opened.
    pub(super) fn new(delivery: Delivery, opened: OpenedBatch, now: DateTime<Utc>) -> Self {
        Self {
            delivery,
            answer_key: opened.answer_key,
            content: opened.content,
            since: now,
            failures: 0,
            due: now,
            stored: None,
        }
    }
}

/// Pending batches of one consumer, in the order of arrival.
#[derive(Default)]
pub(super) struct PendingBatches {
    queue: VecDeque<PendingBatch>,
    /// Number of the first batches that are applied one by one, because the store refused them
    /// together.
    one_by_one: usize,
    /// Batches at which the registry failed by themselves, until they are due again.
    postponed: VecDeque<PendingBatch>,
}

impl PendingBatches {
    pub(super) fn push(&mut self, batch: PendingBatch) {
        self.queue.push_back(batch);
    }

    /// Takes the one that came last.
    pub(super) fn take_newest(&mut self) -> Option<PendingBatch> {
        self.queue.pop_back()
    }

    /// True where nothing is to be stored at once; postponed batches do not count.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Number of batches, without the postponed ones.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// First batch.
    pub(super) fn first(&self) -> Option<&PendingBatch> {
        self.queue.front()
    }

    /// Puts a batch before the others, to be applied by itself.
    pub(super) fn push_first_alone(&mut self, batch: PendingBatch) {
        self.queue.push_front(batch);
        self.one_by_one += 1;
    }

    /// Number of the first batches that make the next transaction. A probe goes by itself: it reads
    /// what was committed before it.
    pub(super) fn group_size(&self, max_events: usize) -> usize {
        if self.one_by_one > 0 {
            return 1;
        }
        let mut events = 0;
        let fits = self.queue.iter().take_while(|batch| match &batch.content {
            content @ BatchContent::Facts(_) => {
                events += content.len();
                events <= max_events
            }
            BatchContent::Probe(_) => false,
        });
        fits.count().max(1)
    }

    /// Opened batches of events among the first `count`.
    pub(super) fn facts(&self, count: usize) -> Vec<&OpenBatch> {
        self.queue
            .iter()
            .take(count)
            .filter_map(|batch| match &batch.content {
                BatchContent::Facts(batch) => Some(batch),
                BatchContent::Probe(_) => None,
            })
            .collect()
    }

    /// Ids of the first `count`.
    pub(super) fn batch_ids(&self, count: usize) -> impl Iterator<Item = BatchId> {
        self.queue
            .iter()
            .take(count)
            .map(|batch| batch.content.batch_id())
    }

    /// Keys to answer the first `count` under.
    pub(super) fn answer_keys(&self, count: usize) -> impl Iterator<Item = &AnswerKey> {
        self.queue.iter().take(count).map(|batch| &batch.answer_key)
    }

    /// Removes the first `count`.
    pub(super) fn take_first(&mut self, count: usize) -> Vec<Delivery> {
        self.one_by_one = self.one_by_one.saturating_sub(count);
        self.queue
            .drain(..count)
            .map(|batch| batch.delivery)
            .collect()
    }

    /// Has the first `count`, which the store refused together, applied one by one.
    pub(super) fn split(&mut self, count: usize) {
        self.one_by_one = count;
    }

    /// Counts a failure at the first one, and returns their number.
    pub(super) fn count_failure(&mut self) -> u32 {
        let Some(first) = self.queue.front_mut() else {
            return 0;
        };
        first.failures += 1;
        first.failures
    }

    /// Notes that parts of the first one are stored, and lets the others pass before the next part.
    pub(super) fn rotate_first(&mut self, stored: StoredParts, now: DateTime<Utc>) {
        if let Some(first) = self.queue.front_mut() {
            first.stored = Some(stored);
        }
        self.postpone_first(now);
    }

    /// Returns whether a postponed batch is due.
    pub(super) fn has_due(&self, now: DateTime<Utc>) -> bool {
        self.postponed.iter().any(|batch| batch.due <= now)
    }

    /// Lets the others pass the first one until `due`.
    pub(super) fn postpone_first(&mut self, due: DateTime<Utc>) {
        self.one_by_one = self.one_by_one.saturating_sub(1);
        if let Some(mut first) = self.queue.pop_front() {
            first.due = due;
            self.postponed.push_back(first);
        }
    }

    /// True where the store refuses none of them, and is too slow for none.
    pub(super) fn is_in_order(&self) -> bool {
        self.one_by_one == 0 && self.postponed.is_empty()
    }

    /// Number of postponed batches.
    pub(super) fn postponed(&self) -> usize {
        self.postponed.len()
    }

    /// Gives the postponed batches that are due their turn again, one by one.
    pub(super) fn resume_due(&mut self, now: DateTime<Utc>) {
        let (due, waiting): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.postponed)
            .into_iter()
            .partition(|batch| batch.due <= now);
        self.postponed = waiting;
        for batch in due {
            self.push_first_alone(batch);
        }
    }

    /// Time at which the oldest was opened.
    pub(super) fn oldest(&self) -> Option<DateTime<Utc>> {
        self.queue
            .iter()
            .chain(&self.postponed)
            .map(|batch| batch.since)
            .min()
    }

    /// Removes all, the postponed ones included.
    pub(super) fn take_all(&mut self) -> Vec<Delivery> {
        self.queue.append(&mut self.postponed);
        self.take_first(self.queue.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::OpenProbe;
    use linking::EventRefusal;

    const ID: BatchId = BatchId([0; 16]);

    async fn opened(contents: Vec<BatchContent>) -> PendingBatches {
        // Tokens are made by a consumer only.
        let folder = tempfile::tempdir().unwrap();
        let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
        let publisher = broker::publisher(&queue, folder.path()).unwrap();
        for _ in &contents {
            let batch = contract::SealedBatch {
                id: BatchId::random(),
                bytes: vec![1],
            };
            publisher.publish(&batch).await.unwrap();
        }
        let mut consumer = broker::consumer(&queue, folder.path()).unwrap();
        let wait = std::time::Duration::from_secs(5);
        let mut deliveries = Vec::new();
        while deliveries.len() < contents.len() {
            deliveries.extend(consumer.receive(contents.len(), wait).await.unwrap());
        }
        let mut pending = PendingBatches::default();
        for (delivery, content) in deliveries.into_iter().zip(contents) {
            let answer_key = AnswerKey::from_bytes([0; 32]);
            let opened = OpenedBatch {
                content,
                answer_key,
                sealed_tokens: None,
                key_index: 0,
            };
            pending.push(PendingBatch::new(delivery, opened, DateTime::UNIX_EPOCH));
        }
        pending
    }

    fn facts(events: usize) -> BatchContent {
        let reason = contract::RefusalReason::Malformed;
        let refusal = EventRefusal {
            batch: ID,
            index: 0,
            record: None,
            version: None,
            reason,
        };
        BatchContent::Facts(OpenBatch {
            id: ID,
            name: None,
            tokens: None,
            events: Vec::new(),
            refusals: vec![refusal; events],
        })
    }

    #[tokio::test]
    async fn a_transaction_takes_what_fits_and_at_least_one() {
        let mut pending = opened(vec![facts(4), facts(4), facts(4), facts(4), facts(4)]).await;
        assert_eq!(pending.group_size(12), 3);
        assert_eq!(pending.group_size(11), 2);
        assert_eq!(pending.group_size(1), 1);
        pending.split(2);
        assert_eq!(pending.group_size(12), 1);
    }

    #[tokio::test]
    async fn a_postponed_batch_lets_the_others_pass_until_it_is_due() {
        let mut pending = opened(vec![facts(1), facts(2), facts(3)]).await;
        let due = DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(30);
        assert_eq!(pending.count_failure(), 1);
        pending.postpone_first(due);
        assert_eq!(pending.group_size(100), 2);
        pending.resume_due(DateTime::UNIX_EPOCH);
        assert_eq!((pending.len(), pending.postponed()), (2, 1));
        pending.resume_due(due);
        assert_eq!((pending.len(), pending.postponed()), (3, 0));
        assert_eq!(pending.group_size(100), 1, "by itself");
        assert_eq!(pending.first().map(|batch| batch.failures), Some(1));
        pending.take_first(1);
        assert_eq!(pending.group_size(100), 2, "the others together");
    }

    #[tokio::test]
    async fn a_probe_waits_for_the_batches_before_it() {
        let probe = BatchContent::Probe(OpenProbe {
            id: ID,
            probed: Vec::new(),
            tokens: Ok(None),
            records: Vec::new(),
        });
        let mut pending = opened(vec![facts(1), facts(1), probe, facts(1), facts(1)]).await;
        assert_eq!(pending.group_size(100), 2, "up to the probe");
        pending.take_first(2);
        assert_eq!((pending.group_size(100), pending.facts(1).len()), (1, 0));
        pending.take_first(1);
        assert_eq!(pending.group_size(100), 2);
    }
}
