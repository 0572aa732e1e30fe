//! Errors of the log and of its check.

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;

use settings::path_error_text;

use crate::limits::{MAX_EVENT_BYTES, MAX_LINE_BYTES, MAX_TORN_FILES, MAX_WAIT};

/// Damage of a log: what is not as the program wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Line that is not of the form that the program writes.
    NotALine,
    /// Line longer than [`MAX_LINE_BYTES`] bytes.
    TooLong,
    /// Line with another number than the one after the line before.
    Sequence {
        /// Number that the line should have.
        expected: u64,
        /// Number that it has.
        found: u64,
    },
    /// Line that was not written after the line before it as that is now.
    Previous,
    /// Line without its end in another file than the newest.
    Unfinished,
    /// Log that ends before the kept head.
    CutOff {
        /// Number of the kept head.
        kept: u64,
        /// Number of the last line.
        found: u64,
    },
    /// Line of the kept head's number that has another digest.
    OtherHead,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotALine => f.write_str("this is no line of an audit log"),
            Self::TooLong => write!(f, "the line has more than {MAX_LINE_BYTES} bytes"),
            Self::Sequence { expected, found } => write!(
                f,
                "line {expected} should stand here, and {found} does: lines or a whole file are \
                 missing, were put in, or are in another order"
            ),
            Self::Previous => f.write_str(
                "the line before this one is not the one that it was written after: one of the \
                 two was changed",
            ),
            Self::Unfinished => {
                f.write_str("the last line of a file that is not the newest has no end")
            }
            Self::CutOff { kept, found } => write!(
                f,
                "the log ends with line {found}, and line {kept} was there when the head was kept"
            ),
            Self::OtherHead => {
                f.write_str("the line has another digest than the head that was kept")
            }
        }
    }
}

/// Error of the log or of its check.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Damage of the log. Leave the folder as it is for whoever looks into it.
    #[error("{}:{line}: {damage}", file.display())]
    Damaged {
        /// Path of the file.
        file: PathBuf,
        /// Number of the line in its file, from 1.
        line: u64,
        /// Damage of the line.
        damage: Damage,
    },
    /// Path that cannot be read or written.
    #[error(
        "the audit log {} cannot be read or written: {}; name the folder of a log, which this \
         user may read and write",
        path.display(),
        path_error_text(*kind)
    )]
    Io {
        /// Path of the folder or file.
        path: PathBuf,
        /// Error of the operating system.
        kind: ErrorKind,
    },
    /// Folder that others than its owner may enter.
    #[error(
        "others than its owner may enter the folder of the audit log {p} (mode {mode:04o}): \
         name a folder that serves nothing else, and has mode 0700", p = path.display()
    )]
    TooOpen {
        /// Path of the folder.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// Log that another process writes.
    #[error(
        "another process writes the audit log in {}; stop it, or name another folder",
        path.display()
    )]
    InUse {
        /// Path of the folder.
        path: PathBuf,
    },
    /// Log that other processes were writing all the time, or that one of them keeps.
    #[error(
        "the audit log in {} was in use for {} s: try again; if it stays so, look which process \
         hangs",
        path.display(),
        MAX_WAIT.as_secs()
    )]
    Busy {
        /// Path of the folder.
        path: PathBuf,
    },
    /// File whose name begins as those of the log do, and is none.
    #[error(
        "{} is no file of the audit log, such as audit-2026-11.jsonl: move it away",
        path.display()
    )]
    StrangeName {
        /// Path of the file.
        path: PathBuf,
    },
    /// Folder with too many cut lines.
    #[error(
        "{} holds more than {MAX_TORN_FILES} cut lines, torn-*.bytes; the machine loses its power \
         too often, or the disk fails",
        path.display()
    )]
    TooManyTorn {
        /// Path of the folder.
        path: PathBuf,
    },
    /// Event that no line may hold: its name is not of 1 to [`MAX_EVENT_BYTES`] lower-case letters,
    /// digits and hyphens, or its line would be longer than [`MAX_LINE_BYTES`] bytes.
    #[error(
        "the event cannot be a line: its name has 1 to {MAX_EVENT_BYTES} of a-z, 0-9 and -, and \
         the line at most {MAX_LINE_BYTES} bytes"
    )]
    Unfit,
}

impl AuditError {
    /// True if a disk that is full, or away for a moment, or another process may be the cause.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        const LASTING: [ErrorKind; 5] = [
            ErrorKind::AlreadyExists,
            ErrorKind::PermissionDenied,
            ErrorKind::NotFound,
            ErrorKind::NotADirectory,
            ErrorKind::ReadOnlyFilesystem,
        ];
        match self {
            Self::Io { kind, .. } => !LASTING.contains(kind),
            Self::Busy { .. } => true,
            _ => false,
        }
    }
}
