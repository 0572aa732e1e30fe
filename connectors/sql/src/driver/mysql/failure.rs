//! MariaDB's and MySQL's errors in our own words.

use std::borrow::Cow;

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

use crate::driver::{Cause, Failure};

/// Tells an error by its number.
pub(crate) fn database_failure(error: &dyn DatabaseError) -> Failure {
    let number = number_of(error);
    let state = error.code().unwrap_or_default();
    told(error, number).of(cause(number, &state))
}

/// Tells an error of a connection that is being made.
pub(crate) fn connect_failure(error: &dyn DatabaseError, is_encrypted: bool) -> Failure {
    let number = number_of(error);
    match number {
        1045 | 1698 if is_encrypted => Failure::misconfigured(
            format!("the server refuses the account or its password (error {number})"),
            "check `user` and what `password` points to; an account made with REQUIRE X509 needs \
             tls.client_certificate, too",
        ),
        // An account made with REQUIRE SSL is refused in the same words.
        1045 | 1698 => Failure::misconfigured(
            format!(
                "the server refuses the account or its password, or wants it to use TLS (error \
                 {number})"
            ),
            "check `user` and what `password` points to; if the account is made with REQUIRE SSL \
             (SHOW CREATE USER), set tls.mode = \"require\"",
        ),
        _ => database_failure(error),
    }
}

fn number_of(error: &dyn DatabaseError) -> u16 {
    error
        .try_downcast_ref::<MySqlDatabaseError>()
        .map_or(0, MySqlDatabaseError::number)
}

/// Part that rows may have in an error. Servers give data exceptions states of their own, but for
/// some older ones, which are named by their numbers; what a routine signals has any state.
fn cause(number: u16, state: &str) -> Cause {
    match (number, state.get(..2).unwrap_or_default()) {
        (1969 | 3024 | 1317, _) => Cause::Time,
        // Of a damaged table rows may be missing, too.
        (number, _) if is_of_damage(number) => Cause::Elsewhere,
        // A routine can signal them, too.
        (number, "HY") if is_of_files(number) => Cause::Unclear,
        (1040 | 1053 | 1203 | 1226 | 1927, _) | (_, "08") => Cause::Elsewhere,
        // Characters that a column's set does not have.
        (1267 | 1270 | 1271, _) => Cause::Values,
        // Signals; rows too many or none in a routine; values that do not fit.
        (1643 | 1644 | 1172 | 1329 | 1264 | 1265 | 1292 | 1366 | 1411 | 1690 | 4025, _) => {
            Cause::Values
        }
        (
            1000..=2099 | 3000..=4299,
            "00" | "0A" | "25" | "28" | "3D" | "40" | "42" | "HY" | "70" | "XA" | "",
        ) => Cause::Unclear,
        _ => Cause::Values,
    }
}

fn told(error: &dyn DatabaseError, number: u16) -> Failure {
    let shown = shown(number);
    of_access(number, &shown)
        .or_else(|| of_tables(error.message(), number, &shown))
        .or_else(|| of_query(error.message(), number, &shown))
        .unwrap_or_else(|| of_moment(error, number, &shown))
}

fn wrong(what: &str, help: &str, shown: &str) -> Failure {
    Failure::misconfigured(format!("{what} (error {shown})"), help)
}

/// Tells what an account may not do.
fn of_access(number: u16, shown: &str) -> Option<Failure> {
    let wrong = |what, help| wrong(what, help, shown);
    Some(match number {
        1045 | 1698 | 1449 | 1873 => wrong(
            "a view or a function in the query acts as an account that the server refuses: its \
             definer is gone, or has lost its rights",
            "let the administrator make it anew with a definer that exists, or with SQL SECURITY \
             INVOKER",
        ),
        3159 | 3955 => wrong(
            "the server takes encrypted connections only",
            "set tls.mode = \"require\", or \"verify-full\" with tls.ca_file",
        ),
        1130 | 1129 | 3118 | 1820 | 1862 | 4151 => wrong(
            "the server does not let this account in from here",
            "let its administrator unlock it for this machine",
        ),
        1044 => wrong(
            "the account may not use this database",
            "check `database`, and grant the account SELECT on it",
        ),
        1049 => wrong("the server has no such database", "check `database`"),
        _ => return None,
    })
}

/// Tells of tables that cannot be read, by anybody or by this account.
fn of_tables(message: &str, number: u16, shown: &str) -> Option<Failure> {
    let wrong = |what, help| wrong(what, help, shown).naming(message);
    Some(match number {
        _ if is_damaged(number, message) => wrong(
            "a table that the query reads is damaged",
            "let the administrator run CHECK TABLE and REPAIR TABLE, or restore it",
        ),
        1033 | 1286 | 1932 => wrong(
            "the server cannot open a table that the query reads",
            "let the administrator look at the server's log: the table's files or its engine are \
             not there",
        ),
        1142 | 1143 | 1356 | 1370 => wrong(
            "the account may not read something in the query",
            "grant it SELECT",
        ),
        // Whoever may read a view may not see by that how its tables are read.
        1345 => wrong(
            "the account may not EXPLAIN a view that the query reads",
            "grant it SHOW VIEW on the view and SELECT on the view's tables, or have the index \
             looked at by whoever owns the view",
        ),
        1146 | 1109 => wrong(
            "the query names a table that does not exist",
            "check the table's name and database",
        ),
        _ => return None,
    })
}

