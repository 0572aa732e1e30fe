//! Tests that nothing a pass may rest on is over, at the edge day and beyond.

use std::path::Path;

use chrono::{Days, NaiveDate};
use contract::{Fact, FactKind, PartialDate, TestCode, TestResult, Vaccine};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;
use crate::evaluate::tests::invented::{coarse_facts, exact_facts, rules, today};
use crate::evaluate::{Evidence, evaluate_on};
use crate::statements::{Certifiable, NoCertificate, Statement, carried_statements, certifiable};

/// Days after today on which the answers with and without what is over are compared.
const DAYS_COMPARED: [u64; 12] = [0, 1, 2, 3, 7, 13, 14, 30, 61, 90, 180, 365];

fn without_what_is_over(rules: &Rules, facts: &[Fact], today: NaiveDate) -> Vec<Fact> {
    let is_over = |fact: &&Fact| last_use(rules, fact, today).is_over(fact, 0, today);
    let (_, kept): (Vec<&Fact>, Vec<&Fact>) = facts.iter().partition(is_over);
    kept.into_iter().cloned().collect()
}

/// Whatever is recorded later, what is covered and what certificates state is the same with and
/// without the facts that are over today.
fn check(rules: &Rules, facts: &[Fact], later: &[Fact], today: NaiveDate) -> TestCaseResult {
    let kept = without_what_is_over(rules, facts, today);
    let all: Vec<Fact> = facts.iter().chain(later).cloned().collect();
    let kept: Vec<Fact> = kept.iter().chain(later).cloned().collect();
    for days in DAYS_COMPARED {
        let day = today + Days::new(days);
        let with = evaluate_on(rules, Evidence::Facts(&all), day);
        let without = evaluate_on(rules, Evidence::Facts(&kept), day);
        prop_assert_eq!(with.covered, without.covered, "{}", day);
        let with = certificates(rules, &all, day);
        prop_assert_eq!(with, certificates(rules, &kept, day), "{}", day);
    }
    Ok(())
}

/// Certificates that may be issued on a day, and the statements of those that hold on it.
type Certificates = (Vec<Result<Certifiable, NoCertificate>>, Vec<Statement>);

fn certificates(rules: &Rules, facts: &[Fact], day: NaiveDate) -> Certificates {
    let noon = day.and_hms_opt(9, 0, 0).unwrap().and_utc();
    let evidence = Evidence::Facts(facts);
    let issued = FactKind::ALL.map(|kind| certifiable(rules, evidence, kind, noon));
    let mut held = carried_statements(rules, evidence, noon);
    held.sort_unstable();
    held.dedup();
    (issued.to_vec(), held)
}

/// Day from which on nothing is left of most of the invented facts, or some days before it.
fn late_day() -> impl Strategy<Value = NaiveDate> {
    (today(), 0_u64..500).prop_map(|(today, days)| today + Days::new(days))
}

/// Facts of which those that happened before `today` are known today.
fn split(facts: Vec<Fact>, today: NaiveDate) -> (Vec<Fact>, Vec<Fact>) {
    facts
        .into_iter()
        .partition(|fact| latest_day(fact) <= today)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_pass_changes_without_what_is_over(
        rules in rules(),
        facts in exact_facts(),
        today in late_day(),
    ) {
        let (known, later) = split(facts, today);
        check(&rules, &known, &later, today)?;
    }

    #[test]
    fn no_pass_changes_without_coarse_facts_that_are_over(
        rules in rules(),
        facts in coarse_facts(),
        today in late_day(),
    ) {
        let (known, later) = split(facts, today);
        check(&rules, &known, &later, today)?;
    }

    /// The day on which a fact is over for the first time, under its own rules.
    #[test]
    fn no_pass_changes_on_the_first_day_that_a_fact_is_over(
        rules in rules(),
        facts in exact_facts(),
        from in today(),
        place in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!facts.is_empty());
        let LastUse::Day(last) = last_use(&rules, place.get(&facts), from) else {
            return Ok(());
        };
        let over = later(last.max(latest_day(place.get(&facts))).max(from), 1);
        let (known, later) = split(facts, over);
        check(&rules, &known, &later, over)?;
    }
}

