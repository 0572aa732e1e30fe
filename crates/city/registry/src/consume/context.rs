//! Parts that all consumers of a process share.

use std::path::PathBuf;
use std::sync::Arc;

use broker::{BrokerError, Consumer, Depth, QueueConfig};
use clock::Clock;

use crate::breaker::Breaker;
use crate::config::ConsumeConfig;
use crate::reader::Reader;
use crate::receipts::ReceiptSender;

/// Parts that all consumers of a process share.
#[derive(Clone)]
pub(crate) struct ConsumeContext {
    pub reader: Reader,
    pub queue: QueueConfig,
    pub settings: ConsumeConfig,
    /// Folder that relative paths of the queue's settings start from.
    pub base: PathBuf,
    pub clock: Arc<dyn Clock>,
    /// Circuit of the store.
    pub breaker: Breaker,
    /// Way out for receipts; absent where the registry has no key for them.
    pub receipts: Option<Arc<ReceiptSender>>,
}

impl ConsumeContext {
    /// Makes a consumer of the queue, which need not be reachable yet.
    pub(super) fn consumer(&self) -> Result<Box<dyn Consumer>, BrokerError> {
        broker::consumer(&self.queue, &self.base)
    }

    /// Counts what lies in the queue.
    pub(crate) async fn queue_depth(&self) -> Result<Depth, BrokerError> {
        broker::depth(&self.queue, &self.base).await
    }
}
