//! Routes: the files of the page, and the questions that it posts.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;

use super::files::FILES;
use super::{body, headers};
use crate::answer::{CitizenProblem, PageAnswer};
use crate::citizen::CitizenForm;
use crate::metrics::count_request;
use crate::outcome::RequestOutcome;
use crate::portal::CityPortal;
use crate::registry::{IdempotencyKey, PassKind};
use crate::route_names::{CERTIFICATE, CODES, OTHER, PAGE, ROUTES, SHEET, STATUS};

/// Header by which the page tells a repeat from a new action.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Address of who is connected.
#[derive(Debug, Clone, Copy)]
pub(super) struct BrowserAddress(pub IpAddr);

/// True where the answers of this server travel by TLS.
#[derive(Debug, Clone, Copy)]
pub(super) struct IsHttps(pub bool);

/// Question about a certificate.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CertificateQuestion {
    kind: CertificateKind,
    citizen: CitizenForm,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CertificateKind {
    Vaccination,
    Recovery,
    Test,
}

impl From<CertificateKind> for PassKind {
    fn from(kind: CertificateKind) -> Self {
        match kind {
            CertificateKind::Vaccination => Self::Vaccination,
            CertificateKind::Recovery => Self::Recovery,
            CertificateKind::Test => Self::Test,
        }
    }
}

/// Routes of a portal.
pub(crate) fn router(portal: Arc<CityPortal>) -> Router {
    Router::new()
        .route(STATUS, post(status))
        .route(CODES, post(codes))
        .route(SHEET, post(sheet))
        .route(CERTIFICATE, post(certificate))
        .method_not_allowed_fallback(|| async {
            let mut answer = problem(RequestOutcome::Method);
            let allowed = HeaderValue::from_static("POST");
            answer.headers_mut().insert(ALLOW, allowed);
            answer
        })
        .fallback(page)
        .layer(from_fn_with_state(Arc::clone(&portal), watch))
        .with_state(portal)
}

/// Limits the client, refuses posts of other sites, counts every request and writes its line to
/// the log: the route and the outcome, and nothing of who asks.
async fn watch(State(portal): State<Arc<CityPortal>>, request: Request, next: Next) -> Response {
    let started = portal.clock.elapsed();
    let path = request.uri().path();
    let route = ROUTES.into_iter().find(|route| *route == path);
    let is_page = FILES.iter().any(|file| file.path == path);
    let route = route.unwrap_or(if is_page { PAGE } else { OTHER });
    let is_https = request.extensions().get::<IsHttps>().copied();
    let mut response = match refusal(&portal, &request) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    headers::add(
        response.headers_mut(),
        is_https.is_some_and(|IsHttps(is_https)| is_https),
    );
    let outcome = response.extensions().get::<RequestOutcome>().copied();
    let outcome = outcome.unwrap_or(RequestOutcome::Internal);
    let took = portal.clock.elapsed().saturating_sub(started);
    count_request(route, outcome, took);
    portal.tally(route, outcome);
    tracing::info!(
        event = "city-portal-request",
        route,
        outcome = outcome.as_str()
    );
    response
}

/// Reason for which a request goes no further.
fn refusal(portal: &CityPortal, request: &Request) -> Option<Response> {
    if request.method() != Method::POST {
        return None;
    }
    if !portal.access.is_same_origin(request.headers()) {
        return Some(problem(RequestOutcome::OtherSite));
    }
    let Some(BrowserAddress(peer)) = request.extensions().get::<BrowserAddress>().copied() else {
        return Some(problem(RequestOutcome::Internal));
    };
    let client = portal.access.client(peer, request.headers());
    let wait = portal.admit(client).err()?;
    let problem = CitizenProblem::of(RequestOutcome::Ceiling, Some(wait.as_secs()));
    let mut response = respond(&PageAnswer::Problem(problem));
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    Some(response)
}

async fn status(State(portal): State<Arc<CityPortal>>, headers: HeaderMap, body: Body) -> Response {
    match body::read::<CitizenForm>(&headers, body).await {
        Ok(form) => answer(portal.status(form).await),
        Err(outcome) => problem(outcome),
    }
}

async fn codes(State(portal): State<Arc<CityPortal>>, headers: HeaderMap, body: Body) -> Response {
    let form = body::read::<CitizenForm>(&headers, body).await;
    match form.and_then(|form| Ok((form, key(&headers)?))) {
        Ok((form, key)) => answer(portal.codes(form, &key).await),
        Err(outcome) => problem(outcome),
    }
}

async fn sheet(State(portal): State<Arc<CityPortal>>, headers: HeaderMap, body: Body) -> Response {
    let form = body::read::<CitizenForm>(&headers, body).await;
    match form.and_then(|form| Ok((form, key(&headers)?))) {
        Ok((form, key)) => answer(portal.sheet(form, &key).await),
        Err(outcome) => problem(outcome),
    }
}

async fn certificate(
    State(portal): State<Arc<CityPortal>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let question = body::read::<CertificateQuestion>(&headers, body).await;
    match question.and_then(|question| Ok((question, key(&headers)?))) {
        Ok((question, key)) => {
            let kind = question.kind.into();
            answer(portal.certificate(question.citizen, kind, &key).await)
        }
        Err(outcome) => problem(outcome),
    }
}

/// Key of the action that a request is for.
fn key(headers: &HeaderMap) -> Result<IdempotencyKey, RequestOutcome> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = values.next().and_then(|value| value.to_str().ok());
    let key = value.and_then(IdempotencyKey::of_page);
    key.filter(|_| values.next().is_none())
        .ok_or(RequestOutcome::Form)
}

/// File of the page.
async fn page(request: Request) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.uri().path();
    match FILES.iter().find(|file| file.path == path) {
        Some(file) if is_read => {
            let mut response = file.content.into_response();
            let media_type = HeaderValue::from_static(file.media_type);
            response.headers_mut().insert(CONTENT_TYPE, media_type);
            response.extensions_mut().insert(RequestOutcome::Answered);
            response
        }
        Some(_) => {
            let mut response = problem(RequestOutcome::Method);
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            response
        }
        None => problem(RequestOutcome::NotFound),
    }
}

fn problem(outcome: RequestOutcome) -> Response {
    respond(&PageAnswer::Problem(CitizenProblem::of(outcome, None)))
}

/// Answer to a question, whichever way it went.
fn answer(answer: Result<PageAnswer, PageAnswer>) -> Response {
    respond(&answer.unwrap_or_else(|answer| answer))
}

fn respond(answer: &PageAnswer) -> Response {
    let outcome = answer.outcome();
    let Ok(body) = serde_json::to_vec(answer) else {
        return RequestOutcome::Internal.status().into_response();
    };
    let mut response = (outcome.status(), body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.extensions_mut().insert(outcome);
    response
}
