//! What a program prints for a person: answers to standard output, complaints to standard error,
//! tables.

use std::io::Write;

/// Prints one line of the answer. A reader that has gone away (`| head`) is no failure.
pub fn say(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let _reader_gone = writeln!(out, "{}", line.as_ref());
}

/// Prints a complaint.
pub fn complain(message: &str) {
    let mut err = std::io::stderr().lock();
    let _reader_gone = writeln!(err, "error: {message}");
}

/// Prints rows in columns as wide as their widest cell.
pub fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) {
    for line in laid_out(heads, rows) {
        say(line);
    }
}

fn laid_out<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> Vec<String> {
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
    use super::laid_out;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_in_characters() {
        let rows = [
            ["прививка".to_owned(), "1".to_owned()],
            ["b".to_owned(), String::new()],
        ];
        assert_eq!(
            laid_out(["kind", "n"], &rows),
            ["kind      n", "прививка  1", "b"]
        );
    }
}
