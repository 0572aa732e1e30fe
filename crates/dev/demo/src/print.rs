//! Printing: lines, tables and headings.

pub(crate) use program::terminal::{print_error, print_line as line, print_table as table};

/// Numbers of the headings.
#[derive(Debug, Default)]
pub(crate) struct Chapters(u8);

impl Chapters {
    /// Prints the next heading, with its number and with space before it.
    pub(crate) fn begin(&mut self, text: &str) {
        self.0 += 1;
        let text = format!("{}. {text}", self.0);
        line(format!("\n{text}\n{}", "─".repeat(text.chars().count())));
    }
}
