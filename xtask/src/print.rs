//! Printing: results to standard output, errors to standard error.

use std::io::Write;

/// Prints one line of a result.
pub(crate) fn line(text: &str) {
    let _reader_gone = writeln!(std::io::stdout(), "{text}");
}

/// Prints an error.
pub(crate) fn error(text: &str) {
    let _reader_gone = writeln!(std::io::stderr(), "error: {text}");
}
