//! Causes of the present failures on the way to the queue, in the broker crate's words.

use parking_lot::Mutex;

/// Causes of the present failures on the way to the queue; kept for `status`.
#[derive(Debug, Default)]
pub(crate) struct QueueCauses {
    publishing: Mutex<Option<String>>,
    receiving: Mutex<Option<String>>,
}

impl QueueCauses {
    /// Notes why batches do not leave; `None` once they do.
    pub(crate) fn note_publishing(&self, cause: Option<String>) {
        *self.publishing.lock() = cause;
    }

    /// Notes why receipts do not arrive; `None` once they do.
    pub(crate) fn note_receiving(&self, cause: Option<String>) {
        *self.receiving.lock() = cause;
    }

    /// Cause for which batches do not leave.
    pub(crate) fn publishing(&self) -> Option<String> {
        self.publishing.lock().clone()
    }

    /// Cause for which receipts do not arrive.
    pub(crate) fn receiving(&self) -> Option<String> {
        self.receiving.lock().clone()
    }
}
