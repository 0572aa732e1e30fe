//! Failures of a chore.

use std::path::PathBuf;

/// Reason that a chore did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line cannot be understood.
    #[error("{0}; see cargo xtask --help")]
    Usage(String),
    /// The operating system refused something.
    #[error("cannot {action}: {source}")]
    Io {
        /// The refused action, as the rest of "cannot …".
        action: String,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A source file is not Rust that can be parsed.
    #[error("{}:{}: {error}", path.display(), error.span().start().line)]
    Syntax {
        /// Path of the file, relative to the workspace.
        path: PathBuf,
        /// The parser's error.
        error: syn::Error,
    },
    /// `git ls-files` failed, so the files to measure are unknown.
    #[error("`git ls-files` failed: run it in a checkout of the project")]
    NoCheckout,
}

impl Error {
    /// Makes a `map_err` argument that says what was tried.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}

impl From<lexopt::Error> for Error {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error.to_string())
    }
}
