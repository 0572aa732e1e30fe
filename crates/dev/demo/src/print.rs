//! Printing: lines, tables and headings.

pub(crate) use program::terminal::{print_error, print_line as line, print_table as table};

/// Prints a heading with space before it.
pub(crate) fn heading(text: &str) {
    line(format!("\n{text}\n{}", "─".repeat(text.chars().count())));
}
