//! Part of the gateway that `check` looked at, and what it found there.

use connector_kit::{CheckReport, Finding, Level, SourceError};
use outbox::OutboxError;
use program::{CheckRow, Severity};

use crate::gateway::StartError;

/// Findings in one part of the gateway.
pub(super) struct Section {
    pub(super) name: String,
    pub(super) report: CheckReport,
}

impl Section {
    pub(super) fn new(name: impl Into<String>, report: CheckReport) -> Self {
        Self {
            name: name.into(),
            report,
        }
    }

    /// Converts the findings to rows of the printed report.
    pub(super) fn rows(&self) -> Vec<CheckRow> {
        let row = |Finding {
                       level, what, help, ..
                   }: &Finding| CheckRow {
            severity: match level {
                Level::Good => Severity::Good,
                Level::Warning => Severity::Warning,
                Level::Error => Severity::Error,
            },
            text: what.clone(),
            help: help.clone(),
        };
        self.report.findings.iter().map(row).collect()
    }
}

/// Adds an error whose own text says what to change.
pub(super) fn add_error(report: &mut CheckReport, error: &impl ToString) {
    add(report, error, false);
}

/// Adds an error of the outbox.
pub(super) fn add_outbox_error(report: &mut CheckReport, error: &OutboxError) {
    add(report, error, error.is_retryable());
}

fn add(report: &mut CheckReport, error: &impl ToString, may_pass: bool) {
    report.findings.push(Finding {
        level: Level::Error,
        what: error.to_string(),
        help: None,
        may_pass,
    });
}

/// Adds an error that keeps the gateway from starting.
pub(super) fn add_start_error(report: &mut CheckReport, error: &StartError) {
    match error {
        StartError::Source {
            error: SourceError::Misconfigured { what, help },
            ..
        } => report.error(what, help),
        error => add_error(report, error),
    }
}
