//! Work that must not be given up half way.

use super::error::OutboxError;

/// Runs the work as a task of its own, so that it ends whole even if the caller stops waiting.
///
/// # Errors
/// Errors of the work, and [`OutboxError::Stopping`] when the runtime is shut down.
pub(crate) async fn run_to_end<T, E>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<OutboxError> + Send + 'static,
{
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(unfinished) => Err(OutboxError::from(unfinished).into()),
    }
}
