//! The sending side of the queue.

use std::fmt;

use async_trait::async_trait;
use contract::SealedBatch;

use crate::{BrokerError, QueueState};

/// Hands sealed batches to the queue. Shared by any number of callers.
#[async_trait]
pub trait Publisher: Send + Sync + fmt::Debug {
    /// Hands one batch over; `Ok` only when the queue holds it durably.
    ///
    /// After an error the batch may still have arrived: send it again, the registry knows it by its
    /// id. Returns within twice the confirm timeout: once to be handed to the connection, once to
    /// be confirmed. A confirm that came after its caller had given up answers the next publish of
    /// the same batch. To be called many times at once, up to [`Publisher::window`].
    ///
    /// # Errors
    /// [`BrokerError::Retry`] and [`BrokerError::Misconfigured`]; both leave the batch with the
    /// caller.
    async fn publish(&self, batch: &SealedBatch) -> Result<(), BrokerError>;

    /// Begins to connect, if nothing was published yet: [`Publisher::state`] then tells whether the
    /// queue is away. Does not wait for it.
    fn connect(&self);

    /// Number of publishes that are useful at once.
    fn window(&self) -> usize;

    /// Present state of the connection.
    fn state(&self) -> QueueState;

    /// Closes the connection; publishes still running fail with [`BrokerError::Retry`].
    async fn close(&self);
}
