//! Body of a request: read within limits, into memory that is wiped.

use std::pin::Pin;
use std::task::{Context, Poll};

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
    let bytes = timeout(BODY_TIME, collect(body)).await;
    let bytes = bytes.map_err(|_| RequestOutcome::TooSlow)??;
    // Nothing of the fault is told: it may quote what was typed.
    serde_json::from_slice(&bytes).map_err(|_| RequestOutcome::Form)
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
