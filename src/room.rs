//! Backpressure: while the outbox is full, pulling pauses, visibly, and goes on by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outbox::OutboxError;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;

/// How often a full outbox is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Whether pulling is paused.
#[derive(Debug, Default)]
pub struct Room {
    paused: AtomicBool,
    in_vain: AtomicBool,
}

/// How waiting for room ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// There is room.
    Room,
    /// The program was asked to stop.
    Stopped,
}

impl Room {
    /// Whether pulling is paused because the outbox is full.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Tells that nobody empties the outbox any more (or does again), so that nobody should wait
    /// for room.
    pub(crate) fn set_in_vain(&self, in_vain: bool) {
        self.in_vain.store(in_vain, Ordering::Relaxed);
    }

    /// Logged at the change only.
    fn set_paused(&self, paused: bool) {
        if self.paused.swap(paused, Ordering::Relaxed) == paused {
            return;
        }
        metrics::gauge!("gateway_pulling_paused").set(f64::from(u8::from(paused)));
        if paused {
            tracing::warn!(
                event = "pulling-paused",
                "the outbox is full: pulling pauses until batches have left; nothing is lost"
            );
        } else {
            tracing::info!(
                event = "pulling-again",
                "there is room in the outbox: pulling goes on"
            );
        }
    }
}

/// Waits until the outbox has room.
///
/// # Errors
/// The disk's failures, and [`OutboxError::Full`] where waiting is in vain because nothing is
/// published any more.
pub(crate) async fn wait(
    gateway: &Gateway,
    stop: &CancellationToken,
) -> Result<Waited, OutboxError> {
    loop {
        // Not the backlog: to count it takes the longer the more there is, and a sweep asks before
        // every page.
        if !gateway.outbox.is_full().await? {
            gateway.room.set_paused(false);
            return Ok(Waited::Room);
        }
        if gateway.room.in_vain.load(Ordering::Relaxed) {
            let pending_bytes = gateway.outbox.backlog().await?.bytes;
            let max_bytes = gateway.max_bytes;
            return Err(OutboxError::Full {
                pending_bytes,
                max_bytes,
            });
        }
        gateway.room.set_paused(true);
        tokio::select! {
            () = stop.cancelled() => return Ok(Waited::Stopped),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
