//! Runs test vector files of the EU Digital COVID Certificate and compares what each expects with
//! what is found.
//!
//! The form is that of the public test data: members `JSON`, `CBOR`, `COSE`, `COMPRESSED`,
//! `BASE45`, `PREFIX`, `2DCODE`, `TESTCTX` and `EXPECTEDRESULTS`, each of which but the last may be
//! missing.

mod compare;
mod expectations;
mod file;
mod fixed;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use program::terminal;
use serde_json::json;

use super::report::Status;
use super::show;
use crate::ending::Ending;
use crate::input::{InputError, Source};
use expectations::Outcome;
use file::Vector;
use fixed::Fixed;

/// Runs each file; a difference makes the run invalid, a file in which nothing could be compared
/// one that cannot tell.
pub(crate) fn run(
    paths: &[PathBuf],
    now: DateTime<Utc>,
    as_json: bool,
) -> Result<Ending, InputError> {
    let mut whole = Ending::Valid;
    let mut shown = Vec::new();
    for path in paths {
        let source = Source::of(path);
        let text = source.read_text()?;
        let vector =
            Vector::read(&text).map_err(|words| InputError::Unfit(source.name(), words))?;
        let fixed = Fixed::new(&vector, now);
        let outcomes = expectations::outcomes(&fixed);
        let ending = ending(&outcomes);
        whole = whole.max(ending);
        if as_json {
            shown.push(json!({
                "file": source.name(),
                "description": vector.description(),
                "verdict": word(ending),
                "expectations": outcomes,
                "way": show::one(&fixed.way),
            }));
        } else {
            print(&source.name(), &fixed, &outcomes, ending);
        }
    }
    if as_json {
        terminal::print_json(&json!({ "verdict": word(whole), "vectors": shown }));
    }
    Ok(whole)
}

fn ending(outcomes: &[Outcome]) -> Ending {
    if outcomes.iter().any(Outcome::differs) {
        Ending::Invalid
    } else if outcomes.iter().any(Outcome::agrees) {
        Ending::Valid
    } else {
        Ending::CannotTell
    }
}

const fn word(ending: Ending) -> &'static str {
    match ending {
        Ending::Valid => "agrees",
        Ending::Invalid => "differs",
        _ => "nothing to compare",
    }
}

fn print(name: &str, fixed: &Fixed<'_>, outcomes: &[Outcome], ending: Ending) {
    let description = terminal::visible(fixed.vector.description());
    terminal::print_line(format!("{name}: {description}"));
    let rows: Vec<[String; 4]> = outcomes.iter().map(Outcome::row).collect();
    terminal::print_table(["expectation", "expected", "found", "in words"], &rows);
    for found in fixed.way.findings() {
        if found.status == Status::Fault {
            let step = found.step.as_str();
            terminal::print_line(format!("fault: {step}: {}", found.words));
        }
    }
    terminal::print_line(format!("{name}: {}", word(ending)));
}

#[cfg(test)]
mod tests;
