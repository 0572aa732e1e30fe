//! The registry's receipts: every gateway receives them, verifies them with pinned keys, and
//! settles its own batches by them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use broker::{BrokerError, ReceiptSubscriber};
use contract::{AnswerKey, BatchId, Receipt, ReceiptError, ReceiptVerifier, Verdict};
use fault::Point;
use outbox::OutboxError;

use crate::gateway::Gateway;

/// Most messages taken at once; a message holds many receipts.
const MESSAGES_AT_ONCE: usize = 64;

/// Least time between two notes of ignored receipts in the outbox.
const KEEP_EVERY: Duration = Duration::from_secs(10);

/// Counts of received receipts, and of the batches and events of ours that they settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReceiptCounts {
    /// Number of messages.
    pub messages: u64,
    /// Number of messages that the registry did not sign, and of receipts that cannot be read.
    pub rejected: u64,
    /// Number of our batches that were settled.
    pub batches: u64,
    /// Number of events in them that the registry took.
    pub accepted: u64,
    /// Number of events in them that the registry refused, or dropped for a version that this state
    /// never gave out: dead letters now.
    pub refused: u64,
    /// Number of our batches that the registry could not read: they are sent again.
    pub unreadable: u64,
    /// True when the registry holds something newer than this state ever sent, so that the
    /// generation rose and everything is read again.
    pub raised: bool,
    /// True when the generation would have to rise for that, and did not: receipts raise it by one,
    /// once a day.
    pub raise_waits: bool,
    /// True when another gateway runs on a copy of this state, so that this one has to end.
    pub other_gateway: bool,
}

impl ReceiptCounts {
    /// Adds the counts of later receipts.
    pub fn add(&mut self, later: Self) {
        self.messages += later.messages;
        self.rejected += later.rejected;
        self.batches += later.batches;
        self.accepted += later.accepted;
        self.refused += later.refused;
        self.unreadable += later.unreadable;
        self.raised |= later.raised;
        self.raise_waits |= later.raise_waits;
        self.other_gateway |= later.other_gateway;
    }
}

/// Reason why receipts could not be received or settled. Worth another try always: a lost receipt
/// costs its batch a resend, nothing more.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptsError {
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] BrokerError),
    /// The gateway's own state failed; received messages are kept for the next try.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// A subscription to the receipts.
#[derive(Debug)]
pub struct ReceiptReceiver {
    subscriber: Box<dyn ReceiptSubscriber>,
    /// Messages received and not settled yet.
    pending: Vec<Vec<u8>>,
    /// True once a rejected message was logged.
    warned: bool,
    /// Numbers of rejected messages that were not kept yet, by reason.
    unkept: BTreeMap<&'static str, u64>,
    /// Time, since the program's start, before which no more are kept.
    keep_at: Option<Duration>,
}

impl ReceiptReceiver {
    /// Subscribes; `None` where receipts are off. The queue is first asked when receipts are to be
    /// received.
    ///
    /// # Errors
    /// [`BrokerError::Misconfigured`].
    pub fn subscribe(gateway: &Gateway) -> Result<Option<Self>, BrokerError> {
        if gateway.verifiers.is_empty() {
            return Ok(None);
        }
        let subscriber = broker::receipt_subscriber(&gateway.queue, &gateway.base)?;
        Ok(Some(Self {
            subscriber,
            pending: Vec::new(),
            warned: false,
            unkept: BTreeMap::new(),
            keep_at: None,
        }))
    }

