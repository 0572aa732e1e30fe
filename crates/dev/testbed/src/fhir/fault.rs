//! Faults that a test orders, and the credentials it asks clients for.

use super::Auth;
use super::answer::{Problem, bytes};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response as HttpResponse, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What the next request meets instead of an answer.
pub(super) enum Fault {
    Status {
        status: u16,
        retry_after_seconds: Option<u64>,
    },
    Redirect(String),
    Oversize(usize),
    Garbage,
    /// The answer, but late.
    Delay(std::time::Duration),
}

impl Fault {
    pub(super) fn response(self) -> Response {
        match self {
            Self::Status {
                status,
                retry_after_seconds,
            } => {
                let code = if status >= 500 {
                    "transient"
                } else {
                    "processing"
                };
                let mut response =
                    Problem::new(status, code, "this failure was ordered by the test").response();
                if let Some(seconds) = retry_after_seconds {
                    response
                        .headers_mut()
                        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                }
                response
            }
            Self::Redirect(url) => HttpResponse::builder()
                .status(307)
                .header(header::LOCATION, url)
                .body(Body::empty())
                .expect("the test gave a URL without control characters"),
            Self::Oversize(size) => {
                let mut body = br#"{"resourceType":"Bundle","type":"searchset","id":""#.to_vec();
                body.resize(body.len() + size, b'a');
                body.extend_from_slice(br#""}"#);
                bytes(200, body)
            }
            Self::Garbage | Self::Delay(_) => bytes(
                200,
                br#"{"resourceType":"Bundle","type":"searchset","entry":[{"#.to_vec(),
            ),
        }
    }
}

/// Refuses a request without the credentials asked for.
pub(super) fn authorise(auth: Option<&Auth>, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(auth) = auth else { return Ok(()) };
    let expected = match auth {
        Auth::Basic { user, password } => {
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        }
        Auth::Bearer(token) => format!("Bearer {token}"),
    };
    match headers.get(header::AUTHORIZATION) {
        Some(given) if given.as_bytes() == expected.as_bytes() => Ok(()),
        Some(_) => Err(Problem::new(
            401,
            "login",
            "the credentials are not accepted",
        )),
        None => Err(Problem::new(401, "login", "credentials are needed")),
    }
}
