//! The circuit breaker of an endpoint (a source, or the queue), with its state in the metrics.

use std::time::Duration;

use circuit::{Circuit, CircuitSettings, Permit, State};

/// Settings of the circuits of a source and of its feeds: every failed run is followed by a pause.
pub(crate) const SOURCE: CircuitSettings = CircuitSettings {
    failures_to_open: 1,
    first_pause: Duration::from_secs(1),
    longest_pause: Duration::from_secs(300),
};

/// Settings of the queue's circuit: short pauses, since batches should leave as soon as the queue
/// is back; its client connects again by itself.
pub(crate) const QUEUE: CircuitSettings = CircuitSettings {
    failures_to_open: 3,
    first_pause: Duration::from_millis(500),
    longest_pause: Duration::from_secs(5),
};

/// Name of the queue among the endpoints; a source's is [`source_name`], a feed's [`feed_name`].
pub(crate) const QUEUE_NAME: &str = "queue";

/// Name of a source among the endpoints.
pub(crate) fn source_name(source: &str) -> String {
    format!("source:{source}")
}

/// Name of a feed among the endpoints.
pub(crate) fn feed_name(source: &str, feed: &str) -> String {
    format!("source:{source}/{feed}")
}

/// A circuit breaker whose state is shown in the metrics.
#[derive(Debug)]
pub(crate) struct EndpointCircuit {
    endpoint: String,
    circuit: Circuit,
}

impl EndpointCircuit {
    pub(crate) fn new(endpoint: String, settings: CircuitSettings) -> Self {
        Self {
            endpoint,
            circuit: Circuit::new(settings),
        }
    }

    /// Asks for permission to use the endpoint; `elapsed` is the time since the program's start.
    pub(crate) fn permit(&mut self, elapsed: Duration) -> Permit {
        self.change(|circuit| circuit.permit(elapsed))
    }

    /// Notes a success.
    pub(crate) fn success(&mut self) {
        self.change(Circuit::success);
    }

    /// Notes a failure; returns how long the endpoint is left alone now, if the circuit is open.
    pub(crate) fn failure(&mut self, elapsed: Duration) -> Option<Duration> {
        self.change(|circuit| circuit.failure(elapsed))
    }

    fn change<T>(&mut self, change: impl FnOnce(&mut Circuit) -> T) -> T {
        let before = self.circuit.state();
        let result = change(&mut self.circuit);
        let state = self.circuit.state();
        for each in State::ALL {
            let value = if each == state { 1.0 } else { 0.0 };
            metrics::gauge!(
                "gateway_circuit_state",
                "endpoint" => self.endpoint.clone(),
                "state" => each.as_str()
            )
            .set(value);
        }
        if before != state {
            tracing::debug!(
                event = "circuit",
                endpoint = %self.endpoint,
                state = state.as_str()
            );
        }
        result
    }
}
