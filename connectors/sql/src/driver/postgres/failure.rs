//! PostgreSQL's errors in our own words.

use sqlx::error::DatabaseError;

use super::states;
use crate::driver::Failure;

/// Tells an error by its SQLSTATE.
pub(crate) fn database_failure(error: &dyn DatabaseError) -> Failure {
    let code = error.code().unwrap_or_default().into_owned();
    let code = code.as_str();
    let state = states::shown(code);
    let wrong =
        |what: &str, help: &str| Failure::misconfigured(format!("{what} (SQLSTATE {state})"), help);
    match code {
        "28P01" => wrong(
            "the server refuses the password",
            "check `user` and what `password` points to",
        ),
        "28000" => wrong(
            "the server does not let this account in",
            "check `user`, and that pg_hba.conf admits it from this machine with this tls.mode",
        ),
        "3D000" => wrong("the server has no such database", "check `database`"),
        "42501" => wrong(
            "the account may not read something in the query",
            "grant it SELECT (and USAGE on the schema)",
        )
        .naming(error.message()),
        "42P01" => wrong(
            "the query names a table that does not exist",
            "check the table's name and schema",
        )
        .naming(error.message()),
        "42703" => wrong(
            "the query names a column that does not exist",
            "check the column's name and its table",
        )
        .naming(error.message()),
        "42883" | "42804" | "42846" => wrong(
            "the query mixes types or calls an unknown function",
            "add a cast, or check the function's name",
        )
        .naming(error.message()),
        "42601" => {
            wrong("the query has a syntax error", "run it in psql first").naming(error.message())
        }
        "25006" => wrong("the query writes", "write a plain SELECT"),
        "57014" => Failure::retry(format!(
            "the statement was stopped at statement_timeout_seconds (SQLSTATE {state}); an index \
             on what changed_at and record_id stand for helps"
        )),
        "53300" => Failure::retry(format!(
            "the server has no free connection (SQLSTATE {state})"
        )),
        _ => match code.get(..2).unwrap_or_default() {
            "0A" | "22" | "23" | "25" | "26" | "28" | "3D" | "3F" | "42" | "44" => wrong(
                "the query fails",
                "run it in psql: a cast or a calculation may not suit every row",
            )
            .of_data(code.starts_with("22")),
            _ => Failure::retry(format!(
                "the server is not able to answer now (SQLSTATE {state})"
            )),
        },
    }
}
