//! Report of a `check` command: one table for every program.

use serde_json::{Value, json};

use crate::terminal::print_line;

/// Severity of a row in a check's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good: nothing to do.
    Good,
    /// Warning: it works, but will hurt.
    Warning,
    /// Error: it does not work.
    Error,
}

/// Row of a check's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRow {
    /// Severity of the finding.
    pub severity: Severity,
    /// Sentence that states the finding.
    pub text: String,
    /// Sentence that says what to write instead, where something is wrong.
    pub help: Option<String>,
}

/// Layout of a printed report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckLayout {
    /// Name of the part as a heading, its rows below it, help under each row.
    Headings,
    /// Name of the part in each row; help is not printed.
    Rows,
}

/// Prints the rows of one part of the program, such as its queue.
pub fn print_check(layout: CheckLayout, part: &str, rows: &[CheckRow]) {
    for line in lines(layout, part, rows) {
        print_line(line);
    }
}

/// Converts a part's rows to JSON.
#[must_use]
pub fn check_json(part: &str, rows: &[CheckRow]) -> Value {
    let row = |row: &CheckRow| {
        let level = severity_text(CheckLayout::Headings, row.severity).to_lowercase();
        json!({ "level": level, "what": row.text, "help": row.help })
    };
    json!({ "part": part, "findings": rows.iter().map(row).collect::<Vec<_>>() })
}

fn lines(layout: CheckLayout, part: &str, rows: &[CheckRow]) -> Vec<String> {
    let mut lines = Vec::new();
    if layout == CheckLayout::Headings {
        lines.push(part.to_owned());
    }
    for CheckRow {
        severity,
        text,
        help,
    } in rows
    {
        let severity = severity_text(layout, *severity);
        match layout {
            CheckLayout::Headings => {
                lines.push(format!("  {severity:<8} {text}"));
                lines.extend(help.iter().map(|help| format!("  {:<8} → {help}", "")));
            }
            CheckLayout::Rows => lines.push(format!("{severity:<8}{part}: {text}")),
        }
    }
    lines
}

const fn severity_text(layout: CheckLayout, severity: Severity) -> &'static str {
    match (severity, layout) {
        (Severity::Good, _) => "ok",
        (Severity::Warning, _) => "warning",
        (Severity::Error, CheckLayout::Headings) => "ERROR",
        (Severity::Error, CheckLayout::Rows) => "FAILED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_show_the_same_rows() {
        let rows = [
            CheckRow {
                severity: Severity::Good,
                text: "it answers".to_owned(),
                help: None,
            },
            CheckRow {
                severity: Severity::Error,
                text: "it is full".to_owned(),
                help: Some("empty it".to_owned()),
            },
        ];
        assert_eq!(
            lines(CheckLayout::Headings, "queue", &rows),
            [
                "queue",
                "  ok       it answers",
                "  ERROR    it is full",
                "           → empty it"
            ]
        );
        assert_eq!(
            lines(CheckLayout::Rows, "queue", &rows),
            ["ok      queue: it answers", "FAILED  queue: it is full"]
        );
        assert_eq!(
            check_json("queue", &rows)["findings"][1],
            json!({ "level": "error", "what": "it is full", "help": "empty it" })
        );
    }
}
