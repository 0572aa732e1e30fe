//! Counters of the portal; docs/operations.md lists them.

use std::time::Duration;

use crate::outcome::RequestOutcome;
use crate::registry::RegistryFaultKind;
use crate::route_names::{ROUTES, VERIFIER_ROUTES};

/// Registers every metric at zero, so that an alert can tell "none yet" from "not counted".
pub fn register_metrics() {
    for route in ROUTES.into_iter().chain(VERIFIER_ROUTES) {
        for outcome in RequestOutcome::ALL.map(RequestOutcome::as_str) {
            requests(route, outcome).absolute(0);
        }
    }
    for kind in RegistryFaultKind::ALL {
        faults(kind).absolute(0);
    }
    // A handle is enough: it is shown with no observation yet.
    drop(request_seconds());
}

fn requests(route: &'static str, outcome: &'static str) -> metrics::Counter {
    metrics::counter!("city_portal_requests_total", "route" => route, "outcome" => outcome)
}

fn faults(kind: RegistryFaultKind) -> metrics::Counter {
    metrics::counter!("city_portal_registry_faults_total", "fault" => kind.as_str())
}

fn request_seconds() -> metrics::Histogram {
    metrics::histogram!("city_portal_request_seconds")
}

/// Counts a request.
pub(crate) fn count_request(route: &'static str, outcome: RequestOutcome, took: Duration) {
    requests(route, outcome.as_str()).increment(1);
    request_seconds().record(took.as_secs_f64());
}

/// Counts a question that the registry did not answer.
pub(crate) fn count_fault(kind: RegistryFaultKind) {
    faults(kind).increment(1);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Names that begin so, between two of these marks.
    fn names(text: &str, mark: char) -> BTreeSet<&str> {
        let parts = text.split(mark).skip(1).step_by(2);
        let names = parts.map(|part| part.split('{').next().unwrap_or(part));
        names
            .filter(|name| name.starts_with("city_portal_"))
            .collect()
    }

    #[test]
    fn every_metric_is_documented_and_every_documented_one_is_there() {
        let source = include_str!("metrics.rs");
        let source = source.split("#[cfg(test)]").next().unwrap_or(source);
        let page = include_str!("../../../../docs/operations.md");
        let rows: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("| `city_portal_"))
            .collect();
        let documented: BTreeSet<&str> = rows.iter().flat_map(|row| names(row, '`')).collect();
        assert!(documented.len() >= 3, "{documented:?}");
        assert_eq!(names(source, '"'), documented);
    }
}
