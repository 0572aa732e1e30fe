//! What a program between two brokers needs beside a gateway and a registry: bounded reading of
//! batches, and receipts that are acknowledged once they were passed on. RabbitMQ alone.

use std::path::Path;
use std::sync::Arc;

use crate::{AmqpConfig, BrokerError, Consumer, ReceiptPublisher, amqp};

/// Makes a consumer of batches that reads only the beginning of messages longer than `longest`
/// bytes, so that it holds at most `prefetch` times as much. `longest` is at least 4096.
///
/// # Errors
/// Errors of [`crate::publisher`].
pub fn limited_consumer(
    config: &AmqpConfig,
    base_dir: &Path,
    longest: usize,
) -> Result<Box<dyn Consumer>, BrokerError> {
    amqp::limited_consumer(config, base_dir, longest)
}

/// Makes a consumer of receipts, of at most 16 messages at a time: a message stays at the broker
/// until it is acknowledged. With `receipts_queue` it stays there also while nobody listens.
///
/// # Errors
/// Errors of [`crate::publisher`].
pub fn receipt_consumer(
    config: &AmqpConfig,
    base_dir: &Path,
) -> Result<Box<dyn Consumer>, BrokerError> {
    amqp::receipt_consumer(config, base_dir)
}

/// Makes a publisher of receipts that outlast a restart of the broker, in durable queues: `Ok`
/// means that every queue of receipts has the message on its disk.
///
/// # Errors
/// Errors of [`crate::publisher`].
pub fn persistent_receipt_publisher(
    config: &AmqpConfig,
    base_dir: &Path,
) -> Result<Arc<dyn ReceiptPublisher>, BrokerError> {
    amqp::persistent_receipt_publisher(config, base_dir)
}
