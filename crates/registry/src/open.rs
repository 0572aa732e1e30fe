//! Opens and reads sealed batches, off the async threads.

use std::sync::Arc;

use broker::Delivery;
use chrono::{DateTime, Utc};
use contract::OpenError;
use contract::wire::{BatchError, decode};

use crate::incoming::OpenBatch;
use crate::keys::Keys;

/// Why a batch went to the dead letters; the words stand beside it there and in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeadReason(pub &'static str);

/// The store takes none of the batch's rows.
pub(crate) const STORE_REFUSES: DeadReason = DeadReason("store-refuses");

/// Opens deliveries; each is a batch, or unreadable for a reason that another try will not change.
pub(crate) async fn open_all(
    deliveries: Vec<Delivery>,
    keys: Arc<Keys>,
    now: DateTime<Utc>,
) -> Vec<(Delivery, Result<OpenBatch, DeadReason>)> {
    let open = move |delivery: Delivery| {
        let opened = open_one(&delivery.bytes, &keys, now);
        (delivery, opened)
    };
    match tokio::task::spawn_blocking(move || deliveries.into_iter().map(open).collect()).await {
        Ok(opened) => opened,
        Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
    }
}

fn open_one(bytes: &[u8], keys: &Keys, now: DateTime<Utc>) -> Result<OpenBatch, DeadReason> {
    let mut last = OpenError::WrongKey;
    for key in keys.private() {
        match key.open(bytes) {
            Ok((id, encoded)) => {
                let decoded = decode(&encoded).map_err(batch_reason)?;
                return Ok(OpenBatch::new(id, decoded, &keys.second_layer, now));
            }
            Err(OpenError::WrongKey) => {}
            Err(error) => last = error,
        }
    }
    Err(open_reason(last))
}

fn open_reason(error: OpenError) -> DeadReason {
    DeadReason(match error {
        OpenError::Format => "not-a-sealed-batch",
        OpenError::WrongKey => "sealed-to-another-key",
        OpenError::NotAuthentic => "not-authentic",
        OpenError::Content => "content-outside-limits",
    })
}

fn batch_reason(error: BatchError) -> DeadReason {
    DeadReason(match error {
        BatchError::NotABatch => "not-a-batch-of-events",
        BatchError::TooLarge => "batch-too-large",
    })
}
