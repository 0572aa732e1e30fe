//! Circuit breaker that every consumer of the process shares, with its state in the metrics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use circuit::{Circuit, CircuitSettings, Permit, State};
use clock::Clock;
use parking_lot::Mutex;

/// Settings of the store's circuit, which only a committed write closes again, not an answer. One
/// failure opens it, as every try is a transaction.
pub(crate) const STORE: CircuitSettings = CircuitSettings {
    failures_to_open: 1,
    first_pause: Duration::from_millis(200),
    longest_pause: Duration::from_secs(30),
};

/// Settings of the receipts channel's circuit; while it is open, batches are acknowledged without a
/// receipt.
pub(crate) const RECEIPTS: CircuitSettings = CircuitSettings {
    failures_to_open: 2,
    first_pause: Duration::from_secs(1),
    longest_pause: Duration::from_secs(60),
};

/// Circuit breaker of one endpoint.
#[derive(Clone)]
pub(crate) struct Breaker {
    endpoint: &'static str,
    circuit: Arc<Mutex<Circuit>>,
    clock: Arc<dyn Clock>,
}

impl Breaker {
    /// Makes a closed one; `endpoint` is the label of its metric.
    pub(crate) fn new(
        endpoint: &'static str,
        settings: CircuitSettings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let breaker = Self {
            endpoint,
            circuit: Arc::new(Mutex::new(Circuit::new(settings))),
            clock,
        };
        breaker.export(&breaker.circuit.lock());
        breaker
    }

    /// Permit for the endpoint's use now; after [`Permit::Probe`], [`Breaker::success`],
    /// [`Breaker::failure`] or [`Breaker::give_up_probe`] must follow.
    pub(crate) fn permit(&self) -> Permit {
        let mut circuit = self.circuit.lock();
        let permit = circuit.permit(self.clock.elapsed());
        self.export(&circuit);
        permit
    }

    /// True where nothing is known to be wrong.
    pub(crate) fn is_closed(&self) -> bool {
        self.circuit.lock().state() == State::Closed
    }

    /// Notes that the endpoint works.
    pub(crate) fn success(&self) {
        let mut circuit = self.circuit.lock();
        circuit.success();
        self.export(&circuit);
    }

    /// Notes that the endpoint failed. A request that was on its way when the circuit opened tells
    /// nothing new.
    pub(crate) fn failure(&self) {
        let mut circuit = self.circuit.lock();
        if circuit.state() != State::Open {
            circuit.failure(self.clock.elapsed());
        }
        self.export(&circuit);
    }

    /// Notes that a probe ended before it reached the endpoint.
    pub(crate) fn give_up_probe(&self) {
        let mut circuit = self.circuit.lock();
        circuit.give_up_probe();
        self.export(&circuit);
    }

    fn export(&self, circuit: &Circuit) {
        let state = match circuit.state() {
            State::Closed => 0.0,
            State::HalfOpen => 1.0,
            State::Open => 2.0,
        };
        metrics::gauge!("registry_circuit_state", "endpoint" => self.endpoint).set(state);
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Breaker({} {:?})", self.endpoint, self.circuit.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_one_moment_lengthen_no_pause() {
        let clock = Arc::new(clock::ManualClock::at(
            "2021-07-01T09:00:00Z".parse().unwrap(),
        ));
        let breaker = Breaker::new("store", STORE, Arc::<clock::ManualClock>::clone(&clock));
        for _ in 0..10 {
            breaker.failure();
        }
        assert!(matches!(breaker.permit(), Permit::Open { wait } if wait <= 2 * STORE.first_pause));
        clock.advance(2 * STORE.first_pause);
        assert_eq!(breaker.permit(), Permit::Probe);
        assert!(
            matches!(breaker.clone().permit(), Permit::Open { .. }),
            "one probe for all consumers"
        );
        breaker.success();
        assert!(breaker.is_closed());
    }
}
