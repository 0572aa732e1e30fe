//! Carries sealed batches: RabbitMQ, or a directory with the same promises (see README.md).

#[cfg(feature = "amqp")]
mod amqp;
mod config;
mod dead_letters;
mod directory;
mod error;
mod receipts;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::SealedBatch;

pub use config::{AmqpConfig, DirectoryConfig, Login, QueueConfig, QueueKind, TlsConfig};
pub use dead_letters::{DeadLetter, DeadLetters, dead_letters};
pub use error::BrokerError;
pub use receipts::{ReceiptPublisher, ReceiptSubscriber, receipt_publisher, receipt_subscriber};

/// Longest message handed to a consumer whole, in bytes; of a longer file only this much and one
/// byte is read.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

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

    /// How many publishes at once are useful.
    fn window(&self) -> usize;

    /// The connection as it is now.
    fn state(&self) -> State;

    /// Says goodbye to the queue; publishes still running fail with [`BrokerError::Retry`].
    async fn close(&self);
}

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
    /// When the queue cannot be reached or read; call again.
    async fn receive(
        &mut self,
        max: usize,
        max_wait: Duration,
    ) -> Result<Vec<Delivery>, BrokerError>;

    /// Whether messages can arrive now; until the first `receive`, and while reconnecting, they
    /// cannot.
    fn connected(&self) -> bool;

    /// Tells the queue that these are done. Tokens of a lost connection are void: their messages
    /// come again.
    ///
    /// # Errors
    /// When the queue cannot be told now; the messages will come again.
    async fn ack(&mut self, tokens: Vec<Token>) -> Result<(), BrokerError>;

    /// Moves a message to the dead letters, bytes unchanged, with `reason` (one of the program's
    /// own words) beside it.
    ///
    /// # Errors
    /// When that did not work; the message will come again.
    async fn dead_letter(
        &mut self,
        delivery: Delivery,
        reason: &'static str,
    ) -> Result<(), BrokerError>;

    /// Puts messages back for another attempt, by whomever.
    ///
    /// # Errors
    /// As for [`Consumer::ack`].
    async fn requeue(&mut self, tokens: Vec<Token>) -> Result<(), BrokerError>;

    /// Gives back what was received and not acknowledged, and says goodbye. Dropping does the same,
    /// less politely.
    async fn close(&mut self);
}

/// One message from the queue: anything at all, it is for the caller to tell whether it is a batch.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub bytes: Vec<u8>,
    /// Whether it was handed out before.
    pub redelivered: bool,
    /// What to acknowledge it by.
    pub token: Token,
}

/// Stands for one delivery when it is acknowledged. Good for one use, with the consumer it came
/// from.
#[derive(Debug)]
pub struct Token(TokenKind);

#[derive(Debug)]
enum TokenKind {
    #[cfg(feature = "amqp")]
    Amqp(amqp::Claim),
    File(directory::Name),
}

impl Token {
    fn name(&self) -> Option<directory::Name> {
        match self.0 {
            #[cfg(feature = "amqp")]
            TokenKind::Amqp(_) => None,
            TokenKind::File(name) => Some(name),
        }
    }
}

/// A publisher's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not used yet.
    Idle,
    /// In order.
    Connected,
    /// Connected, but the broker takes nothing: its memory or disk alarm is on.
    Blocked,
    /// Not connected, or the last attempt failed.
    Down,
}

/// How many messages lie in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Waiting for a consumer; those handed out and not acknowledged are not counted.
    pub waiting: u64,
    /// Dead letters.
    pub dead: u64,
}

/// A publisher; does not need the queue to be reachable yet. Relative paths start from `base_dir`.
///
/// # Errors
/// [`BrokerError::Misconfigured`]: an unreadable secret or certificate, an address that is none, a
/// transport this program was built without.
pub fn publisher(config: &QueueConfig, base_dir: &Path) -> Result<Arc<dyn Publisher>, BrokerError> {
    Ok(match config {
        #[cfg(feature = "amqp")]
        QueueConfig::Amqp(config) => Arc::new(amqp::publisher(config, base_dir)?),
        #[cfg(not(feature = "amqp"))]
        QueueConfig::Amqp(_) => return Err(built_without_amqp()),
        QueueConfig::Directory(config) => {
            Arc::new(directory::DirectoryPublisher::new(config, base_dir))
        }
    })
}

/// A consumer; does not need the queue to be reachable yet. Relative paths start from `base_dir`.
///
/// # Errors
/// As for [`publisher`].
pub fn consumer(config: &QueueConfig, base_dir: &Path) -> Result<Box<dyn Consumer>, BrokerError> {
    Ok(match config {
        #[cfg(feature = "amqp")]
        QueueConfig::Amqp(config) => Box::new(amqp::AmqpConsumer::new(config, base_dir)?),
        #[cfg(not(feature = "amqp"))]
        QueueConfig::Amqp(_) => return Err(built_without_amqp()),
        QueueConfig::Directory(config) => {
            Box::new(directory::DirectoryConsumer::new(config, base_dir))
        }
    })
}

/// Connects, makes sure that the queue is there (creating it if it may), and says in words what it
/// found.
///
/// # Errors
/// What is wrong, in one sentence.
pub async fn check(config: &QueueConfig, base_dir: &Path) -> Result<Vec<String>, BrokerError> {
    match config {
        #[cfg(feature = "amqp")]
        QueueConfig::Amqp(config) => amqp::check(config, base_dir).await,
        #[cfg(not(feature = "amqp"))]
        QueueConfig::Amqp(_) => Err(built_without_amqp()),
        QueueConfig::Directory(config) => directory::check(config, base_dir).await,
    }
}

/// Counts what lies in the queue, over a connection of its own.
///
/// # Errors
/// When the queue cannot be reached or does not exist.
pub async fn depth(config: &QueueConfig, base_dir: &Path) -> Result<Depth, BrokerError> {
    match config {
        #[cfg(feature = "amqp")]
        QueueConfig::Amqp(config) => amqp::depth(config, base_dir).await,
        #[cfg(not(feature = "amqp"))]
        QueueConfig::Amqp(_) => Err(built_without_amqp()),
        QueueConfig::Directory(config) => directory::depth(config, base_dir).await,
    }
}

#[cfg(not(feature = "amqp"))]
fn built_without_amqp() -> BrokerError {
    BrokerError::misconfigured(
        "this program was built without RabbitMQ support",
        "build it with the feature `amqp`, or use [queue.directory]",
    )
}
