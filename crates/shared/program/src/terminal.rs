//! Lines, tables and JSON on standard output, errors on standard error.
//!
//! A reader that has gone away (`| head`) is no failure.

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

/// Prints a value as indented JSON.
pub fn print_json(value: &serde_json::Value) {
    print_line(format!("{value:#}"));
}

/// Prints rows in columns as wide as their widest cell.
pub fn print_table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) {
    for line in table_lines(heads, rows) {
        print_line(line);
    }
}

/// Formats a count and its noun, such as `1 batch` or `3 batches`.
#[must_use]
pub fn counted(count: u64, singular: &str, plural: &str) -> String {
    format!("{count} {}", if count == 1 { singular } else { plural })
}

fn table_lines<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .map(|row| row[column].as_str())
            .chain([heads[column]]);
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
        .map(|row| line(std::array::from_fn(|column| row[column].as_str())));
    std::iter::once(line(heads)).chain(body).collect()
}

#[cfg(test)]
mod tests {
    use super::table_lines;

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
