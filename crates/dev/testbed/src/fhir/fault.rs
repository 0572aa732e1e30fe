//! Faults that a test orders, in place of answers or on top of them.

use super::answer::{RequestProblem, bytes};
use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Response as HttpResponse, header};
use axum::response::Response;
use std::time::Duration;

/// Misbehaviour that a request meets instead of a good answer.
#[derive(Clone, Debug)]
pub enum ServerFault {
    /// A refusal with an OperationOutcome.
    Status {
        /// HTTP status.
        status: u16,
        /// Value of the Retry-After header.
        retry_after_seconds: Option<u64>,
        /// Text in the OperationOutcome's `diagnostics` and `details`.
        words: String,
    },
    /// A redirect (307) to a URL.
    Redirect(String),
    /// A well-formed Bundle of at least so many bytes.
    Oversize(usize),
    /// The first half of the answer.
    Truncated,
    /// The answer, but late.
    Delay(Duration),
}

impl ServerFault {
    /// A refusal with words of no interest.
    pub(super) fn status(status: u16, retry_after_seconds: Option<u64>) -> Self {
        Self::Status {
            status,
            retry_after_seconds,
            words: "this failure was ordered by the test".to_owned(),
        }
    }

    /// The response in place of an answer; `None` for a fault that needs the answer.
    pub(super) fn response(&self) -> Option<Response> {
        match self {
            Self::Status {
                status,
                retry_after_seconds,
                words,
            } => Some(refusal(*status, *retry_after_seconds, words)),
            Self::Redirect(url) => Some(
                HttpResponse::builder()
                    .status(307)
                    .header(header::LOCATION, url)
                    .body(Body::empty())
                    .expect("the test gave a URL without control characters"),
            ),
            Self::Oversize(size) => {
                let mut body = br#"{"resourceType":"Bundle","type":"searchset","id":""#.to_vec();
                body.resize(body.len() + size, b'a');
                body.extend_from_slice(br#""}"#);
                Some(bytes(200, body))
            }
            Self::Truncated | Self::Delay(_) => None,
        }
    }

    /// The answer as this fault leaves it.
    pub(super) async fn apply(&self, answer: Response) -> Response {
        match self {
            Self::Truncated => {
                let status = answer.status().as_u16();
                let whole = to_bytes(answer.into_body(), usize::MAX)
                    .await
                    .expect("the body is in memory");
                bytes(status, whole[..whole.len() / 2].to_vec())
            }
            _ => answer,
        }
    }
}

fn refusal(status: u16, retry_after_seconds: Option<u64>, words: &str) -> Response {
    let code = if status >= 500 {
        "transient"
    } else {
        "processing"
    };
    let mut response = RequestProblem::new(status, code, words).response();
    if let Some(seconds) = retry_after_seconds {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
