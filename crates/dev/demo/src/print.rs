//! Printing: lines, tables and headings.

pub(crate) use telemetry::terminal::{complain, say as line, table};

/// Prints a heading with space before it.
pub(crate) fn heading(text: &str) {
    line(format!("\n{text}\n{}", "─".repeat(text.chars().count())));
}
