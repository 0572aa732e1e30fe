//! Lines, tables and JSON on standard output, errors on standard error.
//!
//! A reader that has gone away (`| head`) is no failure.

use std::borrow::Cow;
use std::io::Write;

/// Prints a line to standard output.
pub fn print_line(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let _reader_gone = writeln!(out, "{}", line.as_ref());
}

/// Prints an error message to standard error.
pub fn print_error(message: &str) {
    let mut err = std::io::stderr().lock();
    let _reader_gone = writeln!(err, "error: {message}");
}

/// Prints a note to standard error, beside an output that a program may read.
pub fn print_note(note: &str) {
    // Nobody may be left to read it.
    let _printed = writeln!(std::io::stderr(), "note: {note}");
}

/// Prints a value as indented JSON.
pub fn print_json(value: &serde_json::Value) {
    print_line(format!("{value:#}"));
}

/// Prints rows in columns as wide as their widest cell; cells with [`visible`] characters only.
pub fn print_table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) {
    for line in table_lines(heads, rows) {
        print_line(line);
    }
}

/// Escapes what a terminal would not show as it is: control characters, and those that change the
/// direction of text or take no room. For text that others have written, such as a record's id.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if is_hidden(char) {
            shown.extend(char.escape_unicode());
        } else {
            shown.push(char);
        }
    }
    Cow::Owned(shown)
}

fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Formats a count and its noun, such as `1 batch` or `3 batches`.
#[must_use]
pub fn counted(count: u64, singular: &str, plural: &str) -> String {
    format!("{count} {}", if count == 1 { singular } else { plural })
}

fn table_lines<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let rows: Vec<[Cow<'_, str>; N]> = rows
        .iter()
        .map(|row| std::array::from_fn(|column| visible(&row[column])))
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| &*row[column]).chain([heads[column]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let body = rows
        .iter()
        .map(|row| line(std::array::from_fn(|column| &*row[column])));
    std::iter::once(line(heads)).chain(body).collect()
}

#[cfg(test)]
mod tests {
    use super::{table_lines, visible};

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(visible("прививка-7"), "прививка-7");
        assert_eq!(
            visible("7\u{1b}[2J\n\u{202e}8\u{9b}"),
            r"7\u{1b}[2J\u{a}\u{202e}8\u{9b}"
        );
        let rows = [["a\r\u{1b}[31m".to_owned()]];
        assert_eq!(table_lines(["id"], &rows)[1], r"a\u{d}\u{1b}[31m");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_in_characters() {
        let rows = [
            ["прививка".to_owned(), "1".to_owned()],
            ["b".to_owned(), String::new()],
        ];
        assert_eq!(
            table_lines(["kind", "n"], &rows),
            ["kind      n", "прививка  1", "b"]
        );
    }
}
