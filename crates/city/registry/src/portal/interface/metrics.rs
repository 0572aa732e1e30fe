//! Counters of the portal's interface; docs/operations.md lists them.

use std::time::Duration;

use super::outcome::Outcome;
use super::route_names::ROUTES;
use crate::store::StoreError;

/// Outcomes of a look for passes that have ended.
const PUBLICATIONS: [&str; 3] = ["published", "unchanged", "failed"];

/// Registers every metric at zero, so that an alert can tell "none yet" from "not counted".
pub fn register_metrics() {
    for route in ROUTES {
        for outcome in Outcome::ALL.map(Outcome::as_str) {
            requests(route, outcome).absolute(0);
        }
    }
    for outcome in PUBLICATIONS {
        publications(outcome).absolute(0);
    }
    handshakes_refused().absolute(0);
    for kind in StoreError::KINDS {
        metrics::counter!("registry_store_errors_total", "kind" => kind).absolute(0);
    }
    metrics::gauge!("portal_passes_ended").set(0.0);
    // A handle is enough: it is shown with no observation yet.
    drop(request_seconds());
}

fn requests(route: &'static str, outcome: &'static str) -> metrics::Counter {
    metrics::counter!("portal_requests_total", "route" => route, "outcome" => outcome)
}

fn publications(outcome: &'static str) -> metrics::Counter {
    metrics::counter!("portal_publications_total", "outcome" => outcome)
}

fn handshakes_refused() -> metrics::Counter {
    metrics::counter!("portal_handshakes_refused_total")
}

fn request_seconds() -> metrics::Histogram {
    metrics::histogram!("portal_request_seconds")
}

/// Counts a request.
pub(super) fn count_request(route: &'static str, outcome: Outcome, took: Duration) {
    requests(route, outcome.as_str()).increment(1);
    request_seconds().record(took.as_secs_f64());
}

/// Counts a TLS handshake that did not lead to a client.
pub(super) fn count_handshake_refused() {
    handshakes_refused().increment(1);
}

/// Counts a publication, of so many ended passes.
pub(super) fn count_published(ended: u64) {
    publications("published").increment(1);
    let ended = u32::try_from(ended).unwrap_or(u32::MAX);
    metrics::gauge!("portal_passes_ended").set(f64::from(ended));
}

/// Counts a look after which the last publication stayed.
pub(super) fn count_unchanged() {
    publications("unchanged").increment(1);
}

/// Counts a look, or a publication, that failed.
pub(super) fn count_publish_failed() {
    publications("failed").increment(1);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Names that begin so, between two of these marks.
    fn names(text: &str, mark: char) -> BTreeSet<&str> {
        let parts = text.split(mark).skip(1).step_by(2);
        let names = parts.map(|part| part.split('{').next().unwrap_or(part));
        names.filter(|name| name.starts_with("portal_")).collect()
    }

    #[test]
    fn every_metric_is_documented_and_every_documented_one_is_there() {
        let source = include_str!("metrics.rs");
        let source = source.split("#[cfg(test)]").next().unwrap_or(source);
        let page = include_str!("../../../../../../docs/operations.md");
        let rows: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("| `portal_"))
            .collect();
        let documented: BTreeSet<&str> = rows.iter().flat_map(|row| names(row, '`')).collect();
        assert!(documented.len() >= 5, "{documented:?}");
        assert_eq!(names(source, '"'), documented);
    }
}
