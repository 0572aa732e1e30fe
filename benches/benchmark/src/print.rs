//! Printing: results to standard output, progress and errors to standard error.

use std::io::Write;

/// Prints a result.
pub(crate) fn result(text: &str) {
    let _reader_gone = writeln!(std::io::stdout(), "{text}");
}

/// Prints how far the work has come.
pub(crate) fn progress(text: &str) {
    let _reader_gone = writeln!(std::io::stderr(), "… {text}");
}

/// Prints an error.
pub(crate) fn error(text: &str) {
    let _reader_gone = writeln!(std::io::stderr(), "error: {text}");
}
