//! Answers of the server: FHIR JSON, and errors as OperationOutcome.

use axum::body::{Body, to_bytes};
use axum::http::{Response as HttpResponse, header};
use axum::response::Response;
use serde_json::{Value, json};

/// Reason why a request cannot be answered: FHIR's issue type code, and words for the client.
#[derive(Debug)]
pub(super) struct RequestProblem {
    pub status: u16,
    pub code: &'static str,
    pub words: String,
}

impl RequestProblem {
    pub(super) fn new(status: u16, code: &'static str, words: impl Into<String>) -> Self {
        Self {
            status,
            code,
            words: words.into(),
        }
    }

    pub(super) fn response(&self) -> Response {
        let mut response = json(self.status, &outcome("error", self.code, &self.words));
        if self.status == 401 {
            let ask =
                header::HeaderValue::from_static("Basic realm=\"fhir\", Bearer realm=\"fhir\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
        }
        response
    }
}

/// An OperationOutcome with one issue.
pub(super) fn outcome(severity: &str, code: &str, words: &str) -> Value {
    json!({
        "resourceType": "OperationOutcome",
        "issue": [{"severity": severity, "code": code, "diagnostics": words,
                   "details": {"text": words}}],
    })
}

/// A response with FHIR's content type.
pub(super) fn json(status: u16, body: &Value) -> Response {
    bytes(status, body.to_string().into_bytes())
}

/// A response with FHIR's content type and bytes that may be no JSON.
pub(super) fn bytes(status: u16, body: Vec<u8>) -> Response {
    HttpResponse::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/fhir+json;charset=utf-8")
        .body(Body::from(body))
        .expect("the status is valid and the header constant")
}

/// The same answer behind a byte order mark.
pub(super) async fn with_bom(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX)
        .await
        .expect("the body is in memory");
    head.headers.remove(header::CONTENT_LENGTH);
    let mut marked = b"\xef\xbb\xbf".to_vec();
    marked.extend_from_slice(&body);
    Response::from_parts(head, Body::from(marked))
}
