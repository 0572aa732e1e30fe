//! From a request to its answer.

use super::answer::{self, RequestProblem};
use super::bundle::{OFFSET_PARAM, PAGE_PARAM};
use super::cache::Asked;
use super::fault::{ServerFault, http_date};
use super::state::ServerState;
use super::store::TYPES;
use super::{auth, capabilities, export, history, query, search};
use axum::http::{HeaderMap, Method, Uri, header};
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
    let is_page_link = uri
        .query()
        .is_some_and(|query| query.contains(PAGE_PARAM) || query.contains(OFFSET_PARAM));
    let fault = state
        .lock()
        .receive(format!("{method} {path}"), is_page_link);
    if let Some(ServerFault::Delay(by)) = &fault {
        tokio::time::sleep(*by).await;
    }
    let date_from = {
        let state = state.lock();
        state.retry_after_as_date.then(|| state.now())
    };
    let refusal = fault.as_ref().and_then(|fault| fault.response(date_from));
    let mut response = match refusal {
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
        response
            .headers_mut()
            .insert(header::DATE, http_date(clock));
    }
    let writes_bom = state.lock().writes_bom;
    if writes_bom {
        response = answer::with_bom(response).await;
    }
    response
}

fn answer(
    state: &mut ServerState,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, RequestProblem> {
    let rest = uri.path().strip_prefix(BASE_PATH).unwrap_or_default();
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    let deletes = method == Method::DELETE && export::is_job(&parts);
    if method != Method::GET && !deletes {
        return Err(RequestProblem::new(
            405,
            "not-supported",
            "only GET is supported",
        ));
    }
    if parts == ["metadata"] {
        let statement = capabilities::capabilities(
            !state.ignores_include,
            !state.lacks_history,
            state.exports.setting.is_some(),
        );
        return Ok(answer::json(200, &statement));
    }
    auth::authorise(state.auth.as_ref(), headers)?;
    check_permitted(state, &parts)?;
    let base = base_of_links(state, headers);
    if let Some(answer) = state.exports.answer(&base, &parts, deletes) {
        return answer;
    }
    let params = query::parse(uri.query().unwrap_or_default())?;
    if export::is_kick_off(&parts) {
        let now = state.now();
        return state.exports.kick_off(&state.store, now, &base, &params);
    }
    match parts.as_slice() {
        [] if params.iter().any(|(name, _)| name == PAGE_PARAM) => {
            search::later_page(state, &base, &params)
        }
        [kind] if TYPES.contains(kind) => {
            let asked = uri.path_and_query().map_or("", |asked| asked.as_str());
            search::first_page(state, &base, kind, &params, &Asked::new(asked, headers))
        }
        [kind, "_history"] if TYPES.contains(kind) && !state.lacks_history => {
            history::page(state, &base, kind, &params)
        }
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

fn check_permitted(state: &ServerState, parts: &[&str]) -> Result<(), RequestProblem> {
    let kind = parts.first();
    if kind.is_some_and(|kind| state.forbids(kind, parts.get(1).copied())) {
        return Err(RequestProblem::new(403, "forbidden", "this is not for you"));
    }
    Ok(())
}

/// Base address that links begin with: a given one, or the one that was asked.
fn base_of_links(state: &ServerState, headers: &HeaderMap) -> String {
    state.link_base.clone().unwrap_or_else(|| {
        let host = headers
            .get("host")
            .and_then(|host| host.to_str().ok())
            .unwrap_or("127.0.0.1");
        format!("http://{host}{BASE_PATH}")
    })
}
