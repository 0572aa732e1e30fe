//! A small FHIR R4 server in memory, for tests and for the demo's example clinic.
//!
//! It holds `Patient`, `Immunization`, `Observation` and `Condition` and answers what a puller
//! asks: `/metadata`, read, and search with `_lastUpdated`, `_sort`, `_count`, `_include`, `_id`,
//! `code`, `status`, `_elements`, `_summary=count` and pages, and `$export` where a test sets
//! it up. A page link is good for the result as it was at the first page, unless a test asks for
//! another kind of paging.

mod answer;
mod auth;
mod bundle;
mod cache;
mod capabilities;
mod export;
mod fault;
mod handler;
mod history;
mod parameters;
mod query;
mod search;
mod state;
mod store;

pub use auth::Auth;
pub use export::Exports;
pub use fault::ServerFault;
pub use state::EndlessPages;
pub use store::TYPES;

use crate::error::Error;
use axum::Router;
use cache::SearchCache;
use chrono::{DateTime, Utc};
use fault::FaultRate;
use handler::BASE_PATH;
use parking_lot::Mutex;
use serde_json::Value;
use state::ServerState;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// All resources as they were at some time, from [`FhirServer::save`].
pub struct Backup(store::Resources);

/// A FHIR server on a free loopback port, ended on drop. Methods may be called while it serves.
pub struct FhirServer {
    port: u16,
    state: Arc<Mutex<ServerState>>,
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
        let state = Arc::new(Mutex::new(ServerState::default()));
        let shared = Arc::clone(&state);
        let serve =
            move |method, uri, headers| handler::handle(Arc::clone(&shared), method, uri, headers);
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
        self.state.lock().store.put(resource, Some(last_updated));
    }

    /// Creates or replaces a resource without `meta`, as servers show what was imported past them.
    ///
    /// # Panics
    /// Panics if `resourceType` is none of [`TYPES`], or `id` is missing.
    pub fn put_unstamped(&self, resource: Value) {
        self.state.lock().store.put(resource, None);
    }

    /// Creates or replaces resources in one transaction: all of them get one stamp.
    ///
    /// # Panics
    /// Panics for the same resources as [`Self::put`].
    pub fn import(&self, resources: Vec<Value>, last_updated: &str) {
        let mut state = self.state.lock();
        for resource in resources {
            state.store.put(resource, Some(last_updated));
        }
    }

    /// Deletes a resource: reads answer 410 from now on, and searches no longer find it. Says
    /// whether it existed.
    pub fn delete(&self, resource_type: &str, id: &str) -> bool {
        let mut state = self.state.lock();
        let now = state.now();
        state.store.delete(resource_type, id, now)
    }

    /// Asks for these credentials from now on, or for none.
    pub fn set_auth(&self, auth: Option<Auth>) {
        self.state.lock().auth = auth;
    }

    /// Answers the next `count` requests with this status and an OperationOutcome.
    pub fn fail_next(&self, count: usize, status: u16, retry_after_seconds: Option<u64>) {
        let fault = ServerFault::status(status, retry_after_seconds);
        self.state
            .lock()
            .faults
            .extend(std::iter::repeat_n(fault, count));
    }

    /// Answers every so-many-th request from now on with this status, beside what else was ordered.
    pub fn fail_every(&self, every: usize, status: u16, retry_after_seconds: Option<u64>) {
        let fault = ServerFault::status(status, retry_after_seconds);
        let rate = FaultRate::new(every, fault, false);
        self.state.lock().rates.push(rate);
    }

    /// Answers every so-many-th request for a later page with 410 from now on; `1` is every one.
    pub fn expire_every(&self, every: usize) {
        let rate = FaultRate::new(every, ServerFault::status(410, None), true);
        self.state.lock().rates.push(rate);
    }

    /// Refuses (403) to search or read resources of these types from now on, and of no others; of
    /// `TYPE/ID` that resource only, which searches leave out. No search includes any of them.
    pub fn forbid_types(&self, types: &[&str]) {
        let types = types.iter().map(|kind| (*kind).to_owned());
        self.state.lock().forbidden = types.collect();
    }

    /// Leaves these resources (`TYPE/ID`) out of every search from now on, and no others, as an index
    /// that lags behind does; their addresses show them.
    pub fn unlist(&self, resources: &[String]) {
        self.state.lock().unlisted = resources.to_vec();
    }

    /// Ends what [`Self::fail_every`] and [`Self::expire_every`] began.
    pub fn end_rates(&self) {
        self.state.lock().rates.clear();
    }

    /// Writes Retry-After as a date from now on.
    pub fn retry_after_as_date(&self) {
        self.state.lock().retry_after_as_date = true;
    }

    /// Begins every body with a byte order mark from now on.
    pub fn write_bom(&self) {
        self.state.lock().writes_bom = true;
    }

    /// Answers identical searches of 60 seconds (by the server's clock) from one result from now
    /// on, unless a request says `Cache-Control: no-cache`, as a default HAPI server does.
    pub fn reuse_searches(&self) {
        self.state.lock().cache = Some(SearchCache::default());
    }

    /// Offers no history of a type from now on.
    pub fn without_history(&self) {
        self.state.lock().lacks_history = true;
    }

    /// Exports in this way from now on; `None`: not at all.
    pub fn set_exports(&self, exports: Option<Exports>) {
        self.state.lock().exports.setting = exports;
    }

    /// Forgets all export jobs: their status and their files answer 404 from now on.
    pub fn forget_exports(&self) {
        self.state.lock().exports.jobs.clear();
    }

    /// Number of export jobs that nobody has deleted.
    pub fn exports_kept(&self) -> usize {
        self.state.lock().exports.jobs.len()
    }

    /// Answers the next request with a redirect (307).
    pub fn redirect_next(&self, url: &str) {
        self.state
            .lock()
            .faults
            .push_back(ServerFault::Redirect(url.to_owned()));
    }

    /// Answers the next request with a well-formed Bundle of at least so many bytes.
    pub fn oversize_next(&self, bytes: usize) {
        self.state
            .lock()
            .faults
            .push_back(ServerFault::Oversize(bytes));
    }

    /// Answers the next request with the first half of its answer, cut off in the middle of the
    /// JSON.
    pub fn truncate_next(&self) {
        self.state.lock().faults.push_back(ServerFault::Truncated);
    }

    /// Has every request from now on meet a fault, unless it has one of its own; `None` ends it.
    pub fn set_fault(&self, fault: Option<ServerFault>) {
        self.state.lock().lasting_fault = fault;
    }

    /// Sets the clock in the Date header of every answer; `None`: the machine's clock.
    pub fn set_clock(&self, now: Option<DateTime<Utc>>) {
        self.state.lock().clock = now;
    }

    /// Gives at most so many matches a page, whatever `_count` asks for.
    pub fn page_limit(&self, resources: usize) {
        self.state.lock().page_limit = Some(resources.max(1));
    }

    /// Ignores `_include` from now on, as FHIR lets a server do.
    pub fn without_include(&self) {
        self.state.lock().ignores_include = true;
    }

    /// Ignores `_sort` from now on: results come ordered by id, as they do without `_sort`.
    pub fn ignore_sort(&self) {
        self.state.lock().ignores_sort = true;
    }

    /// Ignores `_sort` from now on: results come newest first.
    pub fn newest_first(&self) {
        let mut state = self.state.lock();
        state.ignores_sort = true;
        state.newest_first = true;
    }

    /// Ignores a search parameter from now on, as FHIR lets a server do: `NAME`, `NAME=VALUE`
    /// (decoded) for one value only, `TYPE?NAME` for one type only.
    pub fn ignore_parameter(&self, name: &str) {
        self.state.lock().ignored.push(name.to_owned());
    }

    /// Refuses (400) searches with this parameter from now on, written as in
    /// [`Self::ignore_parameter`].
    pub fn refuse_parameter(&self, name: &str) {
        self.state.lock().refused.push(name.to_owned());
    }

    /// Takes `_id=a,b` for one id from now on, which no resource has.
    pub fn without_id_lists(&self) {
        self.state.lock().ignores_id_lists = true;
    }

    /// Makes every page afresh from now on: what is deleted or changed meanwhile shifts the later
    /// ones.
    pub fn page_by_offset(&self) {
        self.state.lock().pages_by_offset = true;
    }

    /// Lets the pages of a search never end from now on, or end again.
    pub fn endless_pages(&self, how: Option<EndlessPages>) {
        self.state.lock().endless = how;
    }

    /// All resources as they are now: a backup.
    pub fn save(&self) -> Backup {
        Backup(self.state.lock().store.resources.clone())
    }

    /// Goes back to a backup: everything since is undone, and version numbers are given out again.
    pub fn restore(&self, backup: &Backup) {
        let mut state = self.state.lock();
        state.store.resources = backup.0.clone();
        state.store.pages.clear();
    }

    /// Answers the next request only after this time.
    pub fn delay_next(&self, by: Duration) {
        self.state.lock().faults.push_back(ServerFault::Delay(by));
    }

    /// Forgets all open page links: they answer 410 from now on.
    pub fn expire_pages(&self) {
        self.state.lock().store.pages.clear();
    }

    /// Builds page links on this base URL instead of the one the client used; `None` ends it.
    pub fn set_link_base(&self, base: Option<&str>) {
        self.state.lock().link_base = base.map(str::to_owned);
    }

    /// All resources as text, to see whether anything has changed.
    pub fn contents(&self) -> String {
        let state = self.state.lock();
        let held = state.store.resources.iter();
        held.filter_map(|(_, slot)| slot.1.as_ref())
            .map(|stored| format!("{}\n", stored.resource))
            .collect()
    }

    /// The request lines seen, oldest first: `GET /fhir/Patient?_id=a`.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().requests.iter().cloned().collect()
    }

    /// Forgets the request lines seen.
    pub fn clear_requests(&self) {
        self.state.lock().requests.clear();
    }
}
