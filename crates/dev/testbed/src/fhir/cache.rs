//! Results of searches that identical ones are answered from, as a default HAPI server does.

use super::store::SearchResult;
use axum::http::{HeaderMap, header};
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;

/// Time for which a result is used again, in seconds: HAPI's default.
const REUSED_SECONDS: i64 = 60;

/// A search as it was asked for.
pub(super) struct Asked<'a> {
    /// Path and query.
    pub address: &'a str,
    pub headers: &'a HeaderMap,
}

impl<'a> Asked<'a> {
    pub(super) fn new(address: &'a str, headers: &'a HeaderMap) -> Self {
        Self { address, headers }
    }

    /// True for a client that wants no result made before.
    pub(super) fn wants_fresh(&self) -> bool {
        let values = self.headers.get_all(header::CACHE_CONTROL).iter();
        values
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.contains("no-cache") || value.contains("no-store"))
    }
}

/// Results by address, each with the moment at which it was made.
#[derive(Default)]
pub(super) struct SearchCache {
    results: Vec<(String, DateTime<Utc>, Arc<SearchResult>)>,
}

impl SearchCache {
    pub(super) fn find(&self, address: &str, now: DateTime<Utc>) -> Option<Arc<SearchResult>> {
        let is_young = |made: DateTime<Utc>| now - made < TimeDelta::seconds(REUSED_SECONDS);
        self.results
            .iter()
            .rev()
            .find(|(of, made, _)| of == address && is_young(*made))
            .map(|(_, _, result)| Arc::clone(result))
    }

    pub(super) fn keep(&mut self, address: &str, now: DateTime<Utc>, result: &Arc<SearchResult>) {
        self.results.retain(|(of, _, _)| of != address);
        self.results
            .push((address.to_owned(), now, Arc::clone(result)));
    }
}
