//! Failures of the benchmark.

/// Reason why the benchmark failed, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line cannot be understood.
    #[error("{0}; see cargo xtask bench --help")]
    Usage(String),
    /// A private server; the text names what to install where something is missing.
    #[error(transparent)]
    Server(#[from] testbed::Error),
    /// The clinic's database, which holds invented people only.
    #[error("the clinic's PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
    /// The same clinic on MariaDB.
    #[error("the clinic's MariaDB: {0}")]
    MariaDb(sqlx::Error),
    /// The file that sealed batches are written to as bare as can be.
    #[error("SQLite: {0}")]
    Sqlite(sqlx::Error),
    /// The broker, asked directly.
    #[error("RabbitMQ: {0}")]
    Broker(#[from] lapin::Error),
    /// The clinic's FHIR server, asked directly.
    #[error("FHIR: {0}")]
    Fhir(#[from] reqwest::Error),
    /// A key service, asked directly.
    #[error("a key service: {0}")]
    KeyService(reqwest::Error),
    /// The operating system refused something.
    #[error("cannot {action}: {source}")]
    Io {
        /// Refused action, as the rest of "cannot …".
        action: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A program that was started did not end well.
    #[error("`{command}` failed ({status}):\n{output}")]
    Program {
        /// Command line of the program.
        command: String,
        /// Exit status of the program in words.
        status: String,
        /// The end of what it wrote to standard error.
        output: String,
    },
    /// Ctrl-C.
    #[error("interrupted; the servers were ended")]
    Interrupted,
    /// The programs ran, but what came out is wrong: their figures are worth nothing.
    #[error("the benchmark failed: {0}")]
    WrongResult(String),
}

impl Error {
    /// Makes a `map_err` argument that names the refused action.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    /// Makes a `map_err` argument that names what failed, of a library of the project.
    pub(crate) fn wrong<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> Self {
        move |error| Self::WrongResult(format!("{what}: {error}"))
    }
}
