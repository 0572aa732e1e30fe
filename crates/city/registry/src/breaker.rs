//! A circuit breaker shared by every consumer of the process, with its state in the metrics.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use circuit::{Circuit, Permit, Settings, State};
use clock::Clock;

/// The store's: closed again by a committed write, not by an answer. One failure is enough, as
/// every try is a transaction.
pub(crate) const STORE: Settings = Settings {
    failures_to_open: 1,
    first_pause: Duration::from_millis(200),
    longest_pause: Duration::from_secs(30),
};

/// The receipts channel's: while it is open, batches are acknowledged without a receipt.
pub(crate) const RECEIPTS: Settings = Settings {
    failures_to_open: 2,
    first_pause: Duration::from_secs(1),
    longest_pause: Duration::from_secs(60),
};

/// One endpoint's circuit.
#[derive(Clone)]
pub(crate) struct Breaker {
    endpoint: &'static str,
    circuit: Arc<Mutex<Circuit>>,
    clock: Arc<dyn Clock>,
}

impl Breaker {
    /// A closed one; `endpoint` is its metric's label.
    pub(crate) fn new(endpoint: &'static str, settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let breaker = Self {
            endpoint,
            circuit: Arc::new(Mutex::new(Circuit::new(settings))),
            clock,
        };
        breaker.show(&breaker.lock());
        breaker
    }

    /// What may be done now; [`Permit::Probe`] wants a [`Breaker::success`] or
    /// [`Breaker::failure`].
    pub(crate) fn permit(&self) -> Permit {
        let mut circuit = self.lock();
        let permit = circuit.permit(self.clock.elapsed());
        self.show(&circuit);
        permit
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().state() == State::Closed
    }

    /// It works.
    pub(crate) fn success(&self) {
        let mut circuit = self.lock();
        circuit.success();
        self.show(&circuit);
    }

    /// It does not. What was on its way when the circuit opened says nothing new.
    pub(crate) fn failure(&self) {
        let mut circuit = self.lock();
        if circuit.state() != State::Open {
            circuit.failure(self.clock.elapsed());
        }
        self.show(&circuit);
    }

    fn lock(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, circuit: &Circuit) {
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
        write!(f, "Breaker({} {:?})", self.endpoint, self.lock())
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
