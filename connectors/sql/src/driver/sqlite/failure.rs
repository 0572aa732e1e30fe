//! SQLite's errors in our own words.

use sqlx::error::DatabaseError;

use crate::driver::{Cause, Failure};

/// Part that rows may have in a failure while they are read: malformed JSON, an integer overflow, a
/// value too big. Everything else SQLite says of the file.
pub(super) fn cause(error: &sqlx::Error) -> Cause {
    let code = error
        .as_database_error()
        .and_then(|error| error.code()?.parse::<i32>().ok());
    match code.map(|code| code & 0xff) {
        Some(1 | 18 | 19 | 20) => Cause::Values,
        _ => Cause::Elsewhere,
    }
}

/// True for what SQLite says of a query before it runs it.
fn is_of_query(message: &str) -> bool {
    [
        "no such ",
        "near ",
        "ambiguous ",
        "incomplete ",
        "unrecognized ",
        "wrong number of arguments",
        "misuse of ",
        "unknown ",
    ]
    .iter()
    .any(|beginning| message.starts_with(beginning))
}

pub(super) fn database_failure(error: &dyn DatabaseError) -> Failure {
    let code: i32 = error
        .code()
        .and_then(|code| code.parse().ok())
        .unwrap_or_default();
    let wrong = |what: &str, help: &str| {
        Failure::misconfigured(format!("{what} (SQLite error {code})"), help)
    };
    if let Some(failure) = of_file(code) {
        return failure;
    }
    match code & 0xff {
        1 if is_of_query(error.message()) => wrong(
            "the query names something that does not exist, or has a syntax error",
            "run it in sqlite3 first",
        )
        .naming(error.message()),
        5 | 6 => Failure::retry(format!(
            "the file is locked by another program (SQLite error {code})"
        )),
        9 => Failure::retry("the statement was stopped at statement_timeout_seconds"),
        1 | 18 | 19 | 20 | 25 => wrong(
            "the query fails",
            "run it in sqlite3: a calculation or a function may not suit every row",
        ),
        _ => Failure::retry(format!("SQLite cannot read now (SQLite error {code})")),
    }
}

/// Tells what is wrong with the file, or with what lies beside it.
fn of_file(code: i32) -> Option<Failure> {
    let wrong = |what: &str, help: &str| {
        Failure::misconfigured(format!("{what} (SQLite error {code})"), help)
    };
    Some(match code & 0xff {
        3 | 23 => wrong("SQLite may not read the file", "check its permissions"),
        8 if code == 776 => wrong(
            "a program that wrote the file has ended in the middle of a transaction, which has to \
             be rolled back first",
            "let the clinic's program open the file, or run `sqlite3 FILE 'PRAGMA quick_check'` as \
             an account that may write it; do not delete the file ending in -journal",
        ),
        8 if code == 264 => wrong(
            "a program that wrote the file has ended without closing it, and its -wal file has to \
             be taken over first",
            "let the clinic's program open the file, or run `sqlite3 FILE 'PRAGMA quick_check'` as \
             an account that may write it; do not delete the files ending in -wal and -shm",
        ),
        8 | 14 => wrong(
            "the file cannot be opened for reading",
            "check its permissions; a database in WAL mode needs its -wal and -shm files beside \
             it, readable, \
             or a folder this account may write to",
        ),
        11 => wrong(
            "the file is damaged",
            "let the clinic system's administrator run PRAGMA integrity_check",
        ),
        26 => wrong(
            "the file is no SQLite database, or an encrypted one",
            "check `path`",
        ),
        _ => return None,
    })
}