/// Tells what is wrong with the query itself.
fn of_query(message: &str, number: u16, shown: &str) -> Option<Failure> {
    let wrong = |what, help| wrong(what, help, shown);
    Some(match number {
        1054 => wrong(
            "the query names a column that does not exist",
            "check the column's name and its table",
        )
        .naming(message),
        1060 => wrong(
            "the query gives two columns one name",
            "give each column an alias of its own",
        )
        .naming(message),
        1064 => wrong(
            "the query has a syntax error",
            "run it in the mysql client first",
        )
        .naming(message),
        1267 | 1270 | 1271 => wrong(
            "the query mixes character sets or collations",
            "add COLLATE to one side, or convert it",
        ),
        1792 | 1290 => wrong("the query writes", "write a plain SELECT"),
        _ => return None,
    })
}

/// Tells what may pass, and what has no words of its own.
fn of_moment(error: &dyn DatabaseError, number: u16, shown: &str) -> Failure {
    match number {
        1969 | 3024 | 1317 => Failure::retry(format!(
            "the statement was stopped at statement_timeout_seconds (error {shown}); an index on \
             what changed_at and record_id stand for helps"
        )),
        1040 | 1203 | 1226 => {
            Failure::retry(format!("the server has no free connection (error {shown})"))
        }
        _ if is_of_files(number) && has_state(error, "HY") => Failure::retry(format!(
            "the server cannot use files of its own, such as temporary ones (error {shown}); its \
             administrator finds which in its log"
        )),
        _ if has_state(error, "42") => wrong("the query fails", RUN_IT, shown),
        _ if cause(number, &error.code().unwrap_or_default()) == Cause::Values => {
            wrong("the query fails", RUN_IT, shown)
        }
        _ => Failure::retry(format!(
            "the server is not able to answer now (error {shown})"
        )),
    }
}

/// True for an error whose state is of this class.
fn has_state(error: &dyn DatabaseError, class: &str) -> bool {
    error.code().is_some_and(|state| state.starts_with(class))
}

/// True for a number by which the server's own library says that it cannot make, read or write a
/// file. The server's messages begin at 1000.
const fn is_of_files(number: u16) -> bool {
    number < 1000
}

/// Numbers by which storage engines say that a table's files are damaged.
const ENGINES: [u16; 7] = [126, 127, 130, 134, 141, 144, 145];

/// True for a number by which the server, or a storage engine, says that a table is damaged.
fn is_of_damage(number: u16) -> bool {
    matches!(number, 1034 | 1035 | 1194 | 1195) || ENGINES.contains(&number)
}

/// True for a table that has to be repaired; error 1030 quotes the engine's own number.
fn is_damaged(number: u16, message: &str) -> bool {
    let quoted = || {
        let digits = message.split(|c: char| !c.is_ascii_digit());
        digits
            .filter_map(|digits| digits.parse::<u16>().ok())
            .next()
    };
    is_of_damage(number)
        || (number == 1030 && quoted().is_some_and(|number| ENGINES.contains(&number)))
}

/// Help for a query of which only the server can say more.
const RUN_IT: &str =
    "run it in the mysql client: a calculation or a function may not suit every row";

/// Returns the number, or words in its place if no server gives it by itself: a routine of the
/// clinic can signal any number, a part of a person's among them.
fn shown(number: u16) -> Cow<'static, str> {
    match number {
        // Of the server (MySQL and MariaDB), and of the client's library.
        1000..=2099 | 3000..=4299 => Cow::Owned(number.to_string()),
        _ if ENGINES.contains(&number) => Cow::Owned(number.to_string()),
        _ => Cow::Borrowed("of its own"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_somebody_made_up_is_not_repeated() {
        assert_eq!(shown(1054), "1054");
        assert_eq!(shown(4299), "4299");
        assert_eq!(shown(126), "126");
        for made_up in [0, 112, 999, 2100, 4300, 11223, u16::MAX] {
            assert_eq!(shown(made_up), "of its own", "{made_up}");
        }
    }

    #[test]
    fn what_the_server_says_of_its_own_files_may_pass_and_is_no_rows_fault() {
        assert_eq!(cause(1, "HY000"), Cause::Unclear);
        assert_eq!(cause(29, "HY000"), Cause::Unclear);
        assert_eq!(cause(29, "45000"), Cause::Values, "a routine signals it");
        assert_eq!(cause(127, "HY000"), Cause::Elsewhere);
    }

    #[test]
    fn a_damaged_table_is_known_by_its_number_or_by_the_one_that_is_quoted() {
        for (number, message, damaged) in [
            (
                1194,
                "Table 'doses' is marked as crashed and should be repaired",
                true,
            ),
            (126, "Incorrect key file for table", true),
            (
                1030,
                "Got error 127 \"Record file is crashed\" from storage engine MyISAM",
                true,
            ),
            (
                1030,
                "Got error 28 \"No space left on device\" from storage engine",
                false,
            ),
            (1146, "Table 'mis.126' doesn't exist", false),
        ] {
            assert_eq!(is_damaged(number, message), damaged, "{message}");
        }
    }
}
