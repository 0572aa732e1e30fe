//! Statements about names that follow a new key, in SQLite.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use linking::NameSetId;
use sqlx::Error;

use super::queries::{hex_list, json_list};
use super::transaction::SqliteTransaction;
use crate::store::person_statements::NameValue;
use crate::store::rekey::statements::rekey_statements;

/// Pages that the connection keeps in memory from then on, 64 MiB of them. New names come in random
/// order, so that with SQLite's 2 MiB the same pages are read and written over and over. There are no
/// limits of time.
const PREPARATIONS: [&str; 1] = ["PRAGMA cache_size = -65536"];
const ADD_REKEYED: &str = "INSERT INTO rekeyed_name (value, rekeyed)
    SELECT unhex(j.value ->> 0), unhex(j.value ->> 1) FROM json_each($1) AS j WHERE true
    ON CONFLICT (value) DO NOTHING";
const REKEYED: &str = "SELECT value, rekeyed FROM rekeyed_name
    WHERE value IN (SELECT unhex(j.value) FROM json_each($1) AS j)";
const MOVE_FACTS: &str = "UPDATE fact SET name_set = m.new FROM (
        SELECT unhex(j.value ->> 0) AS old, unhex(j.value ->> 1) AS new
        FROM json_each($1) AS j
    ) AS m WHERE fact.name_set = m.old";

rekey_statements!(
    SqliteTransaction, 0,
    preparations: PREPARATIONS,
    rekeyed: REKEYED, hex_list,
    add_rekeyed: add_rekeyed,
    move_facts: move_facts,
);

async fn add_rekeyed(
    transaction: &mut SqliteTransaction,
    names: &[(NameValue, NameValue)],
) -> Result<(), Error> {
    let list = names.iter();
    let list = list.map(|(one, other)| (hex::encode(one), hex::encode(other)));
    transaction
        .write(ADD_REKEYED, json_list(list))
        .await
        .map(drop)
}

async fn move_facts(
    transaction: &mut SqliteTransaction,
    moves: &[(NameSetId, NameSetId)],
) -> Result<(), Error> {
    let list = moves.iter();
    let list = list.map(|(one, other)| (hex::encode(one.0), hex::encode(other.0)));
    transaction
        .write(MOVE_FACTS, json_list(list))
        .await
        .map(drop)
}
