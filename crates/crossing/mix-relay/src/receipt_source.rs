//! Where receipts come from inside: a queue of the relay's own at a broker, which keeps a message
//! until it is acknowledged; or a directory, which keeps all of them for a time.

use std::path::Path;
use std::time::Duration;

use broker::{BrokerError, Consumer, QueueConfig, ReceiptSubscriber, Token};

/// Source of receipts.
#[derive(Debug)]
pub(crate) enum ReceiptSource {
    /// Queue at a broker.
    Queue(Box<dyn Consumer>),
    /// Directory. After a start everything that it keeps comes once more, so that what was not
    /// passed on before comes, too; gateways know what they have heard.
    Kept(Box<dyn ReceiptSubscriber>),
}

/// Message of receipts that waits to be passed on.
#[derive(Debug)]
pub(crate) struct WaitingReceipts {
    pub(crate) bytes: Vec<u8>,
    /// True if it is longer than any message of receipts: `bytes` are its beginning.
    pub(crate) is_cut: bool,
    /// Token to acknowledge it by, where its source takes one.
    token: Option<Token>,
}

impl ReceiptSource {
    /// Opens the source; does not need it to be reachable yet.
    ///
    /// # Errors
    /// An unreadable secret or certificate, or an address that is none.
    pub(crate) fn open(config: &QueueConfig, base: &Path) -> Result<Self, BrokerError> {
        match config {
            QueueConfig::Amqp(config) => broker::receipt_consumer(config, base).map(Self::Queue),
            QueueConfig::Directory(_) => broker::receipt_subscriber(config, base).map(Self::Kept),
        }
    }

    /// Waits for messages, `max_wait` at most.
    ///
    /// # Errors
    /// The source cannot be read; call again.
    pub(crate) async fn receive(
        &mut self,
        max: usize,
        max_wait: Duration,
    ) -> Result<Vec<WaitingReceipts>, BrokerError> {
        match self {
            Self::Queue(queue) => {
                let received = queue.receive(max, max_wait).await?.into_iter();
                let waiting = received.map(|delivery| WaitingReceipts {
                    bytes: delivery.bytes,
                    is_cut: delivery.cut_from.is_some(),
                    token: Some(delivery.token),
                });
                Ok(waiting.collect())
            }
            Self::Kept(folder) => {
                let received = folder.receive(max, max_wait).await?.into_iter();
                let waiting = received.map(|bytes| WaitingReceipts {
                    bytes,
                    is_cut: false,
                    token: None,
                });
                Ok(waiting.collect())
            }
        }
    }

    /// Acknowledges a message that was passed on, or thrown away.
    ///
    /// # Errors
    /// The source cannot be told now; the message comes again.
    pub(crate) async fn settle(&mut self, passed_on: WaitingReceipts) -> Result<(), BrokerError> {
        match (self, passed_on.token) {
            (Self::Queue(queue), Some(token)) => queue.ack(vec![token]).await,
            _ => Ok(()),
        }
    }

    /// Returns whether messages can arrive now.
    pub(crate) fn is_connected(&self) -> bool {
        match self {
            Self::Queue(queue) => queue.connected(),
            Self::Kept(folder) => folder.connected(),
        }
    }

    /// Closes the connection.
    pub(crate) async fn close(&mut self) {
        match self {
            Self::Queue(queue) => queue.close().await,
            Self::Kept(folder) => folder.close().await,
        }
    }
}
