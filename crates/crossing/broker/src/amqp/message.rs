//! Messages to be published, their destinations, and the status of the connection they go over.

use std::borrow::Cow;

use contract::BatchId;
use tokio::sync::oneshot;

use crate::{AmqpConfig, BrokerError, QueueState};

/// A message to publish.
#[derive(Debug)]
pub(super) struct OutgoingMessage {
    pub(super) id: BatchId,
    pub(super) bytes: Vec<u8>,
    /// For dead letters: one of the program's own words.
    pub(super) reason: Option<Cow<'static, str>>,
}

/// Exchange and routing key to publish to.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    pub(super) traffic: Traffic,
    pub(super) exchange: String,
    pub(super) routing_key: String,
    /// True if messages outlast a restart of the broker, in durable queues.
    pub(super) persistent: bool,
}

impl Destination {
    /// The queue of batches.
    pub(super) fn batches(config: &AmqpConfig) -> Self {
        Self {
            traffic: Traffic::Batches,
            exchange: config.exchange.clone(),
            routing_key: config.queue.clone(),
            persistent: true,
        }
    }

    /// The queue of dead letters.
    pub(super) fn dead_letters(config: &AmqpConfig) -> Self {
        Self {
            traffic: Traffic::Batches,
            exchange: config.dead_letters_exchange.clone(),
            routing_key: config.dead_letters.clone(),
            persistent: true,
        }
    }

    /// Every queue bound to the exchange of receipts.
    pub(super) fn receipts(config: &AmqpConfig) -> Self {
        Self {
            traffic: Traffic::Receipts,
            exchange: config.receipts.clone(),
            routing_key: String::new(),
            persistent: false,
        }
    }

    /// The same, for receipts that outlast a restart of the broker.
    pub(super) fn persistent_receipts(config: &AmqpConfig) -> Self {
        Self {
            persistent: true,
            ..Self::receipts(config)
        }
    }
}

/// Kind of messages that go over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Batches and dead letters: durable queues; a message that no queue takes must come back.
    Batches,
    /// Receipts: for any number of listeners, even none; a lost one costs a resend.
    Receipts,
}

/// Sender of a publish's outcome to its caller.
pub(super) type Reply = oneshot::Sender<Result<(), BrokerError>>;

/// A caller's order to publish a message.
#[derive(Debug)]
pub(super) struct PublishRequest {
    pub(super) message: OutgoingMessage,
    /// Notified when the message is given to the connection: its caller's time for the confirm
    /// begins.
    pub(super) handed_over: oneshot::Sender<()>,
    pub(super) reply: Reply,
}

/// Status of a publishing connection.
#[derive(Debug, Clone)]
pub(super) struct LinkStatus {
    pub(super) state: QueueState,
    /// Failure of the last connection, or of the last attempt to connect.
    pub(super) last_error: Option<BrokerError>,
}
