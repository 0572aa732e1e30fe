//! Refusals as answers: application/problem+json (RFC 9457), in words that never repeat the input.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::refusal::Refusal;

/// Media type of a problem.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// Seconds after which a request may be tried again that nothing was wrong with.
const TRY_AGAIN_SECONDS: u64 = 5;

/// Body of a problem.
#[derive(Serialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
}

const fn status(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Malformed => StatusCode::BAD_REQUEST,
        Refusal::UnknownClient => StatusCode::FORBIDDEN,
        Refusal::UnknownKey | Refusal::NotFound => StatusCode::NOT_FOUND,
        Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::CeilingReached(_) | Refusal::DayTokenGiven(_) => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Busy | Refusal::CannotCount => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

const fn title(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Malformed => "the body is no request of this version, or did not arrive in time",
        Refusal::UnknownClient => "the certificate is none of this service's clients",
        Refusal::UnknownKey => "no key has this number",
        Refusal::CeilingReached(_) => "the client has used what it may in a UTC day",
        Refusal::DayTokenGiven(_) => "the client was given its token of this UTC day before",
        Refusal::Busy => "more requests at once than are worked on; try again",
        Refusal::CannotCount => "the service cannot count or record, and evaluates nothing",
        Refusal::NotFound => "there are /v1/evaluate and /v1/keys",
        Refusal::Method => "this address has another method; the header Allow names it",
        Refusal::Internal => "the service failed; its log says more",
    }
}

/// Seconds after which the request may be answered; a part of a second counts whole.
fn retry_after(refusal: Refusal) -> Option<u64> {
    match refusal {
        Refusal::CeilingReached(wait) | Refusal::DayTokenGiven(wait) => {
            Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
        }
        Refusal::Busy => Some(1),
        Refusal::CannotCount => Some(TRY_AGAIN_SECONDS),
        _ => None,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = status(self);
        let body = Problem {
            kind: "about:blank",
            title: title(self),
            status: status.as_u16(),
            code: self.code(),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        if let Some(seconds) = retry_after(self) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_client_that_waits_as_long_as_it_is_told_is_in_its_next_day() {
        let told = |wait| retry_after(Refusal::CeilingReached(wait));
        assert_eq!(told(Duration::from_secs(7)), Some(7));
        assert_eq!(told(Duration::from_millis(7001)), Some(8));
    }
}
