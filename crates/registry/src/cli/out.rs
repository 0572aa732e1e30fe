//! What the commands print: answers to standard output, complaints to standard error.

use std::io::Write;

/// Prints one line of the answer. A reader that has gone away (`| head`) is no failure.
pub(super) fn say(line: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let _reader_gone = writeln!(out, "{}", line.as_ref());
}

/// Prints a complaint.
pub(super) fn complain(message: &str) {
    let mut err = std::io::stderr().lock();
    let _reader_gone = writeln!(err, "error: {message}");
}
