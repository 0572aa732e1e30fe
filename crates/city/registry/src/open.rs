//! Opens and reads sealed batches, off the async threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use broker::Delivery;
use chrono::{DateTime, Utc};
use contract::wire::{BatchError, Message, decode_message};
use contract::{AnswerKey, OpenError, UnreadableReason};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::incoming::OpenBatch;
use crate::keys::Keys;
use crate::probe::OpenProbe;

/// Why a batch went to the dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeadReason {
    /// The word that stands beside it there and in metrics.
    pub word: &'static str,
    /// What its sender is told.
    pub told: UnreadableReason,
}

impl DeadReason {
    const fn of(told: UnreadableReason) -> Self {
        Self {
            word: told.as_str(),
            told,
        }
    }
}

/// The store takes none of the batch's rows.
pub(crate) const STORE_REFUSES: DeadReason = DeadReason::of(UnreadableReason::StoreRefuses);

/// What a batch holds.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Events.
    Facts(OpenBatch),
    /// A question.
    Probe(OpenProbe),
}

impl Content {
    /// How many events or questions.
    pub(crate) fn events(&self) -> usize {
        match self {
            Self::Facts(batch) => batch.events.len() + batch.refusals.len(),
            Self::Probe(probe) => probe.probed.len(),
        }
    }
}

/// An opened batch and the key to answer under.
pub(crate) type Open = (Content, AnswerKey);

/// Opens deliveries; each is a batch, or unreadable for a reason that another try will not change.
pub(crate) fn open_all(
    deliveries: Vec<Delivery>,
    keys: Arc<Keys>,
    now: DateTime<Utc>,
) -> JoinHandle<Vec<(Delivery, Result<Open, DeadReason>)>> {
    spawn_blocking(move || {
        each(deliveries, |bytes| {
            open_one(bytes, &keys, now).map(|(open, _)| open)
        })
    })
}

/// Opens each by itself: one that makes the program panic must not take the others along.
fn each(
    deliveries: Vec<Delivery>,
    open: impl Fn(&[u8]) -> Result<Open, DeadReason>,
) -> Vec<(Delivery, Result<Open, DeadReason>)> {
    let open = |delivery: Delivery| {
        let opened = catch_unwind(AssertUnwindSafe(|| open(&delivery.bytes)));
        let failed = DeadReason {
            word: "opening-failed",
            told: UnreadableReason::Content,
        };
        (delivery, opened.unwrap_or(Err(failed)))
    };
    deliveries.into_iter().map(open).collect()
}

/// Opens one; also which of the private keys did it, the current one being 0.
pub(crate) fn open_one(
    bytes: &[u8],
    keys: &Keys,
    now: DateTime<Utc>,
) -> Result<(Open, usize), DeadReason> {
    let mut last = OpenError::WrongKey;
    for (index, key) in keys.private().enumerate() {
        match key.open(bytes) {
            Ok(opened) => {
                let content = match decode_message(&opened.encoded).map_err(batch_reason)? {
                    Message::Events(events) => {
                        Content::Facts(OpenBatch::new(opened.id, events, &keys.second_layer, now))
                    }
                    Message::Probe(probed) => Content::Probe(OpenProbe {
                        id: opened.id,
                        probed,
                    }),
                };
                return Ok(((content, opened.answer_key), index));
            }
            Err(OpenError::WrongKey) => {}
            Err(error) => last = error,
        }
    }
    Err(open_reason(last))
}

fn open_reason(error: OpenError) -> DeadReason {
    DeadReason::of(match error {
        OpenError::Format => UnreadableReason::NotABatch,
        OpenError::WrongKey => UnreadableReason::OtherKey,
        OpenError::NotAuthentic => UnreadableReason::NotAuthentic,
        OpenError::Content => UnreadableReason::Content,
    })
}

fn batch_reason(error: BatchError) -> DeadReason {
    let word = match error {
        BatchError::NotABatch => "not-a-batch-of-events",
        BatchError::TooLarge => "batch-too-large",
    };
    DeadReason {
        word,
        told: UnreadableReason::Content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::BatchId;

    #[tokio::test]
    async fn a_panic_over_one_batch_leaves_the_others_alone() {
        let folder = tempfile::tempdir().unwrap();
        let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
        let publisher = broker::publisher(&queue, folder.path()).unwrap();
        for byte in 0..5 {
            let batch = contract::SealedBatch {
                id: BatchId([byte; 16]),
                bytes: vec![byte],
            };
            publisher.publish(&batch).await.unwrap();
        }
        let mut consumer = broker::consumer(&queue, folder.path()).unwrap();
        let deliveries = consumer
            .receive(5, std::time::Duration::from_secs(5))
            .await
            .unwrap();
        assert_eq!(deliveries.len(), 5);
        let opened = each(deliveries, |bytes| {
            assert_ne!(bytes, [3], "the poison");
            let probe = OpenProbe {
                id: BatchId([bytes[0]; 16]),
                probed: Vec::new(),
            };
            Ok((Content::Probe(probe), AnswerKey::from_bytes([0; 32])))
        });
        for (delivery, opened) in opened {
            let word = opened.as_ref().err().map(|reason| reason.word);
            assert_eq!(word, (delivery.bytes == [3]).then_some("opening-failed"));
        }
    }
}
