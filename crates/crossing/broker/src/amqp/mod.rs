//! The queue as a RabbitMQ broker, AMQP 0-9-1.

mod address;
mod confirm;
mod consume_link;
mod consumer;
mod dead_letters;
mod error_text;
mod ledger;
mod message;
mod publish_link;
mod publish_task;
mod publisher;
mod receipts;
mod session;
mod settings;
mod tls;
mod topology;

use std::path::Path;

pub(crate) use consumer::consumer;
pub(crate) use dead_letters::dead_letters;
pub(crate) use publisher::publisher;
pub(crate) use receipts::{receipt_publisher, receipt_subscriber};
use session::BrokerSession;
use settings::{AmqpSettings, FrameSize};

use crate::{AmqpConfig, BrokerError, Depth};

pub(crate) async fn check(config: &AmqpConfig, base: &Path) -> Result<Vec<String>, BrokerError> {
    let settings = AmqpSettings::new(config, base)?;
    let session = BrokerSession::open(&settings, FrameSize::Small).await?;
    let outcome = topology::ensure(&session.channel, &settings).await;
    session.close().await;
    let depth = outcome?;
    Ok(vec![
        format!("connected to {}", settings.address),
        format!(
            "queue {}: {} batches are waiting",
            config.queue, depth.waiting
        ),
        format!("dead letters {}: {}", config.dead_letters, depth.dead),
    ])
}

pub(crate) async fn depth(config: &AmqpConfig, base: &Path) -> Result<Depth, BrokerError> {
    let settings = AmqpSettings::new(config, base)?;
    let session = BrokerSession::open(&settings, FrameSize::Small).await?;
    let outcome = topology::depth(&session.channel, &settings).await;
    session.close().await;
    outcome
}
