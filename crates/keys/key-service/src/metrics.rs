//! Metrics of the key service; README.md lists them.

use std::time::Duration;

use crate::refusal::Refusal;

/// Registers every metric, so that an alert can tell "none yet" from "not counted".
pub fn register_metrics<'a>(clients: impl IntoIterator<Item = &'a str>) {
    for client in clients {
        evaluations(client).absolute(0);
    }
    for code in Refusal::CODES {
        refusals(code).absolute(0);
    }
    handshakes_refused().absolute(0);
    // A handle is enough: it is shown with no observation yet.
    drop(evaluation_seconds());
}

fn evaluations(client: &str) -> metrics::Counter {
    metrics::counter!("key_service_evaluations_total", "client" => client.to_owned())
}

fn refusals(code: &'static str) -> metrics::Counter {
    metrics::counter!("key_service_refusals_total", "reason" => code)
}

fn handshakes_refused() -> metrics::Counter {
    metrics::counter!("key_service_handshakes_refused_total")
}

fn evaluation_seconds() -> metrics::Histogram {
    metrics::histogram!("key_service_evaluation_seconds")
}

/// Counts evaluated elements of a client, and the time that they took.
pub(crate) fn count_evaluated(client: &str, elements: u64, took: Duration) {
    evaluations(client).increment(elements);
    evaluation_seconds().record(took.as_secs_f64());
}

/// Counts a refusal.
pub(crate) fn count_refusal(refusal: Refusal) {
    refusals(refusal.code()).increment(1);
}

/// Counts a TLS handshake that did not lead to a client.
pub(crate) fn count_handshake_refused() {
    handshakes_refused().increment(1);
}

/// Shows what is left of a client's ceiling.
pub(crate) fn show_ceiling_left(client: &str, left: u64) {
    let left = u32::try_from(left).unwrap_or(u32::MAX);
    metrics::gauge!("key_service_ceiling_left", "client" => client.to_owned()).set(left);
}

/// Shows the number of keys in use.
pub(crate) fn show_keys(keys: usize) {
    let keys = u32::try_from(keys).unwrap_or(u32::MAX);
    metrics::gauge!("key_service_keys").set(keys);
}

/// Shows whether counts and audit log can be written.
pub(crate) fn show_writable(is_writable: bool) {
    metrics::gauge!("key_service_writable").set(f64::from(u8::from(is_writable)));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Names of metrics between two of these marks.
    fn names(text: &str, mark: char) -> BTreeSet<&str> {
        let parts = text.split(mark).skip(1).step_by(2);
        let names = parts.map(|part| part.split('{').next().unwrap_or(part));
        names
            .filter(|name| name.starts_with("key_service_"))
            .collect()
    }

    #[test]
    fn every_metric_is_documented_and_every_documented_one_is_there() {
        let source = include_str!("metrics.rs");
        let source = source.split("#[cfg(test)]").next().unwrap_or(source);
        let page = include_str!("../README.md");
        let rows = page
            .lines()
            .filter(|line| line.starts_with("| `key_service_"));
        let documented: BTreeSet<&str> = rows.flat_map(|row| names(row, '`')).collect();
        assert!(documented.len() >= 7, "{documented:?}");
        assert_eq!(names(source, '"'), documented);
    }
}
