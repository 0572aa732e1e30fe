//! Evaluation of a person's facts: the days that are covered, or the reasons why today is not.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use contract::{Fact, TestResult};

use crate::claims::{Claim, History, claims, later};
use crate::day_ranges::{DayRange, Interval, joined};
use crate::reason::Reason;
use crate::rules::{Period, RecoveryDate, Route, Rules};
use crate::suspensions::suspensions;

/// Number of days, today being the first, for which an answer says whether they are covered.
pub const HORIZON_DAYS: u32 = 400;

/// Most facts that are taken to be about one person; with more, the person is in doubt.
pub const MAX_FACTS: usize = 512;

/// Facts that are known about a person.
#[derive(Debug, Clone, Copy)]
pub enum Evidence<'a> {
    /// Facts whose owner is not certain: names conflict, or they lead to two subjects.
    InDoubt,
    /// Asserted facts of one subject; none where nothing is known about the person.
    Facts(&'a [Fact]),
}

/// Answer about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eligibility {
    /// Date in the city as of which the answer holds.
    pub today: NaiveDate,
    /// Days from today to the horizon that are covered, in their order; intervals neither overlap
    /// nor touch.
    pub covered: Vec<Interval>,
    /// Reasons why today is not covered, in the order of [`Reason::ALL`]; none where it is.
    pub reasons: Vec<Reason>,
}

impl Eligibility {
    /// True where the whole day is covered. Days before today and from the horizon on are not.
    #[must_use]
    pub fn covers(&self, day: NaiveDate) -> bool {
        let known = day < later(self.today, HORIZON_DAYS);
        known && self.covered.iter().any(|interval| interval.contains(day))
    }

    fn in_doubt(today: NaiveDate) -> Self {
        Self {
            today,
            covered: Vec::new(),
            reasons: vec![Reason::PersonInDoubt],
        }
    }
}

/// Applies the rules to what is known about a person.
///
/// The order of the facts and repetitions do not matter. A fact that lies after today in the city
/// does not count.
#[must_use]
pub fn evaluate(rules: &Rules, evidence: Evidence<'_>, now: DateTime<Utc>) -> Eligibility {
    evaluate_on(rules, evidence, rules.date_at(now))
}

/// Applies the rules as of a date in the city.
pub(crate) fn evaluate_on(rules: &Rules, evidence: Evidence<'_>, today: NaiveDate) -> Eligibility {
    let facts = match evidence {
        Evidence::Facts(facts) if facts.len() <= MAX_FACTS => facts,
        Evidence::Facts(_) | Evidence::InDoubt => {
            return Eligibility::in_doubt(today);
        }
    };
    let history = History::until(today, facts);
    let horizon = DayRange {
        from: today,
        until: later(today, HORIZON_DAYS),
    };
    let covered = covered_days(rules, &history, horizon);
    let covered_today = covered.first().is_some_and(|first| first.from == today);
    let reasons = match rules.in_force(today) {
        _ if covered_today => Vec::new(),
        None => vec![Reason::NoRulesInForce],
        Some(period) => reasons(period, &history, today),
    };
    let intervals = covered.into_iter().map(|range| Interval {
        from: range.from,
        until: (range.until < horizon.until).then_some(range.until),
    });
    Eligibility {
        today,
        covered: intervals.collect(),
        reasons,
    }
}

/// Days of the horizon that are covered, each by the rules that are in force on it.
fn covered_days(rules: &Rules, history: &History, horizon: DayRange) -> Vec<DayRange> {
    let mut covered = Vec::new();
    for (period, end) in rules.periods() {
        let in_force = DayRange {
            from: period.from,
            until: end.unwrap_or(NaiveDate::MAX),
        };
        let Some(days) = in_force.within(horizon) else {
            continue;
        };
        let mut suspendable = Vec::new();
        for claim in claims(period, history) {
            let Some(claimed) = range_of(&claim).within(days) else {
                continue;
            };
            if is_suspendable(period, claim.route) {
                suspendable.push(claimed);
            } else {
                covered.push(claimed);
            }
        }
        // Joined first: many facts make many claims, of few days.
        let suspended = joined(suspensions(period, history));
        for claimed in joined(suspendable) {
            covered.extend(claimed.without(&suspended));
        }
    }
    joined(covered)
}

pub(crate) fn range_of(claim: &Claim) -> DayRange {
    let end = claim.last.and_then(|last| last.succ_opt());
    DayRange {
        from: claim.first,
        until: end.unwrap_or(NaiveDate::MAX),
    }
}

fn is_suspendable(period: &Period, route: Route) -> bool {
    let rule = period.positive_test.as_ref();
    rule.is_some_and(|rule| rule.suspends.contains(&route))
}

/// Reasons why a day that is not covered is not.
fn reasons(period: &Period, history: &History, today: NaiveDate) -> Vec<Reason> {
    let claims = claims(period, history);
    let mut reasons = BTreeSet::new();
    reasons.extend(claims.iter().filter_map(|claim| unmet(claim, today)));
    reasons.extend(unproven(period, history, &claims));
    let suspended = suspensions(period, history);
    if suspended.iter().any(|days| days.contains(today)) {
        reasons.insert(Reason::PositiveTest);
    }
    if reasons.is_empty() {
        reasons.insert(Reason::NoFactsYet);
    }
    reasons.into_iter().collect()
}

/// Reason why a claim does not cover a day. The end is looked at first: where the dates leave no
/// day that is surely covered, both would hold.
fn unmet(claim: &Claim, today: NaiveDate) -> Option<Reason> {
    if claim.last.is_some_and(|last| last < today) {
        return Some(match claim.route {
            Route::Test => Reason::TestExpired,
            Route::Series | Route::Booster | Route::RecoveredAndDose | Route::Recovery => {
                Reason::ValidityEnded
            }
        });
    }
    (today < claim.first).then_some(Reason::WaitingPeriod)
}

/// Reasons for which facts are no claims.
fn unproven(period: &Period, history: &History, claims: &[Claim]) -> Vec<Reason> {
    let claimed = |routes: &[Route]| claims.iter().any(|claim| routes.contains(&claim.route));
    let accepted = |vaccine| period.accepted_vaccines.contains(vaccine);
    let mut doses = history.doses.iter().map(|dose| &dose.vaccine);
    let mut reasons = Vec::new();
    if doses.clone().any(accepted)
        && !claimed(&[Route::Series, Route::Booster, Route::RecoveredAndDose])
    {
        reasons.push(Reason::SecondDoseMissing);
    }
    if doses.any(|vaccine| !accepted(vaccine)) {
        reasons.push(Reason::VaccineNotAccepted);
    }
    match period.recovery.as_ref().map(|rule| rule.counts_from) {
        Some(RecoveryDate::DeclaredWell) => {}
        Some(RecoveryDate::IllnessBegan) => {
            if history.recoveries.iter().any(|one| one.began.is_none()) {
                reasons.push(Reason::RecoveryDateMissing);
            }
        }
        None => {
            if !history.recoveries.is_empty() && !claimed(&[Route::RecoveredAndDose]) {
                reasons.push(Reason::RecoveryNotAccepted);
            }
        }
    }
    let unlisted = |test| !period.tests.iter().any(|group| group.codes.contains(test));
    let mut negative = history
        .tests
        .iter()
        .filter(|test| test.result == TestResult::NotDetected);
    if negative.any(|test| unlisted(&test.test)) {
        reasons.push(Reason::TestNotAccepted);
    }
    reasons
}

#[cfg(test)]
pub(crate) mod tests;
