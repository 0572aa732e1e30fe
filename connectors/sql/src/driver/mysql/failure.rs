//! MariaDB's and MySQL's errors in our own words.

use std::borrow::Cow;

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

use crate::driver::{Cause, Failure};

/// Tells an error by its number.
pub(crate) fn database_failure(error: &dyn DatabaseError) -> Failure {
    let number = error
        .try_downcast_ref::<MySqlDatabaseError>()
        .map_or(0, MySqlDatabaseError::number);
    let state = error.code().unwrap_or_default();
    told(error, number).of(cause(number, &state))
}

/// Part that rows may have in an error. Servers give data exceptions states of their own, but for
/// some older ones, which are named by their numbers; what a routine signals has any state.
fn cause(number: u16, state: &str) -> Cause {
    match (number, state.get(..2).unwrap_or_default()) {
        (1969 | 3024 | 1317, _) => Cause::Time,
        (1040 | 1045 | 1053 | 1203 | 1226 | 1927, _) | (_, "08") => Cause::Elsewhere,
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
    let wrong =
        |what: &str, help: &str| Failure::misconfigured(format!("{what} (error {shown})"), help);
    match number {
        1045 | 1698 => wrong(
            "the server refuses the account or its password",
            "check `user` and what `password` points to",
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
        1142 | 1143 | 1356 | 1370 => wrong(
            "the account may not read something in the query",
            "grant it SELECT",
        )
        .naming(error.message()),
        1146 | 1109 => wrong(
            "the query names a table that does not exist",
            "check the table's name and database",
        )
        .naming(error.message()),
        1054 => wrong(
            "the query names a column that does not exist",
            "check the column's name and its table",
        )
        .naming(error.message()),
        1060 => wrong(
            "the query gives two columns one name",
            "give each column an alias of its own",
        )
        .naming(error.message()),
        1064 => wrong(
            "the query has a syntax error",
            "run it in the mysql client first",
        )
        .naming(error.message()),
        1267 | 1270 | 1271 => wrong(
            "the query mixes character sets or collations",
            "add COLLATE to one side, or convert it",
        ),
        1792 | 1290 => wrong("the query writes", "write a plain SELECT"),
        1969 | 3024 | 1317 => Failure::retry(format!(
            "the statement was stopped at statement_timeout_seconds (error {shown}); an index on \
             what changed_at and record_id stand for helps"
        )),
        1040 | 1203 | 1226 => {
            Failure::retry(format!("the server has no free connection (error {shown})"))
        }
        _ => match error.code().as_deref().and_then(|state| state.get(..2)) {
            Some("42") => wrong("the query fails", RUN_IT),
            _ if cause(number, &error.code().unwrap_or_default()) == Cause::Values => {
                wrong("the query fails", RUN_IT)
            }
            _ => Failure::retry(format!(
                "the server is not able to answer now (error {shown})"
            )),
        },
    }
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
        for made_up in [0, 999, 2100, 4300, 11223, u16::MAX] {
            assert_eq!(shown(made_up), "of its own", "{made_up}");
        }
    }
}
