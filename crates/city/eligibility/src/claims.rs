//! Claims that facts prove under one period's rules: to be covered from a first day to a last.

use chrono::{Days, NaiveDate};
use contract::{Fact, TestCode, TestResult, Vaccine};

use crate::doses::{Dose, merged};
use crate::rules::{
    Booster, Gap, Period, RecoveredAndDose, Recovery, RecoveryDate, Route, Series, Validity,
};
use crate::span::DateSpan;

/// A recovery that is on record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recovered {
    pub(crate) began: Option<DateSpan>,
    pub(crate) well: DateSpan,
}

/// A test that is on record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tested {
    pub(crate) test: TestCode,
    pub(crate) result: TestResult,
    pub(crate) taken: DateSpan,
}

/// Facts of a person by kind, without those that lie in the future.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Reports of doses; several may be of one dose.
    pub(crate) doses: Vec<Dose>,
    pub(crate) recoveries: Vec<Recovered>,
    pub(crate) tests: Vec<Tested>,
}

impl History {
    /// Sorts facts by kind, and leaves out those that lie after today.
    pub(crate) fn until(today: NaiveDate, facts: &[Fact]) -> Self {
        let mut history = Self::default();
        for fact in facts {
            history.add(today, fact);
        }
        history
    }

    fn add(&mut self, today: NaiveDate, fact: &Fact) {
        match fact {
            Fact::Vaccination {
                vaccine,
                dose_number,
                series_doses: _,
                occurred_on,
            } => self
                .doses
                .extend(DateSpan::of(*occurred_on, today).map(|given| Dose {
                    vaccine: *vaccine,
                    number: *dose_number,
                    given,
                })),
            Fact::Test {
                test,
                result,
                occurred_on,
            } => self
                .tests
                .extend(DateSpan::of(*occurred_on, today).map(|taken| Tested {
                    test: *test,
                    result: *result,
                    taken,
                })),
            Fact::Recovery {
                began_on,
                occurred_on,
            } => self
                .recoveries
                .extend(DateSpan::of(*occurred_on, today).map(|well| Recovered {
                    began: began_on.and_then(|began| DateSpan::of(began, today)),
                    well,
                })),
        }
    }
}

/// Claim to be covered from its first to its last day, whichever days the dates mean. It covers
/// nothing where the first lies after the last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) route: Route,
    pub(crate) first: NaiveDate,
    /// Last day; `None`: without end.
    pub(crate) last: Option<NaiveDate>,
}

impl Claim {
    pub(crate) fn new(
        route: Route,
        counts_from: DateSpan,
        waiting_days: u32,
        validity: Validity,
    ) -> Self {
        Self {
            route,
            first: later(counts_from.latest, waiting_days),
            last: validity.last_day(counts_from.earliest),
        }
    }
}

/// The day so many days later.
pub(crate) fn later(day: NaiveDate, days: u32) -> NaiveDate {
    day.checked_add_days(Days::new(u64::from(days)))
        .unwrap_or(NaiveDate::MAX)
}

/// All claims of a person under the rules of a period.
pub(crate) fn claims(period: &Period, history: &History) -> Vec<Claim> {
    let doses = merged(&history.doses, period.same_dose_within_days);
    let mut claims = Vec::new();
    // Ends of complete series, after which a booster counts.
    let mut completed = Vec::new();
    for series in &period.series {
        for end in complete_series(series, &doses) {
            let claim = Claim::new(Route::Series, end, series.waiting_days, series.validity);
            claims.push(claim);
            completed.push(end);
        }
    }
    if let Some(rule) = &period.recovered_and_dose {
        for end in recovered_and_dosed(rule, &doses, &history.recoveries) {
            let route = Route::RecoveredAndDose;
            claims.push(Claim::new(route, end, rule.waiting_days, rule.validity));
            completed.push(end);
        }
    }
    for booster in &period.boosters {
        claims.extend(boosted(booster, &doses, &completed));
    }
    if let Some(rule) = &period.recovery {
        claims.extend(recovered(rule, history));
    }
    claims.extend(tested(period, history));
    claims
}

/// Dates of the doses that complete a series.
fn complete_series(series: &Series, doses: &[Dose]) -> Vec<DateSpan> {
    let firsts = || doses_of(doses, &series.first);
    let Some(second) = &series.second else {
        return firsts().map(|dose| dose.given).collect();
    };
    doses_of(doses, &second.vaccines)
        .filter(|dose| {
            let numbered_second = dose.number.is_some_and(|number| number >= 2);
            let after_a_first =
                || firsts().any(|first| first.given.surely_fits(dose.given, second.gap));
            (second.proves_first && numbered_second) || after_a_first()
        })
        .map(|dose| dose.given)
        .collect()
}

fn doses_of<'a>(doses: &'a [Dose], vaccines: &[Vaccine]) -> impl Iterator<Item = &'a Dose> {
    doses.iter().filter(|dose| vaccines.contains(&dose.vaccine))
}

/// Dates of the later of a recovery and a dose that make a series together.
fn recovered_and_dosed(
    rule: &RecoveredAndDose,
    doses: &[Dose],
    recoveries: &[Recovered],
) -> Vec<DateSpan> {
    let mut ends = Vec::new();
    for dose in doses_of(doses, &rule.vaccines) {
        for recovery in recoveries {
            ends.extend(completed_by_recovery(rule, dose.given, recovery.well));
        }
    }
    ends
}

/// Date of the later of a recovery and a dose, if the days between them fit.
pub(crate) fn completed_by_recovery(
    rule: &RecoveredAndDose,
    dose: DateSpan,
    well: DateSpan,
) -> Option<DateSpan> {
    if rule.dose_may_come_first && rule.gap.min == 0 {
        // The order does not matter, and so it need not be known.
        let close = dose.surely_within(well, rule.gap.max);
        return close.then(|| dose.later_of(well));
    }
    if well.surely_fits(dose, rule.gap) {
        return Some(dose);
    }
    (rule.dose_may_come_first && dose.surely_fits(well, rule.gap)).then_some(well)
}

/// Claims of doses that were given long enough after a complete series.
fn boosted(booster: &Booster, doses: &[Dose], completed: &[DateSpan]) -> Vec<Claim> {
    let gap = Gap {
        min: booster.min_days_after,
        max: None,
    };
    // Without a longest gap, the series that was surely complete first serves every dose best.
    let Some(complete) = completed.iter().min_by_key(|end| end.latest) else {
        return Vec::new();
    };
    doses_of(doses, &booster.vaccines)
        .filter(|dose| complete.surely_fits(dose.given, gap))
        .map(|dose| {
            let waiting = booster.waiting_days;
            Claim::new(Route::Booster, dose.given, waiting, booster.validity)
        })
        .collect()
}

fn recovered(rule: &Recovery, history: &History) -> Vec<Claim> {
    let dates = history
        .recoveries
        .iter()
        .filter_map(|recovery| match rule.counts_from {
            RecoveryDate::DeclaredWell => Some(recovery.well),
            RecoveryDate::IllnessBegan => recovery.began,
        });
    dates
        .map(|date| Claim::new(Route::Recovery, date, rule.waiting_days, rule.validity))
        .collect()
}

fn tested(period: &Period, history: &History) -> Vec<Claim> {
    let mut claims = Vec::new();
    for test in &history.tests {
        let group = period
            .tests
            .iter()
            .find(|group| group.codes.contains(&test.test));
        if let (TestResult::NotDetected, Some(group)) = (test.result, group) {
            let validity = Validity::Days(group.calendar_days - 1);
            claims.push(Claim::new(Route::Test, test.taken, 0, validity));
        }
    }
    claims
}
