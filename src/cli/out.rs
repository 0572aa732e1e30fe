//! What the commands print: answers to standard output, complaints to standard error.

use std::io::Write;

/// Prints one line of the answer. A reader that has gone away (`| head`) is no failure.
pub(crate) fn say(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let _reader_gone = writeln!(out, "{}", line.as_ref());
}

/// Prints a complaint.
pub(crate) fn complain(message: &str) {
    let mut err = std::io::stderr().lock();
    let _reader_gone = writeln!(err, "error: {message}");
}

/// Prints a value as indented JSON.
pub(crate) fn json(value: &serde_json::Value) {
    say(format!("{value:#}"));
}

/// Prints rows in columns as wide as their widest cell.
pub(crate) fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .chain([heads[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let padded: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        say(padded.join("  ").trim_end());
    };
    line(heads);
    for row in rows {
        line(std::array::from_fn(|column| row[column].as_str()));
    }
}

/// A count and its noun.
pub(crate) fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// A length of time in words, coarse on purpose: `4 s`, `12 min`, `3 h`, `9 d`.
pub(crate) fn age(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn ages_change_their_unit_at_its_edge() {
        let shown = [-5, 0, 119, 120, 7199, 7200, 172_799, 172_800].map(age);
        assert_eq!(shown, ["0 s", "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"]);
    }
}
