//! Mistakes in a configuration file, worded for the person who wrote it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::limits::MAX_FILE_BYTES;
use crate::regular::FileError;

/// Error in a configuration file.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("the configuration {path} cannot be read: {error}")]
    Unreadable {
        /// File that holds the mistake.
        path: PathBuf,
        /// Reason: the operating system refuses, or it is no regular file.
        error: FileError,
    },
    /// The file is larger than [`MAX_FILE_BYTES`].
    #[error(
        "the configuration {path} is larger than {MAX_FILE_BYTES} bytes; is it the right file?"
    )]
    TooLarge {
        /// File that holds the mistake.
        path: PathBuf,
    },
    /// The file is not UTF-8 text.
    #[error("the configuration {path} is not UTF-8 text; save it as UTF-8")]
    NotText {
        /// File that holds the mistake.
        path: PathBuf,
    },
    /// The content is not what the program expects.
    #[error("{0}")]
    Wrong(Box<Mistake>),
}

/// Mistake in a configuration file, with its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// File that holds the mistake.
    pub path: PathBuf,
    /// Line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Line as written, without values that may be secret.
    pub excerpt: String,
    /// Description of the mistake.
    pub what: String,
    /// Text to write instead, where it can be guessed.
    pub help: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.path.display(), self.what)?;
        } else {
            writeln!(
                f,
                "{}:{}:{}: {}",
                self.path.display(),
                self.line,
                self.column,
                self.what
            )?;
            write!(f, "  {} | {}", self.line, self.excerpt)?;
        }
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// Makes an error of a mistake that only shows once the file is read, such as two keys that
/// contradict each other. `what` names the key.
#[must_use]
pub fn mistake(path: &Path, what: impl Into<String>, help: impl Into<String>) -> SettingsError {
    SettingsError::Wrong(Box::new(Mistake {
        path: path.into(),
        line: 0,
        column: 0,
        excerpt: String::new(),
        what: what.into(),
        help: Some(help.into()),
    }))
}
