//! Meaning of the store's failures: try again, somebody must act, or this batch can never be
//! stored.

use fault::{Fault, Injected, Point};
use sqlx::Error;
use sqlx::migrate::MigrateError;
use tls_fault::TlsFault;

/// Reason for which the store did not do something. Carries codes only: a database's own text may
/// quote values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Store that does not answer, or not now. Nothing is lost: try again.
    #[error("the store does not answer ({code}); nothing is lost by it, and another try may do")]
    Unavailable {
        /// SQLSTATE, SQLite code, or the kind of the failure.
        code: String,
        /// True where the server or the way to it broke down, which the rows may have caused.
        is_breakdown: bool,
    },
    /// Store that will not work until somebody changes something.
    #[error("the store cannot be used: {what}; {help}")]
    Misconfigured {
        /// Clause that says what is wrong.
        what: String,
        /// Clause that says what to change.
        help: &'static str,
    },
    /// Transaction that took too long. Nothing is lost; fewer batches at once may do.
    #[error("the store took too long over a transaction ({code}); it will be tried again")]
    TooSlow {
        /// SQLSTATE, or the limit.
        code: String,
    },
    /// Events that change too many persons for one transaction; in parts they will do.
    #[error("the events change too many persons for one transaction")]
    TooMuch,
    /// Batch over which the program panicked; a mistake of the program.
    #[error("the program panicked over a transaction; it will be tried again by itself")]
    Panicked,
    /// Folder of the auditor's entries that cannot be written. Nothing is lost, and nothing is
    /// stored meanwhile.
    #[error("nothing is stored until it can be laid down for the auditor: {what}")]
    Escrow {
        /// Sentence that says what is wrong and what to change.
        what: String,
    },
    /// Rows that the store refuses; another try will not help.
    #[error("the store refuses the rows ({code})")]
    Refused {
        /// SQLSTATE or SQLite code.
        code: String,
    },
}

impl Injected for StoreError {
    fn injected(fault: Fault, point: Point) -> Self {
        match fault {
            Fault::Retry => unavailable("injected"),
            Fault::Permanent => misconfigured(fault::injected_text(point), fault::INJECTED_HELP),
        }
    }
}

impl StoreError {
    /// Short fixed word for metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } if self.is_disk_full() => "disk-full",
            Self::Unavailable { .. } => "unavailable",
            Self::Misconfigured { .. } => "misconfigured",
            Self::TooSlow { .. } => "too-slow",
            Self::Refused { .. } => "refused",
            Self::Panicked => "panicked",
            Self::TooMuch => "too-much",
            Self::Escrow { .. } => "escrow",
        }
    }

    /// Words of [`StoreError::kind`].
    pub const KINDS: [&str; 8] = [
        "unavailable",
        "disk-full",
        "misconfigured",
        "too-slow",
        "refused",
        "panicked",
        "too-much",
        "escrow",
    ];

    /// Returns whether the store has no room on its disk.
    fn is_disk_full(&self) -> bool {
        matches!(self, Self::Unavailable { code, .. } if code == DISK_FULL)
    }

    /// Returns whether the rows may be the cause, where the store works otherwise. A full disk may
    /// have room for a small transaction and none for a large one.
    pub(crate) fn may_be_of_the_rows(&self) -> bool {
        match self {
            Self::Unavailable { .. } => !self.is_disk_full(),
            Self::Misconfigured { .. } | Self::Escrow { .. } => false,
            Self::TooSlow { .. } | Self::Refused { .. } | Self::Panicked | Self::TooMuch => true,
        }
    }

    /// Returns whether a batch is given up that fails so by itself again and again. Not where
    /// another writer or an administrator is in the way, or the server is short of something.
    pub(crate) fn counts_against_a_batch(&self) -> bool {
        match self {
            Self::Unavailable { is_breakdown, .. } => *is_breakdown,
            other => other.may_be_of_the_rows(),
        }
    }
}

/// Returns whether another writer was in the way and the same transaction may now succeed.
pub(super) fn is_race(error: &Error) -> bool {
    // 40001 serialization failure, 40P01 deadlock, 23505 unique violation (another has added the
    // same), 23503 foreign key violation (no table of ours has had such a key since migration 3).
    matches!(
        postgres_state(error).as_deref(),
        Some("40001" | "40P01" | "23505" | "23503")
    )
}

