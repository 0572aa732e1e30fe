//! A database's failure in our own words: worth another try, or in need of a person. Its free text
//! never gets out.

use connector_kit::SourceError;
use tls_fault::TlsFault;

use crate::settings::FeedSettings;
use crate::statement::Statement;

/// A failure in our own words, and what to change.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    /// None where the same request may succeed later.
    help: Option<String>,
    /// The server's message, where it may name a table or column. Only words of the configured
    /// query are taken from it.
    message: Option<String>,
    cause: Cause,
    /// True where the columns are certainly not those that were described.
    columns: bool,
}

/// Part that a row's own values may have in a failure. Only for what no trial can tell apart does
/// the code decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// None at all: the connection, the account, the settings.
    Elsewhere,
    /// Perhaps some: a server says the same where a routine fails for one row and where a table is
    /// gone for all.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "mysql")),
        expect(dead_code, reason = "SQLite has no routines")
    )]
    Unclear,
    /// Perhaps some: the time of the statement was up.
    Time,
    /// Certainly some, if the statement works without rows: a data exception, or what a routine
    /// raises.
    Values,
}

impl Failure {
    pub(crate) fn retry(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: None,
            message: None,
            cause: Cause::Elsewhere,
            columns: false,
        }
    }

    pub(crate) fn misconfigured(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: Some(help.into()),
            message: None,
            cause: Cause::Elsewhere,
            columns: false,
        }
    }

    /// The query's columns are of other types than those that were described.
    pub(crate) fn other_columns() -> Self {
        Self {
            columns: true,
            ..Self::retry("the query's columns have changed while it was read")
        }
    }

    /// Keeps the server's message for the one word of it that may be shown.
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    pub(crate) fn naming(mut self, message: &str) -> Self {
        self.message = Some(message.to_owned());
        self
    }

    /// Marks a failure with the part that rows may have in it.
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    pub(crate) fn of(self, cause: Cause) -> Self {
        Self { cause, ..self }
    }

    /// The failure of a change query, with its name before it.
    pub(crate) fn of_change(self, change: &FeedSettings) -> Self {
        let place = change.place();
        Self {
            what: format!("{place}: {}", self.what),
            ..self
        }
    }

    pub(crate) const fn cause(&self) -> Cause {
        self.cause
    }

    /// True where the same request may succeed later.
    pub(crate) const fn may_pass(&self) -> bool {
        self.help.is_none()
    }

    /// True where reading fewer rows may succeed.
    pub(crate) fn may_be_of_rows(&self) -> bool {
        self.cause != Cause::Elsewhere
    }

    /// True where another look at the query's columns may help.
    pub(crate) fn may_be_of_columns(&self) -> bool {
        self.columns || (self.help.is_some() && self.cause != Cause::Values)
    }

    /// The failure's description and help, for a report.
    pub(crate) fn words(&self, statement: Option<&Statement>) -> (String, String) {
        let name = self
            .message
            .as_deref()
            .zip(statement)
            .and_then(|(message, query)| query.name_in(message));
        let what = match name {
            Some(name) => format!("{} (near `{name}`)", self.what),
            None => self.what.clone(),
        };
        (
            what,
            self.help
                .clone()
                .unwrap_or_else(|| "it may pass; the gateway tries again by itself".into()),
        )
    }

    /// The failure as the trait's error; `place` says where.
    pub(crate) fn at(&self, place: &str, statement: Option<&Statement>) -> SourceError {
        let (what, help) = self.words(statement);
        let what = format!("{place}: {what}");
        if self.help.is_some() {
            SourceError::misconfigured(what, help)
        } else {
            SourceError::retry(what)
        }
    }
}

/// Tells an error of sqlx, which all drivers share; `database` tells the database's own errors.
pub(crate) fn from_sqlx(
    error: &sqlx::Error,
    place: &str,
    database: impl Fn(&dyn sqlx::error::DatabaseError) -> Failure,
) -> Failure {
    match error {
        sqlx::Error::Database(error) => database(error.as_ref()),
        sqlx::Error::Io(error) => from_io(error, place),
        sqlx::Error::Tls(error) => tls(place, TlsFault::find(error.as_ref())),
        sqlx::Error::Configuration(_) => Failure::misconfigured(
            format!("the driver refuses the settings for {place}"),
            "check host, port, tls and the certificate files",
        ),
        // The driver of MariaDB; a plugin is the server's name for a way to log in.
        sqlx::Error::Protocol(said) if said.contains("plugin") => Failure::misconfigured(
            format!("the account on {place} logs in by a method that the gateway does not have"),
            "let the administrator give it a password by mysql_native_password (ALTER USER … \
             IDENTIFIED VIA mysql_native_password USING PASSWORD('…')) or caching_sha2_password; \
             ed25519, PAM and GSSAPI accounts cannot be used",
        ),
        sqlx::Error::Protocol(_) => {
            Failure::retry(format!("{place} broke off, or speaks another protocol"))
        }
        _ => Failure::retry(format!("the driver gave up on {place}")),
    }
}

fn from_io(error: &std::io::Error, place: &str) -> Failure {
    use std::io::ErrorKind::{InvalidData, InvalidInput, NotFound, PermissionDenied};
    match error.kind() {
        // Rustls hands its own errors on as InvalidData.
        InvalidData => tls(place, TlsFault::find(error)),
        NotFound | PermissionDenied | InvalidInput => Failure::misconfigured(
            format!("{place} cannot be opened: {}", io_words(error.kind())),
            "check the path or host name and its permissions",
        ),
        _ if is_of_name(error) => Failure::retry(format!(
            "the host name of {place} cannot be resolved; is it right, and does this machine's DNS \
             know it?"
        )),
        kind => Failure::retry(format!(
            "{place} cannot be reached: {kind}; is the server running, are host and port right?"
        )),
    }
}

/// True where a host name has no address. The standard library has no kind for that, only words.
fn is_of_name(error: &std::io::Error) -> bool {
    let words = error.to_string();
    words.starts_with("failed to lookup address information")
}

/// Words for a file or socket that cannot be opened.
pub(crate) fn io_words(kind: std::io::ErrorKind) -> String {
    match kind {
        std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        kind => kind.to_string(),
    }
}

fn tls(place: &str, fault: Option<TlsFault>) -> Failure {
    if let Some(fault) = fault {
        let what = fault.what(place);
        return match fault.help() {
            Some(help) => Failure::misconfigured(what, format!("{help} (settings of tls)")),
            None => Failure::retry(what),
        };
    }
    Failure::misconfigured(
        format!(
            "no encrypted connection to {place}: the server offers none, or its certificate is \
             not accepted"
        ),
        "check tls.mode, tls.ca_file and that the certificate is valid now for this host name",
    )
}
