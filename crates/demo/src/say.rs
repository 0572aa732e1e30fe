//! What the demo prints: lines, headings and tables.

use std::io::Write;

/// Prints a line.
pub fn line(text: impl AsRef<str>) {
    let _reader_gone = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// Prints a heading with space before it.
pub fn heading(text: &str) {
    line(format!("\n{text}\n{}", "─".repeat(text.chars().count())));
}

/// Prints a complaint.
pub fn complain(text: &str) {
    let _reader_gone = writeln!(std::io::stderr(), "error: {text}");
}

/// Prints rows in columns as wide as their widest cell.
pub fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .chain([heads[column].chars().count()])
            .max()
            .unwrap_or(0)
    });
    let print = |cells: [&str; N]| {
        let cells: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        line(format!("  {}", cells.join("  ").trim_end()));
    };
    print(heads);
    for row in rows {
        print(std::array::from_fn(|column| row[column].as_str()));
    }
}
