//! Time of the machine. All other code takes a [`Clock`] or a moment `now`, so that tests can set
//! the time.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

/// Source of time: the machine in production, a hand-set clock in tests.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Returns the present moment in UTC.
    fn now(&self) -> DateTime<Utc>;

    /// Returns the time since some fixed moment of this clock, for durations and rates. It never
    /// goes back.
    fn elapsed(&self) -> Duration;
}

/// Clock of the machine.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this crate is where time enters the program"
    )]
    fn default() -> Self {
        Self {
            started: Instant::now(),
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

/// Clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<ManualTime>,
}

#[derive(Debug)]
struct ManualTime {
    now: DateTime<Utc>,
    elapsed: Duration,
}

impl ManualClock {
    /// Makes a clock that shows `now`.
    #[must_use]
    pub fn at(now: DateTime<Utc>) -> Self {
        Self {
            state: Mutex::new(ManualTime {
                now,
                elapsed: Duration::ZERO,
            }),
        }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state.lock();
        state.now += TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        state.elapsed += by;
    }

    /// Sets the wall clock, back as well as forward, as an operator or a time server may; `elapsed`
    /// is untouched.
    pub fn set(&self, now: DateTime<Utc>) {
        self.state.lock().now = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        self.state.lock().now
    }

    fn elapsed(&self) -> Duration {
        self.state.lock().elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manual_clock_moves_only_by_hand_and_may_be_set_back() {
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
