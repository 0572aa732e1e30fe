//! Laws of the evaluation, over invented rules and persons.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use contract::{Fact, PartialDate, TestCode, TestResult, Vaccine};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::invented::{coarse_facts, exact_dose, exact_facts, rules, today};
use super::oracle;
use crate::claims::{History, later};
use crate::evaluate::{Eligibility, Evidence, HORIZON_DAYS, evaluate_on, reasons};
use crate::reason::Reason;
use crate::rules::Rules;

/// Most choices of days that are tried for one person.
const MAX_HISTORIES: usize = 1_000;

fn answer(rules: &Rules, facts: &[Fact], today: NaiveDate) -> Eligibility {
    evaluate_on(rules, Evidence::Facts(facts), today)
}

/// Days at which an answer changes, as far as they are covered, and some in between.
fn telling_days(answer: &Eligibility, today: NaiveDate) -> BTreeSet<NaiveDate> {
    let mut days = BTreeSet::new();
    for interval in &answer.covered {
        let until = interval.until.unwrap_or(later(today, HORIZON_DAYS));
        let length = (until - interval.from).num_days();
        days.insert(interval.from);
        days.insert(interval.from + chrono::Duration::days(length / 2));
        days.extend(until.pred_opt());
    }
    days
}

fn check_exact(rules: &Rules, facts: &[Fact], today: NaiveDate) -> TestCaseResult {
    let answer = answer(rules, facts, today);
    let histories = oracle::histories(facts, today, 1).expect("the dates are exact");
    for day in today.iter_days().take(450) {
        let known = day < later(today, HORIZON_DAYS);
        let expected = known && oracle::covers(rules, &histories[0], day);
        prop_assert_eq!(answer.covers(day), expected, "{}", day);
    }
    prop_assert_eq!(answer.reasons.is_empty(), answer.covers(today));
    Ok(())
}

fn check_coarse(rules: &Rules, facts: &[Fact], today: NaiveDate) -> TestCaseResult {
    let Some(histories) = oracle::histories(facts, today, MAX_HISTORIES) else {
        return Err(TestCaseError::reject("too many choices to try"));
    };
    let answer = answer(rules, facts, today);
    for day in telling_days(&answer, today) {
        prop_assert!(answer.covers(day));
        for history in &histories {
            prop_assert!(oracle::covers(rules, history, day), "{day}: {history:?}");
        }
    }
    Ok(())
}

/// A day that is covered is covered whichever of the reports of each dose is the true one.
fn check_reports(rules: &Rules, facts: &[Fact], today: NaiveDate) -> TestCaseResult {
    let answer = answer(rules, facts, today);
    for day in telling_days(&answer, today) {
        let Some(period) = rules.in_force(day) else {
            continue;
        };
        let Some(choices) = oracle::true_reports(period, facts, MAX_HISTORIES) else {
            return Err(TestCaseError::reject("too many choices to try"));
        };
        for choice in choices {
            prop_assert!(oracle::covers(rules, &choice, day), "{day}: {choice:?}");
        }
    }
    Ok(())
}

/// One dose that two clinics reported covers the days that either report covers alone, and no others.
fn check_twice(rules: &Rules, first: &Fact, apart: u64, today: NaiveDate) -> TestCaseResult {
    let Fact::Vaccination { occurred_on, .. } = first else {
        return Err(TestCaseError::reject("no dose"));
    };
    let Some(day) = occurred_on.earliest().checked_add_days(Days::new(apart)) else {
        return Err(TestCaseError::reject("beyond the calendar"));
    };
    let mut second = first.clone();
    if let Fact::Vaccination { occurred_on, .. } = &mut second {
        *occurred_on = PartialDate::from_day(day).expect("a year of the contract");
    }
    if day > today {
        return Err(TestCaseError::reject("a report of the future"));
    }
    let both = [first.clone(), second.clone()];
    let is_close = |day: NaiveDate| {
        let period = rules.in_force(day);
        period.is_some_and(|period| apart <= u64::from(period.same_dose_within_days))
    };
    let together = answer(rules, &both, today);
    let alone = [first, &second].map(|report| answer(rules, std::slice::from_ref(report), today));
    for day in today.iter_days().take(450).filter(|day| is_close(*day)) {
        let expected = alone.iter().all(|answer| answer.covers(day));
        prop_assert_eq!(together.covers(day), expected, "{}", day);
    }
    Ok(())
}

