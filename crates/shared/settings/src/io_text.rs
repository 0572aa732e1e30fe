//! Words for the operating system's errors on files and folders.

use std::io::ErrorKind;

/// Describes why the operating system refused to open or read a file, in plain English.
pub(crate) fn io_error_text(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        kind => path_error_text(kind),
    }
}

/// Describes why the operating system refused to open, make, read or write a file or a folder, in
/// plain English.
#[must_use]
pub fn path_error_text(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        ErrorKind::IsADirectory => "it is a folder, not a file".to_owned(),
        ErrorKind::NotADirectory => "a file stands where a folder should be".to_owned(),
        ErrorKind::AlreadyExists => "something of this name is there already".to_owned(),
        ErrorKind::PermissionDenied => "this user may not (permission denied)".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "its disk is mounted read-only".to_owned(),
        ErrorKind::StorageFull => "its disk is full".to_owned(),
        kind => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_usual_error_has_the_words_of_a_programming_language() {
        for kind in [
            ErrorKind::NotFound,
            ErrorKind::NotADirectory,
            ErrorKind::AlreadyExists,
        ] {
            let text = path_error_text(kind);
            assert!(
                !text.contains("entity") && text != kind.to_string(),
                "{text}"
            );
        }
    }
}
