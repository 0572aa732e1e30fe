//! Prints reports, in words or as JSON.

use chrono::{DateTime, Utc};
use program::terminal;
use serde_json::{Value, json};

use super::moments::shown;
use super::report::{Finding, Report, Step};
use crate::ending::Ending;

/// Prints each report as a table of steps with its verdict.
pub(crate) fn words(reports: &[Report], moment: DateTime<Utc>) {
    for (index, report) in reports.iter().enumerate() {
        if reports.len() > 1 {
            terminal::print_line(format!("certificate {}", index + 1));
        }
        let rows: Vec<[String; 3]> = report.findings().map(row).collect();
        terminal::print_table(["step", "outcome", "what was found"], &rows);
        let verdict = verdict(report.ending());
        let faults = faults(report);
        let cause = if faults.is_empty() {
            String::new()
        } else {
            format!(": {}", faults.join(", "))
        };
        terminal::print_line(format!("{verdict}{cause} (at {})", shown(moment)));
    }
}

/// Prints all reports as one JSON object.
pub(crate) fn json(reports: &[Report], moment: DateTime<Utc>) {
    let whole = reports.iter().map(Report::ending);
    let whole = whole.fold(Ending::Valid, Ending::max);
    let certificates: Vec<Value> = reports.iter().map(one).collect();
    terminal::print_json(&json!({
        "verdict": verdict(whole),
        "at": shown(moment),
        "certificates": certificates,
    }));
}

/// Report as JSON.
pub(crate) fn one(report: &Report) -> Value {
    let findings: Vec<&Finding> = report.findings().collect();
    json!({
        "verdict": verdict(report.ending()),
        "faults": faults(report),
        "steps": findings,
    })
}

/// Name of a verdict.
const fn verdict(ending: Ending) -> &'static str {
    match ending {
        Ending::Valid => "valid",
        Ending::Stale => "stale",
        Ending::Invalid => "invalid",
        Ending::CannotTell | Ending::UnusableFile => "cannot-tell",
        Ending::ClockWrong => "clock-wrong",
    }
}

/// Names of the steps with a fault.
fn faults(report: &Report) -> Vec<&'static str> {
    let mut steps: Vec<Step> = report.faulty().collect();
    steps.dedup();
    steps.into_iter().map(Step::as_str).collect()
}

fn row(finding: &Finding) -> [String; 3] {
    [
        finding.step.as_str().to_owned(),
        finding.status.as_str().to_owned(),
        finding.words.clone(),
    ]
}