    /// Returns whether receipts can arrive now.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.subscriber.connected()
    }

    /// Closes the subscription.
    pub async fn close(&mut self) {
        self.subscriber.close().await;
    }

    /// Waits at most `max_wait` for receipts, and settles those that are ours; makes a raise that
    /// had to wait for its day.
    ///
    /// # Errors
    /// See [`ReceiptsError`].
    pub async fn settle_once(
        &mut self,
        gateway: &Gateway,
        max_wait: Duration,
    ) -> Result<ReceiptCounts, ReceiptsError> {
        self.receive(max_wait).await?;
        let mut counts = self.settle(gateway).await?;
        if gateway.outbox.tend_generation(gateway.clock.now()).await? {
            counts.raised = true;
            gateway.wake_all();
        }
        Ok(counts)
    }

    /// Waits at most `max_wait` for receipts. May be dropped; received messages are kept.
    ///
    /// # Errors
    /// [`ReceiptsError::Queue`].
    pub async fn receive(&mut self, max_wait: Duration) -> Result<(), ReceiptsError> {
        if self.pending.is_empty() {
            self.pending = self.subscriber.receive(MESSAGES_AT_ONCE, max_wait).await?;
        }
        Ok(())
    }

    /// Settles the received receipts that are ours. A caller that drops the future loses its
    /// counts.
    ///
    /// # Errors
    /// See [`ReceiptsError`].
    pub async fn settle(&mut self, gateway: &Gateway) -> Result<ReceiptCounts, ReceiptsError> {
        if self.pending.is_empty() {
            self.keep_rejected(gateway, &[]).await;
            return Ok(ReceiptCounts::default());
        }
        fault::check::<BrokerError>(Point::ReceiptsReceived)?;
        let mut counts = ReceiptCounts {
            messages: self.pending.len() as u64,
            ..ReceiptCounts::default()
        };
        let (receipts, mut rejected) = verify_all(&self.pending, &gateway.verifiers);
        let ours = read_ours(gateway, &receipts, &mut rejected).await?;
        counts.rejected = rejected.len() as u64;
        if !ours.is_empty() {
            let settled = gateway
                .outbox
                .settle_verdicts(&ours, gateway.clock.now())
                .await?;
            counts.batches = settled.batches;
            counts.accepted = settled.accepted_events;
            counts.refused = settled.refused_events;
            counts.unreadable = settled.unreadable;
            counts.raised = settled.raised;
            counts.raise_waits = settled.raise_waits;
            counts.other_gateway = settled.other_gateway;
        }
        self.pending.clear();
        self.report_rejected(gateway, &rejected).await;
        report_settled(&counts);
        if counts.raised {
            gateway.wake_all();
        }
        if counts.other_gateway {
            let error = OutboxError::OtherGateway;
            tracing::error!(event = "other-gateway", %error);
            gateway.other_gateway.cancel();
        }
        Ok(counts)
    }

    /// Counts every rejected message, and logs the first one only: anybody on the broker can send
    /// rubbish.
    async fn report_rejected(&mut self, gateway: &Gateway, rejected: &[ReceiptError]) {
        for error in rejected {
            metrics::counter!("gateway_receipts_rejected_total", "reason" => reason(*error))
                .increment(1);
        }
        if let Some(error) = rejected.first()
            && !self.warned
        {
            self.warned = true;
            tracing::warn!(
                event = "receipt-rejected", reason = reason(*error), %error,
                "a receipt was ignored; more are only counted. If the registry has changed keys, \
                 write the new one beside the old in receipt_keys of [registry]"
            );
        }
        self.keep_rejected(gateway, rejected).await;
    }

    /// Keeps the numbers of ignored receipts for `status`, at most once in [`KEEP_EVERY`]: anybody
    /// on the broker can send rubbish, and each time is a write.
    async fn keep_rejected(&mut self, gateway: &Gateway, rejected: &[ReceiptError]) {
        for error in rejected {
            *self.unkept.entry(reason(*error)).or_insert(0) += 1;
        }
        let elapsed = gateway.clock.elapsed();
        if self.unkept.is_empty() || self.keep_at.is_some_and(|at| elapsed < at) {
            return;
        }
        self.keep_at = Some(elapsed + KEEP_EVERY);
        let now = gateway.clock.now();
        let outbox = &gateway.outbox;
        while let Some((reason, count)) = self.unkept.pop_first() {
            if let Err(error) = outbox.note_rejected_receipts(reason, count, now).await {
                tracing::debug!(event = "rejected-not-kept", code = error.code());
            }
        }
    }
}

/// Reads the verdicts on our own batches; adds receipts that cannot be read to `rejected`.
async fn read_ours(
    gateway: &Gateway,
    receipts: &[Receipt],
    rejected: &mut Vec<ReceiptError>,
) -> Result<Vec<(BatchId, Verdict)>, OutboxError> {
    if receipts.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<BatchId> = receipts.iter().map(Receipt::batch).collect();
    let keys: HashMap<BatchId, AnswerKey> = gateway.outbox.answer_keys(&ids).await?;
    let mut verdicts = Vec::new();
    for receipt in receipts {
        let Some(key) = keys.get(&receipt.batch()) else {
            continue;
        };
        match receipt.read(key) {
            Ok(verdict) => verdicts.push((receipt.batch(), verdict)),
            Err(error) => rejected.push(error),
        }
    }
    Ok(verdicts)
}

