//! Days on which a positive test may suspend what facts would cover.

use chrono::NaiveDate;
use contract::TestResult;

use crate::claims::{History, later};
use crate::day_ranges::DayRange;
use crate::rules::{Period, PositiveTest};
use crate::span::DateSpan;

/// Days on which a positive test may be in effect.
pub(crate) fn suspensions(period: &Period, history: &History) -> Vec<DayRange> {
    let Some(rule) = &period.positive_test else {
        return Vec::new();
    };
    history
        .tests
        .iter()
        .filter(|test| test.result == TestResult::Detected && period.heeds(test.test))
        .map(|test| DayRange {
            from: test.taken.earliest,
            until: end_of(rule, test.taken, history),
        })
        .collect()
}

/// First day on which the suspension has surely ended.
fn end_of(rule: &PositiveTest, taken: DateSpan, history: &History) -> NaiveDate {
    let by_days = rule.days.map(|days| later(taken.latest, days));
    let recoveries = history.recoveries.iter().map(|recovery| recovery.well);
    let by_recovery = recoveries
        .filter(|well| rule.recovery_ends && well.earliest > taken.latest)
        .map(|well| well.latest)
        .min();
    by_days
        .into_iter()
        .chain(by_recovery)
        .min()
        .unwrap_or(NaiveDate::MAX)
}
