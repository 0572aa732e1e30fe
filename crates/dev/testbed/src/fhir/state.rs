//! Everything that the FHIR server holds, and the ways in which a test has it misbehave.

use super::auth::Auth;
use super::fault::Fault;
use super::store::Store;
use chrono::{DateTime, Utc};
use std::collections::VecDeque;

/// The most matches on a page, where a test says nothing else.
const DEFAULT_PAGE_LIMIT: usize = 500;
/// Request lines kept for [`super::FhirServer::requests`]; the oldest go first.
const REQUESTS_KEPT: usize = 10_000;

/// Meaning of a page link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Paging {
    /// The result as it was at the first page.
    Snapshot,
    /// A position in a result that is made afresh for every page.
    Offset,
}

/// Ways in which the pages of a search fail to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Endless {
    /// The last page links to itself.
    SamePage,
    /// The last page links to the first.
    Cycle,
    /// The last page links to an address never seen before, which brings the last page again.
    NewLinks,
    /// The last page links to an address never seen before, which brings nothing.
    EmptyPages,
}

/// State of the server, behind one lock that is never held across an await.
pub(super) struct State {
    pub store: Store,
    pub auth: Option<Auth>,
    /// Faults of the next requests.
    pub faults: VecDeque<Fault>,
    /// Fault of every request that has none of its own.
    pub lasting_fault: Option<Fault>,
    pub page_limit: usize,
    pub include: bool,
    pub sort: bool,
    pub ignored: Vec<String>,
    pub refused: Vec<String>,
    pub id_lists: bool,
    pub paging: Paging,
    pub endless: Option<Endless>,
    /// Number of links made for [`Endless::NewLinks`] and [`Endless::EmptyPages`].
    pub new_links: u64,
    pub link_base: Option<String>,
    /// Moment in the Date header; `None`: the machine's clock.
    pub clock: Option<DateTime<Utc>>,
    requests: VecDeque<String>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            store: Store::default(),
            auth: None,
            faults: VecDeque::new(),
            lasting_fault: None,
            page_limit: DEFAULT_PAGE_LIMIT,
            include: true,
            sort: true,
            ignored: Vec::new(),
            refused: Vec::new(),
            id_lists: true,
            paging: Paging::Snapshot,
            endless: None,
            new_links: 0,
            link_base: None,
            clock: None,
            requests: VecDeque::new(),
        }
    }
}

impl State {
    /// Keeps a request's line, and takes the fault that the request meets.
    pub(super) fn receive(&mut self, request_line: String) -> Option<Fault> {
        if self.requests.len() == REQUESTS_KEPT {
            self.requests.pop_front();
        }
        self.requests.push_back(request_line);
        self.faults
            .pop_front()
            .or_else(|| self.lasting_fault.clone())
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.iter().cloned().collect()
    }

    pub(super) fn clear_requests(&mut self) {
        self.requests.clear();
    }
}
