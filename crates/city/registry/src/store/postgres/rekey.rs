//! Statements about names that follow a new key, in PostgreSQL.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use linking::NameSetId;
use sqlx::Error;

use super::queries::array;
use super::transaction::{PostgresTransaction, list};
use crate::store::person_statements::NameValue;
use crate::store::rekey::statements::rekey_statements;

/// Whole tables are read and written; the writers that wait for it give up by their own limits, and
/// try again.
const PREPARATIONS: [&str; 2] = [
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL lock_timeout = 0",
];
const ADD_REKEYED: &str = "INSERT INTO rekeyed_name (value, rekeyed)
    SELECT * FROM unnest($1::bytea[], $2::bytea[]) ON CONFLICT (value) DO NOTHING";
const REKEYED: &str = "SELECT value, rekeyed FROM rekeyed_name WHERE value = ANY($1)";
const MOVE_FACTS: &str = "UPDATE fact SET name_set = m.new
    FROM unnest($1::bytea[], $2::bytea[]) AS m (old, new) WHERE fact.name_set = m.old";

rekey_statements!(
    PostgresTransaction<'_>, transaction,
    preparations: PREPARATIONS,
    rekeyed: REKEYED, array,
    add_rekeyed: add_rekeyed,
    move_facts: move_facts,
);

async fn add_rekeyed(
    transaction: &mut PostgresTransaction<'_>,
    names: &[(NameValue, NameValue)],
) -> Result<(), Error> {
    sqlx::query(ADD_REKEYED)
        .bind(list(names, |(one, _)| *one))
        .bind(list(names, |(_, other)| *other))
        .execute(&mut *transaction.transaction)
        .await
        .map(drop)
}

async fn move_facts(
    transaction: &mut PostgresTransaction<'_>,
    moves: &[(NameSetId, NameSetId)],
) -> Result<(), Error> {
    sqlx::query(MOVE_FACTS)
        .bind(list(moves, |(one, _)| one.0))
        .bind(list(moves, |(_, other)| other.0))
        .execute(&mut *transaction.transaction)
        .await
        .map(drop)
}
