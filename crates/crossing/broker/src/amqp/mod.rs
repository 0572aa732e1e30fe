//! The queue as a RabbitMQ broker, AMQP 0-9-1.

mod address;
mod confirm;
mod consume_link;
mod consumer;
mod dead_letters;
mod error_text;
mod frames;
mod headers;
mod ledger;
mod link_log;
mod message;
mod precondition;
mod publish_link;
mod publish_task;
mod publisher;
mod receipts;
mod rights;
mod session;
mod settings;
mod size_limit;
mod tls;
mod topology;

use std::path::Path;

pub(crate) use consumer::{consumer, limited_consumer, receipt_consumer};
pub(crate) use dead_letters::dead_letters;
use error_text::ChannelStep;
pub(crate) use publisher::publisher;
pub(crate) use receipts::{persistent_receipt_publisher, receipt_publisher, receipt_subscriber};
use session::BrokerSession;
use settings::AmqpSettings;
use tokio::time::timeout;

use crate::finding::{QueueFinding, Side};
use crate::{AmqpConfig, BrokerError, Depth, MAX_MESSAGE_BYTES};

pub(crate) async fn check(config: &AmqpConfig, base: &Path) -> Result<Vec<String>, BrokerError> {
    let settings = AmqpSettings::new(config, base)?;
    let session = BrokerSession::open(&settings, MAX_MESSAGE_BYTES).await?;
    let outcome = topology::ensure(&session.channel, &settings).await;
    session.close().await;
    let depth = outcome?;
    Ok(vec![
        format!("connected to {}", settings.address),
        format!("queue {}: waiting batches: {}", config.queue, depth.waiting),
        format!("dead letters {}: {}", config.dead_letters, depth.dead),
    ])
}

pub(crate) async fn check_rights(
    config: &AmqpConfig,
    base: &Path,
    side: Side,
) -> Result<Vec<QueueFinding>, BrokerError> {
    let settings = AmqpSettings::new(config, base)?;
    let session = BrokerSession::open(&settings, MAX_MESSAGE_BYTES).await?;
    // Some ten questions, each with its answer.
    let limit = settings.connect_timeout() * 2;
    let checked = timeout(limit, rights::check(&session.connection, &settings, side)).await;
    session.close().await;
    checked.unwrap_or_else(|_| Err(error_text::fell_silent(&settings.address)))
}

pub(crate) async fn readers(config: &AmqpConfig, base: &Path) -> Result<u64, BrokerError> {
    readers_of(config, base, ChannelStep::Queue(&config.queue)).await
}

/// Returns whether another connection reads the queue of receipts that was made for this account.
pub(crate) async fn receipts_taken(config: &AmqpConfig, base: &Path) -> Result<bool, BrokerError> {
    match &config.receipts_queue {
        Some(queue) => Ok(readers_of(config, base, ChannelStep::Receipts(queue)).await? > 0),
        None => Ok(false),
    }
}

/// Counts the consumers of the queue that `step` names.
async fn readers_of(
    config: &AmqpConfig,
    base: &Path,
    step: ChannelStep<'_>,
) -> Result<u64, BrokerError> {
    let settings = AmqpSettings::new(config, base)?;
    let session = BrokerSession::open(&settings, MAX_MESSAGE_BYTES).await?;
    let outcome = topology::readers(&session.channel, &settings, step).await;
    session.close().await;
    outcome
}

pub(crate) async fn depth(config: &AmqpConfig, base: &Path) -> Result<Depth, BrokerError> {
    let settings = AmqpSettings::new(config, base)?;
    let session = BrokerSession::open(&settings, MAX_MESSAGE_BYTES).await?;
    let outcome = topology::depth(&session.channel, &settings).await;
    session.close().await;
    outcome
}