/// Returns whether the connection is at fault, so that the same may be asked on another one.
#[cfg(feature = "postgres")]
pub(super) fn is_of_connection(error: &Error) -> bool {
    match postgres_state(error) {
        // Connection exceptions; 57P01 to 57P05: the server ends the session, or is starting.
        Some(state) => state.starts_with("08") || state.starts_with("57P"),
        None => !matches!(error, Error::Database(_)),
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&Error> for StoreError {
    fn from(error: &Error) -> Self {
        if let Some(state) = postgres_state(error) {
            return postgres_fault(state);
        }
        match error {
            Error::Database(database) => sqlite_fault(&database.code().unwrap_or_default()),
            Error::Io(io) => match TlsFault::find(io) {
                Some(fault) => tls(fault),
                None if is_of_name(io) => broken_down("its host name cannot be resolved"),
                None => broken_down(format!("{:?}", io.kind())),
            },
            // Words of the driver: it has no kind for it.
            Error::Tls(cause) if cause.to_string() == "server does not support TLS" => {
                misconfigured(
                    "the database server offers no TLS",
                    "switch TLS on at the server, or write tls = \"off\" under [store.postgres] \
                     where it is this machine (another: docs/operations.md, allow_plain)",
                )
            }
            Error::Tls(_) => misconfigured(
                "the TLS handshake with the database failed",
                "check tls, ca_file and the server's certificate",
            ),
            Error::Configuration(_) | Error::InvalidArgument(_) => misconfigured(
                "its settings are not valid",
                "check the [store.…] section and the files it names",
            ),
            Error::Encode(_) => Self::Refused {
                code: "encode".into(),
            },
            Error::PoolTimedOut => unavailable("timeout"),
            _ => broken_down("connection"),
        }
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version) => misconfigured(
                format!("its schema has version {version}, newer than this program knows"),
                "run the newer program, or restore the older database",
            ),
            MigrateError::VersionMismatch(version) => misconfigured(
                format!("its schema version {version} is not the one this program made"),
                "point [store.…] at the registry's own database",
            ),
            MigrateError::Dirty(version) => misconfigured(
                format!("its migration {version} was left half done"),
                "restore the database from its backup and start again",
            ),
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            _ => unavailable("migration"),
        }
    }
}

/// Fault of the encrypted connection to PostgreSQL.
fn tls(fault: TlsFault) -> StoreError {
    let what = fault.what("the database");
    match fault.help() {
        Some(help) => misconfigured(what, help),
        None => broken_down(what),
    }
}

/// Code of a failure for want of space on the disk.
const DISK_FULL: &str = "its disk is full: free some space";

/// Failure that no rows cause.
pub(super) fn unavailable(code: impl Into<String>) -> StoreError {
    StoreError::Unavailable {
        code: code.into(),
        is_breakdown: false,
    }
}

/// Failure at which the server may have died over the rows.
/// Returns whether the host's name was not found. The standard library has no kind for it.
fn is_of_name(error: &std::io::Error) -> bool {
    let words = error.to_string();
    words.starts_with("failed to lookup address information")
}

fn broken_down(code: impl Into<String>) -> StoreError {
    StoreError::Unavailable {
        code: code.into(),
        is_breakdown: true,
    }
}

fn misconfigured(what: impl Into<String>, help: &'static str) -> StoreError {
    StoreError::Misconfigured {
        what: what.into(),
        help,
    }
}

#[cfg(feature = "postgres")]
fn postgres_state(error: &Error) -> Option<String> {
    let database = error.as_database_error()?;
    let postgres = database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    Some(sql_state(postgres.code()))
}

/// The code itself if it has the form of one; a server could write anything in its place.
#[cfg(feature = "postgres")]
fn sql_state(code: &str) -> String {
    let fits = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    if code.len() == 5 && code.bytes().all(fits) {
        code.to_owned()
    } else {
        "of its own".to_owned()
    }
}

#[cfg(not(feature = "postgres"))]
fn postgres_state(_error: &Error) -> Option<String> {
    None
}

fn postgres_fault(state: String) -> StoreError {
    match (state.get(..2).unwrap_or_default(), state.as_str()) {
        ("28", _) => misconfigured(
            format!("the database refuses the account (SQLSTATE {state})"),
            "check user and password, and the server's pg_hba.conf",
        ),
        ("3D", _) => misconfigured(
            "the database does not exist (SQLSTATE 3D000)",
            "create it, or correct `database`",
        ),
        (_, "42501") => misconfigured(
            "the account lacks a right (SQLSTATE 42501)",
            "grant it CREATE on the schema, or make it the owner of the registry's tables",
        ),
        ("42", _) => misconfigured(
            format!("a table or column is not as this program made it (SQLSTATE {state})"),
            "point [store.…] at the registry's own database and schema",
        ),
        // Only these two classes are about the rows themselves; races among them were recognised
        // before.
        ("22" | "23", _) if !matches!(state.as_str(), "23505" | "23503") => {
            StoreError::Refused { code: state }
        }
        // query_canceled: statement_timeout, or an administrator's hand.
        (_, "57014") => StoreError::TooSlow {
            code: format!("SQLSTATE {state}"),
        },
        // disk_full
        (_, "53100") => unavailable(DISK_FULL),
        // Connection exceptions, limits that the rows exceed, system and internal errors, and
        // crash_shutdown: what a server may come to that dies over the rows.
        ("08" | "54" | "58" | "XX", _) | (_, "57P02") => broken_down(format!("SQLSTATE {state}")),
        // Among others lock_not_available (55P03), admin_shutdown (57P01), cannot_connect_now
        // (57P03), and too little memory or too few connections (53).
        _ => unavailable(format!("SQLSTATE {state}")),
    }
}