fn check_reasons(rules: &Rules, facts: &[Fact], today: NaiveDate) -> TestCaseResult {
    let Some(histories) = oracle::histories(facts, today, MAX_HISTORIES) else {
        return Err(TestCaseError::reject("too many choices to try"));
    };
    let Some(period) = rules.in_force(today) else {
        return Ok(());
    };
    let given = answer(rules, facts, today).reasons;
    // What is missing under exact dates, also where another rule covers the day all the same. One
    // fact alone is asked too: a series may be complete under every choice, each time by other
    // doses, and then no two doses complete it under all.
    let mut exact = BTreeSet::new();
    for history in &histories {
        let alone = history.iter().map(std::slice::from_ref);
        for part in alone.chain([&history[..]]) {
            exact.extend(reasons(period, &History::until(today, part), today));
        }
    }
    for reason in given {
        prop_assert!(exact.contains(&reason), "{}", reason.as_str());
    }
    Ok(())
}

/// Facts that say nothing as of today: an inconclusive test, and what lies in the future.
fn irrelevant(today: NaiveDate) -> Vec<Fact> {
    let date = |day| PartialDate::from_day(day).unwrap();
    let tomorrow = date(later(today, 1));
    let test = |result, occurred_on| Fact::Test {
        test: TestCode::RnaRespiratory,
        result,
        occurred_on,
    };
    vec![
        test(TestResult::Inconclusive, date(today)),
        test(TestResult::NotDetected, tomorrow),
        test(TestResult::Detected, tomorrow),
        Fact::Recovery {
            began_on: Some(date(today)),
            occurred_on: tomorrow,
        },
        Fact::Vaccination {
            vaccine: Vaccine::SputnikLight,
            dose_number: Some(1),
            series_doses: Some(1),
            occurred_on: tomorrow,
        },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn exact_dates_are_covered_on_the_days_of_the_oracle(
        rules in rules(), facts in exact_facts(), today in today()
    ) {
        check_exact(&rules, &facts, today)?;
    }

    #[test]
    fn order_repetition_and_irrelevant_facts_change_nothing(
        rules in rules(),
        facts in coarse_facts(),
        today in today(),
        order in any::<prop::sample::Index>(),
    ) {
        let before = answer(&rules, &facts, today);
        let mut changed = facts.clone();
        changed.extend(facts.iter().rev().cloned());
        changed.extend(irrelevant(today));
        let half = order.index(changed.len());
        changed.rotate_left(half);
        prop_assert_eq!(answer(&rules, &changed, today), before);
    }

    #[test]
    fn what_is_covered_is_covered_whichever_report_of_a_dose_is_true(
        rules in rules(), facts in exact_facts(), today in today()
    ) {
        let past = oracle::histories(&facts, today, 1).expect("the dates are exact");
        check_reports(&rules, &past[0], today)?;
    }

    #[test]
    fn a_dose_reported_twice_covers_what_both_reports_cover_and_no_more(
        rules in rules(), first in exact_dose(), apart in 0_u64..6, today in today()
    ) {
        check_twice(&rules, &first, apart, today)?;
    }

    #[test]
    fn positive_and_inconclusive_tests_and_the_future_carry_no_pass(
        rules in rules(), facts in coarse_facts(), today in today()
    ) {
        let mut facts: Vec<Fact> = facts
            .into_iter()
            .filter(|fact| matches!(fact, Fact::Test { result, .. }
                if *result != TestResult::NotDetected))
            .collect();
        facts.extend(irrelevant(today));
        prop_assert_eq!(answer(&rules, &facts, today).covered, vec![]);
    }

    #[test]
    fn a_person_in_doubt_is_never_covered(rules in rules(), today in today()) {
        let answer = evaluate_on(&rules, Evidence::InDoubt, today);
        prop_assert_eq!(answer.covered, vec![]);
        prop_assert_eq!(answer.reasons, vec![Reason::PersonInDoubt]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 20_000, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn what_is_covered_is_covered_by_every_choice_of_days(
        rules in rules(), facts in coarse_facts(), today in today()
    ) {
        check_coarse(&rules, &facts, today)?;
    }

    #[test]
    fn a_coarse_date_brings_no_reason_that_exact_dates_would_not(
        rules in rules(), facts in coarse_facts(), today in today()
    ) {
        check_reasons(&rules, &facts, today)?;
    }
}
