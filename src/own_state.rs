//! The gateway's own state on the disk: whether it can be written, as the last write showed.

use outbox::OutboxError;
use parking_lot::Mutex;

/// Whether the outbox could be written last. A full disk cannot keep that it is full: this is kept
/// in memory.
#[derive(Debug, Default)]
pub(crate) struct OwnState {
    /// Code of the failure of the last write.
    failure: Mutex<Option<&'static str>>,
}

impl OwnState {
    /// Notes how a write of the outbox ended; only a change is logged.
    pub(crate) fn note(&self, error: Option<&OutboxError>) {
        if error.is_some_and(|error| !is_of_the_disk(error)) {
            return;
        }
        let failure = error.map(OutboxError::code);
        let before = std::mem::replace(&mut *self.failure.lock(), failure);
        match (before, error) {
            (_, Some(error)) if before != failure => tracing::warn!(
                parent: None,
                event = "state-failed",
                code = error.code(),
                %error,
                "the gateway's own state cannot be written; nothing is lost, and it is tried again"
            ),
            (Some(_), None) => tracing::info!(
                parent: None,
                event = "state-again",
                "the gateway's own state can be written again"
            ),
            _ => {}
        }
    }

    /// Code of the failure of the last write; `None` after a good one.
    #[cfg(feature = "cli")]
    pub(crate) fn failure(&self) -> Option<&'static str> {
        *self.failure.lock()
    }
}

/// True if the file or its disk failed, and not a page or a call.
const fn is_of_the_disk(error: &OutboxError) -> bool {
    matches!(
        error,
        OutboxError::DiskFull
            | OutboxError::Io { .. }
            | OutboxError::Busy
            | OutboxError::Damaged { .. }
            | OutboxError::Database { .. }
    )
}
