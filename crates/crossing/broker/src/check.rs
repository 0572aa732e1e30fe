//! Check of the queue as a whole: whether a batch comes to its receipt.

use std::path::Path;
use std::time::Duration;

use contract::wire::{Probed, encode_probe};
use contract::{
    AnswerKey, BatchId, ContentDigest, PublicKey, ReceiptVerifier, RecordDigest, RelaySealer,
    SealedBatch, SealedTokens, UnreadableReason, Verdict, Version,
};
use tokio::time::timeout;

use crate::{BrokerError, QueueConfig, ReceiptSubscriber, transport};

/// Longest wait for the receipt of a probe.
const LOOP_LIMIT: Duration = Duration::from_secs(15);
/// Wait for receipts in one go.
const RECEIVE_WAIT: Duration = Duration::from_millis(100);
/// Number of messages of receipts that are taken at once.
const MESSAGES: usize = 64;

/// Outcome of sending a probe through the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopOutcome {
    /// The registry has opened the probe and answered.
    Answered,
    /// The registry has said that it cannot open what is sealed to this key.
    Unreadable(UnreadableReason),
    /// No registry reads the queue; nothing was sent.
    NoReader,
    /// Another connection, such as that of the running gateway, reads this account's queue of
    /// receipts; nothing was sent.
    ReceiptsTaken,
    /// A registry reads the queue and has not answered in time.
    NoAnswer {
        /// True if receipts came meanwhile that none of the keys has signed.
        other_signatures: bool,
    },
}

/// Sends a probe about a record that does not exist, and waits at most 15 s for its receipt. The
/// probe stores nothing and takes nothing from the queue. One whose answer does not come in time
/// waits in the queue as any batch does.
///
/// # Errors
/// The queue cannot be reached, or the account lacks a right.
pub async fn check_loop(
    config: &QueueConfig,
    base: &Path,
    key: &PublicKey,
    verifiers: &[ReceiptVerifier],
    relay: Option<&RelaySealer>,
) -> Result<LoopOutcome, BrokerError> {
    check_loop_with(config, base, key, verifiers, relay, async { Ok(None) }).await
}

/// Does what [`check_loop`] does, with the tokens that `tokens` gives in the probe. They are asked for
/// only where the probe is sent.
///
/// # Errors
/// Those of [`check_loop`] and of `tokens`.
pub async fn check_loop_with(
    config: &QueueConfig,
    base: &Path,
    key: &PublicKey,
    verifiers: &[ReceiptVerifier],
    relay: Option<&RelaySealer>,
    tokens: impl Future<Output = Result<Option<SealedTokens>, BrokerError>>,
) -> Result<LoopOutcome, BrokerError> {
    if transport::readers(config, base).await? == 0 {
        return Ok(LoopOutcome::NoReader);
    }
    if transport::receipts_taken(config, base).await? {
        return Ok(LoopOutcome::ReceiptsTaken);
    }
    let probe = encode_probe(&[nobodys_record()]);
    let sealed = match tokens.await? {
        None => key.seal(&probe),
        Some(tokens) => key.seal_with_tokens(&probe, &tokens),
    };
    let (batch, answer_key) = sealed.map_err(|_| {
        BrokerError::misconfigured(
            "the probe cannot be sealed",
            "check the registry's public key",
        )
    })?;
    let outer = relay.map(|relay| relay.seal(&batch)).transpose();
    let outer = outer.map_err(|error| {
        BrokerError::misconfigured("the probe cannot be sealed to the relay", error.to_string())
    })?;
    let mut subscriber = transport::receipt_subscriber(config, base)?;
    let mut waiting = Waiting {
        batch: batch.id,
        answer_key,
        verifiers,
        other_signatures: false,
    };
    let sent = outer.as_ref().unwrap_or(&batch);
    let going_round = go_round(config, base, sent, &mut subscriber, &mut waiting);
    let outcome = timeout(LOOP_LIMIT, going_round).await;
    subscriber.close().await;
    outcome.unwrap_or(Ok(LoopOutcome::NoAnswer {
        other_signatures: waiting.other_signatures,
    }))
}

/// A record of a random digest: no registry holds it, and nobody can tell whom it is about.
fn nobodys_record() -> Probed {
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(&BatchId::random().0);
    digest[16..].copy_from_slice(&BatchId::random().0);
    Probed {
        record: RecordDigest(digest),
        version: Version::MAX,
        content: ContentDigest([0; 16]),
        withdrawn: false,
    }
}

async fn go_round(
    config: &QueueConfig,
    base: &Path,
    batch: &SealedBatch,
    subscriber: &mut Box<dyn ReceiptSubscriber>,
    waiting: &mut Waiting<'_>,
) -> Result<LoopOutcome, BrokerError> {
    // Listening before it is sent: a receipt comes once.
    loop {
        subscriber.receive(MESSAGES, RECEIVE_WAIT).await?;
        if subscriber.connected() {
            break;
        }
    }
    let publisher = transport::publisher(config, base)?;
    let published = publisher.publish(batch).await;
    publisher.close().await;
    published?;
    loop {
        for message in subscriber.receive(MESSAGES, RECEIVE_WAIT).await? {
            if let Some(outcome) = waiting.read(&message) {
                return Ok(outcome);
            }
        }
    }
}

/// Reader of receipts that waits for that of one batch.
struct Waiting<'a> {
    batch: BatchId,
    answer_key: AnswerKey,
    verifiers: &'a [ReceiptVerifier],
    other_signatures: bool,
}

impl Waiting<'_> {
    fn read(&mut self, message: &[u8]) -> Option<LoopOutcome> {
        let opened = self.verifiers.iter().find_map(|key| key.open(message).ok());
        let Some(receipts) = opened else {
            self.other_signatures = true;
            return None;
        };
        let ours = receipts.iter().find(|it| it.batch() == self.batch)?;
        Some(match ours.read(&self.answer_key).ok()? {
            Verdict::Answered(_) => LoopOutcome::Answered,
            Verdict::Unreadable(reason) => LoopOutcome::Unreadable(reason),
        })
    }
}
