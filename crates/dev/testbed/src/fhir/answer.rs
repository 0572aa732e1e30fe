//! What the server says: FHIR JSON, errors as OperationOutcome, its own CapabilityStatement.

use super::{TYPES, search};
use axum::body::Body;
use axum::http::{Response as HttpResponse, header};
use axum::response::Response;
use serde_json::{Value, json};

/// A request that cannot be answered; FHIR's issue type code and words for the client.
#[derive(Debug)]
pub(super) struct Problem {
    pub status: u16,
    pub code: &'static str,
    pub words: String,
}

impl Problem {
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
        "issue": [{"severity": severity, "code": code, "diagnostics": words}],
    })
}

/// A response with FHIR's content type.
pub(super) fn json(status: u16, body: &Value) -> Response {
    bytes(status, body.to_string().into_bytes())
}

/// The same from bytes that may be no JSON.
pub(super) fn bytes(status: u16, body: Vec<u8>) -> Response {
    HttpResponse::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/fhir+json;charset=utf-8")
        .body(Body::from(body))
        .expect("the status is valid and the header constant")
}

/// The CapabilityStatement: what this server can really do.
pub(super) fn capabilities(include: bool) -> Value {
    let resources: Vec<Value> = TYPES
        .iter()
        .map(|kind| resource_capability(kind, include))
        .collect();
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2021-07-01",
        "kind": "instance",
        "implementation": {"description": "testbed FHIR server"},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server", "resource": resources}],
    })
}

fn resource_capability(kind: &str, include: bool) -> Value {
    let params: Vec<Value> = search::parameters(kind)
        .iter()
        .map(|(name, param_type)| json!({"name": name, "type": param_type}))
        .collect();
    let mut capability = json!({
        "type": kind,
        "versioning": "versioned",
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "searchParam": params,
    });
    let includes = search::includes(kind);
    if include && !includes.is_empty() {
        capability["searchInclude"] = includes
            .iter()
            .map(|name| json!(format!("{kind}:{name}")))
            .collect();
    }
    capability
}
