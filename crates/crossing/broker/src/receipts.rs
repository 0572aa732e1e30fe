//! Receipts: the registry's signed answers, broadcast to every gateway that listens.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::{BrokerError, MAX_MESSAGE_BYTES, QueueState};

/// Broadcasts receipts to any number of listeners, even none. Shared by any number of callers.
#[async_trait]
pub trait ReceiptPublisher: Send + Sync + fmt::Debug {
    /// Broadcasts one message, at most [`MAX_MESSAGE_BYTES`] long. `Ok` when the queue has
    /// taken it; a receipt that gets lost after that costs its batch a resend, nothing more.
    /// Returns within the confirm timeout.
    ///
    /// # Errors
    /// The queue did not take it, or not surely.
    async fn broadcast(&self, message: Vec<u8>) -> Result<(), BrokerError>;

    /// Present state of the connection.
    fn state(&self) -> QueueState;

    /// Closes the connection.
    async fn close(&self);
}

/// Receives every receipt that is broadcast while it listens; a directory keeps them for a time for
/// those that do not. A message may come twice, in any order, and may be anything: the caller
/// verifies it.
#[async_trait]
pub trait ReceiptSubscriber: Send + fmt::Debug {
    /// Waits at most `max_wait` for a first message, a moment longer for up to `max` of them; empty
    /// when none came.
    ///
    /// May be dropped while it waits: nothing gets lost. Reconnects by itself, pausing between
    /// attempts; what is broadcast meanwhile is missed, its batches are sent again.
    ///
    /// # Errors
    /// The queue cannot be reached or read; call again.
    async fn receive(
        &mut self,
        max: usize,
        max_wait: Duration,
    ) -> Result<Vec<Vec<u8>>, BrokerError>;

    /// Returns whether messages can arrive now; until the first `receive`, and while reconnecting,
    /// they cannot.
    fn connected(&self) -> bool;

    /// Closes the connection.
    async fn close(&mut self);
}

/// Refuses a message that is too long for [`ReceiptPublisher::broadcast`].
pub(crate) fn check_length(message: &[u8]) -> Result<(), BrokerError> {
    if message.len() <= MAX_MESSAGE_BYTES {
        return Ok(());
    }
    Err(BrokerError::misconfigured(
        "the receipts are too many for one message",
        "broadcast fewer at once",
    ))
}
