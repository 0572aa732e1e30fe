//! The queue as a RabbitMQ broker, AMQP 0-9-1.

mod consumer;
mod intake;
mod ledger;
mod letters;
mod link;
mod receipts;
mod run;
mod session;
mod settings;
mod tls;
mod topology;
mod words;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use contract::SealedBatch;

pub(crate) use consumer::{AmqpConsumer, Claim};
use fault::Point;
pub(crate) use letters::AmqpDeadLetters;
use link::{Link, Message, Target};
pub(crate) use receipts::{AmqpReceipts, receipt_publisher};
use session::Session;
use settings::{Frames, Settings};

use crate::{AmqpConfig, BrokerError, Depth, Publisher, State};

pub(crate) fn publisher(
    config: &AmqpConfig,
    base: &Path,
) -> Result<impl Publisher + use<>, BrokerError> {
    let settings = Arc::new(Settings::new(config, base)?);
    Ok(AmqpPublisher {
        link: Link::new(settings, Target::batches(config)),
    })
}

/// A [`Link`] to the queue as a [`Publisher`].
#[derive(Debug)]
struct AmqpPublisher {
    link: Link,
}

#[async_trait]
impl Publisher for AmqpPublisher {
    async fn publish(&self, batch: &SealedBatch) -> Result<(), BrokerError> {
        fault::check(Point::BrokerPublishing)?;
        self.link
            .publish(Message {
                id: batch.id,
                bytes: batch.bytes.clone(),
                reason: None,
            })
            .await?;
        fault::check(Point::BrokerConfirmed)
    }

    fn window(&self) -> usize {
        self.link.window()
    }

    fn state(&self) -> State {
        self.link.state()
    }

    async fn close(&self) {
        self.link.close().await;
    }
}

pub(crate) async fn check(config: &AmqpConfig, base: &Path) -> Result<Vec<String>, BrokerError> {
    let settings = Settings::new(config, base)?;
    let session = Session::open(&settings, Frames::Small).await?;
    let outcome = topology::ensure(&session.channel, &settings).await;
    session.close().await;
    let depth = outcome?;
    Ok(vec![
        format!("connected to {}", settings.place),
        format!(
            "queue {}: {} batches are waiting",
            config.queue, depth.waiting
        ),
        format!("dead letters {}: {}", config.dead_letters, depth.dead),
    ])
}

pub(crate) async fn depth(config: &AmqpConfig, base: &Path) -> Result<Depth, BrokerError> {
    let settings = Settings::new(config, base)?;
    let session = Session::open(&settings, Frames::Small).await?;
    let outcome = topology::depth(&session.channel, &settings).await;
    session.close().await;
    outcome
}
