//! The city's rules, and persons judged by them.

use std::path::Path;

use chrono::{DateTime, Utc};
use contract::{Fact, PartialDate, TestCode, TestResult, Vaccine};
use eligibility::{Evidence, Rules, evaluate};

/// Times at which the persons are judged: within the shipped rules, long before and long after.
const TIMES: [i64; 3] = [0, 1_646_000_000, 32_503_680_000];

/// `pass-rules.toml`; what is read judges persons with facts of every kind.
pub fn pass_rules(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let rules = match Rules::parse(text, Path::new("pass-rules.toml")) {
        Ok(rules) => rules,
        Err(error) => {
            let length = error.to_string().len();
            assert!(length < 4096 + bytes.len(), "an error larger than its file");
            return false;
        }
    };
    let facts = facts();
    for time in TIMES {
        let now = DateTime::<Utc>::from_timestamp(time, 0).expect("a time");
        for facts in [&facts[..], &facts[..2], &[]] {
            let answer = evaluate(&rules, Evidence::Facts(facts), now);
            let covers = answer.covers(answer.today);
            assert_eq!(answer.reasons.is_empty(), covers, "reasons say why not");
        }
    }
    true
}

fn facts() -> Vec<Fact> {
    let date = |text: &str| -> PartialDate { text.parse().expect("a date") };
    let dose = |on: &str, number| Fact::Vaccination {
        vaccine: Vaccine::SputnikV,
        dose_number: Some(number),
        series_doses: Some(2),
        occurred_on: date(on),
    };
    let test = |result, on: &str| Fact::Test {
        test: TestCode::RnaNasopharynx,
        result,
        occurred_on: date(on),
    };
    vec![
        dose("2021-07-01", 1),
        dose("2021-07-22", 2),
        dose("2021-07-24", 2),
        dose("2022", 3),
        Fact::Recovery {
            began_on: Some(date("2022-01")),
            occurred_on: date("2022-02-10"),
        },
        test(TestResult::Detected, "2022-01-20"),
        test(TestResult::NotDetected, "2022-02-27"),
    ]
}
