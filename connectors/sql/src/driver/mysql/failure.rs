//! MariaDB's and MySQL's errors in our own words.

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

use crate::driver::Failure;

/// Tells an error by its number.
pub(crate) fn database_failure(error: &dyn DatabaseError) -> Failure {
    let number = error
        .try_downcast_ref::<MySqlDatabaseError>()
        .map_or(0, MySqlDatabaseError::number);
    let wrong =
        |what: &str, help: &str| Failure::misconfigured(format!("{what} (error {number})"), help);
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
        )
        .of_data(true),
        1792 | 1290 => wrong("the query writes", "write a plain SELECT"),
        1969 | 3024 | 1317 => Failure::retry(format!(
            "the statement was stopped at statement_timeout_seconds (error {number}); an index on \
             what changed_at and record_id stand for helps"
        )),
        1040 | 1203 | 1226 => Failure::retry(format!(
            "the server has no free connection (error {number})"
        )),
        _ => match error.code().as_deref().and_then(|state| state.get(..2)) {
            Some(class @ ("22" | "42")) => wrong(
                "the query fails",
                "run it in the mysql client: it may not suit every row",
            )
            .of_data(class == "22"),
            _ => Failure::retry(format!(
                "the server is not able to answer now (error {number})"
            )),
        },
    }
}
