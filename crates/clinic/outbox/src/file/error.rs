//! Errors of the outbox, and the meaning of SQLite's codes for the operator.

use std::io;

use fault::{Fault, Injected, Point};
use record_index::IndexError;
use tokio::task::JoinError;

use crate::tokens::NoToken;

/// What to do where the folder for the outbox's file is not there.
pub const NO_FOLDER_HELP: &str = "mount its disk. If it is lost, or there never was one, make an \
    empty folder, mode 0700, owned by the account the gateway runs under; everything is then read \
    from the beginning";

/// Reason for which the outbox did not do what was asked. Nothing was changed, unless a variant
/// says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Too many sealed bytes wait for the queue or for the registry's receipts.
    #[error(
        "the outbox is full: {pending_bytes} bytes are kept and {max_bytes} are allowed; a batch \
         leaves it when the queue has taken it and the registry's receipt for it has come: \
         `clinic-gateway status` says how many wait for which; or raise max_mebibytes of [outbox]"
    )]
    Full {
        /// Sealed bytes kept.
        pending_bytes: u64,
        /// The configured limit.
        max_bytes: u64,
    },
    /// Disk without room.
    #[error(
        "the disk under the outbox is full: free some space; nothing is lost, the page is read \
         again"
    )]
    DiskFull,
    /// File held by another program.
    #[error(
        "the outbox file is busy: another program holds it open for writing; close that program"
    )]
    Busy,
    /// New record that another page wrote down in between; nothing was committed.
    #[error(
        "another page took one of the same new records meanwhile: nothing is lost, the page is \
         read again"
    )]
    Overtaken,
    /// Failure to read or write.
    #[error("{what} failed ({kind}): check the disk and the file's permissions")]
    Io {
        /// Step that was attempted.
        what: &'static str,
        /// Code of the operating system or of SQLite.
        kind: String,
    },
    /// Outbox owned by another gateway process.
    #[error(
        "the outbox is in use by another gateway process ({owner}): stop it, or let it do the work"
    )]
    Locked {
        /// Name the other process gives itself, with its process id.
        owner: String,
    },
    /// Another gateway on a copy of this state: this one gives out nothing any more.
    #[error(
        "another gateway runs, or ran, on a copy of this state: the registry knows a later state \
         of this gateway than this one, and in turns both would send everything again for ever. So \
         this one has stopped; nothing is lost, the other one reads everything that its sources \
         hold. End one of the two. To go on with this one, end the other for good and run \
         `clinic-gateway accept-state --yes`. To make this one a gateway of its own, give it an \
         empty state folder and sources of its own"
    )]
    OtherGateway,
    /// No outbox to look into.
    #[error("there is no outbox yet: start the gateway or run `sync` once")]
    Missing,
    /// No folder for the outbox's file: never made, or its disk is not mounted.
    #[error("the folder for the outbox's file does not exist: {NO_FOLDER_HELP}")]
    NoFolder,
    /// File written by a newer program.
    #[error(
        "the outbox has schema version {found} and this program knows {known}: install the newer \
         program again"
    )]
    NewerSchema {
        /// Version of the file.
        found: i64,
        /// Newest version this program knows.
        known: i64,
    },
    /// File written by an older program and not yet brought up to date; only readers report it.
    #[error(
        "the outbox has schema version {found}, older than {known}: start the gateway or run \
         `sync` once"
    )]
    OlderSchema {
        /// Version of the file.
        found: i64,
        /// Version this program needs.
        known: i64,
    },
    /// Record key other than the one this outbox was begun with.
    #[error(
        "the outbox was begun under the record key with the fingerprint {pinned}, and the key ring \
         holds {given}: put the old key ring back. Under another record key every record would be \
         sent again as a new one, and nobody could correct or withdraw what was sent before"
    )]
    OtherRecordKey {
        /// Fingerprint of the key that this outbox was begun with.
        pinned: String,
        /// Fingerprint of the key in the ring.
        given: String,
    },
    /// Pseudonym key other than the one this outbox has worked with in the same epoch.
    #[error(
        "facts were sent under the pseudonym key of epoch {epoch} with the fingerprint {pinned}, \
         and here that epoch has {given}: put the right key ring, or the right keys of the key \
         services, back. Under another key facts would go out under other names. If this key is \
         the city's and the old one was wrong, stop the gateway and run `clinic-gateway keys \
         accept`; if the key services have refreshed their shares, `clinic-gateway keys refreshed \
         --before` with the configuration as it was"
    )]
    OtherPseudonymKey {
        /// Epoch of both keys.
        epoch: contract::Epoch,
        /// Fingerprint of the key that this outbox has worked with.
        pinned: String,
        /// Fingerprint of the key in the ring.
        given: String,
    },
    /// Pseudonym keys of which none is one that this outbox has worked with.
    #[error(
        "facts were sent under pseudonym keys of suite {suite} with the fingerprints {pinned}, and \
         here stands none of these, only {given}: facts would go out under other names. Put the \
         right key ring, or the right keys of the key services, back; a new epoch is opened beside \
         the old one (`clinic-gateway keys merge`, or both in public_keys of the key services). If \
         these keys are the city's and \
         the old ones were wrong, stop the gateway and run `clinic-gateway keys accept`"
    )]
    NoKnownPseudonymKey {
        /// Epochs and fingerprints of the keys of this suite that the outbox has worked with.
        pinned: String,
        /// Epochs and fingerprints of the keys in the ring.
        given: String,
        /// Suites that are configured.
        suite: String,
    },
    /// Suite other than those that facts were sent under.
    #[error(
        "facts were sent under pseudonym keys of another suite than {suite}: put the right \
         keys.suite back; or, if the city moves to {suite}, write keys.moving_from with the suite \
         that it leaves, so that facts keep their old names beside the new ones until all clinics \
         have moved (docs/strong.md). `clinic-gateway keys accept`, with the gateway stopped, sends \
         everything again under the new names alone: until the others follow, passes that need \
         facts of several clinics wait"
    )]
    OtherSuite {
        /// Suites that are configured.
        suite: String,
    },
    /// File of another program.
    #[error("the file is no outbox of the gateway: give the outbox a path of its own")]
    NotAnOutbox,
    /// Content that this program does not write.
    #[error(
        "the outbox is damaged ({what}): move the file away, keep the `.generation` file beside \
         it, and start again; \
         every source is then read anew"
    )]
    Damaged {
        /// Part that does not fit.
        what: &'static str,
    },
    /// Generation file that cannot be read.
    #[error(
        "the outbox's `.generation` file is damaged: delete it and set the outbox's \
         min_generation above {known}, the \
         last generation known"
    )]
    DamagedGenerationFile {
        /// Generation in the outbox file, 0 if it holds none.
        known: u32,
    },
    /// SQLite library with a known corruption bug.
    #[error(
        "SQLite {found} is too old (WAL corruption before 3.51.3): build with the bundled SQLite"
    )]
    SqliteTooOld {
        /// Linked version.
        found: String,
    },
    /// Setting out of its range.
    #[error("the outbox's {what} must be {allowed}")]
    BadOption {
        /// Name of the setting.
        what: &'static str,
        /// Range of the setting.
        allowed: &'static str,
    },
    /// Page, name or cursor beyond its limit: a fault in the calling program.
    #[error("{what} is larger than the outbox takes: ask the source for smaller pages")]
    TooLarge {
        /// Name of the part that is too large.
        what: &'static str,
    },
    /// Generations or versions used up.
    #[error("no {what} is left: begin a new outbox under a new registry key")]
    Exhausted {
        /// Name of the number that ran out.
        what: &'static str,
    },
    /// Sweep that is not running, or whose keys are not all read, or that began after its page of
    /// keys was looked up: a fault in the calling program.
    #[error(
        "no sweep of this feed is running, or not all of its keys were read since it began: begin \
         the sweep again"
    )]
    NoSweep,
    /// Unknown reconciliation, or one that was replaced by a later one.
    #[error("this reconciliation is no longer known: begin another one")]
    NoReconciliation,
    /// Reconciliation without receipts: the registry could not answer a probe.
    #[error(
        "reconciliation needs the registry's receipts: set receipts = \"required\" in [registry]"
    )]
    ReceiptsOff,
    /// Batch that could not be sealed.
    #[error("sealing failed: {0}")]
    Seal(#[from] contract::SealError),
    /// Pseudonyms that key services did not evaluate; nothing was committed.
    #[error(transparent)]
    Evaluation(#[from] draft::EvaluationError),
    /// Batch without a token; nothing was sealed.
    #[error(transparent)]
    NoToken(#[from] NoToken),
    /// Random bytes that the operating system did not give.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
    /// Shutdown of the runtime.
    #[error("the program is stopping; nothing is lost, the page is read again")]
    Stopping,
    /// Statement that SQLite refused: a fault in this program, or a file changed by hand.
    #[error(
        "the outbox file refused a statement (SQLite code {code}): report this with the program's \
         version"
    )]
    Database {
        /// Extended result code of SQLite, or a word for a failure that was not SQLite's.
        code: String,
    },
}

