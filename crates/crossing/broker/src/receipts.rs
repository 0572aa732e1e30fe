//! Receipts: the registry's signed answers, broadcast to every gateway that listens.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

#[cfg(feature = "amqp")]
use crate::amqp;
#[cfg(not(feature = "amqp"))]
use crate::built_without_amqp;
use crate::{BrokerError, QueueConfig, State, directory};

/// Broadcasts receipts to whoever listens, be it nobody. Shared by any number of callers.
#[async_trait]
pub trait ReceiptPublisher: Send + Sync + fmt::Debug {
    /// Broadcasts one message, at most [`crate::MAX_MESSAGE_BYTES`] long. `Ok` when the queue has
    /// taken it; a receipt that gets lost after that costs its batch a resend, nothing more.
    /// Returns within the confirm timeout.
    ///
    /// # Errors
    /// When the queue did not take it, or not surely.
    async fn broadcast(&self, message: Vec<u8>) -> Result<(), BrokerError>;

    /// The connection as it is now.
    fn state(&self) -> State;

    /// Says goodbye to the queue.
    async fn close(&self);
}

/// Hears every receipt broadcast while it listens; a directory keeps them for a time for those that
/// do not. A message may come twice, in any order, and may be anything: it is for the caller to
/// verify it.
#[async_trait]
pub trait ReceiptSubscriber: Send + fmt::Debug {
    /// Waits at most `max_wait` for a first message, a moment longer for up to `max` of them; empty
    /// when none came.
    ///
    /// May be dropped while it waits: nothing gets lost. Reconnects by itself, pausing between
    /// attempts; what is broadcast meanwhile is missed, its batches are sent again.
    ///
    /// # Errors
    /// When the queue cannot be reached or read; call again.
    async fn receive(
        &mut self,
        max: usize,
        max_wait: Duration,
    ) -> Result<Vec<Vec<u8>>, BrokerError>;

    /// Whether messages can arrive now; until the first `receive`, and while reconnecting, they
    /// cannot.
    fn connected(&self) -> bool;

    /// Says goodbye.
    async fn close(&mut self);
}

/// A receipt publisher; does not need the queue to be reachable yet. Relative paths start from
/// `base_dir`.
///
/// # Errors
/// As for [`crate::publisher`].
pub fn receipt_publisher(
    config: &QueueConfig,
    base_dir: &Path,
) -> Result<Arc<dyn ReceiptPublisher>, BrokerError> {
    Ok(match config {
        #[cfg(feature = "amqp")]
        QueueConfig::Amqp(config) => Arc::new(amqp::receipt_publisher(config, base_dir)?),
        #[cfg(not(feature = "amqp"))]
        QueueConfig::Amqp(_) => return Err(built_without_amqp()),
        QueueConfig::Directory(config) => Arc::new(directory::ReceiptWriter::new(config, base_dir)),
    })
}

/// A receipt subscriber; does not need the queue to be reachable yet. Relative paths start from
/// `base_dir`.
///
/// # Errors
/// As for [`crate::publisher`].
pub fn receipt_subscriber(
    config: &QueueConfig,
    base_dir: &Path,
) -> Result<Box<dyn ReceiptSubscriber>, BrokerError> {
    Ok(match config {
        #[cfg(feature = "amqp")]
        QueueConfig::Amqp(config) => Box::new(amqp::AmqpReceipts::new(config, base_dir)?),
        #[cfg(not(feature = "amqp"))]
        QueueConfig::Amqp(_) => return Err(built_without_amqp()),
        QueueConfig::Directory(config) => Box::new(directory::ReceiptReader::new(config, base_dir)),
    })
}

/// # Errors
/// A message too long for [`ReceiptPublisher::broadcast`].
pub(crate) fn fits(message: &[u8]) -> Result<(), BrokerError> {
    if message.len() <= crate::MAX_MESSAGE_BYTES {
        return Ok(());
    }
    Err(BrokerError::misconfigured(
        "the receipts are too many for one message",
        "broadcast fewer at once",
    ))
}
