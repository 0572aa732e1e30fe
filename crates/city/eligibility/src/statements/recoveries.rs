//! Statements of recoveries.

use chrono::{Days, NaiveDate};
use contract::{Fact, PartialDate, Precision, TestMethod, TestResult};

use super::{Basis, Carried, Certifiable, Statement};
use crate::claims::{Claim, later};
use crate::rules::{RecoveryDate, Route};
use crate::span::DateSpan;

/// Number of days before the person was declared well in which a positive test is of that illness,
/// where it is not on record when the illness began.
const ILLNESS_DAYS: u64 = 60;

/// Most days before the person was declared well in which a positive test is of that illness,
/// however early it is on record to have begun.
pub(crate) const LONGEST_ILLNESS_DAYS: u32 = 366;

/// Number of days for which a recovery is stated to count where the rules set no end (Regulation
/// (EU) 2021/953, article 7 (4)).
pub(crate) const LONGEST_RECOVERY_DAYS: u32 = 180;

/// Record of a recovery.
#[derive(Debug, Clone, Copy)]
struct RecoveryRecord {
    /// Day on which the illness began; `None` also where it is on record as later than the day on
    /// which the person was declared well.
    began: Option<PartialDate>,
    /// Day on which the person was declared well; `None` where the date is coarse.
    well: Option<NaiveDate>,
    /// Last day that the person may have been declared well on.
    latest: NaiveDate,
}

/// Statements of the recoveries that are on record.
pub(super) fn carried(basis: &Basis<'_>) -> Vec<Carried> {
    let records = records(basis);
    let Some(newest) = records.iter().map(|one| one.latest).max() else {
        return Vec::new();
    };
    let mut days: Vec<NaiveDate> = records.iter().filter_map(|one| one.well).collect();
    days.sort_unstable();
    days.dedup();
    let carried = days.into_iter().filter_map(|well| {
        let is_coarse = |one: &RecoveryRecord| one.latest == newest && one.well.is_none();
        Some(Carried {
            certifiable: of_day(basis, &records, well)?,
            is_newest: well == newest && !records.iter().any(is_coarse),
        })
    });
    carried.collect()
}

fn records(basis: &Basis<'_>) -> Vec<RecoveryRecord> {
    let record = |fact: &Fact| match fact {
        Fact::Recovery {
            began_on,
            occurred_on,
        } => {
            let span = DateSpan::of(*occurred_on, basis.today)?;
            Some(RecoveryRecord {
                began: began_on.filter(|date| date.earliest() <= span.latest),
                well: is_day(*occurred_on).then_some(span.earliest),
                latest: span.latest,
            })
        }
        Fact::Vaccination { .. } | Fact::Test { .. } => None,
    };
    basis.facts.iter().filter_map(record).collect()
}

fn is_day(date: PartialDate) -> bool {
    date.precision() == Precision::Day
}

/// Statement of the recovery of a day, however many clinics recorded it.
fn of_day(basis: &Basis<'_>, records: &[RecoveryRecord], well: NaiveDate) -> Option<Certifiable> {
    let rule = basis.period.recovery.as_ref()?;
    let of_day = || records.iter().filter(|one| one.well == Some(well));
    let mut began_days = of_day().filter_map(|one| one.began);
    if basis.suspends(Route::Recovery) || began_days.any(|date| !is_day(date)) {
        return None;
    }
    let began = of_day()
        .filter_map(|one| one.began)
        .map(|date| date.earliest())
        .min();
    let counts_from = match rule.counts_from {
        RecoveryDate::DeclaredWell => well,
        RecoveryDate::IllnessBegan => began?,
    };
    let date = DateSpan {
        earliest: counts_from,
        latest: counts_from,
    };
    let claim = Claim::new(Route::Recovery, date, rule.waiting_days, rule.validity);
    let first_positive = first_positive(basis, began, well);
    let from = claim.first.max(first_positive);
    let last = claim
        .last
        .unwrap_or_else(|| later(counts_from, LONGEST_RECOVERY_DAYS));
    let counts = from <= last && basis.today <= last;
    counts.then_some(Certifiable {
        statement: Statement::Recovery {
            first_positive,
            from,
            last,
        },
        from: from.max(basis.today),
        until: last.succ_opt(),
    })
}

/// Day of the first positive nucleic acid test of the illness, or what stands for it.
fn first_positive(basis: &Basis<'_>, began: Option<NaiveDate>, well: NaiveDate) -> NaiveDate {
    let days_before = |days: u64| well.checked_sub_days(Days::new(days));
    let earliest = began
        .or_else(|| days_before(ILLNESS_DAYS))
        .max(days_before(LONGEST_ILLNESS_DAYS.into()));
    let positive = basis.facts.iter().filter_map(|fact| match fact {
        Fact::Test {
            test,
            result: TestResult::Detected,
            occurred_on,
        } if is_day(*occurred_on) && test.method() == TestMethod::NucleicAcid => {
            Some(occurred_on.earliest())
        }
        _ => None,
    });
    let of_illness =
        positive.filter(|day| *day <= well && earliest.is_some_and(|earliest| earliest <= *day));
    of_illness.min().or(began).unwrap_or(well)
}