/// Separates the receipts that the registry has signed from the errors of the other messages.
fn verify_all(
    messages: &[Vec<u8>],
    verifiers: &[ReceiptVerifier],
) -> (Vec<Receipt>, Vec<ReceiptError>) {
    let mut receipts = Vec::new();
    let mut rejected = Vec::new();
    for message in messages {
        match verify(message, verifiers) {
            Ok(signed) => receipts.extend(signed),
            Err(error) => rejected.push(error),
        }
    }
    (receipts, rejected)
}

fn verify(message: &[u8], verifiers: &[ReceiptVerifier]) -> Result<Vec<Receipt>, ReceiptError> {
    let mut other_key = ReceiptError::OtherKey;
    for verifier in verifiers {
        match verifier.open(message) {
            Err(ReceiptError::OtherKey) => {}
            // Another pinned key may have the same id, and its signature counts no less.
            Err(error @ ReceiptError::NotAuthentic) => other_key = error,
            decided => return decided,
        }
    }
    Err(other_key)
}

/// Reasons for which receipts are ignored, as [`reason`] names them.
#[cfg(feature = "cli")]
pub(crate) const REJECTIONS: [&str; 5] =
    ["format", "other-key", "signature", "content", "answer-key"];

const fn reason(error: ReceiptError) -> &'static str {
    match error {
        ReceiptError::Format => "format",
        ReceiptError::OtherKey | ReceiptError::BadKey(_) => "other-key",
        ReceiptError::NotAuthentic => "signature",
        ReceiptError::Content => "content",
        ReceiptError::NotOurs => "answer-key",
    }
}

fn report_settled(counts: &ReceiptCounts) {
    for (outcome, count) in [
        ("settled", counts.batches),
        ("unreadable", counts.unreadable),
    ] {
        metrics::counter!("gateway_receipts_total", "outcome" => outcome).increment(count);
    }
    for (outcome, count) in [("accepted", counts.accepted), ("refused", counts.refused)] {
        metrics::counter!("gateway_receipt_events_total", "outcome" => outcome).increment(count);
    }
    if counts.refused > 0 || counts.unreadable > 0 {
        let refused = counts.refused;
        let unreadable = counts.unreadable;
        tracing::warn!(
            event = "registry-refused",
            refused,
            unreadable,
            "the registry refused events, or could not read batches; see `clinic-gateway \
             dead-letters` and `status`"
        );
    }
    if counts.raise_waits {
        tracing::warn!(
            event = "raise-waits",
            "the registry holds versions that this state never gave out, and receipts have raised \
             the generation within the day; `clinic-gateway status` says how to raise it at once"
        );
    }
}

#[cfg(test)]
mod tests {
    use contract::{Answer, ReceiptSigner, RefusedEvent, StoredAnswer, UnreadableReason};
    use outbox::{DeadLetterFilter, Origin, Request};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::publish::publish_once;
    use crate::requests::{self, RetryOutcome, perform};
    use crate::testing::World;

    #[test]
    fn receipts_of_any_pinned_key_count_and_others_do_not() {
        let old = ReceiptSigner::generate();
        let new = ReceiptSigner::generate();
        let foreign = ReceiptSigner::generate();
        let receipt = Receipt::unreadable(BatchId([7; 16]), UnreadableReason::OtherKey);
        let pinned = [old.verifier(), new.verifier()];
        let sign = |signer: &ReceiptSigner| signer.sign(std::slice::from_ref(&receipt));
        let mut forged = sign(&new);
        *forged.last_mut().expect("a message has bytes") ^= 1;
        let messages = [
            sign(&old),
            sign(&new),
            sign(&foreign),
            forged,
            b"rubbish".to_vec(),
            Vec::new(),
        ];
        let (receipts, rejected) = verify_all(&messages, &pinned);
        assert_eq!(
            receipts.iter().map(Receipt::batch).collect::<Vec<_>>(),
            [BatchId([7; 16]); 2]
        );
        assert_eq!(
            rejected,
            [
                ReceiptError::OtherKey,
                ReceiptError::NotAuthentic,
                ReceiptError::Format,
                ReceiptError::Format
            ]
        );
    }