impl OutboxError {
    /// Returns whether there is no outbox to look into: none was made yet, or its folder is not
    /// there.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing | Self::NoFolder)
    }

    /// Returns whether the same call may succeed later without a change of the configuration.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        if let Self::Evaluation(error) = self {
            return error.retry_after().is_some();
        }
        if let Self::NoToken(error) = self {
            return error.retry_after().is_some();
        }
        matches!(
            self,
            Self::Full { .. }
                | Self::DiskFull
                | Self::Busy
                | Self::Overtaken
                | Self::Io { .. }
                | Self::NoRandomness
                | Self::Stopping
        )
    }

    /// Short code for `status`, logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "outbox-full",
            Self::DiskFull => "disk-full",
            Self::Busy => "outbox-busy",
            Self::Overtaken => "outbox-overtaken",
            Self::Io { .. } => "outbox-io",
            Self::Locked { .. } => "outbox-locked",
            Self::OtherGateway => "other-gateway",
            Self::Missing => "outbox-missing",
            Self::NoFolder => "outbox-no-folder",
            Self::NewerSchema { .. } => "outbox-newer-schema",
            Self::OlderSchema { .. } => "outbox-older-schema",
            Self::OtherRecordKey { .. } => "outbox-other-keys",
            Self::OtherPseudonymKey { .. }
            | Self::NoKnownPseudonymKey { .. }
            | Self::OtherSuite { .. } => "outbox-other-pseudonym-keys",
            Self::NotAnOutbox => "not-an-outbox",
            Self::Damaged { .. } => "outbox-damaged",
            Self::DamagedGenerationFile { .. } => "outbox-mark-damaged",
            Self::SqliteTooOld { .. } => "sqlite-too-old",
            Self::BadOption { .. } => "outbox-bad-option",
            Self::TooLarge { .. } => "page-too-large",
            Self::Exhausted { .. } => "outbox-exhausted",
            Self::NoSweep => "no-sweep",
            Self::NoReconciliation => "no-reconciliation",
            Self::ReceiptsOff => "receipts-off",
            Self::Seal(_) => "seal",
            Self::Evaluation(error) => error.code(),
            Self::NoToken(error) => error.code(),
            Self::NoRandomness => "no-randomness",
            Self::Stopping => "stopping",
            Self::Database { .. } => "outbox-database",
        }
    }

    /// Failure of an own file; only its kind is kept.
    pub(crate) fn io(what: &'static str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            kind => Self::Io {
                what,
                kind: kind.to_string(),
            },
        }
    }

    /// Meaning of an extended result code (<https://www.sqlite.org/rescode.html>).
    fn from_sqlite_code(code: i32) -> Self {
        // SQLITE_IOERR_SHMSIZE: no room for the WAL's index.
        const NO_ROOM_FOR_INDEX: i32 = 4874;
        if code == NO_ROOM_FOR_INDEX {
            return Self::DiskFull;
        }
        match code & 0xff {
            5 | 6 => Self::Busy,
            13 => Self::DiskFull,
            11 => Self::Damaged {
                what: "SQLite calls the file malformed",
            },
            26 => Self::NotAnOutbox,
            3 | 8 | 10 | 14 => Self::Io {
                what: "the outbox file",
                kind: format!("SQLite code {code}"),
            },
            _ => Self::Database {
                code: code.to_string(),
            },
        }
    }
}

