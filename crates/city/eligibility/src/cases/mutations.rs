//! Every number, date, truth value and listed word of the shipped rules is changed, one at a time;
//! a worked case must fail, or the rules must be refused.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use chrono::NaiveDate;

use super::{Cases, run_cases};
use crate::rules::Rules;

const RULES: &str = include_str!("../../../../../config/pass-rules.toml");
const CASES: &str = include_str!("../../../../../config/pass-rules-cases.toml");

/// Changes that no case can notice: the line of the rules, what becomes of it, and why not.
const EXCEPTIONS: [(&str, &str); 1] = [(
    "version = 1",
    "the version names the rules and decides nothing",
)];

/// A change of one place in the rules.
struct Mutation {
    place: Range<usize>,
    with: String,
}

impl Mutation {
    fn applied(&self) -> String {
        let mut text = RULES.to_owned();
        text.replace_range(self.place.clone(), &self.with);
        text
    }

    /// Line of the rules that it changes, without its remark.
    fn line(&self) -> &'static str {
        let start = RULES[..self.place.start].rfind('\n').map_or(0, |at| at + 1);
        let line = RULES[start..].lines().next().unwrap();
        line.split('#').next().unwrap().trim()
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = RULES[..self.place.start].matches('\n').count() + 1;
        let before = &RULES[self.place.clone()];
        write!(
            f,
            "line {number}: {}: `{before}` as `{}`",
            self.line(),
            self.with
        )
    }
}

/// Tokens of the rules with their places: words in quotes, and runs of letters, digits and `_`.
/// Remarks are left out.
fn tokens() -> Vec<Range<usize>> {
    let mut tokens = Vec::new();
    let mut line_start = 0;
    for line in RULES.split_inclusive('\n') {
        let code = line.split('#').next().unwrap();
        let mut rest = 0;
        while let Some(found) = code[rest..].find(|c: char| c == '"' || c.is_ascii_alphanumeric()) {
            let start = rest + found;
            let length = if code[start..].starts_with('"') {
                code[start + 1..].find('"').unwrap() + 2
            } else {
                let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                code[start..]
                    .find(|c: char| !is_word(c))
                    .unwrap_or(code.len() - start)
            };
            tokens.push(line_start + start..line_start + start + length);
            rest = start + length;
        }
        line_start += line.len();
    }
    tokens
}

/// Changes of a token: a number and a date by one up and down, a truth value and the date that a
/// recovery counts from to the other one. A word of a list is left out.
fn mutations_of(place: Range<usize>) -> Vec<Mutation> {
    let token = &RULES[place.clone()];
    let with = |with: String| Mutation {
        place: place.clone(),
        with,
    };
    if let Ok(number) = token.parse::<u32>() {
        let lower = number.checked_sub(1);
        let numbers = lower.into_iter().chain([number + 1]);
        return numbers.map(|number| with(number.to_string())).collect();
    }
    match token {
        "true" => return vec![with("false".to_owned())],
        "false" => return vec![with("true".to_owned())],
        "\"declared-well\"" => return vec![with("\"illness-began\"".to_owned())],
        "\"Europe/Moscow\"" => return vec![with("\"Asia/Tokyo\"".to_owned())],
        _ => {}
    }
    if let Ok(date) = token.trim_matches('"').parse::<NaiveDate>() {
        let days = [date.pred_opt().unwrap(), date.succ_opt().unwrap()];
        return days.map(|day| with(format!("\"{day}\""))).into();
    }
    let is_listed = token.starts_with('"') && {
        let before = RULES[..place.start].trim_end();
        before.ends_with('[') || before.ends_with(',')
    };
    if is_listed {
        // The comma behind it goes with it, or else the one before it.
        let behind = RULES[place.end..].starts_with(',');
        let before = RULES[..place.start].trim_end().ends_with(',');
        let range = match (behind, before) {
            (true, _) => place.start..place.end + 1,
            (false, true) => RULES[..place.start].rfind(',').unwrap()..place.end,
            (false, false) => place.clone(),
        };
        return vec![Mutation {
            place: range,
            with: String::new(),
        }];
    }
    Vec::new()
}

/// Returns whether a case fails under changed rules, or the rules are refused.
fn is_noticed(mutation: &Mutation, cases: &Cases) -> bool {
    let Ok(rules) = Rules::parse(&mutation.applied(), Path::new("changed.toml")) else {
        return true;
    };
    run_cases(&rules, cases)
        .iter()
        .any(|result| !result.passed())
}

#[test]
fn every_change_of_the_shipped_rules_fails_a_worked_case() {
    let cases = Cases::parse(CASES, Path::new("cases.toml")).unwrap();
    let mutations: Vec<Mutation> = tokens().into_iter().flat_map(mutations_of).collect();
    assert!(mutations.len() > 200, "{} changes", mutations.len());
    let is_excepted =
        |mutation: &Mutation| EXCEPTIONS.iter().any(|(line, _)| *line == mutation.line());
    let unnoticed: Vec<String> = mutations
        .iter()
        .filter(|mutation| !is_noticed(mutation, &cases) && !is_excepted(mutation))
        .map(Mutation::to_string)
        .collect();
    assert!(
        unnoticed.is_empty(),
        "{} of {} changes fail no case:\n{}",
        unnoticed.len(),
        mutations.len(),
        unnoticed.join("\n")
    );
}

#[test]
fn no_exception_is_left_over() {
    let cases = Cases::parse(CASES, Path::new("cases.toml")).unwrap();
    for (line, reason) in EXCEPTIONS {
        let mut of_line = tokens()
            .into_iter()
            .flat_map(mutations_of)
            .filter(|mutation| mutation.line() == line);
        assert!(
            of_line.any(|mutation| !is_noticed(&mutation, &cases)),
            "{line}: {reason}"
        );
    }
}
