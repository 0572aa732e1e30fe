//! What a consumer has in hand: opened batches that are neither settled nor acknowledged yet.

use std::collections::VecDeque;

use broker::Delivery;
use chrono::{DateTime, Utc};
use contract::AnswerKey;

use crate::incoming::OpenBatch;
use crate::open::Content;

/// One batch in hand.
pub(crate) struct InHand {
    /// What to acknowledge it by.
    pub delivery: Delivery,
    /// What to answer it under.
    pub answer_key: AnswerKey,
    /// What it holds.
    pub content: Content,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// All in hand, in the order of arrival.
#[derive(Default)]
pub(crate) struct Held {
    queue: VecDeque<InHand>,
    /// So many of the first are applied one by one, because the store refused them together.
    singly: usize,
    /// Too slow by themselves: tried again when nothing else is there to do.
    aside: VecDeque<InHand>,
}

impl Held {
    pub(crate) fn push(&mut self, batch: InHand) {
        self.queue.push_back(batch);
    }

    /// Nothing to do at once.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many, without those set aside.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn first(&self) -> Option<&InHand> {
        self.queue.front()
    }

    /// How many of the first make the next transaction. A probe goes by itself: it reads what was
    /// committed before it.
    pub(crate) fn group(&self, max_events: usize) -> usize {
        if self.singly > 0 {
            return 1;
        }
        let mut events = 0;
        let fits = self.queue.iter().take_while(|batch| match &batch.content {
            content @ Content::Facts(_) => {
                events += content.events();
                events <= max_events
            }
            Content::Probe(_) => false,
        });
        fits.count().max(1)
    }

    /// The first `count`, as far as they hold events.
    pub(crate) fn facts(&self, count: usize) -> Vec<&OpenBatch> {
        self.queue
            .iter()
            .take(count)
            .filter_map(|batch| match &batch.content {
                Content::Facts(batch) => Some(batch),
                Content::Probe(_) => None,
            })
            .collect()
    }

    /// The keys to answer the first `count` under.
    pub(crate) fn answer_keys(&self, count: usize) -> impl Iterator<Item = &AnswerKey> {
        self.queue.iter().take(count).map(|batch| &batch.answer_key)
    }

    pub(crate) fn drop_first(&mut self, count: usize) -> Vec<Delivery> {
        self.singly = self.singly.saturating_sub(count);
        self.queue
            .drain(..count)
            .map(|batch| batch.delivery)
            .collect()
    }

    /// The store refused the first `count` together: each by itself.
    pub(crate) fn split(&mut self, count: usize) {
        self.singly = count;
    }

    /// Lets the others pass the first one.
    pub(crate) fn set_aside(&mut self) {
        self.singly = self.singly.saturating_sub(1);
        self.aside.extend(self.queue.pop_front());
    }

    /// Whether the store refuses none of them, nor is too slow for one.
    pub(crate) fn in_order(&self) -> bool {
        self.singly == 0 && self.aside.is_empty()
    }

    /// How many are set aside.
    pub(crate) fn aside(&self) -> usize {
        self.aside.len()
    }

    /// Those set aside have their turn again, one by one.
    pub(crate) fn take_up(&mut self) {
        self.queue.append(&mut self.aside);
        self.singly = self.queue.len();
    }

    /// Those set aside since `before` or longer.
    pub(crate) fn drop_aside(&mut self, before: DateTime<Utc>) -> Vec<Delivery> {
        let (old, young): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.aside)
            .into_iter()
            .partition(|batch| batch.since <= before);
        self.aside = young;
        old.into_iter().map(|batch| batch.delivery).collect()
    }

    /// Since when the oldest is in hand.
    pub(crate) fn oldest(&self) -> Option<DateTime<Utc>> {
        self.queue
            .iter()
            .chain(&self.aside)
            .map(|batch| batch.since)
            .min()
    }

    /// Everything, out of hand.
    pub(crate) fn drop_all(&mut self) -> Vec<Delivery> {
        self.take_up();
        self.drop_first(self.queue.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incoming::Refusal;
    use crate::probe::OpenProbe;
    use contract::BatchId;

    const ID: BatchId = BatchId([0; 16]);

    async fn in_hand(contents: Vec<Content>) -> Held {
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
        let mut held = Held::default();
        for (delivery, content) in deliveries.into_iter().zip(contents) {
            let answer_key = AnswerKey::from_bytes([0; 32]);
            held.push(InHand {
                delivery,
                answer_key,
                content,
                since: DateTime::UNIX_EPOCH,
            });
        }
        held
    }

    fn facts(events: usize) -> Content {
        let reason = contract::RefusalReason::Malformed;
        let refusal = Refusal {
            batch: ID,
            index: 0,
            record: None,
            version: None,
            reason,
        };
        Content::Facts(OpenBatch {
            id: ID,
            events: Vec::new(),
            refusals: vec![refusal; events],
        })
    }

    #[tokio::test]
    async fn a_transaction_takes_what_fits_and_at_least_one() {
        let mut held = in_hand(vec![facts(4), facts(4), facts(4), facts(4), facts(4)]).await;
        assert_eq!(held.group(12), 3);
        assert_eq!(held.group(11), 2);
        assert_eq!(held.group(1), 1);
        held.split(2);
        assert_eq!(held.group(12), 1);
    }

    #[tokio::test]
    async fn a_probe_waits_for_the_batches_before_it() {
        let probe = Content::Probe(OpenProbe {
            id: ID,
            probed: Vec::new(),
        });
        let mut held = in_hand(vec![facts(1), facts(1), probe, facts(1), facts(1)]).await;
        assert_eq!(held.group(100), 2, "up to the probe");
        held.drop_first(2);
        assert_eq!((held.group(100), held.facts(1).len()), (1, 0));
        held.drop_first(1);
        assert_eq!(held.group(100), 2);
    }
}
