//! Counters of requests to key services; docs/operations.md lists them.

use crate::error::KeyClientError;

/// Every outcome of a request for an evaluation.
const OUTCOMES: [&str; 4] = ["ok", "retry", "ceiling", "misconfigured"];

/// Metrics of one key service.
pub(crate) struct ServiceMetrics {
    /// Number of the service in the configuration, from 1.
    service: String,
}

impl ServiceMetrics {
    /// Metrics of the service at a place in the configuration, from 0.
    pub(crate) fn of(index: usize) -> Self {
        Self {
            service: (index + 1).to_string(),
        }
    }

    /// Shows the counters at zero. The gauge is shown once a ceiling is known.
    pub(crate) fn register(&self) {
        for outcome in OUTCOMES {
            self.requests(outcome).absolute(0);
        }
        self.elements().absolute(0);
    }

    /// Counts a request for an evaluation of `size` elements, and its failure.
    pub(crate) fn count_request(&self, failure: Option<&KeyClientError>, size: usize) {
        let outcome = match failure {
            None => "ok",
            Some(KeyClientError::Retry { .. }) => "retry",
            Some(KeyClientError::Ceiling { .. }) => "ceiling",
            Some(KeyClientError::Misconfigured { .. }) => "misconfigured",
        };
        self.requests(outcome).increment(1);
        match failure {
            None => self.elements().increment(size as u64),
            Some(KeyClientError::Ceiling { .. }) => self.ceiling_left(0),
            Some(_) => {}
        }
    }

    /// Shows how many elements the service evaluates for this client today from now on.
    pub(crate) fn ceiling_left(&self, elements: u64) {
        let service = self.service.clone();
        metrics::gauge!("key_client_ceiling_left", "service" => service).set(elements as f64);
    }

    fn requests(&self, outcome: &'static str) -> metrics::Counter {
        let service = self.service.clone();
        metrics::counter!("key_client_requests_total", "service" => service, "outcome" => outcome)
    }

    fn elements(&self) -> metrics::Counter {
        metrics::counter!("key_client_elements_total", "service" => self.service.clone())
    }
}
