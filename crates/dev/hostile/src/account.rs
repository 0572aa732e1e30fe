//! Account that may publish: it seals and sends, and reads the answers to what it has sent.

use std::sync::Arc;

use broker::Publisher;
use contract::wire::{self, MAX_EVENTS};
use contract::{
    Answer, AnswerKey, BatchId, Event, PublicKey, RefusalReason, SealedBatch, StoredAnswer, Verdict,
};

use crate::Outcome;

/// Sender with everything that it has sent.
pub struct Account {
    publisher: Arc<dyn Publisher>,
    public: PublicKey,
    sent: Vec<(SealedBatch, AnswerKey)>,
}

impl Account {
    pub(crate) fn new(publisher: Arc<dyn Publisher>, public: PublicKey) -> Self {
        Self {
            publisher,
            public,
            sent: Vec::new(),
        }
    }

    /// Sends events, in as few batches as they fit.
    ///
    /// # Errors
    /// A batch that the queue does not take.
    pub async fn send(&mut self, events: &[Event]) -> Outcome<()> {
        self.send_in_batches(events, MAX_EVENTS).await
    }

    /// Sends events, so many in a batch.
    ///
    /// # Errors
    /// A batch that the queue does not take.
    pub async fn send_in_batches(&mut self, events: &[Event], size: usize) -> Outcome<()> {
        for events in events.chunks(size) {
            self.send_encoded(&wire::encode(events)).await?;
        }
        Ok(())
    }

    /// Seals and sends any bytes.
    ///
    /// # Errors
    /// A batch that the queue does not take.
    pub async fn send_encoded(&mut self, encoded: &[u8]) -> Outcome<()> {
        let sealed = self.public.seal(encoded)?;
        self.publisher.publish(&sealed.0).await?;
        self.sent.push(sealed);
        Ok(())
    }

    /// Sends a batch as it is, such as one that another account has sealed.
    ///
    /// # Errors
    /// A batch that the queue does not take.
    pub async fn replay(&self, batch: &SealedBatch) -> Outcome<()> {
        Ok(self.publisher.publish(batch).await?)
    }

    /// Sends any bytes as a batch.
    ///
    /// # Errors
    /// A batch that the queue does not take.
    pub async fn send_bytes(&self, bytes: Vec<u8>) -> Outcome<()> {
        let id = BatchId::random();
        self.replay(&SealedBatch { id, bytes }).await
    }

    /// Batches that were sent and whose answers were not asked for.
    #[must_use]
    pub fn batches(&self) -> Vec<SealedBatch> {
        self.sent.iter().map(|sent| sent.0.clone()).collect()
    }

    /// Batches that were sent, whose answers are not asked for any more.
    pub fn take_batches(&mut self) -> Vec<SealedBatch> {
        let sent = std::mem::take(&mut self.sent);
        sent.into_iter().map(|sent| sent.0).collect()
    }

    /// Batches that were sent since the last call, each with the key to its answer.
    pub(crate) fn take_sent(&mut self) -> Vec<(SealedBatch, AnswerKey)> {
        std::mem::take(&mut self.sent)
    }
}

/// Reasons for which events of an answer were refused, each once.
#[must_use]
pub fn reasons(answer: &StoredAnswer) -> Vec<RefusalReason> {
    let reasons = answer.refused.iter().map(|refused| refused.reason);
    let mut reasons: Vec<RefusalReason> = reasons.collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}