fn shipped() -> Rules {
    let text = include_str!("../../../../../config/pass-rules.toml");
    Rules::parse(text, Path::new("pass-rules.toml")).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn test_of(text: &str, result: TestResult) -> Fact {
    Fact::Test {
        test: TestCode::ALL
            .into_iter()
            .find(|code| code.loinc() == "94500-6")
            .unwrap(),
        result,
        occurred_on: PartialDate::from_day(day(text)).unwrap(),
    }
}

#[test]
fn a_negative_test_is_over_after_its_three_days_and_the_extra_days() {
    let rules = shipped();
    let test = test_of("2022-03-01", TestResult::NotDetected);
    let last = last_use(&rules, &test, day("2022-03-01"));
    assert_eq!(last, LastUse::Day(day("2022-03-03")));
    assert!(!last.is_over(&test, 0, day("2022-03-03")));
    assert!(last.is_over(&test, 0, day("2022-03-04")));
    assert!(!last.is_over(&test, 30, day("2022-04-02")));
    assert!(last.is_over(&test, 30, day("2022-04-03")));
}

#[test]
fn a_positive_test_is_needed_as_long_as_a_recovery_states_it() {
    let rules = shipped();
    let test = test_of("2022-03-01", TestResult::Detected);
    let well = day("2022-03-01") + Days::new(366);
    let last = well.checked_add_months(chrono::Months::new(6)).unwrap();
    assert_eq!(
        last_use(&rules, &test, day("2022-03-01")),
        LastUse::Day(last)
    );
}

#[test]
fn under_the_shipped_rules_accepted_doses_and_recoveries_have_no_last_day() {
    let rules = shipped();
    let on = PartialDate::from_day(day("2021-08-01")).unwrap();
    let dose = |vaccine| Fact::Vaccination {
        vaccine,
        dose_number: None,
        series_doses: None,
        occurred_on: on,
    };
    let last = |fact: &Fact, today| last_use(&rules, fact, day(today));
    assert_eq!(last(&dose(Vaccine::SputnikV), "2030-01-01"), LastUse::NoEnd);
    // Accepted from February 2022 on, which a fact of before may wait for.
    assert_eq!(
        last(&dose(Vaccine::Comirnaty), "2021-09-01"),
        LastUse::NoEnd
    );
    let recovery = Fact::Recovery {
        began_on: None,
        occurred_on: on,
    };
    assert_eq!(last(&recovery, "2030-01-01"), LastUse::NoEnd);
}

#[test]
fn a_vaccine_that_is_accepted_no_more_is_over() {
    let text = "version = 1\nzone = \"Europe/Moscow\"\n\
        [[period]]\nfrom = \"2021-01-01\"\naccepted_vaccines = [\"covivac\"]\n\
        same_dose_within_days = 3\n[[period.series]]\nfirst = [\"covivac\"]\n\
        waiting_days = 0\nvalid = { days = 30 }\n\
        [[period]]\nfrom = \"2022-01-01\"\naccepted_vaccines = [\"sputnik-v\"]\n\
        same_dose_within_days = 3\n[[period.series]]\nfirst = [\"sputnik-v\"]\n\
        waiting_days = 0\nvalid = { days = 30 }\n";
    let rules = Rules::parse(text, Path::new("rules.toml")).unwrap();
    let dose = Fact::Vaccination {
        vaccine: Vaccine::CoviVac,
        dose_number: None,
        series_doses: None,
        occurred_on: PartialDate::from_day(day("2021-12-01")).unwrap(),
    };
    let is_over = |today| last_use(&rules, &dose, day(today)).is_over(&dose, 0, day(today));
    assert!(!is_over("2021-12-31"));
    assert!(is_over("2022-01-01"));
}