/// Failure of the driver. Its text may quote a value, so only codes are kept.
impl From<sqlx::Error> for OutboxError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().and_then(|code| code.parse::<i32>().ok());
                Self::from_sqlite_code(code.unwrap_or(1))
            }
            sqlx::Error::Io(io) => Self::io("the outbox file", io),
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Self::Damaged { what: "a value" }
            }
            sqlx::Error::RowNotFound => Self::Damaged {
                what: "a missing row",
            },
            sqlx::Error::WorkerCrashed => Self::Database {
                code: "worker-crashed".into(),
            },
            _ => Self::Database {
                code: "driver".into(),
            },
        }
    }
}

/// Failure of the record index.
impl From<IndexError> for OutboxError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Overtaken => Self::Overtaken,
            IndexError::Damaged { what } => Self::Damaged { what },
            IndexError::Exhausted { what } => Self::Exhausted { what },
            IndexError::Database(error) => error.into(),
        }
    }
}

/// Task that did not finish: its panic goes on, a shutdown is an error.
impl From<JoinError> for OutboxError {
    fn from(error: JoinError) -> Self {
        match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Self::Stopping,
        }
    }
}

impl Injected for OutboxError {
    fn injected(fault: Fault, point: Point) -> Self {
        match fault {
            Fault::Retry => Self::Io {
                what: point.as_str(),
                kind: "injected".into(),
            },
            Fault::Permanent => Self::Database {
                code: "injected".into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_codes_say_whether_to_retry() {
        let retry = |code| OutboxError::from_sqlite_code(code).is_retryable();
        assert!(matches!(
            OutboxError::from_sqlite_code(13),
            OutboxError::DiskFull
        ));
        assert!(
            matches!(OutboxError::from_sqlite_code(4874), OutboxError::DiskFull),
            "extended IOERR_SHMSIZE"
        );
        assert!(
            matches!(OutboxError::from_sqlite_code(517), OutboxError::Busy),
            "extended BUSY_SNAPSHOT"
        );
        assert!(
            retry(13) && retry(5) && retry(778),
            "full, busy, short write"
        );
        assert!(
            !retry(11) && !retry(26) && !retry(1811),
            "malformed, no database, constraint"
        );
    }

    #[test]
    fn failures_of_the_record_index_keep_their_meaning() {
        let overtaken = OutboxError::from(IndexError::Overtaken);
        assert!(matches!(overtaken, OutboxError::Overtaken) && overtaken.is_retryable());
        let damaged = OutboxError::from(IndexError::Damaged { what: "a record" });
        assert!(matches!(damaged, OutboxError::Damaged { what: "a record" }));
        let busy = OutboxError::from(IndexError::Database(sqlx::Error::PoolTimedOut));
        assert!(matches!(busy, OutboxError::Busy));
    }

    #[test]
    fn only_the_kind_of_an_io_error_is_kept() {
        let error = io::Error::new(io::ErrorKind::PermissionDenied, "/home/fsb/outbox");
        let text = OutboxError::io("creating the outbox file", &error).to_string();
        assert!(
            text.contains("permission denied") && !text.contains("fsb"),
            "{text}"
        );
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(matches!(OutboxError::io("x", &full), OutboxError::DiskFull));
    }
}
