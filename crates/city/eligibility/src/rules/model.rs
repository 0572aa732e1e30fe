//! The rules as the evaluation sees them, after the file was checked.

use chrono::{DateTime, Days, Duration, Months, NaiveDate, NaiveTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use contract::{TestCode, TestMethod, Vaccine};
use serde::Deserialize;

/// Rules of a city: made by [`Rules::parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub(super) version: u32,
    pub(super) zone: Tz,
    /// Periods in the order of their dates; at least one.
    pub(super) periods: Vec<Period>,
}

impl Rules {
    /// Version of the rules, as their file states it.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Time zone whose days count.
    #[must_use]
    pub const fn zone(&self) -> Tz {
        self.zone
    }

    /// Date in the city at a moment.
    #[must_use]
    pub fn date_at(&self, now: DateTime<Utc>) -> NaiveDate {
        date_in(self.zone, now)
    }

    /// First moment of a day in the city: 00:00, or the first minute after it that exists where the
    /// clocks are put forward at midnight. `None` where the zone skips the whole day.
    #[must_use]
    pub fn day_start(&self, day: NaiveDate) -> Option<DateTime<Utc>> {
        let midnight = day.and_time(NaiveTime::MIN);
        (0..24 * 60)
            .filter_map(|minutes| midnight.checked_add_signed(Duration::minutes(minutes)))
            .find_map(|local| self.zone.from_local_datetime(&local).earliest())
            .map(|moment| moment.with_timezone(&Utc))
    }

    /// Rules in force on a day; `None` before the first period.
    pub(crate) fn in_force(&self, day: NaiveDate) -> Option<&Period> {
        self.periods.iter().rfind(|period| period.from <= day)
    }

    /// Every period, with the first day that is no longer its own; `None` for the last.
    pub(crate) fn periods(&self) -> impl Iterator<Item = (&Period, Option<NaiveDate>)> {
        let ends = self.periods.iter().skip(1).map(|next| Some(next.from));
        self.periods.iter().zip(ends.chain([None]))
    }
}

/// Date in a zone at a moment; that of UTC where the calendar ends before the zone's.
pub(crate) fn date_in(zone: Tz, now: DateTime<Utc>) -> NaiveDate {
    let utc = now.naive_utc();
    let offset = zone.offset_from_utc_datetime(&utc).fix();
    utc.checked_add_offset(offset).unwrap_or(utc).date()
}

/// Rules that are in force from a date until the next period's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) from: NaiveDate,
    pub(crate) accepted_vaccines: Vec<Vaccine>,
    /// Two doses so many days apart or fewer are one dose that was reported twice.
    pub(crate) same_dose_within_days: u32,
    pub(crate) series: Vec<Series>,
    pub(crate) boosters: Vec<Booster>,
    pub(crate) recovered_and_dose: Option<RecoveredAndDose>,
    pub(crate) recovery: Option<Recovery>,
    pub(crate) tests: Vec<TestGroup>,
    pub(crate) positive_test: Option<PositiveTest>,
}

impl Period {
    /// Fewest days between two doses that are surely not one.
    pub(crate) const fn distinct_doses_days(&self) -> u32 {
        self.same_dose_within_days + 1
    }
}

/// Doses that make a complete series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Series {
    /// Vaccines that may be the first dose.
    pub(crate) first: Vec<Vaccine>,
    /// The second dose; `None` where one dose is the whole series.
    pub(crate) second: Option<SecondDose>,
    pub(crate) waiting_days: u32,
    pub(crate) validity: Validity,
}

/// Second dose of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecondDose {
    /// Vaccines that may be it.
    pub(crate) vaccines: Vec<Vaccine>,
    /// Days from the first dose to it.
    pub(crate) gap: Gap,
    /// True where a dose with the number 2 or above proves that the first was given.
    pub(crate) proves_first: bool,
}

/// A dose after a complete series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Booster {
    pub(crate) vaccines: Vec<Vaccine>,
    /// Fewest days from the dose or recovery that completed the series.
    pub(crate) min_days_after: u32,
    pub(crate) waiting_days: u32,
    pub(crate) validity: Validity,
}

/// A recovery and one dose, which count as a complete series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecoveredAndDose {
    pub(crate) vaccines: Vec<Vaccine>,
    /// Days from the earlier of the two to the later.
    pub(crate) gap: Gap,
    /// True where the dose may come before the recovery too.
    pub(crate) dose_may_come_first: bool,
    pub(crate) waiting_days: u32,
    pub(crate) validity: Validity,
}

/// A recovery alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recovery {
    pub(crate) counts_from: RecoveryDate,
    pub(crate) waiting_days: u32,
    pub(crate) validity: Validity,
}

/// Date of a recovery from which it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RecoveryDate {
    /// The day on which the person was declared well.
    DeclaredWell,
    /// The day on which the illness began.
    IllnessBegan,
}

/// Tests of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TestGroup {
    pub(crate) codes: Vec<TestCode>,
    /// Days that a negative test covers, the day of the sample being the first.
    pub(crate) calendar_days: u32,
}

/// Effect of a positive test: what it suspends, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PositiveTest {
    pub(crate) suspends: Vec<Route>,
    /// Days that it suspends, the day of the sample being the first; `None`: without end.
    pub(crate) days: Option<u32>,
    /// True where a later recovery ends the suspension on its day.
    pub(crate) recovery_ends: bool,
    /// True where antigen tests count, although no rule for negative tests names one.
    pub(crate) antigen: bool,
}

impl Period {
    /// True where the result of this test is looked at: that of one for nucleic acid always, that
    /// of one for the antigen only where the period says so or names an antigen test.
    pub(crate) fn heeds(&self, test: TestCode) -> bool {
        let is_antigen = |code: &TestCode| code.method() == TestMethod::Antigen;
        let names_antigen = || {
            self.tests
                .iter()
                .any(|group| group.codes.iter().any(is_antigen))
        };
        let is_asked = || self.positive_test.as_ref().is_some_and(|rule| rule.antigen);
        !is_antigen(&test) || is_asked() || names_antigen()
    }
}

/// Ways in which facts may entitle to a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Route {
    /// A complete series of doses.
    Series,
    /// A dose after a complete series.
    Booster,
    /// A recovery and one dose.
    RecoveredAndDose,
    /// A recovery.
    Recovery,
    /// A negative test.
    Test,
}

/// Fewest and most days between two events; both ends are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) min: u32,
    pub(crate) max: Option<u32>,
}

/// Time for which something holds after the day it counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    /// To the end of the day with the same number so many months later, or of that month's last day
    /// where it has no such number (Civil Code of the Russian Federation, article 192, part 3).
    Months(u32),
    /// To the end of the day so many days later.
    Days(u32),
    /// Without end.
    NoEnd,
}

impl Validity {
    /// Last day that is covered by what counts from `day`; `None`: without end.
    pub(crate) fn last_day(self, day: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Months(months) => day.checked_add_months(Months::new(months)),
            Self::Days(days) => day.checked_add_days(Days::new(u64::from(days))),
            Self::NoEnd => None,
        }
    }
}
