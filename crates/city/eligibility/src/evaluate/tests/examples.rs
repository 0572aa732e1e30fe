//! Examples of what the shipped rules leave out, and the limits.

use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};
use contract::{Fact, TestCode, TestResult, Vaccine};

use crate::claims::later;
use crate::day_ranges::Interval;
use crate::evaluate::{Eligibility, Evidence, HORIZON_DAYS, MAX_FACTS, evaluate};
use crate::reason::Reason;
use crate::rules::Rules;

/// Rules of one period that accepts Sputnik V, with the sections given.
fn rules(sections: &str) -> Rules {
    let text = format!(
        "version = 1\nzone = \"Europe/Moscow\"\n[[period]]\nfrom = \"2021-01-01\"\n\
         accepted_vaccines = [\"sputnik-v\"]\nsame_dose_within_days = 3\n{sections}"
    );
    Rules::parse(&text, Path::new("rules.toml")).unwrap_or_else(|error| panic!("{error}"))
}

fn noon(day: &str) -> DateTime<Utc> {
    format!("{day}T09:00:00Z").parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn dose(on: &str, number: Option<u8>) -> Fact {
    Fact::Vaccination {
        vaccine: Vaccine::SputnikV,
        dose_number: number,
        series_doses: None,
        occurred_on: on.parse().unwrap(),
    }
}

fn recovery(began: Option<&str>, on: &str) -> Fact {
    Fact::Recovery {
        began_on: began.map(|began| began.parse().unwrap()),
        occurred_on: on.parse().unwrap(),
    }
}

fn test(result: TestResult, on: &str) -> Fact {
    Fact::Test {
        test: TestCode::RnaRespiratory,
        result,
        occurred_on: on.parse().unwrap(),
    }
}

fn answer(rules: &Rules, facts: &[Fact], on: &str) -> Eligibility {
    evaluate(rules, Evidence::Facts(facts), noon(on))
}

const ONE_DOSE: &str = "[[period.series]]\nfirst = [\"sputnik-v\"]\nwaiting_days = 0\n";

const TWO_DOSES: &str = "[[period.series]]\nfirst = [\"sputnik-v\"]\nsecond = [\"sputnik-v\"]\n\
                         waiting_days = 0\nvalid = { months = 6 }\n";

#[test]
fn a_validity_without_end_is_open_and_covers_up_to_the_horizon() {
    let rules = rules(&format!("{ONE_DOSE}valid = {{ no_end = true }}\n"));
    let answer = answer(&rules, &[dose("2021-07-01", None)], "2021-08-01");
    let open = Interval {
        from: day("2021-08-01"),
        until: None,
    };
    assert_eq!(answer.covered, [open]);
    let horizon = later(day("2021-08-01"), HORIZON_DAYS);
    assert!(answer.covers(horizon.pred_opt().unwrap()));
    assert!(!answer.covers(horizon));
    assert!(!answer.covers(day("2021-07-31")));
}

#[test]
fn an_end_on_the_last_day_of_the_horizon_shows_as_open_and_one_before_it_does_not() {
    let until = |days: u32| {
        let rules = rules(&format!("{ONE_DOSE}valid = {{ days = {days} }}\n"));
        answer(&rules, &[dose("2021-07-01", None)], "2021-07-01").covered[0].until
    };
    assert_eq!(until(HORIZON_DAYS - 1), None);
    let last = later(day("2021-07-01"), HORIZON_DAYS - 1);
    assert_eq!(until(HORIZON_DAYS - 2), Some(last));
}

#[test]
fn a_dose_numbered_2_proves_the_first_where_the_rules_say_so() {
    let lone = |number| {
        let rules = rules(&format!("{TWO_DOSES}second_dose_proves_first = true\n"));
        answer(&rules, &[dose("2021-07-01", number)], "2021-07-02")
    };
    assert!(lone(Some(2)).covers(day("2021-07-02")));
    assert!(lone(Some(3)).covers(day("2021-07-02")));
    assert_eq!(lone(Some(1)).reasons, [Reason::SecondDoseMissing]);
    assert_eq!(lone(None).reasons, [Reason::SecondDoseMissing]);
}

#[test]
fn without_an_interval_two_doses_must_still_not_be_one_reported_twice() {
    let rules = rules(TWO_DOSES);
    let second = |on| {
        let facts = [dose("2021-07-01", Some(1)), dose(on, Some(2))];
        answer(&rules, &facts, "2021-07-20").reasons
    };
    assert_eq!(second("2021-07-04"), [Reason::SecondDoseMissing]);
    assert_eq!(second("2021-07-05"), []);
}

#[test]
fn a_dose_reported_twice_counts_from_the_later_date_and_ends_by_the_earlier() {
    let rules = rules(&format!(
        "{}valid = {{ days = 100 }}\n",
        ONE_DOSE.replace("waiting_days = 0", "waiting_days = 14")
    ));
    let covered = |dates: &[&str]| {
        let facts: Vec<Fact> = dates.iter().map(|on| dose(on, None)).collect();
        let days = answer(&rules, &facts, "2021-07-10").covered;
        days.into_iter()
            .map(|days| (days.from, days.last().unwrap()))
            .collect::<Vec<_>>()
    };
    let from_to = |from: &str, to: &str| (day(from), day(to));
    assert_eq!(
        covered(&["2021-07-01"]),
        [from_to("2021-07-15", "2021-10-09")]
    );
    for reports in [
        &["2021-07-01", "2021-07-04"][..],
        &["2021-07-04", "2021-07-02", "2021-07-01", "2021-07-04"],
    ] {
        assert_eq!(covered(reports), [from_to("2021-07-18", "2021-10-09")]);
    }
    // Four days apart they are two doses, each of which covers.
    assert_eq!(
        covered(&["2021-07-01", "2021-07-05"]),
        [from_to("2021-07-15", "2021-10-13")]
    );
    // A chain of reports is one dose.
    assert_eq!(
        covered(&["2021-07-01", "2021-07-04", "2021-07-07"]),
        [from_to("2021-07-21", "2021-10-09")]
    );
}

#[test]
fn a_recovery_may_count_from_the_begin_of_the_illness() {
    let rules = rules(
        "[period.recovery]\ncounts_from = \"illness-began\"\nwaiting_days = 11\n\
         valid = { days = 180 }\n",
    );
    let ill = [recovery(Some("2021-07-01"), "2021-07-30")];
    let given = answer(&rules, &ill, "2021-08-01");
    assert_eq!(given.covered[0].until, Some(day("2021-12-29")));

    let unknown = answer(&rules, &[recovery(None, "2021-07-30")], "2021-08-01");
    assert_eq!(unknown.covered, []);
    assert_eq!(unknown.reasons, [Reason::RecoveryDateMissing]);
}

#[test]
fn what_the_rules_do_not_mention_is_told_as_not_accepted() {
    let rules = rules(TWO_DOSES);
    let recovered = answer(&rules, &[recovery(None, "2021-07-30")], "2021-08-01");
    assert_eq!(recovered.reasons, [Reason::RecoveryNotAccepted]);
    let tested = [test(TestResult::NotDetected, "2021-08-01")];
    let tested = answer(&rules, &tested, "2021-08-01");
    assert_eq!(tested.reasons, [Reason::TestNotAccepted]);
}

#[test]
fn a_positive_test_leaves_what_it_does_not_suspend() {
    let valid = "valid = { months = 6 }\n";
    let rules = rules(&format!(
        "{ONE_DOSE}{valid}[[period.test]]\ncodes = [\"94500-6\"]\ncalendar_days = 3\n\
         [period.positive_test]\nsuspends = [\"test\"]\ndays = 14\nrecovery_ends = false\n"
    ));
    let positive = test(TestResult::Detected, "2021-08-01");
    let negative = test(TestResult::NotDetected, "2021-08-02");
    let tested = answer(&rules, &[positive.clone(), negative], "2021-08-02");
    assert_eq!(tested.reasons, [Reason::PositiveTest]);
    let vaccinated = answer(&rules, &[positive, dose("2021-07-01", None)], "2021-08-02");
    assert!(vaccinated.covers(day("2021-08-02")));
}

/// Rules of nucleic acid tests, with the sections given.
fn tested_by_rna(sections: &str) -> Rules {
    rules(&format!(
        "[[period.test]]\ncodes = [\"94500-6\"]\ncalendar_days = 3\n{sections}\
         [period.positive_test]\nsuspends = [\"test\"]\ndays = 14\nrecovery_ends = false\n"
    ))
}

fn antigen(code: TestCode, result: TestResult, on: &str) -> Fact {
    Fact::Test {
        test: code,
        result,
        occurred_on: on.parse().unwrap(),
    }
}

#[test]
fn an_antigen_test_counts_only_where_the_city_names_one_and_never_as_pcr() {
    let on = "2021-08-01";
    let negative = TestResult::NotDetected;
    let only_pcr = tested_by_rna("");
    for code in [TestCode::Antigen, TestCode::AntigenRapid] {
        let tested = [antigen(code, negative, on)];
        let tested = answer(&only_pcr, &tested, on);
        assert_eq!(tested.reasons, [Reason::TestNotAccepted], "{code:?}");
        // Nor does a positive one suspend what a PCR gives.
        let both = [
            antigen(code, TestResult::Detected, on),
            test(TestResult::NotDetected, on),
        ];
        assert!(answer(&only_pcr, &both, on).covers(day(on)), "{code:?}");
    }
    let both_kinds = tested_by_rna("[[period.test]]\ncodes = [\"94558-4\"]\ncalendar_days = 1\n");
    let rapid = [antigen(TestCode::AntigenRapid, negative, on)];
    let covered = answer(&both_kinds, &rapid, on);
    assert!(covered.covers(day(on)));
    assert!(!covered.covers(day("2021-08-02")), "a PCR's three days");
    let positive = [
        antigen(TestCode::Antigen, TestResult::Detected, on),
        test(TestResult::NotDetected, on),
    ];
    let suspended = answer(&both_kinds, &positive, on);
    assert_eq!(suspended.reasons, [Reason::PositiveTest]);
}

#[test]
fn a_city_may_let_positive_antigen_tests_suspend_alone() {
    let on = "2021-08-01";
    let rules = rules(
        "[[period.test]]\ncodes = [\"94500-6\"]\ncalendar_days = 3\n\
         [period.positive_test]\nsuspends = [\"test\"]\ndays = 14\nrecovery_ends = false\n\
         antigen = true\n",
    );
    let facts = [
        antigen(TestCode::AntigenRapid, TestResult::Detected, on),
        test(TestResult::NotDetected, on),
    ];
    assert_eq!(answer(&rules, &facts, on).reasons, [Reason::PositiveTest]);
}

#[test]
fn without_days_only_a_later_recovery_ends_a_suspension() {
    let rules = rules(&format!(
        "{ONE_DOSE}valid = {{ no_end = true }}\n[period.positive_test]\nsuspends = [\"series\"]\n\
         recovery_ends = true\n"
    ));
    let mut facts = vec![
        dose("2021-02-01", None),
        test(TestResult::Detected, "2021-03-10"),
        recovery(None, "2021-03-10"),
    ];
    let suspended = answer(&rules, &facts, "2022-03-01");
    assert_eq!(suspended.covered, []);
    assert_eq!(suspended.reasons[0], Reason::RecoveryNotAccepted);
    facts.push(recovery(None, "2021-03-11"));
    assert!(answer(&rules, &facts, "2022-03-01").reasons.is_empty());
}

#[test]
fn a_booster_counts_from_the_series_that_was_surely_complete_first() {
    let valid = "valid = { months = 6 }\n";
    let rules = rules(&format!(
        "{ONE_DOSE}valid = {{ days = 1 }}\n[[period.booster]]\nmin_days_after = 90\n\
         waiting_days = 0\n{valid}"
    ));
    // 90 days before 13 August is 15 May; the dose of May alone might have been given later. It may
    // also be that of 12 May, reported three days off.
    let facts = [
        dose("2021-05", None),
        dose("2021-05-12", None),
        dose("2021-08-13", None),
    ];
    assert!(answer(&rules, &facts, "2021-09-01").covers(day("2021-09-01")));
    let late = [facts[0].clone(), facts[2].clone()];
    assert_eq!(answer(&rules, &late, "2021-09-01").covered, []);
}

#[test]
fn more_facts_than_one_person_has_leave_the_person_in_doubt() {
    let rules = rules(&format!("{ONE_DOSE}valid = {{ no_end = true }}\n"));
    let mut facts = vec![dose("2021-07-01", None); MAX_FACTS];
    assert!(answer(&rules, &facts, "2021-08-01").reasons.is_empty());
    facts.push(dose("2021-07-01", None));
    let doubt = answer(&rules, &facts, "2021-08-01");
    assert_eq!(doubt.reasons, [Reason::PersonInDoubt]);
    assert_eq!(doubt.covered, []);
}

#[test]
fn dates_at_the_end_of_the_calendar_do_no_harm() {
    let rules = rules(&format!("{ONE_DOSE}valid = {{ months = 1200 }}\n"));
    let last = "9999-12-31T23:00:00Z".parse().unwrap();
    let facts = [
        dose("9999", None),
        dose("9999-12", None),
        dose("1900", None),
    ];
    let given = evaluate(&rules, Evidence::Facts(&facts), last);
    assert!(given.covers(given.today));
    let end = DateTime::<Utc>::MAX_UTC;
    assert!(!evaluate(&rules, Evidence::Facts(&facts), end).covers(day("9999-12-31")));
}
