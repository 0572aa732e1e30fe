//! Printing: results to standard output, progress and errors to standard error.

use std::io::Write;

/// Prints a result.
pub(crate) fn line(text: &str) {
    let _reader_gone = writeln!(std::io::stdout(), "{text}");
}

/// Prints how far the work has come.
pub(crate) fn progress(text: &str) {
    let _reader_gone = writeln!(std::io::stderr(), "… {text}");
}

/// Prints a complaint.
pub(crate) fn complain(text: &str) {
    let _reader_gone = writeln!(std::io::stderr(), "error: {text}");
}
