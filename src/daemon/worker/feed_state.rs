//! The state of one feed between runs: its circuit breaker, and what it still owes.

use std::time::Duration;

use circuit::{Circuit, Permit};
use connector_kit::Feed;

use crate::circuits::{EndpointCircuit, SOURCE, feed_name};
use crate::pull::{FeedFailure, Trigger};
use crate::run::FeedTurn;

/// State of a feed that its source's worker keeps between runs. Times are counted from the
/// program's start.
pub(super) struct FeedState {
    pub(super) feed: Feed,
    circuit: EndpointCircuit,
    /// Paces tries while the gateway's own state fails, which is not the source's fault.
    own_state: Circuit,
    /// Paces tries of a sweep that fails although the feed can be read.
    sweeps: Circuit,
    /// Time of the next try of a run that failed; `None` after a good one.
    retry_at: Option<Duration>,
    /// Time of the next try of a sweep that failed; `None` after a good one.
    sweep_at: Option<Duration>,
    /// True if the last thing the feed has shown is that the source is away.
    is_away: bool,
}

impl FeedState {
    pub(super) fn new(source: &str, feed: Feed) -> Self {
        Self {
            feed,
            circuit: EndpointCircuit::new(feed_name(source, feed.as_str()), SOURCE),
            own_state: Circuit::new(SOURCE),
            sweeps: Circuit::new(SOURCE),
            retry_at: None,
            sweep_at: None,
            is_away: false,
        }
    }

    pub(super) const fn is_away(&self) -> bool {
        self.is_away
    }

    /// True if the last run was good.
    pub(super) const fn is_in_order(&self) -> bool {
        self.retry_at.is_none()
    }

    /// Returns the feed's turn now, or `None` where it has none: it is left alone after a failure,
    /// or nothing has triggered a run. What a failure has left is done whatever the trigger.
    pub(super) fn turn(&self, trigger: Option<Trigger>, now: Duration) -> Option<FeedTurn> {
        let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        if !self.is_in_order() && !is_due(self.retry_at) {
            return None;
        }
        let is_owed = is_due(self.retry_at) || is_due(self.sweep_at);
        let trigger = if is_owed { Trigger::Schedule } else { trigger? };
        Some(FeedTurn {
            feed: self.feed,
            trigger,
            may_sweep: trigger == Trigger::Schedule && self.sweep_at.is_none_or(|at| at <= now),
        })
    }

    /// Asks the feed's circuit for permission to use it.
    pub(super) fn permit(&mut self, now: Duration) -> Permit {
        self.circuit.permit(now)
    }

    /// Returns how long to wait before the next try, if the feed needs one.
    pub(super) fn retry_in(&self, now: Duration) -> Option<Duration> {
        let at = self.retry_at.or(self.sweep_at)?;
        Some(at.saturating_sub(now))
    }

    /// Notes a run that reached its end.
    pub(super) fn note_success(&mut self) {
        self.circuit.success();
        self.own_state.success();
        self.retry_at = None;
        self.is_away = false;
    }

    /// Notes a run or a probe that failed. Mistakes that a person has to correct are retried as
    /// well: they may be corrected at the clinic's side.
    pub(super) fn note_failure(&mut self, failure: &FeedFailure, now: Duration) {
        self.is_away = failure.is_away();
        let pause = if failure.is_the_source() {
            self.circuit.failure(now)
        } else {
            // The source was not at fault: it is in order as far as anybody knows.
            self.circuit.success();
            self.own_state.failure(now)
        };
        self.retry_at = Some(now + pause_after(failure.retry_after(), pause));
    }

    /// Notes a sweep that reached its end, or that was not due any more.
    pub(super) fn note_sweep_success(&mut self) {
        self.sweeps.success();
        self.sweep_at = None;
    }

    /// Notes a sweep that gave way to pulls of the source, or that waits behind such a one: it goes
    /// on behind the next pull.
    pub(super) const fn note_sweep_gave_way(&mut self, now: Duration) {
        self.sweep_at = Some(now);
    }

    /// Notes a sweep that failed. The feed's pulls go on meanwhile.
    pub(super) fn note_sweep_failure(&mut self, failure: &FeedFailure, now: Duration) {
        let pause = self.sweeps.failure(now);
        self.sweep_at = Some(now + pause_after(failure.retry_after(), pause));
    }

    /// Leaves the pause to the source's own circuit, since the source as a whole is away.
    pub(super) fn source_is_away(&mut self) {
        self.circuit.success();
    }

    /// Makes the feed due at once: the source as a whole was away, and answers again.
    pub(super) fn source_answers(&mut self) {
        self.is_away = false;
        self.retry_at = Some(Duration::ZERO);
    }
}

/// Pause after a failure: the circuit's own, or the longer one that the source asked for.
pub(super) fn pause_after(asked_for: Option<Duration>, pause: Option<Duration>) -> Duration {
    let pause = pause.unwrap_or(SOURCE.first_pause);
    asked_for
        .unwrap_or_default()
        .max(pause)
        .min(SOURCE.longest_pause)
}
