//! Tests of worked cases: the shipped ones pass, a wrong one fails, a mistake is told.

use std::path::Path;

use super::*;
use crate::rules::Rules;

const RULES: &str = include_str!("../../../../../config/pass-rules.toml");
const CASES: &str = include_str!("../../../../../config/pass-rules-cases.toml");

fn rules() -> Rules {
    Rules::parse(RULES, Path::new("pass-rules.toml")).unwrap_or_else(|error| panic!("{error}"))
}

fn cases(text: &str) -> Cases {
    Cases::parse(text, Path::new("cases.toml")).unwrap_or_else(|error| panic!("{error}"))
}

fn mistake(text: &str) -> String {
    let error = Cases::parse(text, Path::new("cases.toml")).unwrap_err();
    error.to_string()
}

#[test]
fn the_shipped_rules_pass_their_worked_cases() {
    let results = run_cases(&rules(), &cases(CASES));
    let failed: Vec<String> = results
        .iter()
        .filter(|result| !result.passed())
        .map(ToString::to_string)
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(results.len() >= 30, "{} cases", results.len());
}

#[test]
fn the_worked_cases_give_every_reason_that_the_shipped_rules_can_give() {
    let read = cases(CASES);
    for reason in crate::Reason::ALL {
        // The shipped rules accept every recovery, from a date that is always stated.
        let unused = matches!(
            reason.as_str(),
            "recovery-date-missing" | "recovery-not-accepted"
        );
        let given = read.cases.iter().any(|case| case.reasons.contains(&reason));
        assert_eq!(given, !unused, "{}", reason.as_str());
    }
}

#[test]
fn a_wrong_answer_fails_and_shows_both_answers() {
    let wrong = CASES.replacen("last = \"2022-07-22\"", "last = \"2022-07-21\"", 1);
    assert_ne!(wrong, CASES);
    let results = run_cases(&rules(), &cases(&wrong));
    let failed: Vec<_> = results.iter().filter(|one| !one.passed()).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(
        failed[0].to_string(),
        "FAILED: two doses, and one day of the waiting time left\n  \
         expected: covered from 2021-08-05 to 2022-07-21; waiting-period\n  \
         given:    covered from 2021-08-05 to 2022-07-22; waiting-period"
    );
}

#[test]
fn changed_rules_fail_cases() {
    let changed = RULES.replace("calendar_days = 3", "calendar_days = 2");
    let rules = Rules::parse(&changed, Path::new("x")).unwrap();
    let results = run_cases(&rules, &cases(CASES));
    assert!(results.iter().any(|result| !result.passed()));
}

#[test]
fn a_mistake_is_told_with_its_position_and_what_to_write() {
    let case = |facts: &str| {
        format!(
            "[[case]]\nname = \"x\"\nat = \"2021-11-01T12:00:00Z\"\nfacts = [{facts}]\ncovered = []\n"
        )
    };
    let date = mistake(&case("{ kind = \"recovery\", on = \"10.05.2021\" }"));
    assert!(date.contains("cases.toml:4:36"), "{date}");
    assert!(date.contains("a month \"2021-06\""), "{date}");

    let lacking = mistake(&case(
        "{ kind = \"test\", on = \"2021\", result = \"detected\" }",
    ));
    assert!(lacking.contains("the fact lacks `test`"), "{lacking}");

    let stray = mistake(&case("{ kind = \"recovery\", on = \"2021\", dose = 1 }"));
    assert!(stray.contains("no such key"), "{stray}");

    let dose = mistake(&case(
        "{ kind = \"vaccination\", vaccine = \"covivac\", on = \"2021\", dose = 10 }",
    ));
    assert!(dose.contains("from 1 to 9"), "{dose}");

    let vaccine = mistake(&case(
        "{ kind = \"vaccination\", vaccine = \"x\", on = \"2021\" }",
    ));
    assert!(vaccine.contains("write one of sputnik-v"), "{vaccine}");

    let control = mistake(&case("").replacen("name = \"", "name = \"\\u001b[31m", 1));
    assert!(control.contains("control characters"), "{control}");

    let twice = mistake(&format!("{}{}", case(""), case("")));
    assert!(twice.contains("another case has this name"), "{twice}");

    let reason = mistake(&format!("{}reasons = [\"because\"]\n", case("")));
    assert!(
        reason.contains("the reasons are person-in-doubt"),
        "{reason}"
    );

    assert!(mistake("").contains("there is no case"));
    assert!(mistake("[[cases]]").contains("did you mean `case`?"));
}
