//! Runs file work off the async threads.

use crate::BrokerError;

/// Runs `work` on a thread for blocking work.
pub(super) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BrokerError> + Send + 'static,
) -> Result<T, BrokerError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(BrokerError::retry(
            "work on the queue directory was broken off",
        ))
    })
}
