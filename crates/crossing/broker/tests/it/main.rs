//! Tests of both transports by the same suite, and of the peculiarities of each.

// `cfg(test)` tells clippy that helpers outside of test functions are tests as well.
#[cfg(feature = "amqp")]
#[cfg(test)]
mod amqp;
#[cfg(feature = "amqp")]
#[cfg(test)]
mod amqp_receipts;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod directory;
#[cfg(test)]
mod directory_receipts;
#[cfg(test)]
mod drained;
#[cfg(test)]
mod faults;
#[cfg(feature = "amqp")]
#[cfg(test)]
mod hostile;
#[cfg(feature = "amqp")]
#[cfg(test)]
mod limits;
#[cfg(feature = "amqp")]
#[cfg(test)]
mod permissions;
#[cfg(feature = "amqp")]
#[cfg(test)]
mod slow;
#[cfg(feature = "amqp")]
#[cfg(test)]
mod tls;

use std::time::Duration;

use contract::{BatchId, SealedBatch};

/// Upper bound of any wait that is expected to end.
const PATIENCE: Duration = Duration::from_secs(60);

fn batch(content: &[u8]) -> SealedBatch {
    SealedBatch {
        id: BatchId::random(),
        bytes: content.to_vec(),
    }
}

/// Repeats `step` until it gives something, failing after [`PATIENCE`].
async fn until<T>(what: &str, mut step: impl AsyncFnMut() -> Option<T>) -> T {
    tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = step().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{what} did not happen"))
}
