//! Body of a request: read within limits, into memory that is wiped.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::limits::{BODY_TIME, MAX_BODY_BYTES};
use crate::outcome::RequestOutcome;

/// Reads a body of JSON.
pub(super) async fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
) -> Result<T, RequestOutcome> {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next());
    if !media_type.is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json")) {
        return Err(RequestOutcome::MediaType);
    }
    let bytes = collect_within(BODY_TIME, body).await?;
    // Nothing of the fault is told: it may quote what was typed.
    serde_json::from_slice(&bytes).map_err(|_| RequestOutcome::Form)
}

/// Reads a body that has to arrive within a time.
async fn collect_within(time: Duration, body: Body) -> Result<Zeroizing<Vec<u8>>, RequestOutcome> {
    let bytes = timeout(time, collect(body)).await;
    bytes.map_err(|_| RequestOutcome::TooSlow)?
}

async fn collect(mut body: Body) -> Result<Zeroizing<Vec<u8>>, RequestOutcome> {
    // Never grown, since what is left behind by growing is not wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BODY_BYTES));
    loop {
        let next = std::future::poll_fn(|context: &mut Context<'_>| -> Poll<_> {
            Pin::new(&mut body).poll_frame(context)
        });
        let Some(frame) = next.await else {
            return Ok(bytes);
        };
        let Ok(frame) = frame else {
            return Err(RequestOutcome::TooSlow);
        };
        let Some(data) = frame.data_ref() else {
            continue;
        };
        if bytes.len() + data.len() > MAX_BODY_BYTES {
            return Err(RequestOutcome::TooLarge);
        }
        bytes.extend_from_slice(data);
    }
}

#[cfg(test)]
mod tests {
    use hyper::body::{Frame, SizeHint};

    use super::*;

    /// Body of which nothing arrives any more.
    struct Stuck;

    impl hyper::body::Body for Stuck {
        type Data = axum::body::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
            Poll::Pending
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::default()
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_arrive_is_too_slow() {
        let stuck = collect_within(Duration::from_millis(1), Body::new(Stuck)).await;
        assert_eq!(stuck.err(), Some(RequestOutcome::TooSlow));
        let whole = collect_within(Duration::from_secs(60), Body::from("{}")).await;
        assert_eq!(whole.map(|bytes| bytes.to_vec()), Ok(b"{}".to_vec()));
    }
}
