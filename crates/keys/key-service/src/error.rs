//! Reasons why the service cannot be opened or stopped.

use audit::AuditError;

use crate::keys::KeyError;
use state_folder::StateError;

/// Reason why the service cannot be opened, or not stopped in good order.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Mistake in `[[keys]]`.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Folder of the counts.
    #[error(transparent)]
    State(#[from] StateError),
    /// Audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
}
