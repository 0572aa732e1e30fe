//! Routes of the portal's interface.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use client_door::Client;
use contract::{FactKind, Subject};
use pass::holder::HolderAttributes;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Portal;
use super::answer::{EligibilityAnswer, PassesAnswer};
use super::limits::REQUEST_TIME;
use super::metrics::count_request;
use super::openapi::{described, served};
use super::outcome::Outcome;
use super::problem::{Problem, ProblemBody};
use super::publisher::Published;
use super::repeats::Begun;
use super::request::{EligibilityRequest, Form, PassesRequest, idempotency_key, parse, read_body};
use super::route_names::{ROUTES, UNKNOWN_ROUTE};
use crate::passes::PassError;

/// Tagged COSE_Sign1 (RFC 9052), as bytes.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
struct Cose(#[expect(dead_code, reason = "it describes a body")] Vec<u8>);

/// Media type of what verifiers fetch.
const COSE: HeaderValue = HeaderValue::from_static("application/cose");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Routes with their description.
pub(super) fn open_api_router() -> OpenApiRouter<Arc<Portal>> {
    described()
        .routes(routes!(eligibility))
        .routes(routes!(passes))
        .routes(routes!(trust))
        .routes(routes!(revocations))
}

/// Routes of a portal.
pub(super) fn router(portal: Arc<Portal>) -> Router {
    let (routes, description) = open_api_router().split_for_parts();
    routes
        .route("/v1/openapi.json", served(&description))
        .fallback(|| async { Problem::NotFound })
        .method_not_allowed_fallback(|| async { Problem::Method })
        .layer(from_fn_with_state(Arc::clone(&portal), watch))
        .with_state(portal)
}

/// Counts every request, limits its client and its time, and writes its line to the log.
async fn watch(State(portal): State<Arc<Portal>>, request: Request, next: Next) -> Response {
    let started = portal.clock.elapsed();
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map_or(UNKNOWN_ROUTE, MatchedPath::as_str);
    let route = ROUTES.into_iter().find(|route| *route == path);
    let route = route.unwrap_or(UNKNOWN_ROUTE);
    let client = request.extensions().get::<Client>().copied();
    let response = match client.map(|client| portal.admit(client)) {
        None => Problem::Internal.into_response(),
        Some(Err(wait)) => Problem::ClientCeiling(wait).into_response(),
        Some(Ok(())) => match timeout(REQUEST_TIME, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Problem::Timeout.into_response(),
        },
    };
    let outcome = response.extensions().get::<Outcome>().copied();
    let outcome = outcome.unwrap_or(Outcome::Answered);
    count_request(
        route,
        outcome,
        portal.clock.elapsed().saturating_sub(started),
    );
    tracing::info!(
        event = "portal-request",
        route,
        outcome = outcome.as_str(),
        client = client.map(tracing::field::display),
    );
    response
}

/// Says on which days a person is entitled to a pass, or why not today. Whoever is unknown gets the
/// answer of one who has no facts.
#[utoipa::path(
    post,
    path = "/v1/eligibility",
    request_body = EligibilityRequest,
    responses(
        (status = 200, description = "Days that are covered, reasons", body = EligibilityAnswer),
        (status = "4XX", description = "The request has to be changed, or is one too many (429)",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again later",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn eligibility(
    State(portal): State<Arc<Portal>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = read_body(&headers, body).await?;
    let subject = parse::<EligibilityRequest>(&body)?.subject()?;
    portal.admit_subject(&subject)?;
    let now = portal.clock.now();
    let found = portal.passes.eligibility(subject.pseudonyms(), now).await;
    let answer = EligibilityAnswer::from(found.map_err(|error| failed(&error.into()))?);
    Ok(json(encode(&answer)?, Outcome::Answered))
}

/// Issues strips, or a certificate, for a person. A repeat with the same Idempotency-Key and body
/// within 15 minutes gets the same answer.
#[utoipa::path(
    post,
    path = "/v1/passes",
    request_body = PassesRequest,
    params(
        ("Idempotency-Key" = String, Header, description = "1 to 64 visible characters, new for \
         every request that is no repeat", pattern = "^[!-~]{1,64}$", min_length = 1,
         max_length = 64),
    ),
    responses(
        (status = 200, description = "Strips or a certificate, or why there are none",
         body = PassesAnswer),
        (status = "4XX", description = "The request has to be changed, is in hand or has the \
         Idempotency-Key of another (409), or is one too many (429)",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Repeat it later",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn passes(
    State(portal): State<Arc<Portal>>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    let body = read_body(&headers, body).await?;
    let request: PassesRequest = parse(&body)?;
    let subject = request.subject()?;
    let holder = request.holder()?;
    let begun = portal
        .repeats
        .begin(client, key, &body, portal.clock.elapsed());
    let claim = match begun {
        Begun::New(claim) => claim,
        Begun::Repeat(answer) => return Ok(json(answer, Outcome::Repeated)),
        Begun::InHand => return Err(Problem::InHand),
        Begun::OtherBody => return Err(Problem::KeyReused),
    };
    portal.admit_subject(&subject)?;
    // A task of its own: passes are counted, so their answer is kept though the client hangs up.
    let issuing = tokio::spawn(async move {
        let issued = issue(&portal, &subject, request.form, holder).await;
        let answer = issued.map_err(|error| failed(&error))?;
        let body = encode(&answer)?;
        claim.settle(body.clone(), portal.clock.elapsed());
        Ok((body, answer.outcome()))
    });
    let (body, outcome) = issuing.await.unwrap_or(Err(Problem::Internal))?;
    Ok(json(body, outcome))
}

/// Issues what the form asks for.
async fn issue(
    portal: &Portal,
    subject: &Subject,
    form: Form,
    holder: HolderAttributes,
) -> Result<PassesAnswer, PassError> {
    let now = portal.clock.now();
    let names = subject.pseudonyms();
    let passes = &portal.passes;
    let kind = match form {
        Form::Days => return Ok(passes.issue_days(names, holder, now).await?.into()),
        Form::Paper => return Ok(passes.issue_paper(names, holder, now).await?.into()),
        Form::Vaccination => FactKind::Vaccination,
        Form::Recovery => FactKind::Recovery,
        Form::Test => FactKind::Test,
    };
    let certified = passes.issue_certificate(names, kind, holder, now).await?;
    Ok(certified.into())
}

/// Signed trust bundle: a tagged COSE_Sign1 by the root key.
#[utoipa::path(
    get,
    path = "/v1/trust",
    responses(
        (status = 200, description = "Trust bundle", content_type = "application/cose",
         body = Cose),
        (status = "4XX", description = "One request too many (429)",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again later",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn trust(State(portal): State<Arc<Portal>>) -> Result<Response, Problem> {
    Ok(cose(published(&portal)?.trust.clone()))
}

/// Signed list of the passes that have ended: the difference from the list of that sequence where
/// it is still known, otherwise the whole list.
#[utoipa::path(
    get,
    path = "/v1/revocations/{seq}",
    params(
        ("seq" = i64, Path, description = "Sequence of the list that is held; 0: none",
         minimum = 0),
    ),
    responses(
        (status = 200, description = "Difference, or whole list", content_type = "application/cose",
         body = Cose),
        (status = 204, description = "The list of that sequence is the newest"),
        (status = "4XX", description = "No sequence, or one request too many (429)",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Try again later",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
async fn revocations(
    State(portal): State<Arc<Portal>>,
    Path(sequence): Path<String>,
) -> Result<Response, Problem> {
    let is_number = sequence.bytes().all(|byte| byte.is_ascii_digit());
    // The store counts them in signed numbers.
    let held: i64 = sequence.parse().map_err(|_| Problem::Sequence)?;
    if !is_number {
        return Err(Problem::Sequence);
    }
    let held = held.unsigned_abs();
    let published = published(&portal)?;
    if held == published.sequence {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let delta = published.deltas.get(&held);
    Ok(cose(delta.unwrap_or(&published.whole).clone()))
}

fn published(portal: &Portal) -> Result<Arc<Published>, Problem> {
    let published = portal.published.read().clone();
    published.ok_or(Problem::NotPublished)
}

/// Notes a fault in the log; the answer says nothing of it.
fn failed(error: &PassError) -> Problem {
    tracing::warn!(event = "portal-failed", %error, "a request could not be answered");
    match error {
        PassError::Store(error) => {
            crate::consume::count_store_error(error);
            Problem::Store
        }
        PassError::NoKey { .. } | PassError::NoCertificateKey => Problem::NoKey,
        _ => Problem::Internal,
    }
}

fn encode<T: Serialize>(answer: &T) -> Result<Bytes, Problem> {
    let bytes = serde_json::to_vec(answer);
    bytes.map(Bytes::from).map_err(|_| Problem::Internal)
}

/// Answer about a person, which nobody may keep.
fn json(body: Bytes, outcome: Outcome) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(outcome);
    response
}

fn cose(body: Bytes) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, COSE);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
