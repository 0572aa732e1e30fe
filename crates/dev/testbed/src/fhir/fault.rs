//! Faults that a test orders, in place of answers or on top of them.

use super::answer::{RequestProblem, bytes};
use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Response as HttpResponse, header};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
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

/// Fault that every so-many-th of some requests meets.
pub(super) struct FaultRate {
    every: usize,
    counted: usize,
    fault: ServerFault,
    only_page_links: bool,
}

impl FaultRate {
    pub(super) fn new(every: usize, fault: ServerFault, only_page_links: bool) -> Self {
        Self {
            every: every.max(1),
            counted: 0,
            fault,
            only_page_links,
        }
    }

    /// Counts a request; returns the fault that it meets.
    pub(super) fn count(&mut self, is_page_link: bool) -> Option<ServerFault> {
        if self.only_page_links && !is_page_link {
            return None;
        }
        self.counted += 1;
        self.counted
            .is_multiple_of(self.every)
            .then(|| self.fault.clone())
    }
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
    ///
    /// `date_from`: the server's clock, where a time to wait is written as a date.
    pub(super) fn response(&self, date_from: Option<DateTime<Utc>>) -> Option<Response> {
        match self {
            Self::Status {
                status,
                retry_after_seconds,
                words,
            } => Some(refusal(*status, *retry_after_seconds, words, date_from)),
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

fn refusal(
    status: u16,
    retry_after_seconds: Option<u64>,
    words: &str,
    date_from: Option<DateTime<Utc>>,
) -> Response {
    let code = if status >= 500 {
        "transient"
    } else {
        "processing"
    };
    let mut response = RequestProblem::new(status, code, words).response();
    if let Some(seconds) = retry_after_seconds {
        let value = date_from.map_or_else(
            || HeaderValue::from(seconds),
            |now| http_date(now + TimeDelta::seconds(i64::try_from(seconds).unwrap_or(i64::MAX))),
        );
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// A moment as headers write it (RFC 9110 section 5.6.7).
pub(super) fn http_date(moment: DateTime<Utc>) -> HeaderValue {
    let text = moment.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::from_str(&text).expect("a date is ASCII")
}
