//! Words for the operating system's errors on reading a file.

use std::io::ErrorKind;

/// Describes why the operating system refused to open or read a file, in plain English.
pub(crate) fn io_error_text(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::IsADirectory => "it is a folder, not a file".to_owned(),
        kind => kind.to_string(),
    }
}
