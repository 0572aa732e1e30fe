//! Last day on which a pass may rest on a fact, whatever else is or will be known of its person.

use chrono::NaiveDate;
use contract::{Fact, TestCode, TestMethod, TestResult, Vaccine};

use crate::claims::later;
use crate::rules::{Period, Rules, Validity};
use crate::span::last_day_of;
use crate::statements::{LONGEST_ILLNESS_DAYS, LONGEST_RECOVERY_DAYS};

/// Last day on which a pass may rest on a fact. A pass rests on a fact if it would not have been
/// issued, or would state something else, or would not hold, without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LastUse {
    /// Last day; before the fact's own date where no pass ever rests on it.
    Day(NaiveDate),
    /// The rules set no end.
    NoEnd,
}

impl LastUse {
    /// Last use of a fact that no rule looks at.
    const NEVER: Self = Self::Day(NaiveDate::MIN);

    /// True where no pass can rest on the fact any more on `today`, and so many days have passed
    /// since, and since the last day that the fact's date may mean.
    #[must_use]
    pub fn is_over(self, fact: &Fact, extra_days: u32, today: NaiveDate) -> bool {
        match self {
            Self::NoEnd => false,
            Self::Day(last) => later(last.max(latest_day(fact)), extra_days) < today,
        }
    }
}

/// Last day on which a pass may rest on this fact under the rules that are in force today or later.
///
/// - An accepted vaccine's dose has no last day: a certificate may state it at any time, the number
///   of a later dose counts it, and a booster may follow it.
/// - A recovery has none where a dose may follow it, or where it may end the effect of a positive
///   test that has no other end.
/// - A test is needed as long as it, or an older one beside it, may count; a positive one also as
///   long as it suspends, or as the certificate of a recovery states its day.
#[must_use]
pub fn last_use(rules: &Rules, fact: &Fact, today: NaiveDate) -> LastUse {
    rules
        .periods()
        .filter(|(_, end)| end.is_none_or(|end| end > today))
        .map(|(period, _)| last_use_in(period, fact))
        .max()
        .unwrap_or(LastUse::NEVER)
}

fn last_use_in(period: &Period, fact: &Fact) -> LastUse {
    match fact {
        Fact::Vaccination { vaccine, .. } => dose(period, *vaccine),
        Fact::Recovery { .. } => recovery(period, latest_day(fact)),
        Fact::Test { test, result, .. } => tested(period, *test, *result, latest_day(fact)),
    }
}

/// Lists of a period's rules name accepted vaccines only.
fn dose(period: &Period, vaccine: Vaccine) -> LastUse {
    if period.accepted_vaccines.contains(&vaccine) {
        LastUse::NoEnd
    } else {
        LastUse::NEVER
    }
}

fn recovery(period: &Period, latest: NaiveDate) -> LastUse {
    if period.recovered_and_dose.is_some() {
        return LastUse::NoEnd;
    }
    let alone = match &period.recovery {
        Some(rule) => counts_until(rule.validity, latest),
        None => LastUse::NEVER,
    };
    let ends_suspension = match &period.positive_test {
        Some(rule) if rule.recovery_ends => suspends_until(rule.days, latest),
        _ => LastUse::NEVER,
    };
    alone.max(ends_suspension)
}

fn tested(period: &Period, test: TestCode, result: TestResult, latest: NaiveDate) -> LastUse {
    let is_listed = period.tests.iter().any(|group| group.codes.contains(&test));
    let is_heeded = is_listed || period.heeds(test);
    let is_positive = result == TestResult::Detected;
    let mut last = LastUse::NEVER;
    if is_heeded {
        // An older test that still counts is certified only while a newer one does not stand
        // beside it.
        let days = period.tests.iter().map(|group| group.calendar_days).max();
        if let Some(days) = days {
            last = last.max(LastUse::Day(later(latest, days.saturating_sub(1))));
        }
        if let Some(rule) = period.positive_test.as_ref().filter(|_| is_positive) {
            last = last.max(suspends_until(rule.days, latest));
        }
    }
    if let Some(rule) = &period.recovery
        && is_positive
        && test.method() == TestMethod::NucleicAcid
    {
        let well = later(latest, LONGEST_ILLNESS_DAYS);
        last = last.max(match rule.validity.last_day(well) {
            Some(day) => LastUse::Day(day),
            None => LastUse::NoEnd,
        });
    }
    last
}

fn counts_until(validity: Validity, latest: NaiveDate) -> LastUse {
    match validity.last_day(latest) {
        // A certificate states an end also where the rules set none further away.
        Some(day) => LastUse::Day(day.max(later(latest, LONGEST_RECOVERY_DAYS))),
        None => LastUse::NoEnd,
    }
}

/// Last day on which a positive test suspends, or on which a recovery ends its effect earlier.
fn suspends_until(days: Option<u32>, latest: NaiveDate) -> LastUse {
    match days {
        Some(days) => LastUse::Day(later(latest, days)),
        None => LastUse::NoEnd,
    }
}

/// Last day that any date of the fact may mean.
fn latest_day(fact: &Fact) -> NaiveDate {
    match fact {
        Fact::Vaccination { occurred_on, .. } | Fact::Test { occurred_on, .. } => {
            last_day_of(*occurred_on)
        }
        Fact::Recovery {
            began_on,
            occurred_on,
        } => began_on
            .map_or(NaiveDate::MIN, last_day_of)
            .max(last_day_of(*occurred_on)),
    }
}

#[cfg(test)]
mod tests;
