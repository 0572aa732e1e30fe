//! Opening of sealed batches, off the async threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use broker::Delivery;
use chrono::{DateTime, Utc};
use contract::wire::{BatchError, Message, decode_message};
use contract::{AnswerKey, BatchId, OpenError, RefusalReason, SealedTokens, UnreadableReason};
use escrow::BatchName;
use linking::OpenBatch;
use sha2::{Digest as _, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::keys::Keys;
use crate::probe::OpenProbe;
use crate::reader::Reader;
use crate::tokens::TokenKeys;

/// Beginning of what the digest of a batch that spends a token is made of.
const SPENDER_DOMAIN: &[u8] = b"clinic-gateway/registry/spender/v1\0";

/// Reason for which a batch goes to the dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeadLetterReason {
    /// Word for the dead letter and the metrics.
    pub code: &'static str,
    /// Reason that the sender gets.
    pub answer: UnreadableReason,
}

impl From<UnreadableReason> for DeadLetterReason {
    fn from(reason: UnreadableReason) -> Self {
        Self {
            code: reason.as_str(),
            answer: reason,
        }
    }
}

/// Reason for a batch of which the store takes no row.
pub(crate) const STORE_REFUSES: DeadLetterReason = DeadLetterReason {
    code: UnreadableReason::StoreRefuses.as_str(),
    answer: UnreadableReason::StoreRefuses,
};

/// Reason for a message that is longer than any batch, of which the queue gave the beginning.
const TOO_LARGE: DeadLetterReason = DeadLetterReason {
    code: "too-large",
    answer: UnreadableReason::NotABatch,
};

/// Reason for a batch that was tried by itself again and again, and failed each time.
pub(crate) const GIVEN_UP: DeadLetterReason = DeadLetterReason {
    code: UnreadableReason::GivenUp.as_str(),
    answer: UnreadableReason::GivenUp,
};

/// Reason for a batch at which the program panicked.
const OPENING_FAILED: DeadLetterReason = DeadLetterReason {
    code: "opening-failed",
    answer: UnreadableReason::Content,
};

/// Content of a batch.
#[derive(Debug, Clone)]
pub(crate) enum BatchContent {
    /// Events.
    Facts(OpenBatch),
    /// Question about records.
    Probe(OpenProbe),
}

impl BatchContent {
    /// Number of events, or of records asked for.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Facts(batch) => batch.events.len() + batch.refusals.len(),
            Self::Probe(probe) => probe.probed.len(),
        }
    }

    /// Word for it in the log.
    const fn carrier(&self) -> &'static str {
        match self {
            Self::Facts(_) => "batch",
            Self::Probe(_) => "probe",
        }
    }

    /// Id of the batch.
    pub(crate) const fn batch_id(&self) -> BatchId {
        match self {
            Self::Facts(batch) => batch.id,
            Self::Probe(probe) => probe.id,
        }
    }
}

/// Batch that could be opened.
#[derive(Debug)]
pub(crate) struct OpenedBatch {
    /// Events or a probe.
    pub content: BatchContent,
    /// Key to answer the sender under.
    pub answer_key: AnswerKey,
    /// Tokens that it carries, as they came.
    pub(crate) sealed_tokens: Option<SealedTokens>,
    /// Index of the private key that opened it, the current one being 0.
    #[cfg_attr(
        not(feature = "cli"),
        expect(dead_code, reason = "only the command line shows it")
    )]
    pub key_index: usize,
}

impl OpenedBatch {
    /// Verifies the tokens of the batch with these sealed bytes. Without good ones every event of
    /// it is refused.
    fn take_tokens(&mut self, keys: &TokenKeys, bytes: &[u8], now: DateTime<Utc>) {
        let sealed = spender(bytes, &self.answer_key);
        let verified = keys.verify(self.sealed_tokens.as_ref(), sealed, now);
        if let Err(fault) = &verified {
            keys.note(*fault, self.content.carrier(), now);
        }
        match &mut self.content {
            BatchContent::Probe(probe) => probe.tokens = verified,
            BatchContent::Facts(batch) => match verified {
                Ok(tokens) => batch.tokens = tokens,
                Err(_) => batch.refuse_all(RefusalReason::Token),
            },
        }
    }
}

