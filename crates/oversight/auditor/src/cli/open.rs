//! `auditor open`: writes the list of the records that accounts stated in a period.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ::audit::Log;
use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use escrow::{Account, Unreadable};
use program::terminal::print_line;
use program::{Failure, files};
use serde::Serialize;

use super::audit::failure;
use super::keys::read_key;
use crate::join::{Asked, Counts, JoinError, Joined, join};

/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 1000;
/// Most parts that cannot be read that are told one by one.
const MOST_TOLD: usize = 20;
/// Most accounts of one opening.
const MAX_ACCOUNTS: usize = 16;

#[derive(Debug, Args)]
pub(super) struct OpenArguments {
    /// The file of the auditor's key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A folder that a relay has laid down, or a copy of it; all that there are.
    #[arg(long, required = true, value_name = "FOLDER")]
    relay: Vec<PathBuf>,
    /// A folder that registries have laid down, or a copy of it; all that there are.
    #[arg(long, required = true, value_name = "FOLDER")]
    registry: Vec<PathBuf>,
    /// An account of the relay; several where they worked together.
    #[arg(long, required = true, value_name = "NAME", value_parser = account)]
    account: Vec<Account>,
    /// The first day of the period, in UTC.
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: NaiveDate,
    /// The last day of the period, in UTC.
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: NaiveDate,
    /// Who asked for it and why, for the log: at most 1000 characters.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// The file to write the list to; it must not exist (mode 0600).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The folder of the log of openings, made where it is missing.
    #[arg(long, value_name = "FOLDER", default_value = "audit")]
    audit: PathBuf,
}

fn account(text: &str) -> Result<Account, String> {
    Account::new(text).map_err(|error| error.to_string())
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    let length = text.chars().count();
    if (1..=MAX_REASON_CHARS).contains(&length) && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a reason has 1 to {MAX_REASON_CHARS} characters in one line"
        ))
    }
}

/// Line of the log before anything is opened.
#[derive(Serialize)]
struct AskedDetails<'a> {
    reason: &'a str,
    accounts: Vec<&'a str>,
    from: NaiveDate,
    to: NaiveDate,
}

/// Line of the log after the list was written.
#[derive(Serialize)]
struct OpenedDetails {
    batches: usize,
    not_at_registry: usize,
    sent_before: usize,
    sent_by_others: usize,
    records: usize,
    unreadable: usize,
    /// Checksum of the list, by which it can be told later which one was handed out.
    list_sha256: String,
}

pub(super) fn open(
    arguments: &OpenArguments,
    now: impl Fn() -> DateTime<Utc>,
) -> Result<(), Failure> {
    let OpenArguments { from, to, .. } = arguments;
    if from > to {
        return Err(Failure::Usage(format!("{from} is after {to}")));
    }
    if arguments.account.len() > MAX_ACCOUNTS {
        return Err(Failure::Usage(format!(
            "at most {MAX_ACCOUNTS} accounts are opened at once"
        )));
    }
    let key = read_key(&arguments.key)?;
    if arguments.out.exists() {
        return Err(exists(&arguments.out));
    }
    let asked = Asked {
        accounts: arguments.account.iter().cloned().collect(),
        from: *from,
        to: *to,
    };
    let mut log = Log::open(&arguments.audit, now()).map_err(|error| failure(&error))?;
    let details = AskedDetails {
        reason: &arguments.reason,
        accounts: asked.accounts.iter().map(Account::as_str).collect(),
        from: asked.from,
        to: asked.to,
    };
    // Before anything is opened: no opening is without its line, whatever happens to it.
    log.append(now(), "open", &details)
        .map_err(|error| failure(&error))?;
    let joined = join(&key, &arguments.relay, &arguments.registry, &asked)?;
    let text = joined.list.to_text();
    files::write_new(&arguments.out, 0o600, &text).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists(&arguments.out),
        kind => files::cannot_write(&arguments.out, kind),
    })?;
    let Counts {
        batches,
        not_at_registry,
        sent_before,
        sent_by_others,
        records,
    } = joined.counts;
    let details = OpenedDetails {
        batches,
        not_at_registry,
        sent_before,
        sent_by_others,
        records,
        unreadable: joined.unreadable.len(),
        list_sha256: joined.list.checksum(),
    };
    let head = log
        .append(now(), "opened", &details)
        .map_err(|error| failure(&error))?;
    print_counts(&joined.counts);
    print_line(format!(
        "wrote {}, for `city-registry purge`",
        arguments.out.display()
    ));
    print_line(format!(
        "sha256 of the list, to be compared with what `city-registry purge` prints: {}",
        details.list_sha256
    ));
    print_line(format!("head of the log: {head}"));
    tell_what_is_missing(&joined)
}

fn exists(path: &Path) -> Failure {
    Failure::Change(format!(
        "{} exists already and is left as it is",
        path.display()
    ))
}

fn print_counts(counts: &Counts) {
    let rows = [
        ("batches sent in the period", counts.batches),
        ("records stated in them", counts.records),
        (
            "batches not at the registry (probes, unreadable ones, and what still waits in the \
             queue)",
            counts.not_at_registry,
        ),
        (
            "batches left out, as they were sent before the period for the first time",
            counts.sent_before,
        ),
        (
            "batches left out, as another account sent them, too (whoever copies another's batch \
             must not have it undone; where that account is compromised as well, name both)",
            counts.sent_by_others,
        ),
    ];
    for (what, count) in rows {
        print_line(format!("{what}: {count}"));
    }
}

/// Names what could not be read, and accounts of which there is nothing. The end of a file that a
/// crash has torn holds nothing that counts, but a copy that was cut off looks the same.
fn tell_what_is_missing(joined: &Joined) -> Result<(), Failure> {
    let line = |part: &Unreadable| format!("{}: {}", part.path.display(), part.kind);
    for part in joined.unreadable.iter().take(MOST_TOLD) {
        print_line(line(part));
    }
    let untold = joined.unreadable.len().saturating_sub(MOST_TOLD);
    if untold > 0 {
        print_line(format!(
            "and so many parts more that cannot be read: {untold}"
        ));
    }
    for account in &joined.unknown {
        print_line(format!(
            "no batch of the account {} is laid down in these folders, on any day: compare its name \
             with [[accounts]] of the relay",
            account.as_str()
        ));
    }
    match (joined.unreadable.len(), joined.unknown.len()) {
        (0, 0) => Ok(()),
        (0, _) => Err(Failure::Look(
            "the list lacks what an account sent under another name, see above".to_owned(),
        )),
        (count, _) => Err(Failure::Look(format!(
            "{count} parts of the folders could not be read, see above: the list may lack records"
        ))),
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        let may_pass = match &error {
            JoinError::Folder(error) => error.may_pass(),
            JoinError::List(_) | JoinError::OtherKind { .. } => false,
        };
        Self::by(may_pass, error)
    }
}
