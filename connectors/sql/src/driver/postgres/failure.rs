//! PostgreSQL's errors in our own words.

use sqlx::error::DatabaseError;

use super::states;
use crate::driver::{Cause, Failure};

/// Tells an error by its SQLSTATE.
pub(crate) fn database_failure(error: &dyn DatabaseError) -> Failure {
    told(error).of(cause(&error.code().unwrap_or_default()))
}

/// Part that rows may have in an error. Of the classes named here PostgreSQL says the same whether
/// one row is the cause or something that all rows need; a code of a class that it does not have
/// was raised by a function of the clinic.
fn cause(code: &str) -> Cause {
    const UNCLEAR: [&str; 17] = [
        "0A", "25", "26", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "F0", "HV", "XX",
        "28", "72",
    ];
    match (code, code.get(..2).unwrap_or_default()) {
        ("57014", _) => Cause::Time,
        ("57P01" | "57P02" | "57P03", _) | (_, "08") => Cause::Elsewhere,
        (_, class) if UNCLEAR.contains(&class) => Cause::Unclear,
        _ => Cause::Values,
    }
}

fn told(error: &dyn DatabaseError) -> Failure {
    let code = error.code().unwrap_or_default().into_owned();
    let code = code.as_str();
    let state = states::shown(code);
    of_access(code, &state)
        .or_else(|| of_query(error.message(), code, &state))
        .unwrap_or_else(|| of_server(error.message(), code, &state))
}

fn wrong(what: &str, help: &str, state: &str) -> Failure {
    Failure::misconfigured(format!("{what} (SQLSTATE {state})"), help)
}

/// Tells what an account may not do.
fn of_access(code: &str, state: &str) -> Option<Failure> {
    let wrong = |what, help| wrong(what, help, state);
    Some(match code {
        "28P01" => wrong(
            "the server refuses the password",
            "check `user` and what `password` points to",
        ),
        "28000" => wrong(
            "the server does not let this account in",
            "check `user`, and that pg_hba.conf admits it from this machine with this tls.mode",
        ),
        "3D000" => wrong("the server has no such database", "check `database`"),
        _ => return None,
    })
}

/// Tells what is wrong with the query, or with something that it names.
fn of_query(message: &str, code: &str, state: &str) -> Option<Failure> {
    let wrong = |what, help| wrong(what, help, state).naming(message);
    Some(match code {
        "42501" => wrong(
            "the account may not read something in the query",
            "grant it SELECT (and USAGE on the schema)",
        ),
        "42P01" => wrong(
            "the query names a table that does not exist",
            "check the table's name and schema",
        ),
        "42703" => wrong(
            "the query names a column that does not exist",
            "check the column's name and its table",
        ),
        "42883" | "42804" | "42846" => wrong(
            "the query mixes types or calls an unknown function",
            "add a cast, or check the function's name",
        ),
        "42601" => wrong("the query has a syntax error", "run it in psql first"),
        "55000" => wrong(
            "something that the query reads is not in a state to be read",
            "fill it first (a materialized view: REFRESH MATERIALIZED VIEW), or read the tables \
             behind it",
        ),
        "XX001" | "XX002" => wrong(
            "some of the server's data is damaged",
            "let its administrator look at the server's log, and restore what is damaged",
        ),
        _ => return None,
    })
}

/// Tells the rest: poolers, what may pass, and what has no words of its own.
fn of_server(message: &str, code: &str, state: &str) -> Failure {
    let wrong = |what, help| wrong(what, help, state);
    match code {
        "25006" => wrong("the query writes", "write a plain SELECT"),
        "08P01" => of_pooler(message),
        "26000" => wrong(
            "a pooler has passed on one statement in parts to several servers",
            "lend connections by the session or by the transaction: pool_mode of pgbouncer.ini",
        ),
        "57014" => Failure::retry(format!(
            "the statement was stopped at statement_timeout_seconds (SQLSTATE {state}); an index \
             on what changed_at and record_id stand for helps"
        )),
        "53300" => Failure::retry(format!(
            "the server has no free connection (SQLSTATE {state})"
        )),
        _ => match code.get(..2).unwrap_or_default() {
            "0A" | "25" | "26" | "28" | "3D" | "3F" | "42" => wrong("the query fails", RUN_IT),
            _ if cause(code) == Cause::Values => wrong("the query fails", RUN_IT),
            _ => Failure::retry(format!(
                "the server is not able to answer now (SQLSTATE {state})"
            )),
        },
    }
}

/// Tells what a pooler in front of the server says: PgBouncer has one code for nearly all of it.
fn of_pooler(message: &str) -> Failure {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let wrong = |what: &str, help: &str| {
        Failure::misconfigured(format!("{what} (SQLSTATE 08P01, as of PgBouncer)"), help)
    };
    if says(&["no such database", "does not exist"]) {
        wrong(
            "the pooler, or the server behind it, has no such database",
            "check `database`, and [databases] of pgbouncer.ini",
        )
    } else if says(&[
        "authentication failed",
        "no such user",
        "auth failed",
        "pg_hba.conf",
    ]) {
        wrong(
            "the pooler, or the server behind it, refuses the account or its password",
            "check `user`, what `password` points to, and the pooler's auth_file or auth_query",
        )
    } else if says(&["not allowed in statement pooling", "statement pooling mode"]) {
        wrong(
            "the pooler lends connections by the statement, and a page is a transaction",
            "set pool_mode to session or transaction for this database",
        )
    } else if says(&["unsupported startup parameter"]) {
        wrong(
            "the pooler refuses a setting of the connection",
            "add extra_float_digits and application_name to ignore_startup_parameters of \
             pgbouncer.ini",
        )
    } else {
        Failure::retry(
            "the pooler gives no connection to the server now (SQLSTATE 08P01, as of PgBouncer)",
        )
    }
}

/// Help for a query of which only the server can say more.
const RUN_IT: &str = "run it in psql: a cast, a calculation or a function may not suit every row";
