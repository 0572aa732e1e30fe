//! Publishes batches to the broker.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use contract::SealedBatch;
use fault::Point;

use super::message::{Destination, OutgoingMessage};
use super::publish_link::PublishLink;
use super::settings::AmqpSettings;
use crate::{AmqpConfig, BrokerError, Publisher, QueueState};

pub(crate) fn publisher(
    config: &AmqpConfig,
    base: &Path,
) -> Result<Arc<dyn Publisher>, BrokerError> {
    let settings = Arc::new(AmqpSettings::new(config, base)?);
    Ok(Arc::new(AmqpPublisher {
        link: PublishLink::new(settings, Destination::batches(config)),
    }))
}

/// A [`PublishLink`] to the queue as a [`Publisher`].
#[derive(Debug)]
struct AmqpPublisher {
    link: PublishLink,
}

#[async_trait]
impl Publisher for AmqpPublisher {
    async fn publish(&self, batch: &SealedBatch) -> Result<(), BrokerError> {
        fault::check(Point::BrokerPublishing)?;
        self.link
            .publish(OutgoingMessage {
                id: batch.id,
                bytes: batch.bytes.clone(),
                reason: None,
            })
            .await?;
        fault::check(Point::BrokerConfirmed)
    }

    fn connect(&self) {
        self.link.start();
    }

    fn window(&self) -> usize {
        self.link.window()
    }

    fn state(&self) -> QueueState {
        self.link.state()
    }

    async fn close(&self) {
        self.link.close().await;
    }
}
