//! Tests of statements, by the shipped rules.

use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};
use contract::{Fact, FactKind, PartialDate, TestCode, TestResult, Vaccine};
use proptest::prelude::*;

use super::{Certifiable, NoCertificate, Statement, carried_statements, certifiable};
use crate::evaluate::{Evidence, MAX_FACTS};
use crate::reason::Language;
use crate::rules::Rules;

const RULES: &str = include_str!("../../../../../config/pass-rules.toml");

fn rules() -> Rules {
    Rules::parse(RULES, Path::new("rules.toml")).unwrap()
}

fn noon(day: &str) -> DateTime<Utc> {
    format!("{day}T09:00:00Z").parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn numbered(vaccine: Vaccine, number: u8, on: &str) -> Fact {
    Fact::Vaccination {
        vaccine,
        dose_number: Some(number),
        series_doses: Some(2),
        occurred_on: on.parse().unwrap(),
    }
}

/// Dose that its clinic numbers 1, whichever it is.
fn dose(vaccine: Vaccine, on: &str) -> Fact {
    numbered(vaccine, 1, on)
}

fn sputnik(on: &str) -> Fact {
    dose(Vaccine::SputnikV, on)
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

fn newest(kind: FactKind, facts: &[Fact], on: &str) -> Result<Certifiable, NoCertificate> {
    certifiable(&rules(), Evidence::Facts(facts), kind, noon(on))
}

fn none(kind: FactKind, facts: &[Fact], on: &str) -> bool {
    newest(kind, facts, on) == Err(NoCertificate::NoStatement)
}

/// Number and total of the newest dose.
fn counted(facts: &[Fact], on: &str) -> (u8, u8) {
    match newest(FactKind::Vaccination, facts, on).unwrap().statement {
        Statement::Dose { number, series, .. } => (number, series),
        other => panic!("{other:?}"),
    }
}

#[test]
fn doses_are_counted_by_their_dates_and_not_by_their_numbers() {
    let first = sputnik("2022-03-01");
    assert_eq!(counted(std::slice::from_ref(&first), "2022-03-01"), (1, 2));
    // Recorded as another first one.
    let second = sputnik("2022-03-22");
    let both = [second, first];
    assert_eq!(counted(&both, "2022-03-22"), (2, 2));
    let third = sputnik("2022-09-01");
    let all = [both.as_slice(), &[third]].concat();
    assert_eq!(counted(&all, "2022-09-01"), (3, 3));
    let fourth = dose(Vaccine::Comirnaty, "2023-01-01");
    let all = [all.as_slice(), &[fourth]].concat();
    assert_eq!(counted(&all, "2023-01-01"), (4, 4));
}

#[test]
fn one_dose_that_two_clinics_recorded_is_one() {
    let facts = [
        sputnik("2022-03-01"),
        sputnik("2022-03-01"),
        sputnik("2022-03-04"),
    ];
    assert_eq!(counted(&facts, "2022-03-05"), (1, 2));
    // The seventh is within three days of the fourth: the one in the middle may be of either.
    let chain = [facts.as_slice(), &[sputnik("2022-03-07")]].concat();
    assert_eq!(counted(&chain, "2022-03-07"), (1, 2));
    let another = [facts.as_slice(), &[sputnik("2022-03-25")]].concat();
    assert_eq!(counted(&another, "2022-03-25"), (2, 2));
    let mixed = [sputnik("2022-03-01"), dose(Vaccine::CoviVac, "2022-03-01")];
    assert!(none(FactKind::Vaccination, &mixed, "2022-03-05"));
}

#[test]
fn a_dose_beyond_a_series_of_one_is_two_of_one() {
    let first = dose(Vaccine::Jcovden, "2022-03-01");
    assert_eq!(counted(std::slice::from_ref(&first), "2022-04-01"), (1, 1));
    let facts = [first, dose(Vaccine::Comirnaty, "2022-07-01")];
    assert_eq!(counted(&facts, "2022-07-01"), (2, 1));
    let facts = [facts.as_slice(), &[dose(Vaccine::Comirnaty, "2022-12-01")]].concat();
    assert_eq!(counted(&facts, "2022-12-01"), (3, 1));
}

#[test]
fn sputnik_light_is_a_series_of_one_or_the_first_of_two() {
    let light = dose(Vaccine::SputnikLight, "2022-03-01");
    assert_eq!(counted(std::slice::from_ref(&light), "2022-03-01"), (1, 1));
    let soon = [light.clone(), sputnik("2022-03-22")];
    assert_eq!(counted(&soon, "2022-03-22"), (2, 2));
    let late = [light.clone(), sputnik("2022-05-30")];
    assert_eq!(counted(&late, "2022-05-30"), (2, 1));
    let before = [light, sputnik("2022-05-29")];
    assert_eq!(counted(&before, "2022-05-29"), (2, 2));
}

#[test]
fn a_recovery_and_a_dose_are_one_of_one_and_the_next_is_two_of_one() {
    let recovered = recovery(None, "2022-02-01");
    let facts = [recovered.clone(), sputnik("2022-03-01")];
    assert_eq!(counted(&facts, "2022-03-01"), (1, 1));
    let extra = [facts.as_slice(), &[sputnik("2022-06-01")]].concat();
    assert_eq!(counted(&extra, "2022-06-01"), (2, 1));
    // A second dose on time completes the usual series.
    let usual = [facts.as_slice(), &[sputnik("2022-03-22")]].concat();
    assert_eq!(counted(&usual, "2022-03-22"), (2, 2));
    // So does one before the illness.
    let ill_after = [
        sputnik("2022-03-01"),
        sputnik("2022-03-22"),
        recovery(None, "2022-05-01"),
    ];
    assert_eq!(counted(&ill_after, "2022-05-01"), (2, 2));
}

#[test]
fn what_is_not_certain_is_not_stated() {
    let dose_kind = FactKind::Vaccination;
    // A coarse date, also where only one day of it has been yet.
    assert!(none(dose_kind, &[sputnik("2022-02")], "2022-03-01"));
    assert!(none(dose_kind, &[sputnik("2022-03")], "2022-03-01"));
    // A coarse one may be the same as the exact one, or another.
    let either = [sputnik("2022-02"), sputnik("2022-02-27")];
    assert!(none(dose_kind, &either, "2022-03-01"));
    // A coarse one that is surely another counts; it is stated itself by none.
    let before = [sputnik("2022-01"), sputnik("2022-02-21")];
    assert_eq!(counted(&before, "2022-03-01"), (2, 2));
    let after = [sputnik("2022-01-01"), sputnik("2022-02")];
    assert!(none(dose_kind, &after, "2022-03-01"));
    // The first dose is on record nowhere: a second one is not shown as first.
    let second = [numbered(Vaccine::SputnikV, 2, "2022-03-01")];
    assert!(none(dose_kind, &second, "2022-03-01"));
    // A vaccine that the rules do not accept.
    let unknown = [dose(Vaccine::QazVac, "2022-03-01")];
    assert!(none(dose_kind, &unknown, "2022-03-01"));
    // Two doses that make no series.
    let close = [sputnik("2022-03-01"), sputnik("2022-03-10")];
    assert!(none(dose_kind, &close, "2022-03-10"));
    let recovered = FactKind::Recovery;
    assert!(none(recovered, &[recovery(None, "2022-02")], "2022-03-01"));
    let coarse = [recovery(Some("2022-01"), "2022-02-10")];
    assert!(none(recovered, &coarse, "2022-03-01"));
    let tested = test(TestResult::NotDetected, "2022-03");
    assert!(none(FactKind::Test, &[tested], "2022-03-01"));
}

#[test]
fn facts_after_today_do_not_count() {
    let facts = [sputnik("2022-03-01"), sputnik("2022-03-22")];
    assert_eq!(counted(&facts, "2022-03-21"), (1, 2));
    assert_eq!(counted(&facts, "2022-03-22"), (2, 2));
    let tested = [test(TestResult::NotDetected, "2022-03-02")];
    assert!(none(FactKind::Test, &tested, "2022-03-01"));
    let well = [recovery(None, "2022-03-02")];
    assert!(none(FactKind::Recovery, &well, "2022-03-01"));
}

#[test]
fn a_vaccination_holds_as_long_as_the_rules_let_it() {
    let facts = [dose(Vaccine::Jcovden, "2022-03-01")];
    let waiting = newest(FactKind::Vaccination, &facts, "2022-03-02").unwrap();
    assert_eq!(waiting.from, day("2022-03-15"));
    assert_eq!(waiting.until, Some(day("2023-03-02")));
    let last = newest(FactKind::Vaccination, &facts, "2023-03-01").unwrap();
    assert_eq!(last.from, day("2023-03-01"));
    assert!(none(FactKind::Vaccination, &facts, "2023-03-02"));
    let first = newest(
        FactKind::Vaccination,
        &[sputnik("2022-03-01")],
        "2025-03-01",
    );
    assert_eq!(first.unwrap().until, None);
}

#[test]
fn a_recovery_is_stated_from_its_first_positive_test_by_the_rules() {
    let well = || recovery(Some("2022-01-20"), "2022-02-01");
    let stated = |facts: &[Fact]| match newest(FactKind::Recovery, facts, "2022-03-01").unwrap() {
        Certifiable {
            statement:
                Statement::Recovery {
                    first_positive,
                    from,
                    last,
                },
            ..
        } => [first_positive, from, last].map(|day| day.to_string()),
        other => panic!("{other:?}"),
    };
    let from = ["2022-02-01", "2022-08-01"];
    assert_eq!(stated(&[well()]), ["2022-01-20", from[0], from[1]]);
    let positive = |on| test(TestResult::Detected, on);
    let tested = [well(), positive("2022-01-23"), positive("2022-01-22")];
    assert_eq!(stated(&tested), ["2022-01-22", from[0], from[1]]);
    // One before the illness is of another.
    let other = [well(), positive("2022-01-19")];
    assert_eq!(stated(&other), ["2022-01-20", from[0], from[1]]);
    let alone = [recovery(None, "2022-02-01")];
    assert_eq!(stated(&alone), ["2022-02-01", from[0], from[1]]);
    let tested = [alone[0].clone(), positive("2021-12-03")];
    assert_eq!(stated(&tested), ["2021-12-03", from[0], from[1]]);
    let long_before = [alone[0].clone(), positive("2021-12-02")];
    assert_eq!(stated(&long_before), ["2022-02-01", from[0], from[1]]);
    assert!(newest(FactKind::Recovery, &alone, "2022-08-01").is_ok());
    assert!(none(FactKind::Recovery, &alone, "2022-08-02"));
    // A positive test alone is no recovery.
    assert!(none(
        FactKind::Recovery,
        &[positive("2022-01-20")],
        "2022-03-01"
    ));
}

#[test]
fn only_a_negative_test_is_stated_and_only_while_it_counts() {
    let negative = || test(TestResult::NotDetected, "2022-03-01");
    let positive = |on| test(TestResult::Detected, on);
    let given = newest(FactKind::Test, &[negative()], "2022-03-03").unwrap();
    assert_eq!(given.until, Some(day("2022-03-04")));
    assert!(none(FactKind::Test, &[negative()], "2022-03-04"));
    for result in [TestResult::Detected, TestResult::Inconclusive] {
        assert!(none(
            FactKind::Test,
            &[test(result, "2022-03-01")],
            "2022-03-01"
        ));
        // The newest test is not negative.
        let facts = [negative(), test(result, "2022-03-02")];
        assert!(none(FactKind::Test, &facts, "2022-03-02"));
        let same_day = [negative(), test(result, "2022-03-01")];
        assert!(none(FactKind::Test, &same_day, "2022-03-01"));
    }
    // A positive test before it suspends, for as long as the rules say.
    let before = [positive("2022-02-26"), negative()];
    assert!(none(FactKind::Test, &before, "2022-03-01"));
    let long_before = [positive("2022-02-15"), negative()];
    assert!(newest(FactKind::Test, &long_before, "2022-03-01").is_ok());
}

#[test]
fn an_antigen_test_that_no_rule_names_is_neither_stated_nor_in_the_way() {
    let antigen = |result, on: &str| Fact::Test {
        test: TestCode::AntigenRapid,
        result,
        occurred_on: on.parse().unwrap(),
    };
    let rapid = [antigen(TestResult::NotDetected, "2022-03-01")];
    assert!(none(FactKind::Test, &rapid, "2022-03-01"));
    let facts = [
        test(TestResult::NotDetected, "2022-03-01"),
        antigen(TestResult::Detected, "2022-03-02"),
    ];
    assert!(newest(FactKind::Test, &facts, "2022-03-02").is_ok());
    // Nor is a positive one a first positive test, which is one for nucleic acid.
    let facts = [
        recovery(Some("2022-01-20"), "2022-02-01"),
        antigen(TestResult::Detected, "2022-01-22"),
    ];
    let stated = newest(FactKind::Recovery, &facts, "2022-03-01").unwrap();
    let is_from = |first: &str| {
        matches!(stated.statement,
        Statement::Recovery { first_positive, .. } if first_positive == day(first))
    };
    assert!(is_from("2022-01-20"));
}

#[test]
fn a_positive_test_suspends_other_certificates_too() {
    let doses = || vec![sputnik("2022-01-01"), sputnik("2022-02-01")];
    let mut ill = doses();
    ill.push(test(TestResult::Detected, "2022-02-20"));
    assert!(none(FactKind::Vaccination, &ill, "2022-03-05"));
    assert_eq!(counted(&ill, "2022-03-06"), (2, 2));
    ill.push(recovery(None, "2022-02-25"));
    assert_eq!(counted(&ill, "2022-03-05"), (2, 2));
    assert!(newest(FactKind::Recovery, &ill, "2022-03-05").is_ok());
}

#[test]
fn older_facts_carry_their_certificates_beside_newer_ones() {
    let facts = [
        sputnik("2022-01-01"),
        sputnik("2022-02-01"),
        test(TestResult::NotDetected, "2022-02-27"),
        test(TestResult::Inconclusive, "2022-02-28"),
    ];
    let carried = carried_statements(&rules(), Evidence::Facts(&facts), noon("2022-03-01"));
    let dose = |number, on| Statement::Dose {
        vaccine: Vaccine::SputnikV,
        number,
        series: 2,
        given_on: day(on),
    };
    let tested = Statement::NegativeTest {
        test: TestCode::RnaRespiratory,
        sampled_on: day("2022-02-27"),
    };
    for expected in [dose(1, "2022-01-01"), dose(2, "2022-02-01"), tested] {
        assert!(carried.contains(&expected), "{expected:?}: {carried:?}");
    }
    // An earlier dose that is recorded late makes another number.
    let late = [facts.as_slice(), &[sputnik("2021-11-01")]].concat();
    let carried = carried_statements(&rules(), Evidence::Facts(&late), noon("2022-03-01"));
    assert!(!carried.contains(&dose(1, "2022-01-01")), "{carried:?}");
    assert!(!carried.contains(&dose(2, "2022-02-01")), "{carried:?}");
}

#[test]
fn whoever_is_in_doubt_gets_none_of_any_kind() {
    let many = vec![test(TestResult::NotDetected, "2022-03-01"); MAX_FACTS + 1];
    for evidence in [Evidence::InDoubt, Evidence::Facts(&many)] {
        for kind in FactKind::ALL {
            let refused = certifiable(&rules(), evidence, kind, noon("2022-03-01"));
            assert_eq!(refused, Err(NoCertificate::PersonInDoubt));
        }
        assert!(carried_statements(&rules(), evidence, noon("2022-03-01")).is_empty());
    }
    assert!(none(FactKind::Test, &many[1..], "2020-01-01"));
    assert!(newest(FactKind::Test, &many[1..], "2022-03-01").is_ok());
}

#[test]
fn the_sentence_does_not_tell_whether_a_fact_is_on_record_or_how_precise_its_date_is() {
    let telling = [
        "record",
        "month",
        "date",
        "found",
        "сведени",
        "дат",
        "месяц",
        "найден",
    ];
    for language in [Language::Russian, Language::English] {
        let sentence = NoCertificate::NoStatement.sentence(language).to_lowercase();
        assert!(sentence.ends_with('.'), "{sentence}");
        for word in telling {
            assert!(!sentence.contains(word), "{word}: {sentence}");
        }
    }
}

/// Day of 2022, or its month.
fn date() -> impl Strategy<Value = PartialDate> {
    (1..=150_u32, prop::bool::weighted(0.15)).prop_map(|(number, is_coarse)| {
        let day = NaiveDate::from_yo_opt(2022, number).unwrap();
        let date = PartialDate::from_day(day).unwrap();
        if is_coarse {
            date.generalised_to(contract::Precision::Month)
        } else {
            date
        }
    })
}

fn fact() -> impl Strategy<Value = Fact> {
    let vaccines = [
        Vaccine::SputnikV,
        Vaccine::SputnikLight,
        Vaccine::Jcovden,
        Vaccine::QazVac,
    ];
    let vaccination = (
        prop::sample::select(vaccines.to_vec()),
        prop::option::of(1..4_u8),
        date(),
    );
    let vaccination =
        vaccination.prop_map(|(vaccine, dose_number, occurred_on)| Fact::Vaccination {
            vaccine,
            dose_number,
            series_doses: None,
            occurred_on,
        });
    let tested = (prop::sample::select(&TestResult::ALL[..]), date());
    let tested = tested.prop_map(|(result, occurred_on)| Fact::Test {
        test: TestCode::NGene,
        result,
        occurred_on,
    });
    let recovered = date().prop_map(|occurred_on| Fact::Recovery {
        began_on: None,
        occurred_on,
    });
    prop_oneof![4 => vaccination, 1 => tested, 1 => recovered]
}

/// Returns whether a fact of that day, and of no coarser date, says what is stated.
fn is_told(statement: &Statement, facts: &[Fact]) -> bool {
    let on = |date: &PartialDate, day: &NaiveDate| date.to_string() == day.to_string();
    facts.iter().any(|fact| match (statement, fact) {
        (
            Statement::Dose {
                vaccine, given_on, ..
            },
            Fact::Vaccination {
                vaccine: told,
                occurred_on,
                ..
            },
        ) => vaccine == told && on(occurred_on, given_on),
        (
            Statement::NegativeTest { test, sampled_on },
            Fact::Test {
                test: told,
                result: TestResult::NotDetected,
                occurred_on,
            },
        ) => test == told && on(occurred_on, sampled_on),
        // By these rules a recovery counts from the day of its record.
        (Statement::Recovery { from, .. }, Fact::Recovery { occurred_on, .. }) => {
            on(occurred_on, from)
        }
        _ => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_stated_is_a_fact_of_a_day_that_is_over_or_today_in_whatever_order(
        facts in prop::collection::vec(fact(), 0..8),
        today in 32..=150_u32,
    ) {
        let today = NaiveDate::from_yo_opt(2022, today).unwrap();
        let now = noon(&today.to_string());
        let rules = rules();
        let told: Vec<Fact> = facts
            .iter()
            .filter(|fact| match fact {
                Fact::Vaccination { occurred_on, .. }
                | Fact::Test { occurred_on, .. }
                | Fact::Recovery { occurred_on, .. } => occurred_on.earliest() <= today,
            })
            .cloned()
            .collect();
        let doses = told.iter().filter(|fact| matches!(fact, Fact::Vaccination { .. })).count();
        let carried = carried_statements(&rules, Evidence::Facts(&facts), now);
        for statement in &carried {
            prop_assert!(is_told(statement, &told), "{statement:?}");
            if let Statement::Dose { number, series, .. } = statement {
                prop_assert!(usize::from(*number) <= doses);
                prop_assert!(*series == 1 || number <= series, "{number}/{series}");
            }
        }
        // Backwards, and twice where that leaves no doubt: of a month there may have been two.
        let mut twice: Vec<Fact> = facts.iter().rev().cloned().collect();
        let is_coarse = |fact: &Fact| {
            matches!(fact, Fact::Vaccination { occurred_on, .. }
                if occurred_on.precision() != contract::Precision::Day)
        };
        if !facts.iter().any(is_coarse) {
            twice.extend(facts.iter().cloned());
        }
        for kind in FactKind::ALL {
            let one = certifiable(&rules, Evidence::Facts(&facts), kind, now);
            let other = certifiable(&rules, Evidence::Facts(&twice), kind, now);
            prop_assert_eq!(one, other);
            if let Ok(one) = one {
                prop_assert!(carried.contains(&one.statement));
                prop_assert!(one.from >= today);
                prop_assert!(one.until.is_none_or(|until| until > one.from));
            }
        }
    }
}
