//! The one place that asks the machine what time it is; everything else takes a [`Clock`] or a
//! `now`.

use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// A source of time: the machine's in production, a hand-set one in tests.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present moment in UTC.
    fn now(&self) -> DateTime<Utc>;

    /// Time since some fixed moment of this clock; never goes back. For durations and rates only.
    fn elapsed(&self) -> Duration;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl Default for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this crate is where time enters the program"
    )]
    fn default() -> Self {
        Self {
            started: std::time::Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this crate is where time enters the program"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<(DateTime<Utc>, Duration)>,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: DateTime<Utc>) -> Self {
        Self {
            state: Mutex::new((now, Duration::ZERO)),
        }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        state.0 += TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        state.1 += by;
    }

    /// Sets the wall clock, back as well as forward, as an operator or a time server may; `elapsed`
    /// is untouched.
    pub fn set(&self, now: DateTime<Utc>) {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .0 = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .0
    }

    fn elapsed(&self) -> Duration {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_only_when_told_and_may_be_set_back() {
        let start = DateTime::from_timestamp(1_625_000_000, 0).expect("a valid moment");
        let clock = ManualClock::at(start);
        assert_eq!(clock.now(), start);
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), start + TimeDelta::seconds(5));
        clock.set(start - TimeDelta::days(1));
        assert_eq!(
            clock.elapsed(),
            Duration::from_secs(5),
            "a wall clock set back does not turn durations back"
        );
    }

    #[test]
    fn system_clock_never_goes_back() {
        let clock = SystemClock::default();
        let first = clock.elapsed();
        assert!(clock.elapsed() >= first);
    }
}
