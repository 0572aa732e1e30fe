//! Everything that the FHIR server holds, and the ways in which a test has it misbehave.

use super::auth::Auth;
use super::cache::SearchCache;
use super::export::ExportServer;
use super::fault::{FaultRate, ServerFault};
use super::store::ResourceStore;
use chrono::{DateTime, Utc};
use clock::{Clock as _, SystemClock};
use std::collections::VecDeque;

/// The most matches on a page, where a test says nothing else.
pub(super) const DEFAULT_PAGE_LIMIT: usize = 500;
/// Request lines kept for [`super::FhirServer::requests`]; the oldest go first.
const REQUESTS_KEPT: usize = 10_000;

/// Ways in which the pages of a search fail to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum EndlessPages {
    /// The last page links to itself.
    SamePage,
    /// The last page links to the first.
    Cycle,
    /// The last page links to an address never seen before, which brings the last page again.
    NewLinks,
    /// The last page links to an address never seen before, which brings nothing.
    Empty,
}

/// State of the server, behind one lock that is never held across an await.
#[derive(Default)]
pub(super) struct ServerState {
    pub store: ResourceStore,
    pub auth: Option<Auth>,
    /// Faults of the next requests.
    pub faults: VecDeque<ServerFault>,
    /// Fault of every request that has none of its own.
    pub lasting_fault: Option<ServerFault>,
    /// Faults that requests meet at a rate, beside those.
    pub rates: Vec<FaultRate>,
    /// Times to wait are written as dates.
    pub retry_after_as_date: bool,
    /// Every body begins with a byte order mark.
    pub writes_bom: bool,
    /// True if there is no history of a type.
    pub lacks_history: bool,
    /// Results of searches that identical ones are answered from; `None`: every search is made
    /// afresh.
    pub cache: Option<SearchCache>,
    /// Types of which searches and reads answer 403, and resources (`TYPE/ID`) that do and that
    /// searches leave out.
    pub forbidden: Vec<String>,
    /// Resources (`TYPE/ID`) that searches leave out although their addresses show them.
    pub unlisted: Vec<String>,
    /// The most matches on a page; `None`: [`DEFAULT_PAGE_LIMIT`].
    pub page_limit: Option<usize>,
    pub ignores_include: bool,
    pub ignores_sort: bool,
    /// Results come newest first where no sort is used.
    pub newest_first: bool,
    pub ignores_id_lists: bool,
    /// Search parameters that are ignored, and those that are refused.
    pub ignored: Vec<String>,
    pub refused: Vec<String>,
    /// Page links are positions in a result that is made afresh for every page; otherwise they
    /// stand for the result as it was at the first page.
    pub pages_by_offset: bool,
    pub endless: Option<EndlessPages>,
    /// Number of links made for [`EndlessPages::NewLinks`] and [`EndlessPages::Empty`].
    pub new_links: u64,
    pub link_base: Option<String>,
    /// Moment in the Date header; `None`: the machine's clock.
    pub clock: Option<DateTime<Utc>>,
    pub requests: VecDeque<String>,
    pub exports: ExportServer,
}

impl ServerState {
    /// The server's clock.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.unwrap_or_else(|| SystemClock::default().now())
    }

    /// Returns whether a type, or a resource of it, is forbidden.
    pub(super) fn forbids(&self, kind: &str, id: Option<&str>) -> bool {
        let resource = id.map(|id| format!("{kind}/{id}"));
        self.forbidden
            .iter()
            .any(|forbidden| forbidden == kind || Some(forbidden) == resource.as_ref())
    }

    /// Keeps a request's line, and takes the fault that the request meets.
    pub(super) fn receive(
        &mut self,
        request_line: String,
        is_page_link: bool,
    ) -> Option<ServerFault> {
        if self.requests.len() == REQUESTS_KEPT {
            self.requests.pop_front();
        }
        self.requests.push_back(request_line);
        // Every rate counts, also where another fault comes first.
        let at_a_rate = self
            .rates
            .iter_mut()
            .filter_map(|rate| rate.count(is_page_link))
            .reduce(|first, _| first);
        self.faults
            .pop_front()
            .or(at_a_rate)
            .or_else(|| self.lasting_fault.clone())
    }
}
