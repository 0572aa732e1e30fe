//! The moments of a UTC day at which its token is asked for and, if no batch has left by then, sent.
//!
//! Both are random: a gateway that always showed itself at the same time of day could be known by
//! it.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};

/// Part of a day, before its end, in which no token is asked for any more unless the day was begun
/// late: a batch that carries it has to reach the registry on the same day.
const EVENING: TimeDelta = TimeDelta::hours(2);

/// Longest wait for a batch that takes the token along.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);

/// Pause before an issuer that failed is asked again for the token of the day.
const PAUSE: TimeDelta = TimeDelta::minutes(10);

/// Need of the token of the day at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DayStep {
    /// No more than was done.
    Nothing,
    /// No batch has left since the token came: one has to.
    SendBatch,
}

/// Plan of one UTC day.
#[derive(Debug)]
pub(super) struct DayPlan {
    midnight: DateTime<Utc>,
    ask_at: DateTime<Utc>,
    send_by: DateTime<Utc>,
    /// False once there is nothing more to ask for.
    is_asking: bool,
}

impl DayPlan {
    /// Plans the rest of the day. `parts` are two random numbers from 0 to 1: of the time that is
    /// left for asking, and of the wait for a batch.
    pub(super) fn new(now: DateTime<Utc>, parts: [f64; 2]) -> Self {
        let midnight = now.date_naive().and_time(NaiveTime::MIN).and_utc();
        let end = midnight
            .checked_add_days(Days::new(1))
            .unwrap_or(DateTime::<Utc>::MAX_UTC);
        let latest = (end - EVENING).max(now + (end - now) / 4);
        let ask_at = now + part_of(latest - now, parts[0]);
        let wait = LONGEST_WAIT.min((end - ask_at) / 2);
        Self {
            midnight,
            ask_at,
            send_by: ask_at + part_of(wait, parts[1]),
            is_asking: true,
        }
    }

    /// Returns whether the plan is of the day of this moment.
    pub(super) fn is_of(&self, now: DateTime<Utc>) -> bool {
        now.date_naive() == self.midnight.date_naive()
    }

    /// Returns whether the moment has come to ask.
    pub(super) fn asks(&self, now: DateTime<Utc>) -> bool {
        self.is_asking && now >= self.ask_at
    }

    /// Asks no more.
    pub(super) const fn end_asking(&mut self) {
        self.is_asking = false;
    }

    /// Asks again a while later.
    pub(super) fn put_off(&mut self, now: DateTime<Utc>) {
        self.ask_at = now + PAUSE;
    }

    /// Returns whether a batch has been waited for long enough.
    pub(super) fn is_late(&self, now: DateTime<Utc>) -> bool {
        now >= self.send_by
    }
}

/// Two random numbers from 0 to 1; halves where the operating system gives none.
pub(super) fn random_parts() -> [f64; 2] {
    let mut bytes = [0; 8];
    if getrandom::fill(&mut bytes).is_err() {
        return [0.5; 2];
    }
    let [high, low] = bytes.as_chunks::<4>().0 else {
        return [0.5; 2];
    };
    [high, low].map(|part| f64::from(u32::from_le_bytes(*part)) / f64::from(u32::MAX))
}

fn part_of(time: TimeDelta, part: f64) -> TimeDelta {
    let seconds = time.as_seconds_f64() * part.clamp(0.0, 1.0);
    TimeDelta::from_std(Duration::from_secs_f64(seconds.max(0.0))).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn moments_lie_in_the_day_and_in_their_order(
            second in 0_i64..86_400,
            first in 0.0..=1.0_f64,
            second_part in 0.0..=1.0_f64,
        ) {
            let midnight: DateTime<Utc> = "2026-11-30T00:00:00Z".parse().unwrap();
            let now = midnight + TimeDelta::seconds(second);
            let plan = DayPlan::new(now, [first, second_part]);
            prop_assert!(plan.is_of(now) && plan.is_of(plan.send_by));
            prop_assert!(now <= plan.ask_at && plan.ask_at <= plan.send_by);
            prop_assert!(plan.send_by - plan.ask_at <= LONGEST_WAIT);
        }
    }

    #[test]
    fn plans_are_spread_over_the_day() {
        let midnight: DateTime<Utc> = "2026-11-30T00:00:00Z".parse().unwrap();
        let early = DayPlan::new(midnight, [0.0, 0.0]);
        let late = DayPlan::new(midnight, [1.0, 1.0]);
        assert!(early.asks(midnight) && !late.asks(midnight + TimeDelta::hours(21)));
        assert!(late.asks(midnight + TimeDelta::hours(22)));
        assert!(!late.is_late(midnight + TimeDelta::hours(22)));
        assert!(late.is_late(midnight + TimeDelta::hours(23)));
    }

    #[test]
    fn random_parts_differ() {
        assert_ne!(random_parts(), random_parts());
    }
}
