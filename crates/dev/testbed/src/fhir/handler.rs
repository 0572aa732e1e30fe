//! From a request to its answer.

use super::answer::{self, RequestProblem};
use super::bundle::PAGE_PARAM;
use super::fault::ServerFault;
use super::state::ServerState;
use super::store::TYPES;
use super::{auth, capabilities, query, search};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::Response;
use parking_lot::Mutex;
use std::sync::Arc;

/// Path of the server's FHIR base address.
pub(super) const BASE_PATH: &str = "/fhir";

pub(super) async fn handle(
    state: Arc<Mutex<ServerState>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let path = uri
        .path_and_query()
        .map_or_else(|| uri.path(), |path| path.as_str());
    let fault = state.lock().receive(format!("{method} {path}"));
    if let Some(ServerFault::Delay(by)) = &fault {
        tokio::time::sleep(*by).await;
    }
    let mut response = match fault.as_ref().and_then(ServerFault::response) {
        Some(response) => response,
        None => {
            let answer = answer(&mut state.lock(), &method, &uri, &headers);
            let answer = answer.unwrap_or_else(|problem| problem.response());
            match &fault {
                Some(fault) => fault.apply(answer).await,
                None => answer,
            }
        }
    };
    if let Some(clock) = state.lock().clock {
        let date = clock.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let date = HeaderValue::from_str(&date).expect("a date is ASCII");
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

fn answer(
    state: &mut ServerState,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, RequestProblem> {
    if method != Method::GET {
        return Err(RequestProblem::new(
            405,
            "not-supported",
            "only GET is supported",
        ));
    }
    let rest = uri.path().strip_prefix(BASE_PATH).unwrap_or_default();
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    if parts == ["metadata"] {
        let statement = capabilities::capabilities(!state.ignores_include);
        return Ok(answer::json(200, &statement));
    }
    auth::authorise(state.auth.as_ref(), headers)?;
    let base = state.link_base.clone().unwrap_or_else(|| {
        let host = headers
            .get("host")
            .and_then(|host| host.to_str().ok())
            .unwrap_or("127.0.0.1");
        format!("http://{host}{BASE_PATH}")
    });
    let params = query::parse(uri.query().unwrap_or_default())?;
    match parts.as_slice() {
        [] if params.iter().any(|(name, _)| name == PAGE_PARAM) => {
            search::later_page(state, &base, &params)
        }
        [kind] if TYPES.contains(kind) => search::first_page(state, &base, kind, &params, headers),
        [kind, id] if TYPES.contains(kind) => state
            .store
            .read(kind, id)
            .map(|resource| answer::json(200, resource)),
        _ => Err(RequestProblem::new(
            404,
            "not-supported",
            "unknown path: try /metadata, /TYPE or /TYPE/ID",
        )),
    }
}
