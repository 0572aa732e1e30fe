//! Bound of the refusals that are written down. Everybody with an account can have events refused
//! as fast as the registry takes them.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::transaction::Attempt;
use super::{Store, StoreError, in_time};

/// Number of refusals kept; older ones are removed. Few under test.
pub(super) const REFUSALS_KEPT: i64 = if cfg!(test) { 40 } else { 100_000 };
/// Number of refusals that a program adds until it removes older ones. Few under test.
pub(super) const REFUSALS_BETWEEN: usize = if cfg!(test) { 20 } else { 20_000 };

/// Number of refusals that this program has added since it last removed older ones.
#[derive(Debug, Default)]
pub(super) struct AddedRefusals(AtomicUsize);

impl AddedRefusals {
    /// Returns whether older ones are to be removed before any more are added.
    pub(super) fn are_too_many(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= REFUSALS_BETWEEN
    }
}

impl Store {
    /// Counts the refusals of a committed transaction, and removes older ones where that is due.
    /// None are added while they cannot be removed.
    pub(super) async fn bound_refusals(&self, refused: usize, attempt: Attempt) {
        let added = &self.added_refusals.0;
        if !attempt.drops_refusals {
            added.fetch_add(refused, Ordering::Relaxed);
        }
        // Who takes the number removes them; the other consumers go on.
        if !self.added_refusals.are_too_many() {
            return;
        }
        let taken = added.swap(0, Ordering::Relaxed);
        if taken < REFUSALS_BETWEEN {
            added.fetch_add(taken, Ordering::Relaxed);
            return;
        }
        if let Err(error) = self.prune().await {
            tracing::warn!(event = "prune-failed", %error, "no refusals are written down for now");
            added.fetch_add(taken, Ordering::Relaxed);
        }
    }

    /// Removes all but the newest refusals, and returns the number removed.
    pub(crate) async fn prune(&self) -> Result<u64, StoreError> {
        in_time(self.backend.prune(REFUSALS_KEPT)).await
    }
}