/// Digest of a sealed batch, which is kept with the token that it spends. It takes the answer key,
/// which the sender has and whoever opens the batch: so nobody who has a copy of the sealed batch,
/// or its name in an escrow, finds in the database which token it has spent.
fn spender(bytes: &[u8], answer_key: &AnswerKey) -> [u8; 32] {
    Sha256::new_with_prefix(SPENDER_DOMAIN)
        .chain_update(answer_key.expose())
        .chain_update(BatchName::of(bytes).as_bytes())
        .finalize()
        .into()
}

/// Delivery with what it holds, or why it cannot be read; another try will not change that.
#[derive(Debug)]
pub(crate) struct OpenedDelivery {
    /// Delivery as the queue handed it out.
    pub delivery: Delivery,
    /// Batch, or the reason why it goes to the dead letters.
    pub batch: Result<OpenedBatch, DeadLetterReason>,
}

/// Deliveries that are being opened on a thread of their own. Dropped, it opens no further one, so
/// that a program that ends waits for one batch at most.
pub(crate) struct Opening {
    task: JoinHandle<Vec<OpenedDelivery>>,
    is_abandoned: Arc<AtomicBool>,
}

impl Opening {
    /// Begins to open deliveries for the reader's store.
    pub(crate) fn start(deliveries: Vec<Delivery>, reader: Reader, now: DateTime<Utc>) -> Self {
        let is_abandoned = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_abandoned);
        let open = move |bytes: &[u8]| {
            let mut opened = open_one(bytes, &reader.keys, now)?;
            if let Some(keys) = &reader.tokens {
                opened.take_tokens(keys, bytes, now);
            }
            if let BatchContent::Facts(batch) = &mut opened.content {
                batch.name = reader.store.has_escrow().then(|| BatchName::of(bytes));
                if let Some(retention) = &reader.retention {
                    retention.mark(batch, now);
                }
            }
            Ok(opened)
        };
        Self {
            task: spawn_blocking(move || open_each(deliveries, &flag, open)),
            is_abandoned,
        }
    }

    /// Waits for the deliveries, all of them opened.
    pub(crate) async fn finish(mut self) -> Vec<OpenedDelivery> {
        match (&mut self.task).await {
            Ok(opened) => opened,
            Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
    }
}

/// Opens each by itself, until nobody waits for them any more: one that makes the program panic
/// must not take the others along.
fn open_each(
    deliveries: Vec<Delivery>,
    is_abandoned: &AtomicBool,
    open: impl Fn(&[u8]) -> Result<OpenedBatch, DeadLetterReason>,
) -> Vec<OpenedDelivery> {
    let open = |delivery: Delivery| {
        if delivery.cut_from.is_some() {
            return OpenedDelivery {
                batch: Err(TOO_LARGE),
                delivery,
            };
        }
        let opened = catch_unwind(AssertUnwindSafe(|| open(&delivery.bytes)));
        OpenedDelivery {
            batch: opened.unwrap_or(Err(OPENING_FAILED)),
            delivery,
        }
    };
    deliveries
        .into_iter()
        .take_while(|_| !is_abandoned.load(Ordering::Relaxed))
        .map(open)
        .collect()
}

