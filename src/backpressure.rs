//! Backpressure: while the outbox is full, pulling pauses, visibly, and goes on by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use outbox::{Outbox, OutboxError};
use tokio_util::sync::CancellationToken;

/// Interval between two looks at a full outbox.
const LOOK: Duration = Duration::from_millis(500);

/// The pause of pulling while the outbox is full.
#[derive(Debug)]
pub struct Backpressure {
    outbox: Outbox,
    /// Size in bytes from which the outbox is full.
    max_bytes: u64,
    paused: AtomicBool,
    publishing_ended: AtomicBool,
}

/// End of a wait for space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpaceWait {
    /// The outbox has space.
    Space,
    /// The program was asked to stop.
    Stopped,
}

impl Backpressure {
    pub(crate) const fn new(outbox: Outbox, max_bytes: u64) -> Self {
        Self {
            outbox,
            max_bytes,
            paused: AtomicBool::new(false),
            publishing_ended: AtomicBool::new(false),
        }
    }

    /// True if pulling is paused because the outbox is full.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Notes that nobody empties the outbox any more (or does again), so that nobody should wait
    /// for space.
    pub(crate) fn set_publishing_ended(&self, ended: bool) {
        self.publishing_ended.store(ended, Ordering::Relaxed);
    }

    /// Notes a pause or its end; only a change is logged.
    fn set_paused(&self, paused: bool) {
        if self.paused.swap(paused, Ordering::Relaxed) == paused {
            return;
        }
        metrics::gauge!("gateway_pulling_paused").set(f64::from(u8::from(paused)));
        if paused {
            // Outside the span of the run that noticed it: every source pauses.
            tracing::warn!(
                parent: None,
                event = "pulling-paused",
                "the outbox is full: pulling pauses until batches have left or been answered; \
                 nothing is lost"
            );
        } else {
            tracing::info!(
                parent: None,
                event = "pulling-again",
                "there is room in the outbox: pulling goes on"
            );
        }
    }

    /// Waits until the outbox has space.
    ///
    /// # Errors
    /// The disk's failures, and [`OutboxError::Full`] where nothing is published any more, so that
    /// no space would come of waiting.
    pub(crate) async fn wait_for_space(
        &self,
        stop: &CancellationToken,
    ) -> Result<SpaceWait, OutboxError> {
        loop {
            // Not the backlog: counting it takes the longer the more there is, and a sweep asks
            // before every page.
            if !self.outbox.is_full().await? {
                self.set_paused(false);
                return Ok(SpaceWait::Space);
            }
            if self.publishing_ended.load(Ordering::Relaxed) {
                return Err(OutboxError::Full {
                    pending_bytes: self.outbox.backlog().await?.bytes,
                    max_bytes: self.max_bytes,
                });
            }
            self.set_paused(true);
            tokio::select! {
                () = stop.cancelled() => return Ok(SpaceWait::Stopped),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}
