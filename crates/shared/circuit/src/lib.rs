//! Circuit breaker: after failures in a row an endpoint gets no request for a pause, then one
//! probe, then all requests again.
//!
//! States are those of Nygard, *Release It!* (2nd edition, "Circuit Breaker"): closed, open,
//! half-open. Time is handed in as the time since the program's start, so that a wall clock that is
//! set back cannot keep a circuit open.

use std::fmt;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Settings that say when a circuit opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitSettings {
    /// Number of failures in a row that opens the circuit; at least 1.
    pub failures_to_open: u32,
    /// First pause of an open circuit. It doubles with every failed probe; jitter adds up to as
    /// much again.
    pub first_pause: Duration,
    /// Longest pause, jitter included.
    pub longest_pause: Duration,
}

/// Permission to send requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Requests without limit.
    Closed,
    /// A single small request, whose outcome decides. Until the outcome is reported, other callers
    /// get [`Permit::Open`].
    Probe,
    /// No request.
    Open {
        /// Remaining pause.
        wait: Duration,
    },
}

/// State of a circuit, for `status` and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The endpoint is used.
    Closed,
    /// The endpoint gets no request.
    Open,
    /// A probe is out whose outcome is not known yet.
    HalfOpen,
}

impl State {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// Returns the name of the state in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// Circuit breaker of one endpoint.
pub struct Circuit {
    settings: CircuitSettings,
    pauses: ExponentialBackoff,
    failures: u32,
    /// End of the pause; `None` while closed.
    open_until: Option<Duration>,
    probing: bool,
}

impl Circuit {
    /// Makes a closed circuit.
    #[must_use]
    pub fn new(settings: CircuitSettings) -> Self {
        Self {
            settings,
            pauses: pauses(&settings),
            failures: 0,
            open_until: None,
            probing: false,
        }
    }

    /// Returns the permission for now; `elapsed` is the time since the program's start.
    ///
    /// The outcome of a [`Permit::Probe`] must be reported by [`Circuit::success`] or
    /// [`Circuit::failure`], or the probe be given up by [`Circuit::give_up_probe`]: until then
    /// nobody else may try the endpoint.
    pub fn permit(&mut self, elapsed: Duration) -> Permit {
        match self.open_until {
            None => Permit::Closed,
            Some(_) if self.probing => Permit::Open {
                wait: self.settings.first_pause,
            },
            Some(until) if elapsed < until => Permit::Open {
                wait: until - elapsed,
            },
            Some(_) => {
                self.probing = true;
                Permit::Probe
            }
        }
    }

    /// Reports a request that went well: the circuit closes.
    pub fn success(&mut self) {
        *self = Self::new(self.settings);
    }

    /// Reports a request that failed; returns the pause, if the circuit is open now.
    pub fn failure(&mut self, elapsed: Duration) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        if self.open_until.is_none() && self.failures < self.settings.failures_to_open {
            return None;
        }
        let pause = self
            .pauses
            .next()
            .unwrap_or(self.settings.longest_pause)
            .min(self.settings.longest_pause);
        self.probing = false;
        self.open_until = Some(elapsed + pause);
        Some(pause)
    }

    /// Reports that a probe ended before it reached the endpoint, as where something else failed
    /// first: the next caller gets it, without a longer pause.
    pub fn give_up_probe(&mut self) {
        self.probing = false;
    }

    /// Returns the state.
    #[must_use]
    pub fn state(&self) -> State {
        match (self.open_until, self.probing) {
            (None, _) => State::Closed,
            (Some(_), false) => State::Open,
            (Some(_), true) => State::HalfOpen,
        }
    }
}

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Circuit({}, {} failures)",
            self.state().as_str(),
            self.failures
        )
    }
}

fn pauses(settings: &CircuitSettings) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(settings.first_pause)
        .with_max_delay(settings.longest_pause)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: CircuitSettings = CircuitSettings {
        failures_to_open: 3,
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(60),
    };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn opened() -> Circuit {
        let mut circuit = Circuit::new(SETTINGS);
        assert_eq!(
            (circuit.failure(at(0)), circuit.failure(at(0))),
            (None, None)
        );
        let pause = circuit.failure(at(0)).expect("the third failure opens it");
        assert!(
            (at(1)..=at(2)).contains(&pause),
            "{pause:?}: the first pause with at most as much jitter"
        );
        circuit
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut circuit = Circuit::new(SETTINGS);
        for _ in 0..10 {
            assert_eq!(
                (circuit.failure(at(0)), circuit.failure(at(0))),
                (None, None)
            );
            circuit.success();
        }
        assert_eq!(
            (circuit.state(), circuit.permit(at(0))),
            (State::Closed, Permit::Closed)
        );
    }

    #[test]
    fn one_probe_decides_and_nobody_else_is_let_through_meanwhile() {
        let mut circuit = opened();
        assert!(matches!(circuit.permit(at(0)), Permit::Open { .. }));
        assert_eq!(circuit.permit(at(2)), Permit::Probe);
        assert_eq!(circuit.state(), State::HalfOpen);
        assert!(
            matches!(circuit.permit(at(2)), Permit::Open { .. }),
            "the probe has not come back"
        );
        let pause = circuit
            .failure(at(2))
            .expect("a failed probe opens it again at once");
        assert!((at(2)..=at(4)).contains(&pause), "{pause:?}: twice as long");
        assert_eq!(circuit.permit(at(6)), Permit::Probe);
        circuit.success();
        assert_eq!(circuit.permit(at(6)), Permit::Closed);
    }

    #[test]
    fn a_probe_that_is_given_up_goes_to_the_next_caller() {
        let mut circuit = opened();
        assert_eq!(circuit.permit(at(2)), Permit::Probe);
        circuit.give_up_probe();
        assert_eq!(circuit.state(), State::Open);
        assert_eq!(circuit.permit(at(2)), Permit::Probe);
    }

    #[test]
    fn pauses_end_at_the_longest() {
        let mut circuit = opened();
        for _ in 0..20 {
            assert!(
                circuit
                    .failure(at(0))
                    .is_some_and(|pause| pause <= SETTINGS.longest_pause)
            );
        }
    }
}
