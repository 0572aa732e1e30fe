//! Faults as answers: application/problem+json (RFC 9457), in words that never repeat the input.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::ceilings::Wait;
use super::outcome::Outcome;

/// Media type of a problem.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Seconds after which a request may be tried again that nothing was wrong with.
const TRY_AGAIN_SECONDS: u64 = 5;

/// Reason why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// No such address.
    NotFound,
    /// Method that the address does not have.
    Method,
    /// Body of another media type than JSON.
    MediaType,
    /// Body that is too long.
    TooLarge,
    /// Body that does not arrive.
    TooSlow,
    /// Body that is not JSON.
    NotJson,
    /// JSON that is not of the described form; the sentence says what is wrong.
    Form(&'static str),
    /// Attributes of the holder that too few people have.
    RareHolder,
    /// Pseudonym of a key that is not open.
    Epoch,
    /// Sequence in the address that is no number.
    Sequence,
    /// Header Idempotency-Key that is missing or malformed.
    IdempotencyKey,
    /// Idempotency-Key that came with another body before.
    KeyReused,
    /// Request with this Idempotency-Key that is not answered yet.
    InHand,
    /// Ceiling of the client.
    ClientCeiling(Wait),
    /// Ceiling of the subject.
    SubjectCeiling(Wait),
    /// Publication that is not there yet.
    NotPublished,
    /// Store that does not answer, or fails.
    Store,
    /// No key signs what was asked for.
    NoKey,
    /// Answer that took too long.
    Timeout,
    /// Fault of the program.
    Internal,
}

/// Body of a problem.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// Words of the status.
    title: &'static str,
    /// HTTP status.
    status: u16,
    /// Fault, and what to do about it.
    detail: &'static str,
    /// Stable code of the problem.
    code: &'static str,
}

impl Problem {
    /// Code in the body, the log and the metrics.
    pub(super) const fn outcome(self) -> Outcome {
        match self {
            Self::NotFound => Outcome::NotFound,
            Self::Method => Outcome::Method,
            Self::MediaType => Outcome::MediaType,
            Self::TooLarge => Outcome::TooLarge,
            Self::TooSlow => Outcome::TooSlow,
            Self::NotJson => Outcome::NotJson,
            Self::Form(_) => Outcome::Form,
            Self::RareHolder => Outcome::RareHolder,
            Self::Epoch => Outcome::Epoch,
            Self::Sequence => Outcome::Sequence,
            Self::IdempotencyKey => Outcome::IdempotencyKey,
            Self::KeyReused => Outcome::KeyReused,
            Self::InHand => Outcome::InHand,
            Self::ClientCeiling(_) => Outcome::ClientCeiling,
            Self::SubjectCeiling(_) => Outcome::SubjectCeiling,
            Self::NotPublished => Outcome::NotPublished,
            Self::Store => Outcome::Store,
            Self::NoKey => Outcome::NoKey,
            Self::Timeout => Outcome::Timeout,
            Self::Internal => Outcome::Internal,
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::NotJson | Self::Sequence | Self::IdempotencyKey => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::InHand | Self::KeyReused => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Form(_) | Self::RareHolder | Self::Epoch => StatusCode::UNPROCESSABLE_ENTITY,
            Self::ClientCeiling(_) | Self::SubjectCeiling(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotPublished | Self::Store | Self::NoKey | Self::Timeout => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::NotFound => "there is nothing at this address; /v1/openapi.json lists what is",
            Self::Method => "this address has other methods; the header Allow lists them",
            Self::MediaType => "send the body as application/json",
            Self::TooLarge => "a body has at most 16384 bytes",
            Self::TooSlow => "the body did not arrive in time",
            Self::NotJson => "the body is not JSON in UTF-8",
            Self::Form(what) => what,
            Self::RareHolder => {
                "fewer than one person in 1000 have these attributes of the holder together: \
                 disclose fewer, as `pass` chooses them"
            }
            Self::Epoch => {
                "an epoch is not open at the registry: nothing is known under such pseudonyms"
            }
            Self::Sequence => "a sequence is a whole number from 0; 0 asks for the whole list",
            Self::IdempotencyKey => "send one header Idempotency-Key of 1 to 64 visible characters",
            Self::KeyReused => "this Idempotency-Key came with another body; take a new one",
            Self::InHand => "the request with this Idempotency-Key is in hand; repeat it later",
            Self::ClientCeiling(_) => "too many requests of this client in this hour",
            Self::SubjectCeiling(_) => "too many requests about this person in this hour",
            Self::NotPublished => "nothing is published yet; try again later",
            Self::Store => "the registry's store does not answer; try again later",
            Self::NoKey => {
                "no key signs passes of this kind now; the registry's operator has to add one"
            }
            Self::Timeout => "the answer took too long; repeat the request",
            Self::Internal => "the registry failed; its log says more",
        }
    }

    /// Seconds after which the request may be answered.
    fn retry_after(self) -> Option<u64> {
        match self {
            Self::ClientCeiling(Wait(wait)) | Self::SubjectCeiling(Wait(wait)) => {
                Some(wait.as_secs())
            }
            Self::InHand => Some(1),
            Self::NotPublished | Self::Store | Self::NoKey | Self::Timeout => {
                Some(TRY_AGAIN_SECONDS)
            }
            _ => None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = ProblemBody {
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            detail: self.detail(),
            code: self.outcome().as_str(),
        };
        let mut response = (status, Json(body)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        if let Some(seconds) = self.retry_after() {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self.outcome());
        response
    }
}
