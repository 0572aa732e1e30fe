//! The end of a log, for error messages.

use std::path::Path;

/// The last lines of a log file, for an error message.
pub(crate) fn log_tail(path: &Path) -> String {
    tail(&std::fs::read(path).map_or_else(
        |_| String::new(),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    ))
}

/// The last 30 lines.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
