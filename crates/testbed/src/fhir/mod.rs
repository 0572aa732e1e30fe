//! A small FHIR R4 server in memory, for tests and for the demo's example clinic.
//!
//! It holds `Patient`, `Immunization`, `Observation` and `Condition` and answers what a puller asks:
//! `/metadata`, read, and search with `_lastUpdated`, `_sort`, `_count`, `_include`, `_id`, `code`,
//! `status`, `_summary=count` and pages. A page link is good for the result as it was at the first page.

mod answer;
mod fault;
mod query;
mod search;
mod store;

use crate::error::Error;
use answer::Problem;
use axum::Router;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use fault::Fault;
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard};
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The resource types held.
pub const TYPES: [&str; 4] = ["Condition", "Immunization", "Observation", "Patient"];
const BASE_PATH: &str = "/fhir";
/// Resources on a page when the client names no `_count`.
const DEFAULT_PAGE: usize = 20;
const DEFAULT_PAGE_LIMIT: usize = 500;
/// Request lines kept for [`FhirServer::requests`]; the oldest go first.
const REQUESTS_KEPT: usize = 10_000;

/// What a client must present for everything but `/metadata`, which FHIR keeps open.
#[derive(Clone)]
pub enum Auth {
    /// HTTP Basic (RFC 7617).
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: String,
    },
    /// A bearer token (RFC 6750).
    Bearer(String),
}

/// All that the handler needs, behind one lock that is never held across an await.
struct State {
    store: Store,
    auth: Option<Auth>,
    faults: std::collections::VecDeque<Fault>,
    page_limit: usize,
    include: bool,
    sort: bool,
    link_base: Option<String>,
    requests: std::collections::VecDeque<String>,
}

/// A FHIR server on a free loopback port, ended on drop. Methods may be called while it serves.
pub struct FhirServer {
    port: u16,
    state: Arc<Mutex<State>>,
    _end: oneshot::Sender<()>,
}