/// Opens one batch with whichever of the private keys fits.
pub(crate) fn open_one(
    bytes: &[u8],
    keys: &Keys,
    now: DateTime<Utc>,
) -> Result<OpenedBatch, DeadLetterReason> {
    let mut last = OpenError::WrongKey;
    for (key_index, key) in keys.private().enumerate() {
        match key.open(bytes) {
            Ok(opened) => {
                let content = match decode_message(&opened.encoded)? {
                    Message::Events(events) => {
                        BatchContent::Facts(OpenBatch::new(opened.id, events, keys.acceptance(now)))
                    }
                    Message::Probe(probed) => {
                        BatchContent::Probe(OpenProbe::new(opened.id, probed, &keys.second_layer))
                    }
                };
                return Ok(OpenedBatch {
                    content,
                    answer_key: opened.answer_key,
                    sealed_tokens: opened.tokens,
                    key_index,
                });
            }
            Err(OpenError::WrongKey) => {}
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

/// Codes of the reasons that this version gives to dead letters.
#[cfg(feature = "cli")]
pub(crate) fn reason_codes() -> impl Iterator<Item = &'static str> {
    let answers = UnreadableReason::ALL.map(UnreadableReason::as_str);
    let own = [TOO_LARGE.code, NOT_A_BATCH_OF_EVENTS, BATCH_TOO_LARGE];
    answers.into_iter().chain(own).chain(["delivery-limit"])
}

/// Code of a batch whose content is no batch of events.
const NOT_A_BATCH_OF_EVENTS: &str = "not-a-batch-of-events";

/// Code of a batch of more than the contract's limits.
const BATCH_TOO_LARGE: &str = "batch-too-large";

impl From<OpenError> for DeadLetterReason {
    fn from(error: OpenError) -> Self {
        Self::from(match error {
            OpenError::Format => UnreadableReason::NotABatch,
            OpenError::WrongKey => UnreadableReason::OtherKey,
            OpenError::NotAuthentic => UnreadableReason::NotAuthentic,
            OpenError::Content => UnreadableReason::Content,
        })
    }
}

impl From<BatchError> for DeadLetterReason {
    fn from(error: BatchError) -> Self {
        let code = match error {
            BatchError::NotABatch => NOT_A_BATCH_OF_EVENTS,
            BatchError::TooLarge => BATCH_TOO_LARGE,
        };
        Self {
            code,
            answer: UnreadableReason::Content,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five deliveries, each of one byte: its number.
    async fn five_deliveries() -> Vec<Delivery> {
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
        deliveries
    }

    fn probe(bytes: &[u8]) -> OpenedBatch {
        let probe = OpenProbe {
            id: BatchId([bytes[0]; 16]),
            probed: Vec::new(),
            records: Vec::new(),
            tokens: Ok(None),
        };
        OpenedBatch {
            content: BatchContent::Probe(probe),
            answer_key: AnswerKey::from_bytes([0; 32]),
            sealed_tokens: None,
            key_index: 0,
        }
    }

    #[test]
    fn the_digest_of_a_spender_takes_its_bytes_and_its_answer_key() {
        let key = |byte| AnswerKey::from_bytes([byte; 32]);
        let digest = spender(b"batch", &key(1));
        assert_eq!(digest, spender(b"batch", &key(1)), "the same batch again");
        assert_ne!(digest, spender(b"batch", &key(2)));
        assert_ne!(digest, spender(b"other", &key(1)));
        assert_ne!(&digest, BatchName::of(b"batch").as_bytes());
    }

    #[tokio::test]
    async fn a_panic_over_one_batch_leaves_the_others_alone() {
        let deliveries = five_deliveries().await;
        let opened = open_each(deliveries, &AtomicBool::new(false), |bytes| {
            assert_ne!(bytes, [3], "the poison");
            Ok(probe(bytes))
        });
        for opened in opened {
            let code = opened.batch.as_ref().err().map(|reason| reason.code);
            let is_poison = opened.delivery.bytes == [3];
            assert_eq!(code, is_poison.then_some("opening-failed"));
        }
    }

    #[tokio::test]
    async fn nothing_is_opened_that_nobody_waits_for() {
        let deliveries = five_deliveries().await;
        let is_abandoned = AtomicBool::new(false);
        let opened = open_each(deliveries, &is_abandoned, |bytes| {
            is_abandoned.store(bytes == [1], Ordering::Relaxed);
            Ok(probe(bytes))
        });
        let last = opened.last().map(|opened| opened.delivery.bytes.clone());
        assert!(last == Some(vec![1]), "{last:?}");
    }
}
