//! What a program between two queues needs beside a gateway and a registry: bounded reading of
//! batches, and receipts that are acknowledged once they were passed on.

use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;

use crate::QueueConfig::{Amqp, Directory};
use crate::{AmqpConfig, BrokerError, Consumer, QueueConfig, ReceiptPublisher, amqp, directory};

/// Makes a consumer of batches that has at most `most` of them that are not settled, and reads only
/// the beginning of messages longer than `longest` bytes, so that it holds at most `most` times as
/// much. `longest` is at least 4096. A batch that was handed out in vain comes again without end.
///
/// # Errors
/// Errors of [`crate::publisher`].
pub fn limited_consumer(
    config: &QueueConfig,
    base_dir: &Path,
    longest: usize,
    most: NonZeroU16,
) -> Result<Box<dyn Consumer>, BrokerError> {
    match config {
        Amqp(config) => {
            let config = AmqpConfig {
                prefetch: most,
                ..config.clone()
            };
            amqp::limited_consumer(&config, base_dir, longest)
        }
        Directory(config) => Ok(directory::limited_consumer(config, base_dir, longest, most)),
    }
}

/// Makes a consumer of receipts at RabbitMQ, of at most 16 messages at a time: a message stays at
/// the broker until it is acknowledged. With `receipts_queue` it stays there also while nobody
/// listens. A directory has no such consumer: [`crate::receipt_subscriber`] hears after a start
/// everything that it keeps.
///
/// # Errors
/// Errors of [`crate::publisher`].
pub fn receipt_consumer(
    config: &AmqpConfig,
    base_dir: &Path,
) -> Result<Box<dyn Consumer>, BrokerError> {
    amqp::receipt_consumer(config, base_dir)
}

/// Makes a publisher of receipts that outlast a restart of the queue: `Ok` means that every queue
/// of receipts, each of them durable, or the directory has the message on its disk.
///
/// # Errors
/// Errors of [`crate::publisher`].
pub fn persistent_receipt_publisher(
    config: &QueueConfig,
    base_dir: &Path,
) -> Result<Arc<dyn ReceiptPublisher>, BrokerError> {
    match config {
        Amqp(config) => amqp::persistent_receipt_publisher(config, base_dir),
        Directory(config) => Ok(directory::receipt_publisher(config, base_dir)),
    }
}
