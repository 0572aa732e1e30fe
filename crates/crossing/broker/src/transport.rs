//! Opens the transport that the configuration names. Relative paths start from `base_dir`, the
//! folder of the configuration file.

use std::path::Path;
use std::sync::Arc;

use crate::QueueConfig::{Amqp, Directory};
use crate::finding::{QueueFinding, Side};
use crate::{
    BrokerError, Consumer, DeadLetters, Depth, Publisher, QueueConfig, ReceiptPublisher,
    ReceiptSubscriber, amqp, directory,
};

/// Makes a publisher; does not need the queue to be reachable yet.
///
/// # Errors
/// [`BrokerError::Misconfigured`]: an unreadable secret or certificate, an address that is none, a
/// transport this program was built without.
pub fn publisher(config: &QueueConfig, base_dir: &Path) -> Result<Arc<dyn Publisher>, BrokerError> {
    match config {
        Amqp(config) => amqp::publisher(config, base_dir),
        Directory(config) => Ok(directory::publisher(config, base_dir)),
    }
}

/// Makes a consumer; does not need the queue to be reachable yet.
///
/// # Errors
/// Errors of [`publisher`].
pub fn consumer(config: &QueueConfig, base_dir: &Path) -> Result<Box<dyn Consumer>, BrokerError> {
    match config {
        Amqp(config) => amqp::consumer(config, base_dir),
        Directory(config) => Ok(directory::consumer(config, base_dir)),
    }
}

/// Makes a publisher of receipts; does not need the queue to be reachable yet.
///
/// # Errors
/// Errors of [`publisher`].
pub fn receipt_publisher(
    config: &QueueConfig,
    base_dir: &Path,
) -> Result<Arc<dyn ReceiptPublisher>, BrokerError> {
    match config {
        Amqp(config) => amqp::receipt_publisher(config, base_dir),
        Directory(config) => Ok(directory::receipt_publisher(config, base_dir)),
    }
}

/// Makes a subscriber to receipts; does not need the queue to be reachable yet.
///
/// # Errors
/// Errors of [`publisher`].
pub fn receipt_subscriber(
    config: &QueueConfig,
    base_dir: &Path,
) -> Result<Box<dyn ReceiptSubscriber>, BrokerError> {
    match config {
        Amqp(config) => amqp::receipt_subscriber(config, base_dir),
        Directory(config) => Ok(directory::receipt_subscriber(config, base_dir)),
    }
}

/// Opens the dead letters.
///
/// # Errors
/// The queue cannot be reached, or an error of [`publisher`].
pub async fn dead_letters(
    config: &QueueConfig,
    base_dir: &Path,
) -> Result<Box<dyn DeadLetters>, BrokerError> {
    match config {
        Amqp(config) => amqp::dead_letters(config, base_dir).await,
        Directory(config) => directory::dead_letters(config, base_dir).await,
    }
}

/// Connects, makes sure that the queue is there (creating it if it may), and describes what it
/// found, one line each.
///
/// # Errors
/// The fault and its remedy, in one sentence.
pub async fn check(config: &QueueConfig, base_dir: &Path) -> Result<Vec<String>, BrokerError> {
    match config {
        Amqp(config) => amqp::check(config, base_dir).await,
        Directory(config) => directory::check(config, base_dir).await,
    }
}

/// Finds out what the account may do at the queue, and which limits hold there; a directory has no
/// accounts.
///
/// # Errors
/// The queue cannot be reached, or the account lacks a right.
pub async fn check_rights(
    config: &QueueConfig,
    base_dir: &Path,
    side: Side,
) -> Result<Vec<QueueFinding>, BrokerError> {
    match config {
        Amqp(config) => amqp::check_rights(config, base_dir, side).await,
        Directory(_) => Ok(Vec::new()),
    }
}

/// Counts the consumers that read batches now.
///
/// # Errors
/// The queue cannot be reached or does not exist.
pub async fn readers(config: &QueueConfig, base_dir: &Path) -> Result<u64, BrokerError> {
    match config {
        Amqp(config) => amqp::readers(config, base_dir).await,
        Directory(config) => directory::readers(config, base_dir).await,
    }
}

/// Returns whether a running gateway has the queue of receipts to itself.
pub(crate) async fn receipts_taken(
    config: &QueueConfig,
    base_dir: &Path,
) -> Result<bool, BrokerError> {
    match config {
        Amqp(config) => amqp::receipts_taken(config, base_dir).await,
        Directory(_) => Ok(false),
    }
}

/// Counts the messages in the queue, over a connection of its own.
///
/// # Errors
/// The queue cannot be reached or does not exist.
pub async fn depth(config: &QueueConfig, base_dir: &Path) -> Result<Depth, BrokerError> {
    match config {
        Amqp(config) => amqp::depth(config, base_dir).await,
        Directory(config) => directory::depth(config, base_dir).await,
    }
}
