//! A small FHIR R4 server in memory, for tests and for the demo's example clinic.
//!
//! It holds `Patient`, `Immunization`, `Observation` and `Condition` and answers what a puller
//! asks: `/metadata`, read, and search with `_lastUpdated`, `_sort`, `_count`, `_include`, `_id`,
//! `code`, `status`, `_elements`, `_summary=count` and pages. A page link is good for the result as
//! it was at the first page, unless a test asks for another kind of paging.

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

/// What a page link stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Paging {
    /// The result as it was at the first page.
    Snapshot,
    /// A place in a result that is made afresh for every page.
    Offset,
}

/// How the pages of a search fail to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Endless {
    /// The last page links to itself.
    SamePage,
    /// The last page links to the first.
    Circle,
    /// The last page links to an address never seen before, which brings the last page again.
    NewLinks,
}

/// All resources as they were at some time, from [`FhirServer::save`].
pub struct Saved(store::Resources);

/// All that the handler needs, behind one lock that is never held across an await.
struct State {
    store: Store,
    auth: Option<Auth>,
    faults: std::collections::VecDeque<Fault>,
    page_limit: usize,
    include: bool,
    sort: bool,
    ignored: Vec<String>,
    refused: Vec<String>,
    id_lists: bool,
    paging: Paging,
    endless: Option<Endless>,
    turns: u64,
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
        listener
            .set_nonblocking(true)
            .map_err(Error::io("prepare the FHIR server's listener"))?;
        let listener =
            TcpListener::from_std(listener).map_err(Error::io("start the FHIR server"))?;
        let state = Arc::new(Mutex::new(State {
            store: Store::default(),
            auth: None,
            faults: std::collections::VecDeque::new(),
            page_limit: DEFAULT_PAGE_LIMIT,
            include: true,
            sort: true,
            ignored: Vec::new(),
            refused: Vec::new(),
            id_lists: true,
            paging: Paging::Snapshot,
            endless: None,
            turns: 0,
            link_base: None,
            requests: std::collections::VecDeque::new(),
        }));
        let shared = Arc::clone(&state);
        let serve = move |method, uri, headers| handle(Arc::clone(&shared), method, uri, headers);
        let app = Router::new().fallback(serve);
        let (end, ended) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let stop = async move { drop(ended.await) };
            let _ = axum::serve(listener, app)
                .with_graceful_shutdown(stop)
                .await;
        });
        Ok(Self {
            port,
            state,
            _end: end,
        })
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
    /// When `resourceType` is none of [`TYPES`], `id` is missing, or `last_updated` is no FHIR
    /// instant (such as `2021-07-01T09:30:00+03:00`).
    pub fn put(&self, resource: Value, last_updated: &str) {
        self.lock().store.put(resource, last_updated);
    }

    /// Deletes a resource: reads answer 410 from now on, and searches no longer find it. Says
    /// whether it existed.
    pub fn delete(&self, resource_type: &str, id: &str) -> bool {
        self.lock().store.delete(resource_type, id)
    }

    /// Asks for these credentials from now on, or for none.
    pub fn set_auth(&self, auth: Option<Auth>) {
        self.lock().auth = auth;
    }

    /// Answers the next `count` requests with this status and an OperationOutcome.
    pub fn fail_next(&self, count: usize, status: u16, retry_after_seconds: Option<u64>) {
        self.lock().faults.extend((0..count).map(|_| Fault::Status {
            status,
            retry_after_seconds,
        }));
    }

    /// Answers the next request with a redirect (307).
    pub fn redirect_next(&self, url: &str) {
        self.lock()
            .faults
            .push_back(Fault::Redirect(url.to_owned()));
    }

    /// Answers the next request with a well-formed Bundle of at least so many bytes.
    pub fn oversize_next(&self, bytes: usize) {
        self.lock().faults.push_back(Fault::Oversize(bytes));
    }

    /// Answers the next request with 200, FHIR's content type, and a body that is cut off in the
    /// middle of its JSON.
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

    /// Ignores a search parameter from now on, as FHIR lets a server do: `NAME`, `NAME=VALUE`
    /// (decoded) for one value only, `TYPE?NAME` for one type only.
    pub fn ignore_parameter(&self, name: &str) {
        self.lock().ignored.push(name.to_owned());
    }

    /// Refuses (400) searches with this parameter from now on, written as in
    /// [`Self::ignore_parameter`].
    pub fn refuse_parameter(&self, name: &str) {
        self.lock().refused.push(name.to_owned());
    }

    /// Takes `_id=a,b` for one id from now on, which no resource has.
    pub fn without_id_lists(&self) {
        self.lock().id_lists = false;
    }

    /// Makes every page afresh from now on: what is deleted or changed meanwhile shifts the later
    /// ones.
    pub fn page_by_offset(&self) {
        self.lock().paging = Paging::Offset;
    }

    /// Lets the pages of a search never end from now on, or end again.
    pub fn endless_pages(&self, how: Option<Endless>) {
        self.lock().endless = how;
    }

    /// All resources as they are now: a backup.
    pub fn save(&self) -> Saved {
        Saved(self.lock().store.resources.clone())
    }

    /// Goes back to a backup: everything since is undone, and version numbers are given out again.
    pub fn restore(&self, saved: &Saved) {
        let mut state = self.lock();
        state.store.resources = saved.0.clone();
        state.store.pages.clear();
    }

    /// Answers the next request only after this time.
    pub fn delay_next(&self, by: std::time::Duration) {
        self.lock().faults.push_back(Fault::Delay(by));
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
    state
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn handle(
    shared: Arc<Mutex<State>>,
    method: axum::http::Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let fault = note(&shared, &method, &uri);
    match fault {
        Some(Fault::Delay(by)) => tokio::time::sleep(by).await,
        Some(fault) => return fault.response(),
        None => {}
    }
    if method != axum::http::Method::GET {
        return Problem::new(405, "not-supported", "only GET is supported").response();
    }
    answer(&mut lock(&shared), &uri, &headers).unwrap_or_else(|problem| problem.response())
}

/// Keeps the request's line, and says what it is to meet.
fn note(shared: &Mutex<State>, method: &axum::http::Method, uri: &Uri) -> Option<Fault> {
    let mut state = lock(shared);
    if state.requests.len() == REQUESTS_KEPT {
        state.requests.pop_front();
    }
    let line = uri
        .path_and_query()
        .map_or_else(|| uri.path(), |path| path.as_str());
    state.requests.push_back(format!("{method} {line}"));
    state.faults.pop_front()
}

fn answer(state: &mut State, uri: &Uri, headers: &HeaderMap) -> Result<Response, Problem> {
    let rest = uri.path().strip_prefix(BASE_PATH).unwrap_or_default();
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    if parts == ["metadata"] {
        return Ok(answer::json(200, &answer::capabilities(state.include)));
    }
    fault::authorise(state.auth.as_ref(), headers)?;
    let base = state.link_base.clone().unwrap_or_else(|| {
        let host = headers
            .get("host")
            .and_then(|host| host.to_str().ok())
            .unwrap_or("127.0.0.1");
        format!("http://{host}{BASE_PATH}")
    });
    let params = query::parse(uri.query().unwrap_or_default())?;
    match parts.as_slice() {
        [] if params.iter().any(|(name, _)| name == search::PAGE_PARAM) => {
            search::page(state, &base, &params)
        }
        [kind] if TYPES.contains(kind) => search::run(state, &base, kind, &params, headers),
        [kind, id] if TYPES.contains(kind) => state
            .store
            .read(kind, id)
            .map(|resource| answer::json(200, resource)),
        _ => Err(Problem::new(
            404,
            "not-supported",
            "unknown path: try /metadata, /TYPE or /TYPE/ID",
        )),
    }
}
