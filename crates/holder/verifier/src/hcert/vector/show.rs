//! Prints what vectors gave, in words or as JSON.

use program::terminal;
use serde_json::{Value, json};

use super::{Ran, Run, RunResult};
use crate::ending::Ending;
use crate::hcert::report::{Report, Status};
use crate::hcert::show;

/// Prints each vector, one line for what agrees and all expectations of what does not, and of
/// several vectors a summary. A single one is always shown whole.
pub(super) fn words(run: &Run) {
    let is_single = run.ran.len() == 1;
    for ran in &run.ran {
        let word = word(ran);
        match &ran.result {
            RunResult::Unreadable(words) => {
                terminal::print_line(format!("{}: {word}: {words}", ran.name));
            }
            RunResult::Compared { description, .. } => {
                let description = terminal::visible(description);
                if is_single || ran.ending() != Ending::Valid {
                    whole(ran);
                }
                let faults = faults(ran);
                let named = if faults.is_empty() {
                    String::new()
                } else {
                    format!(" (fault: {})", faults.join(", "))
                };
                terminal::print_line(format!("{}: {word}{named}: {description}", ran.name));
            }
        }
    }
    if !is_single || run.skipped > 0 {
        let counts = Counts::of(run);
        terminal::print_line(format!(
            "{} vectors: {} agree, {} differ, {} with nothing to compare, {} unreadable; {} other \
             JSON files",
            run.ran.len(),
            counts.agree,
            counts.differ,
            counts.nothing,
            counts.unreadable,
            run.skipped
        ));
    }
}

/// Prints everything as one JSON object.
pub(super) fn json(run: &Run) {
    let counts = Counts::of(run);
    let vectors: Vec<Value> = run.ran.iter().map(one).collect();
    terminal::print_json(&json!({
        "verdict": word_of(run.ending()),
        "summary": {
            "vectors": run.ran.len(),
            "agree": counts.agree,
            "differ": counts.differ,
            "nothing-to-compare": counts.nothing,
            "unreadable": counts.unreadable,
            "other-files": run.skipped,
        },
        "vectors": vectors,
    }));
}

fn one(ran: &Ran) -> Value {
    match &ran.result {
        RunResult::Unreadable(words) => json!({
            "file": ran.name,
            "verdict": word(ran),
            "words": words,
        }),
        RunResult::Compared {
            description,
            outcomes,
            way,
        } => json!({
            "file": ran.name,
            "description": description,
            "verdict": word(ran),
            "faults": faults(ran),
            "expectations": outcomes,
            "way": show::one(way),
        }),
    }
}

/// Numbers of vectors by what they gave.
#[derive(Default)]
struct Counts {
    agree: usize,
    differ: usize,
    nothing: usize,
    unreadable: usize,
}

impl Counts {
    fn of(run: &Run) -> Self {
        let mut counts = Self::default();
        for ran in &run.ran {
            let count = match (&ran.result, ran.ending()) {
                (RunResult::Unreadable(_), _) => &mut counts.unreadable,
                (_, Ending::Valid) => &mut counts.agree,
                (_, Ending::Invalid) => &mut counts.differ,
                _ => &mut counts.nothing,
            };
            *count += 1;
        }
        counts
    }
}

fn word(ran: &Ran) -> &'static str {
    match ran.result {
        RunResult::Unreadable(_) => "unreadable",
        RunResult::Compared { .. } => word_of(ran.ending()),
    }
}

const fn word_of(ending: Ending) -> &'static str {
    match ending {
        Ending::Valid => "agrees",
        Ending::Invalid => "differs",
        _ => "nothing to compare",
    }
}

/// Faults of a vector by name: steps of the way from the picture or text on, or where that has no
/// fault, the expectations that do not hold.
fn faults(ran: &Ran) -> Vec<String> {
    let RunResult::Compared { outcomes, way, .. } = &ran.result else {
        return Vec::new();
    };
    let mut steps: Vec<String> = way.faulty().map(|step| step.as_str().to_owned()).collect();
    steps.dedup();
    if !steps.is_empty() {
        return steps;
    }
    let failed = outcomes.iter().filter_map(|outcome| outcome.fault());
    failed.map(str::to_owned).collect()
}

/// Prints the expectations of a vector and the faults on its way.
fn whole(ran: &Ran) {
    let RunResult::Compared { outcomes, way, .. } = &ran.result else {
        return;
    };
    let rows: Vec<[String; 4]> = outcomes.iter().map(super::Outcome::row).collect();
    terminal::print_table(["expectation", "expected", "found", "in words"], &rows);
    print_faults(way);
}

fn print_faults(way: &Report) {
    for found in way.findings() {
        if found.status == Status::Fault {
            let step = found.step.as_str();
            terminal::print_line(format!("fault: {step}: {}", found.words));
        }
    }
}
