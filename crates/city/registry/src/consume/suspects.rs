//! Deliveries that were handed out before. The program may have ended over one of them, so each is
//! opened and stored by itself, with its number of tries noted in the store beforehand.

use broker::Delivery;
use sha2::{Digest, Sha256};

use crate::store::{MessageKey, Store, StoreError};

/// Deliveries that were handed out before and are not opened yet.
#[derive(Default)]
pub(super) struct Suspects {
    waiting: Vec<Suspect>,
}

/// Delivery that was handed out before.
pub(super) struct Suspect {
    /// Delivery as the queue handed it out.
    pub delivery: Delivery,
    /// Number of times that the registry failed at it by itself; `None` until looked up.
    failures: Option<u32>,
}

impl Suspect {
    /// Number of times that the registry failed at it by itself.
    pub(super) fn failures(&self) -> u32 {
        self.failures.unwrap_or(0)
    }
}

impl Suspects {
    pub(super) fn extend(&mut self, deliveries: Vec<Delivery>) {
        let suspect = |delivery| Suspect {
            delivery,
            failures: None,
        };
        self.waiting.extend(deliveries.into_iter().map(suspect));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes one of those with fewest failures, so that the innocent go before the guilty.
    pub(super) async fn take(&mut self, store: &Store) -> Result<Option<Suspect>, StoreError> {
        for suspect in &mut self.waiting {
            if suspect.failures.is_none() {
                let message = message_key(&suspect.delivery.bytes);
                suspect.failures = Some(store.failures(&message).await?);
            }
        }
        let all = self.waiting.iter().enumerate();
        let least = all.min_by_key(|(_, suspect)| suspect.failures());
        let place = least.map(|(place, _)| place);
        Ok(place.map(|place| self.waiting.remove(place)))
    }

    /// Takes all.
    pub(super) fn take_all(&mut self) -> Vec<Delivery> {
        let all = self.waiting.drain(..);
        all.map(|suspect| suspect.delivery).collect()
    }
}

/// Name under which the failures at a message are noted.
pub(super) fn message_key(bytes: &[u8]) -> MessageKey {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}
