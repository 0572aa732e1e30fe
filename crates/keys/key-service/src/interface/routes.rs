//! Routes of the interface.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use client_door::{Client, read_body};
use oprf::MAX_REQUEST_BYTES;
use serde::Serialize;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::keys::PublicFacts;
use crate::refusal::Refusal;
use crate::service::KeyService;

/// Time in which a request must be answered, its body included.
const REQUEST_TIME: Duration = Duration::from_secs(20);

const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Answer of `GET /v1/keys`.
#[derive(Serialize)]
struct KeysAnswer {
    keys: Vec<KeyAnswer>,
    daily_ceiling: u32,
    used_today: u64,
    /// Whether the client was given its token of the day; only of an issuer of tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    day_token_given: Option<bool>,
}

/// Key of `GET /v1/keys`.
#[derive(Serialize)]
struct KeyAnswer {
    number: u16,
    #[serde(rename = "use")]
    key_use: &'static str,
    public_key: String,
}

/// Routes over the service. Every request has the extension [`Client`].
pub(super) fn router(service: Arc<KeyService>) -> Router {
    Router::new()
        .route("/v1/evaluate", post(evaluate))
        .route("/v1/keys", get(keys))
        .fallback(not_found)
        .method_not_allowed_fallback(method)
        .with_state(service)
}

async fn evaluate(
    State(service): State<Arc<KeyService>>,
    Extension(client): Extension<Client>,
    body: Body,
) -> Response {
    let place = match service.client(client) {
        Ok(place) => place,
        Err(refusal) => return refuse(&service, None, refusal),
    };
    let answering = answer(Arc::clone(&service), place, body);
    match timeout(REQUEST_TIME, answering).await {
        Ok(Ok(answer)) => {
            let mut response = answer.into_response();
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, BYTES);
            headers.insert(CACHE_CONTROL, NO_STORE);
            response
        }
        Ok(Err(refusal)) => refuse(&service, Some(place), refusal),
        Err(_) => refuse(&service, Some(place), Refusal::Busy),
    }
}

async fn answer(service: Arc<KeyService>, client: usize, body: Body) -> Result<Vec<u8>, Refusal> {
    let body = read_body(body, MAX_REQUEST_BYTES).await;
    let body = body.map_err(|_| Refusal::Malformed)?;
    service.evaluate(client, body).await
}

async fn keys(
    State(service): State<Arc<KeyService>>,
    Extension(client): Extension<Client>,
) -> Response {
    let place = match service.client(client) {
        Ok(place) => place,
        Err(refusal) => return refuse(&service, None, refusal),
    };
    let asked = Arc::clone(&service);
    // A count may be waiting for the disk.
    let used = spawn_blocking(move || asked.use_of(place)).await;
    let Ok(used) = used else {
        return refuse(&service, Some(place), Refusal::Internal);
    };
    let key = |key: PublicFacts| KeyAnswer {
        number: key.number,
        key_use: key.key_use,
        public_key: key.public_key,
    };
    let answer = KeysAnswer {
        keys: service.keys().public().map(key).collect(),
        daily_ceiling: used.daily_ceiling,
        used_today: used.used_today,
        day_token_given: used.day_token_given,
    };
    let mut response = Json(answer).into_response();
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

async fn not_found(
    State(service): State<Arc<KeyService>>,
    Extension(client): Extension<Client>,
) -> Response {
    let place = service.client(client).ok();
    refuse(&service, place, Refusal::NotFound)
}

async fn method(
    State(service): State<Arc<KeyService>>,
    Extension(client): Extension<Client>,
) -> Response {
    let place = service.client(client).ok();
    refuse(&service, place, Refusal::Method)
}

/// Counts a refusal, and makes it an answer.
fn refuse(service: &KeyService, client: Option<usize>, refusal: Refusal) -> Response {
    service.refused(client, refusal);
    refusal.into_response()
}
