//! In place of `amqp` where the program is built without the feature of that name.

use std::path::Path;
use std::sync::Arc;

use crate::finding::{QueueFinding, Side};
use crate::{
    AmqpConfig, BrokerError, Consumer, DeadLetters, Depth, Publisher, ReceiptPublisher,
    ReceiptSubscriber,
};

/// Error of every operation.
fn left_out<T>() -> Result<T, BrokerError> {
    Err(BrokerError::misconfigured(
        "this program was built without RabbitMQ support",
        "build it with the feature `amqp`, or use [queue.directory]",
    ))
}

pub(crate) fn publisher(_: &AmqpConfig, _: &Path) -> Result<Arc<dyn Publisher>, BrokerError> {
    left_out()
}

pub(crate) fn consumer(_: &AmqpConfig, _: &Path) -> Result<Box<dyn Consumer>, BrokerError> {
    left_out()
}

pub(crate) fn limited_consumer(
    _: &AmqpConfig,
    _: &Path,
    _: usize,
) -> Result<Box<dyn Consumer>, BrokerError> {
    left_out()
}

pub(crate) fn receipt_consumer(_: &AmqpConfig, _: &Path) -> Result<Box<dyn Consumer>, BrokerError> {
    left_out()
}

pub(crate) fn persistent_receipt_publisher(
    _: &AmqpConfig,
    _: &Path,
) -> Result<Arc<dyn ReceiptPublisher>, BrokerError> {
    left_out()
}

pub(crate) fn receipt_publisher(
    _: &AmqpConfig,
    _: &Path,
) -> Result<Arc<dyn ReceiptPublisher>, BrokerError> {
    left_out()
}

pub(crate) fn receipt_subscriber(
    _: &AmqpConfig,
    _: &Path,
) -> Result<Box<dyn ReceiptSubscriber>, BrokerError> {
    left_out()
}

#[expect(clippy::unused_async, reason = "the transport that is built in awaits")]
pub(crate) async fn dead_letters(
    _: &AmqpConfig,
    _: &Path,
) -> Result<Box<dyn DeadLetters>, BrokerError> {
    left_out()
}

#[expect(clippy::unused_async, reason = "the transport that is built in awaits")]
pub(crate) async fn check(_: &AmqpConfig, _: &Path) -> Result<Vec<String>, BrokerError> {
    left_out()
}

#[expect(clippy::unused_async, reason = "the transport that is built in awaits")]
pub(crate) async fn check_rights(
    _: &AmqpConfig,
    _: &Path,
    _: Side,
) -> Result<Vec<QueueFinding>, BrokerError> {
    left_out()
}

#[expect(clippy::unused_async, reason = "the transport that is built in awaits")]
pub(crate) async fn readers(_: &AmqpConfig, _: &Path) -> Result<u64, BrokerError> {
    left_out()
}

#[expect(clippy::unused_async, reason = "the transport that is built in awaits")]
pub(crate) async fn receipts_taken(_: &AmqpConfig, _: &Path) -> Result<bool, BrokerError> {
    left_out()
}

#[expect(clippy::unused_async, reason = "the transport that is built in awaits")]
pub(crate) async fn depth(_: &AmqpConfig, _: &Path) -> Result<Depth, BrokerError> {
    left_out()
}
