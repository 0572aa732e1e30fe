//! Reading of a request's body within limits.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use tokio::time::timeout;

/// Time in which a body must have arrived.
pub const BODY_TIME: Duration = Duration::from_secs(5);

/// Reason why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Body with more bytes than the limit.
    #[error("the body is too long")]
    TooLarge,
    /// Body that had not arrived after [`BODY_TIME`].
    #[error("the body did not arrive in time")]
    TooSlow,
}

/// Reads a body of at most `most_bytes` bytes, for at most [`BODY_TIME`].
///
/// # Errors
/// [`BodyError`].
pub async fn read_body(body: Body, most_bytes: usize) -> Result<Bytes, BodyError> {
    match timeout(BODY_TIME, to_bytes(body, most_bytes)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // A connection that broke gets no answer, so that only the length is left.
        Ok(Err(_)) => Err(BodyError::TooLarge),
        Err(_) => Err(BodyError::TooSlow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_size_limit_holds_at_its_edge() {
        let read = async |bytes: usize| read_body(Body::from(vec![0; bytes]), 4).await;
        assert_eq!(read(4).await.unwrap().len(), 4);
        assert_eq!(read(5).await, Err(BodyError::TooLarge));
    }
}
