//! Routes of the verifier page's site: its files, and what it fetches.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::publication::ListAnswer;
use super::site::VerifierSite;
use crate::http::serve_router;
use crate::metrics::count_request;
use crate::outcome::RequestOutcome;
use crate::route_names::{
    REVOCATIONS, ROOT, TRUST, VERIFIER_OTHER, VERIFIER_PAGE, VERIFIER_ROUTES,
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const COSE: HeaderValue = HeaderValue::from_static("application/cose");

/// Headers of every answer. The page's own policy is in it; what a page cannot set is here.
const HEADERS: [(HeaderName, &str); 4] = [
    (CONTENT_SECURITY_POLICY, "frame-ancestors 'none'"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    // Kept by the page's service worker, and asked for again by it.
    (CACHE_CONTROL, "no-cache"),
];

/// Sequence of the list that a verifier holds, as it was sent.
#[derive(Deserialize)]
struct Held {
    after: Option<String>,
}

impl VerifierSite {
    /// Answers browsers until `stop` is cancelled; by TLS where an acceptor is given.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        stop: CancellationToken,
    ) {
        let is_https = tls.is_some();
        serve_router(router(self), is_https, listener, tls, stop).await;
    }
}

/// Routes of a site.
fn router(site: Arc<VerifierSite>) -> Router {
    Router::new()
        .route(ROOT, get(root))
        .route(TRUST, get(trust))
        .route(REVOCATIONS, get(revocations))
        .method_not_allowed_fallback(|| async { wrong_method() })
        .fallback(file)
        .layer(from_fn_with_state(Arc::clone(&site), watch))
        .with_state(site)
}

/// Counts every request, and adds the headers. Nothing of it is logged.
async fn watch(State(site): State<Arc<VerifierSite>>, request: Request, next: Next) -> Response {
    let started = site.clock.elapsed();
    let path = request.uri().path();
    let data = VERIFIER_ROUTES.into_iter().find(|route| *route == path);
    let is_page = site.page.get(path).is_some();
    let route = data.unwrap_or(if is_page {
        VERIFIER_PAGE
    } else {
        VERIFIER_OTHER
    });
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    let outcome = match response.status() {
        StatusCode::OK | StatusCode::NO_CONTENT => RequestOutcome::Answered,
        StatusCode::METHOD_NOT_ALLOWED => RequestOutcome::Method,
        StatusCode::SERVICE_UNAVAILABLE => RequestOutcome::Registry,
        StatusCode::BAD_REQUEST => RequestOutcome::Form,
        _ => RequestOutcome::NotFound,
    };
    count_request(route, outcome, site.clock.elapsed().saturating_sub(started));
    response
}

async fn root(State(site): State<Arc<VerifierSite>>) -> Response {
    with_type(site.root.text.clone(), JSON)
}

async fn trust(State(site): State<Arc<VerifierSite>>) -> Response {
    let now = site.clock.elapsed();
    match site.publication.trust(&site.registry, now).await {
        Some(signed) => with_type(signed, COSE),
        None => nothing_yet(),
    }
}

async fn revocations(
    State(site): State<Arc<VerifierSite>>,
    held: Result<Query<Held>, QueryRejection>,
) -> Response {
    let after = held.map(|Query(held)| held.after.map(|after| after.parse().ok()));
    let held = match after {
        Ok(None) => None,
        Ok(Some(Some(sequence))) => Some(sequence),
        Ok(Some(None)) | Err(_) => {
            let text = "after is the sequence of a list, such as 1795995958\n";
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
    };
    let now = site.clock.elapsed();
    let list = site.publication.list(&site.registry, held, now);
    match list.await {
        Some(ListAnswer::Signed(signed)) => with_type(signed, COSE),
        Some(ListAnswer::Newest) => StatusCode::NO_CONTENT.into_response(),
        None => nothing_yet(),
    }
}

/// File of the page.
async fn file(State(site): State<Arc<VerifierSite>>, request: Request) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match site.page.get(request.uri().path()) {
        Some(file) if is_read => {
            let media_type = HeaderValue::from_static(file.media_type);
            with_type(file.content.clone(), media_type)
        }
        Some(_) => wrong_method(),
        None => (StatusCode::NOT_FOUND, "no such file\n").into_response(),
    }
}

fn wrong_method() -> Response {
    let allowed = [(ALLOW, "GET, HEAD")];
    (
        StatusCode::METHOD_NOT_ALLOWED,
        allowed,
        "GET or HEAD only\n",
    )
        .into_response()
}

/// Answer while the registry has never been reached.
fn nothing_yet() -> Response {
    let text = "the registry has not answered yet; try again in a minute\n";
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

fn with_type(body: Bytes, media_type: HeaderValue) -> Response {
    ([(CONTENT_TYPE, media_type)], body).into_response()
}
