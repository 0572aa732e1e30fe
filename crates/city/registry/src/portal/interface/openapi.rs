//! Description of the portal's interface (OpenAPI 3.1), as it is served and documented.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{MethodRouter, get};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::Portal;

/// General part of the description.
#[derive(OpenApi)]
#[openapi(info(
    title = "City registry: passes",
    description = "For the portals of a city. Every fault is application/problem+json (RFC 9457) \
                   with a stable `code`. Outside the machine the interface needs mutual TLS."
))]
struct General;

/// Router that describes itself.
pub(super) fn described() -> OpenApiRouter<Arc<Portal>> {
    OpenApiRouter::with_openapi(General::openapi())
}

/// Description as text.
pub(super) fn text(description: &utoipa::openapi::OpenApi) -> String {
    let mut text = description.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Route that serves the description.
pub(super) fn served(description: &utoipa::openapi::OpenApi) -> MethodRouter<Arc<Portal>> {
    let text = Bytes::from(text(description));
    let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    get(move || async move { (json, text) })
}

#[cfg(test)]
mod tests {
    use super::super::routes::open_api_router;
    use super::*;

    /// Set to write the document anew.
    const WRITE: &str = "WRITE_OPENAPI";

    #[test]
    fn the_document_is_what_is_served() {
        let served = text(open_api_router().get_openapi());
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../docs/portal/openapi.json"
        );
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(path, &served).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap();
        assert_eq!(
            written, served,
            "run this test with {WRITE}=1 and commit docs/portal/openapi.json"
        );
    }
}
