//! Publisher in front of a relay: seals every batch once more, to the relay's key.

use std::sync::Arc;

use async_trait::async_trait;
use broker::{BrokerError, Publisher, QueueState};
use contract::{RelaySealer, SealedBatch};

/// Publisher that seals what it hands over to a relay.
#[derive(Debug)]
pub(crate) struct PublisherToRelay {
    pub(crate) sealer: RelaySealer,
    pub(crate) broker: Arc<dyn Publisher>,
}

#[async_trait]
impl Publisher for PublisherToRelay {
    async fn publish(&self, batch: &SealedBatch) -> Result<(), BrokerError> {
        let outer = self.sealer.seal(batch).map_err(|error| {
            let what = format!("relay.public_key: {error}");
            BrokerError::Misconfigured {
                what,
                help: "write the key that `mix-relay keys show` prints".to_owned(),
            }
        })?;
        self.broker.publish(&outer).await
    }

    fn connect(&self) {
        self.broker.connect();
    }

    fn window(&self) -> usize {
        self.broker.window()
    }

    fn state(&self) -> QueueState {
        self.broker.state()
    }

    async fn close(&self) {
        self.broker.close().await;
    }
}
