//! The days that a fact's date may mean.

use chrono::{Datelike, Months, NaiveDate};
use contract::{PartialDate, Precision};

use crate::rules::Gap;

/// Days from the earliest to the latest that a date may mean, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DateSpan {
    pub(crate) earliest: NaiveDate,
    pub(crate) latest: NaiveDate,
}

impl DateSpan {
    /// Days that a date may mean, none of them after today; `None` for a date in the future.
    ///
    /// A fact that is on record has happened, so of a month or year that is not over only the days
    /// up to today come into question.
    pub(crate) fn of(date: PartialDate, today: NaiveDate) -> Option<Self> {
        let earliest = date.earliest();
        (earliest <= today).then(|| Self {
            earliest,
            latest: last_day_of(date).min(today),
        })
    }

    /// True where the days from this to `later` fit the gap, whichever days are meant.
    pub(crate) fn surely_fits(self, later: Self, gap: Gap) -> bool {
        let fewest = (later.earliest - self.latest).num_days();
        let most = (later.latest - self.earliest).num_days();
        fewest >= i64::from(gap.min) && gap.max.is_none_or(|max| most <= i64::from(max))
    }

    /// True where the two are at most so many days apart, in whatever order.
    pub(crate) fn surely_within(self, other: Self, days: Option<u32>) -> bool {
        let most = (other.latest - self.earliest)
            .max(self.latest - other.earliest)
            .num_days();
        days.is_none_or(|days| most <= i64::from(days))
    }

    /// Days that the later of the two may mean.
    pub(crate) fn later_of(self, other: Self) -> Self {
        Self {
            earliest: self.earliest.max(other.earliest),
            latest: self.latest.max(other.latest),
        }
    }
}

/// Last day that a date may mean.
pub(crate) fn last_day_of(date: PartialDate) -> NaiveDate {
    let earliest = date.earliest();
    match date.precision() {
        Precision::Day => earliest,
        Precision::Month => last_of_months(earliest, 1),
        Precision::Year => last_of_months(earliest, 12),
    }
}

/// Last day of so many months that begin on `first`.
fn last_of_months(first: NaiveDate, months: u32) -> NaiveDate {
    debug_assert_eq!(first.day(), 1, "a month begins on its first day");
    first
        .checked_add_months(Months::new(months))
        .and_then(|next| next.pred_opt())
        .unwrap_or(NaiveDate::MAX)
}
