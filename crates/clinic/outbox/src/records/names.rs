//! The clinic's own ids of asserted records, sealed: a sweep asks for missing records by them.

use std::collections::{HashMap, HashSet};

use contract::RecordDigest;
use record_secrets::RecordSecrets;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::update::RecordUpdate;
use crate::file::{OutboxError, json};

/// The clinic's own id of a record.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordName {
    /// Digest of the record.
    pub record: RecordDigest,
    /// The id.
    pub record_id: String,
}

impl std::fmt::Debug for RecordName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordName")
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

/// Stores the names of the records that these updates assert, and forgets those of the records that
/// they withdraw. New records have the numbers after `last_known`, in the order of the updates.
pub(crate) async fn store_names(
    connection: &mut SqliteConnection,
    secrets: &RecordSecrets,
    updates: &[RecordUpdate],
    names: &[RecordName],
    last_known: i64,
) -> Result<(), OutboxError> {
    if updates.is_empty() {
        return Ok(());
    }
    // Of a record that came twice the last one counts; both have the same id.
    let names: HashMap<&RecordDigest, &str> = names
        .iter()
        .map(|name| (&name.record, name.record_id.as_str()))
        .collect();
    let mut next = last_known;
    let mut sealed = Vec::with_capacity(names.len());
    let mut withdrawn = Vec::new();
    for update in updates {
        let record_no = update.record_no.unwrap_or_else(|| {
            next += 1;
            next
        });
        if update.withdrawn {
            withdrawn.extend(update.record_no);
        } else if update.revision.count > 0
            && let Some(record_id) = names.get(&update.record)
        {
            sealed.push((record_no, seal(secrets, &update.record, record_id)));
        }
    }
    insert(connection, &sealed).await?;
    forget_names(connection, &withdrawn).await
}

/// Stores the names of known records that lack theirs.
pub(crate) async fn add_names(
    connection: &mut SqliteConnection,
    secrets: &RecordSecrets,
    names: &[(i64, RecordName)],
) -> Result<(), OutboxError> {
    let sealed: Vec<(i64, String)> = names
        .iter()
        .map(|(record_no, name)| (*record_no, seal(secrets, &name.record, &name.record_id)))
        .collect();
    insert(connection, &sealed).await
}

/// Forgets the names of records.
pub(crate) async fn forget_names(
    connection: &mut SqliteConnection,
    record_nos: &[i64],
) -> Result<(), OutboxError> {
    if record_nos.is_empty() {
        return Ok(());
    }
    sqlx::query("DELETE FROM record_name WHERE record_no IN (SELECT value FROM json_each(?1))")
        .bind(json(record_nos))
        .execute(connection)
        .await?;
    Ok(())
}

/// Selects those of the records whose names are not stored.
pub(crate) async fn without_names(
    pool: &SqlitePool,
    record_nos: &[i64],
) -> Result<HashSet<i64>, OutboxError> {
    let without: Vec<i64> = sqlx::query_scalar(
        "SELECT value FROM json_each(?1) WHERE NOT EXISTS \
         (SELECT 1 FROM record_name WHERE record_no = value)",
    )
    .bind(json(record_nos))
    .fetch_all(pool)
    .await?;
    Ok(without.into_iter().collect())
}

/// Reads the names of records, by their numbers; leaves out those that are not stored.
///
/// # Errors
/// [`OutboxError::Damaged`] for a name that does not open, and the disk's failures.
pub(crate) async fn read_names(
    pool: &SqlitePool,
    secrets: &RecordSecrets,
    records: &[(i64, RecordDigest)],
) -> Result<HashMap<i64, String>, OutboxError> {
    let record_nos: Vec<i64> = records.iter().map(|(record_no, _)| *record_no).collect();
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT record_no, sealed FROM record_name \
         WHERE record_no IN (SELECT value FROM json_each(?1))",
    )
    .bind(json(&record_nos))
    .fetch_all(pool)
    .await?;
    let sealed: HashMap<i64, Vec<u8>> = rows.into_iter().collect();
    let stored = records
        .iter()
        .filter_map(|(record_no, record)| Some((*record_no, record, sealed.get(record_no)?)));
    let names = stored.map(|(record_no, record, sealed)| {
        let name = secrets.open_name(record, sealed);
        let damaged = OutboxError::Damaged {
            what: "the name of a record",
        };
        Ok((record_no, name.ok_or(damaged)?))
    });
    names.collect()
}

/// Seals an id, in the form in which [`insert`] takes it.
fn seal(secrets: &RecordSecrets, record: &RecordDigest, record_id: &str) -> String {
    hex::encode_upper(secrets.seal_name(record, record_id))
}

async fn insert(
    connection: &mut SqliteConnection,
    sealed: &[(i64, String)],
) -> Result<(), OutboxError> {
    if sealed.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO record_name (record_no, sealed) \
         SELECT value ->> 0, unhex(value ->> 1) FROM json_each(?1) WHERE true \
         ON CONFLICT (record_no) DO NOTHING",
    )
    .bind(json(sealed))
    .execute(connection)
    .await?;
    Ok(())
}