    /// The registry's answer to everything in the queue: all events are taken but the first of each
    /// batch.
    fn answers(world: &World) -> Vec<u8> {
        let answer = |opened: &contract::Opened| {
            let contract::wire::Message::Events(events) =
                contract::wire::decode_message(&opened.encoded).expect("a message")
            else {
                panic!("no probe was sent")
            };
            let first = events[0].as_ref().expect("an event");
            let refused = RefusedEvent {
                index: 0,
                record: Some(first.record),
                version: Some(first.version),
                reason: contract::RefusalReason::BadDate,
            };
            let accepted = u32::try_from(events.len() - 1).expect("few");
            let stored = StoredAnswer {
                accepted,
                refused: vec![refused],
                superseded: Vec::new(),
            };
            Receipt::answered(opened.id, &opened.answer_key, &Answer::Stored(stored))
        };
        world
            .signer
            .sign(&world.published().iter().map(answer).collect::<Vec<_>>())
    }

    #[tokio::test]
    async fn our_own_batches_are_settled_and_refused_events_become_dead_letters() {
        let world = World::new("[outbox]\nbatch_events = 4\n", 0..8).await;
        let gateway = &world.gateway;
        world.pull().await;
        assert_eq!(publish_once(gateway).await.expect("published").delivered, 2);
        let mut receipts = ReceiptReceiver::subscribe(gateway)
            .expect("subscribed")
            .expect("receipts are on");
        let wait = Duration::from_secs(60);
        assert_eq!(
            receipts
                .settle_once(gateway, Duration::ZERO)
                .await
                .expect("nothing yet"),
            ReceiptCounts::default()
        );

        let broadcast =
            broker::receipt_publisher(&gateway.queue, &gateway.base).expect("a publisher");
        let foreign = Receipt::unreadable(BatchId([9; 16]), UnreadableReason::NotABatch);
        let forged = ReceiptSigner::generate().sign(std::slice::from_ref(&foreign));
        for message in [forged, world.signer.sign(&[foreign])] {
            broadcast.broadcast(message).await.expect("broadcast");
        }
        let mut counts = ReceiptCounts::default();
        while counts.messages < 2 {
            counts.add(receipts.settle_once(gateway, wait).await.expect("received"));
        }
        assert_eq!(
            counts,
            ReceiptCounts {
                messages: 2,
                rejected: 1,
                ..ReceiptCounts::default()
            },
            "none of it was ours"
        );

        broadcast
            .broadcast(answers(&world))
            .await
            .expect("broadcast");
        let counts = receipts.settle_once(gateway, wait).await.expect("received");
        assert_eq!(
            counts,
            ReceiptCounts {
                messages: 1,
                batches: 2,
                accepted: 6,
                refused: 2,
                ..ReceiptCounts::default()
            }
        );
        let letters = gateway
            .outbox
            .reader()
            .dead_letters(&DeadLetterFilter::default())
            .await
            .expect("letters");
        assert_eq!(letters.len(), 2);
        assert!(
            letters
                .iter()
                .all(|letter| letter.origin == Origin::Registry && letter.record_id.is_none())
        );
        assert_eq!(
            gateway
                .outbox
                .backlog()
                .await
                .expect("the backlog")
                .awaiting_receipt_batches,
            0
        );

        // A sweep tells their ids; a retry sends them again.
        let retry = Request::Retry(DeadLetterFilter::default());
        let stop = CancellationToken::new();
        let answer = perform(gateway, retry, Duration::ZERO, &stop)
            .await
            .expect("retried");
        let requests::Answer::Retried { letters, .. } = answer else {
            panic!("{answer:?}")
        };
        assert!(
            letters
                .iter()
                .all(|letter| letter.outcome == RetryOutcome::Accepted),
            "{letters:?}"
        );
        assert_eq!(
            gateway.outbox.backlog().await.expect("the backlog").events,
            2
        );
    }
}
