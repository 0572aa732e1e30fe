//! The circuit breaker of each endpoint (a source, the queue), and what the metrics say of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use circuit::{Circuit, Permit, Settings, State};

/// A source: every failed run is followed by a pause.
pub(crate) const SOURCE: Settings = Settings {
    failures_to_open: 1,
    first_pause: Duration::from_secs(1),
    longest_pause: Duration::from_secs(300),
};

/// The queue: short pauses, since what waits should leave as soon as it is back; its client
/// connects again by itself.
pub(crate) const QUEUE: Settings = Settings {
    failures_to_open: 3,
    first_pause: Duration::from_millis(500),
    longest_pause: Duration::from_secs(5),
};

/// The queue's name among the endpoints; a source's is [`source_name`].
pub(crate) const QUEUE_NAME: &str = "queue";

/// A source's name among the endpoints.
pub(crate) fn source_name(source: &str) -> String {
    format!("source:{source}")
}

/// Every endpoint's circuit, by its name.
#[derive(Debug, Default)]
pub struct Circuits {
    all: Mutex<BTreeMap<String, Circuit>>,
}

impl Circuits {
    /// What may be done now.
    pub(crate) fn permit(&self, endpoint: &str, settings: Settings, elapsed: Duration) -> Permit {
        self.with(endpoint, settings, |circuit| circuit.permit(elapsed))
    }

    /// It went well.
    pub(crate) fn success(&self, endpoint: &str, settings: Settings) {
        self.with(endpoint, settings, Circuit::success);
    }

    /// It failed; how long the endpoint is left alone now.
    pub(crate) fn failure(
        &self,
        endpoint: &str,
        settings: Settings,
        elapsed: Duration,
    ) -> Option<Duration> {
        self.with(endpoint, settings, |circuit| circuit.failure(elapsed))
    }

    fn with<T>(
        &self,
        endpoint: &str,
        settings: Settings,
        act: impl FnOnce(&mut Circuit) -> T,
    ) -> T {
        let mut all = self.lock();
        let circuit = all
            .entry(endpoint.to_owned())
            .or_insert_with(|| Circuit::new(settings));
        let before = circuit.state();
        let done = act(circuit);
        let state = circuit.state();
        drop(all);
        tell(endpoint, before, state);
        done
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Circuit>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(endpoint: &str, before: State, state: State) {
    let label = endpoint.to_owned();
    for each in State::ALL {
        let value = if each == state { 1.0 } else { 0.0 };
        metrics::gauge!("gateway_circuit_state", "endpoint" => label.clone(), "state" => each.as_str())
            .set(value);
    }
    if before != state {
        tracing::debug!(event = "circuit", endpoint = %label, state = state.as_str());
    }
}
