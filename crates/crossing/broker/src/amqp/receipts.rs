//! Receipts over a fanout exchange: confirmed to the sender, heard by every gateway in a queue of
//! its own.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::BatchId;
use lapin::Acker;
use lapin::options::BasicAckOptions;
use tokio::time::timeout;
use tracing::warn;

use super::consumer::LINGER;
use super::intake::Intake;
use super::link::{Link, Message, Target, Traffic};
use super::settings::Settings;
use crate::receipts::fits;
use crate::{
    AmqpConfig, BrokerError, MAX_MESSAGE_BYTES, ReceiptPublisher, ReceiptSubscriber, State,
};

pub(crate) fn receipt_publisher(
    config: &AmqpConfig,
    base: &Path,
) -> Result<impl ReceiptPublisher + use<>, BrokerError> {
    let settings = Arc::new(Settings::new(config, base)?);
    Ok(AmqpReceiptPublisher {
        link: Link::new(settings, Target::receipts(config)),
    })
}

/// A [`Link`] to the exchange of receipts as a [`ReceiptPublisher`].
#[derive(Debug)]
struct AmqpReceiptPublisher {
    link: Link,
}

#[async_trait]
impl ReceiptPublisher for AmqpReceiptPublisher {
    async fn broadcast(&self, message: Vec<u8>) -> Result<(), BrokerError> {
        fits(&message)?;
        let message = Message {
            id: BatchId::random(),
            bytes: message,
            reason: None,
        };
        self.link.publish_promptly(message).await
    }

    fn state(&self) -> State {
        self.link.state()
    }

    async fn close(&self) {
        self.link.close().await;
    }
}

/// The exchange of receipts as a [`ReceiptSubscriber`].
pub(crate) struct AmqpReceipts {
    settings: Arc<Settings>,
    intake: Intake,
    /// Received, and not yet given to the caller, who may have stopped waiting.
    ready: VecDeque<(Vec<u8>, Acker)>,
}

impl fmt::Debug for AmqpReceipts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpReceipts")
            .field("place", &self.settings.place)
            .finish_non_exhaustive()
    }
}

impl AmqpReceipts {
    pub(crate) fn new(config: &AmqpConfig, base: &Path) -> Result<Self, BrokerError> {
        let settings = Arc::new(Settings::new(config, base)?);
        let intake = Intake::new(Arc::clone(&settings), Traffic::Receipts);
        Ok(Self {
            settings,
            intake,
            ready: VecDeque::new(),
        })
    }

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

    /// What was received over a lost connection stays good: nobody else waits for it.
    async fn next(&mut self) -> Result<(), BrokerError> {
        let delivery = self.intake.next().await?;
        let mut bytes = delivery.data;
        if bytes.len() > MAX_MESSAGE_BYTES {
            warn!(place = %self.settings.place, "a receipt is longer than any message and is \
                passed over");
            // Kept as something that is no receipt, so that it is acknowledged in its turn.
            bytes = Vec::new();
        }
        self.ready.push_back((bytes, delivery.acker));
        Ok(())
    }
}

#[async_trait]
impl ReceiptSubscriber for AmqpReceipts {
    async fn receive(
        &mut self,
        max: usize,
        max_wait: Duration,
    ) -> Result<Vec<Vec<u8>>, BrokerError> {
        let outcome = timeout(max_wait, self.collect(max)).await;
        let taken = self.ready.len().min(max);
        // The last one's stands for all before it. Told while they are still ours: this future may
        // be dropped.
        if let Some((_, acker)) = taken.checked_sub(1).and_then(|last| self.ready.get(last)) {
            let told = acker.ack(BasicAckOptions { multiple: true });
            if timeout(self.settings.confirm_timeout(), told)
                .await
                .is_err()
            {
                self.intake.lose();
            }
        }
        match outcome {
            Ok(Err(error)) if taken == 0 => Err(error),
            _ => Ok(self.ready.drain(..taken).map(|(bytes, _)| bytes).collect()),
        }
    }

    fn connected(&self) -> bool {
        self.intake.connected()
    }

    async fn close(&mut self) {
        self.ready.clear();
        self.intake.close().await;
    }
}