impl FhirServer {
    /// Starts an empty server. Needs a tokio runtime, which serves its requests.
    pub async fn start() -> Result<Self, Error> {
        let (listener, port) = crate::ports::listener();
        listener.set_nonblocking(true).map_err(Error::io("prepare the FHIR server's listener"))?;
        let listener = TcpListener::from_std(listener).map_err(Error::io("start the FHIR server"))?;
        let state = Arc::new(Mutex::new(State {
            store: Store::default(),
            auth: None,
            faults: std::collections::VecDeque::new(),
            page_limit: DEFAULT_PAGE_LIMIT,
            include: true,
            sort: true,
            link_base: None,
            requests: std::collections::VecDeque::new(),
        }));
        let shared = Arc::clone(&state);
        let serve = move |method, uri, headers| handle(Arc::clone(&shared), method, uri, headers);
        let app = Router::new().fallback(serve);
        let (end, ended) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let stop = async move { drop(ended.await) };
            let _ = axum::serve(listener, app).with_graceful_shutdown(stop).await;
        });
        Ok(Self { port, state, _end: end })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT/fhir`.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}{BASE_PATH}", self.port)
    }

    /// Creates or replaces a resource: raises `meta.versionId` and sets `meta.lastUpdated`.
    ///
    /// # Panics
    /// When `resourceType` is none of [`TYPES`], `id` is missing, or `last_updated` is no FHIR instant
    /// (such as `2021-07-01T09:30:00+03:00`).
    pub fn put(&self, resource: Value, last_updated: &str) {
        self.lock().store.put(resource, last_updated);
    }

    /// Deletes a resource: reads answer 410 from now on, and searches no longer find it. Says whether it existed.
    pub fn delete(&self, resource_type: &str, id: &str) -> bool {
        self.lock().store.delete(resource_type, id)
    }

    /// Asks for these credentials from now on, or for none.
    pub fn set_auth(&self, auth: Option<Auth>) {
        self.lock().auth = auth;
    }

    /// Answers the next `count` requests with this status and an OperationOutcome.
    pub fn fail_next(&self, count: usize, status: u16, retry_after_seconds: Option<u64>) {
        self.lock().faults.extend((0..count).map(|_| Fault::Status { status, retry_after_seconds }));
    }

    /// Answers the next request with a redirect (307).
    pub fn redirect_next(&self, url: &str) {
        self.lock().faults.push_back(Fault::Redirect(url.to_owned()));
    }

    /// Answers the next request with a well-formed Bundle of at least so many bytes.
    pub fn oversize_next(&self, bytes: usize) {
        self.lock().faults.push_back(Fault::Oversize(bytes));
    }

    /// Answers the next request with 200, FHIR's content type, and a body that is cut off in the middle of its JSON.
    pub fn garbage_next(&self) {
        self.lock().faults.push_back(Fault::Garbage);
    }

    /// Gives at most so many matches a page, whatever `_count` asks for.
    pub fn page_limit(&self, resources: usize) {
        self.lock().page_limit = resources.max(1);
    }

    /// Ignores `_include` from now on, as FHIR lets a server do.
    pub fn without_include(&self) {
        self.lock().include = false;
    }

    /// Ignores `_sort` from now on: results come ordered by id, as they do without `_sort`.
    pub fn ignore_sort(&self) {
        self.lock().sort = false;
    }

    /// Forgets all open page links: they answer 410 from now on.
    pub fn expire_pages(&self) {
        self.lock().store.pages.clear();
    }

    /// Builds page links on this base URL instead of the one the client used; `None` ends it.
    pub fn set_link_base(&self, base: Option<&str>) {
        self.lock().link_base = base.map(str::to_owned);
    }

    /// The request lines seen, oldest first: `GET /fhir/Patient?_id=a`.
    pub fn requests(&self) -> Vec<String> {
        self.lock().requests.iter().cloned().collect()
    }

    /// Forgets the request lines seen.
    pub fn clear_requests(&self) {
        self.lock().requests.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A panic of `put` in one test thread must not hide behind a poisoned lock in another.
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn handle(
    shared: Arc<Mutex<State>>,
    method: axum::http::Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let mut state = lock(&shared);
    if state.requests.len() == REQUESTS_KEPT {
        state.requests.pop_front();
    }
    let line = uri.path_and_query().map_or_else(|| uri.path(), |path| path.as_str());
    state.requests.push_back(format!("{method} {line}"));
    if let Some(fault) = state.faults.pop_front() {
        return fault.response();
    }
    if method != axum::http::Method::GET {
        return Problem::new(405, "not-supported", "only GET is supported").response();
    }
    answer(&mut state, &uri, &headers).unwrap_or_else(|problem| problem.response())
}

fn answer(state: &mut State, uri: &Uri, headers: &HeaderMap) -> Result<Response, Problem> {
    let rest = uri.path().strip_prefix(BASE_PATH).unwrap_or_default();
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    if parts == ["metadata"] {
        return Ok(answer::json(200, &answer::capabilities(state.include)));
    }
    fault::authorise(state.auth.as_ref(), headers)?;
    let base = state.link_base.clone().unwrap_or_else(|| {
        let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
        format!("http://{host}{BASE_PATH}")
    });
    let params = query::parse(uri.query().unwrap_or_default())?;
    match parts.as_slice() {
        [] if params.iter().any(|(name, _)| name == search::PAGE_PARAM) => {
            search::page(state, &base, &params)
        }
        [kind] if TYPES.contains(kind) => search::run(state, &base, kind, &params, headers),
        [kind, id] if TYPES.contains(kind) => {
            state.store.read(kind, id).map(|resource| answer::json(200, resource))
        }
        _ => Err(Problem::new(404, "not-supported", "unknown path: try /metadata, /TYPE or /TYPE/ID")),
    }
}
