//! The receiving side of the queue.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::{BrokerError, Token};

/// Longest message handed to a consumer whole, in bytes: twice the longest sealed batch. Of a
/// longer one only the beginning is read.
pub const MAX_BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Bytes that are read of a longer one: enough to see which batch it pretends to be.
pub(crate) const MAX_KEPT_OF_LONG: usize = 4096;
/// Longest message of ours, in bytes: one of receipts. The broker may refuse longer ones.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Takes batches from the queue. Several consumers, here or elsewhere, share its work.
#[async_trait]
pub trait Consumer: Send + fmt::Debug {
    /// Waits at most `max_wait` for a first message, a moment longer for up to `max` of them; empty
    /// when none came.
    ///
    /// May be dropped while it waits: nothing gets lost. Reconnects by itself, pausing between
    /// attempts.
    ///
    /// # Errors
    /// The queue cannot be reached or read; call again.
    async fn receive(
        &mut self,
        max: usize,
        max_wait: Duration,
    ) -> Result<Vec<Delivery>, BrokerError>;

    /// Returns whether messages can arrive now; until the first `receive`, and while reconnecting,
    /// they cannot.
    fn connected(&self) -> bool;

    /// Acknowledges messages: the queue forgets them. Tokens of a lost connection are void: their
    /// messages come again.
    ///
    /// # Errors
    /// The queue cannot be told now; the messages will come again.
    async fn ack(&mut self, tokens: Vec<Token>) -> Result<(), BrokerError>;

    /// Moves a message to the dead letters, bytes unchanged, with `reason` (one of the program's
    /// own words) beside it.
    ///
    /// # Errors
    /// Failure to move it; the message will come again.
    async fn dead_letter(
        &mut self,
        delivery: Delivery,
        reason: &'static str,
    ) -> Result<(), BrokerError>;

    /// Puts messages back for another attempt, by any consumer.
    ///
    /// # Errors
    /// Errors of [`Consumer::ack`].
    async fn requeue(&mut self, tokens: Vec<Token>) -> Result<(), BrokerError>;

    /// Gives back what was received and not acknowledged, and closes the connection. Dropping the
    /// consumer does the same, less politely.
    async fn close(&mut self);
}

/// A message from the queue: any bytes at all; the caller finds out whether they are a batch.
#[derive(Debug)]
pub struct Delivery {
    /// Bytes of the message.
    pub bytes: Vec<u8>,
    /// Length of the message, in bytes, where it is longer than [`MAX_BATCH_BYTES`] and `bytes`
    /// are its beginning: nothing that a program of ours has sent.
    pub cut_from: Option<u64>,
    /// True if it was handed out before.
    pub redelivered: bool,
    /// Token to settle it by.
    pub token: Token,
}