/// SQLite's extended result codes (sqlite.org/rescode.html); the low byte is the primary one.
fn sqlite_fault(code: &str) -> StoreError {
    let primary = code.parse::<u32>().map_or(0, |code| code & 0xff);
    match primary {
        // TOOBIG, CONSTRAINT, MISMATCH, RANGE
        18 | 19 | 20 | 25 => StoreError::Refused {
            code: format!("SQLite {code}"),
        },
        // PERM, READONLY, CANTOPEN, AUTH
        3 | 8 | 14 | 23 => misconfigured(
            format!("the database file cannot be opened for writing (SQLite {code})"),
            "check that the folder exists and belongs to this program's user",
        ),
        // CORRUPT, NOTADB
        11 | 26 => misconfigured(
            format!("the file is damaged or no SQLite database (SQLite {code})"),
            "restore it from its backup, or correct `path`",
        ),
        // ERROR: a missing table or column
        1 => misconfigured(
            format!("a table or column is not as this program made it (SQLite {code})"),
            "point `path` at the registry's own database",
        ),
        // FULL; a shared-memory file without room is one of IOERR's
        13 => unavailable(DISK_FULL),
        10 if code == "4874" => unavailable(DISK_FULL),
        // INTERNAL, IOERR
        2 | 10 => broken_down(format!("SQLite {code}")),
        // Among others BUSY, LOCKED and NOMEM.
        _ => unavailable(format!("SQLite {code}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "postgres")]
    #[test]
    fn only_what_has_the_form_of_a_code_is_repeated() {
        assert_eq!(sql_state("42P01"), "42P01");
        for text in ["", "42p01", "42P011", "no such table", "Иванов"] {
            assert_eq!(sql_state(text), "of its own", "{text}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn only_a_server_that_may_have_died_over_the_rows_counts_against_a_batch() {
        let of_others = [
            "55P03", "55006", "40001", "40P01", "53100", "53200", "53300", "53400", "57P01",
            "57P03", "25006", "23505", "P0001",
        ];
        for state in of_others {
            let fault = postgres_fault(state.into());
            assert!(!fault.counts_against_a_batch(), "{state}");
        }
        for state in [
            "57P02", "08006", "58030", "54000", "XX000", "57014", "22003",
        ] {
            let fault = postgres_fault(state.into());
            assert!(fault.counts_against_a_batch(), "{state}");
        }
        let lost = Error::Io(std::io::ErrorKind::UnexpectedEof.into());
        assert!(StoreError::from(lost).counts_against_a_batch());
        assert!(!StoreError::from(Error::PoolTimedOut).counts_against_a_batch());
        assert!(StoreError::Panicked.counts_against_a_batch());
    }

    #[test]
    fn a_file_that_others_lock_or_that_has_no_room_counts_against_nobody() {
        for code in ["5", "6", "7", "13", "261", "517", "4874"] {
            assert!(!sqlite_fault(code).counts_against_a_batch(), "{code}");
        }
        for code in ["10", "266", "2"] {
            assert!(sqlite_fault(code).counts_against_a_batch(), "{code}");
        }
    }

    #[test]
    fn only_the_rows_own_faults_condemn_a_batch() {
        for state in ["22003", "23514", "23502"] {
            assert_eq!(postgres_fault(state.into()).kind(), "refused", "{state}");
        }
        assert_eq!(postgres_fault("53100".into()).kind(), "disk-full");
        for state in ["57P01", "08006", "25006", "XX000", "40001", "23505"] {
            assert_eq!(
                postgres_fault(state.into()).kind(),
                "unavailable",
                "{state}"
            );
        }
        assert_eq!(postgres_fault("57014".into()).kind(), "too-slow");
        for state in ["28P01", "3D000", "42501", "42P01"] {
            assert_eq!(
                postgres_fault(state.into()).kind(),
                "misconfigured",
                "{state}"
            );
        }
        for (code, kind) in [
            ("5", "unavailable"),
            ("13", "disk-full"),
            ("4874", "disk-full"),
            ("1555", "refused"),
            ("275", "refused"),
        ] {
            assert_eq!(sqlite_fault(code).kind(), kind, "{code}");
            assert!(StoreError::KINDS.contains(&kind), "{kind}");
        }
        assert_eq!(sqlite_fault("14").kind(), "misconfigured");
    }
}
