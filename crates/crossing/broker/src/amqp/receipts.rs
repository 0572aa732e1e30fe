//! Receipts over a fanout exchange: confirmed to the sender, received by every gateway from a queue
//! of its own.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::BatchId;
use futures_util::future::join_all;
use lapin::Acker;
use lapin::options::BasicAckOptions;
use tokio::time::timeout;
use tracing::warn;

use super::consume_link::ConsumeLink;
use super::consumer::LINGER;
use super::message::{Destination, OutgoingMessage, Traffic};
use super::publish_link::PublishLink;
use super::settings::AmqpSettings;
use crate::receipts::check_length;
use crate::{
    AmqpConfig, BrokerError, MAX_MESSAGE_BYTES, QueueState, ReceiptPublisher, ReceiptSubscriber,
};

pub(crate) fn receipt_publisher(
    config: &AmqpConfig,
    base: &Path,
) -> Result<Arc<dyn ReceiptPublisher>, BrokerError> {
    let settings = Arc::new(AmqpSettings::new(config, base)?);
    Ok(Arc::new(AmqpReceiptPublisher {
        link: PublishLink::new(settings, Destination::receipts(config)),
    }))
}

/// Publisher of receipts that outlast a restart of the broker.
pub(crate) fn persistent_receipt_publisher(
    config: &AmqpConfig,
    base: &Path,
) -> Result<Arc<dyn ReceiptPublisher>, BrokerError> {
    let settings = Arc::new(AmqpSettings::new(config, base)?);
    Ok(Arc::new(AmqpReceiptPublisher {
        link: PublishLink::new(settings, Destination::persistent_receipts(config)),
    }))
}

pub(crate) fn receipt_subscriber(
    config: &AmqpConfig,
    base: &Path,
) -> Result<Box<dyn ReceiptSubscriber>, BrokerError> {
    let settings = Arc::new(AmqpSettings::new(config, base)?);
    Ok(Box::new(AmqpReceiptSubscriber {
        incoming: ConsumeLink::new(Arc::clone(&settings), Traffic::Receipts),
        settings,
        ready: VecDeque::new(),
    }))
}

/// A [`PublishLink`] to the exchange of receipts as a [`ReceiptPublisher`].
#[derive(Debug)]
struct AmqpReceiptPublisher {
    link: PublishLink,
}

#[async_trait]
impl ReceiptPublisher for AmqpReceiptPublisher {
    async fn broadcast(&self, message: Vec<u8>) -> Result<(), BrokerError> {
        check_length(&message)?;
        let message = OutgoingMessage {
            id: BatchId::random(),
            bytes: message,
            reason: None,
        };
        self.link.publish_promptly(message).await
    }

    fn state(&self) -> QueueState {
        self.link.state()
    }

    async fn close(&self) {
        self.link.close().await;
    }
}

/// The exchange of receipts as a [`ReceiptSubscriber`].
struct AmqpReceiptSubscriber {
    settings: Arc<AmqpSettings>,
    incoming: ConsumeLink,
    /// Received, and not yet given to the caller, who may have stopped waiting.
    ready: VecDeque<ReadyReceipt>,
}

struct ReadyReceipt {
    bytes: Vec<u8>,
    acker: Acker,
}

impl fmt::Debug for AmqpReceiptSubscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpReceiptSubscriber")
            .field("address", &self.settings.address)
            .finish_non_exhaustive()
    }
}

impl AmqpReceiptSubscriber {
    /// Waits for a first message, then a moment for more, all put into `ready`.
    async fn collect(&mut self, max: usize) -> Result<(), BrokerError> {
        if !self.ready.is_empty() {
            return Ok(());
        }
        self.next().await?;
        drop(
            timeout(LINGER, async {
                while self.ready.len() < max && self.next().await.is_ok() {}
            })
            .await,
        );
        Ok(())
    }

    /// Waits for one message. Those received over a lost connection stay good: nobody else waits
    /// for them.
    async fn next(&mut self) -> Result<(), BrokerError> {
        let delivery = self.incoming.next().await?;
        let mut bytes = delivery.data;
        if bytes.len() > MAX_MESSAGE_BYTES {
            warn!(
                place = %self.settings.address,
                "a receipt is longer than any message and is passed over"
            );
            // Kept as something that is no receipt, so that it is acknowledged in its turn.
            bytes = Vec::new();
        }
        self.ready.push_back(ReadyReceipt {
            bytes,
            acker: delivery.acker,
        });
        Ok(())
    }
}

#[async_trait]
impl ReceiptSubscriber for AmqpReceiptSubscriber {
    async fn receive(
        &mut self,
        max: usize,
        max_wait: Duration,
    ) -> Result<Vec<Vec<u8>>, BrokerError> {
        let outcome = timeout(max_wait, self.collect(max)).await;
        let taken = self.ready.len().min(max);
        // Sent while they are still kept here: this future may be dropped, and each of them is
        // acknowledged by itself, since the client may send acknowledgements of two calls in
        // either order: one that stands for several would make the other unknown to the broker.
        if taken > 0 {
            let acknowledging = self
                .ready
                .iter()
                .take(taken)
                .map(|receipt| receipt.acker.ack(BasicAckOptions::default()));
            let in_time = timeout(self.settings.confirm_timeout(), join_all(acknowledging)).await;
            if in_time.is_err() {
                self.incoming.disconnect();
            }
        }
        match outcome {
            Ok(Err(error)) if taken == 0 => Err(error),
            _ => Ok(self
                .ready
                .drain(..taken)
                .map(|receipt| receipt.bytes)
                .collect()),
        }
    }

    fn connected(&self) -> bool {
        self.incoming.connected()
    }

    async fn close(&mut self) {
        self.ready.clear();
        self.incoming.close().await;
    }
}
