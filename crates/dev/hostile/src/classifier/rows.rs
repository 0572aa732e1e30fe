//! Everything that a registry's database holds about its records.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row as _};

use crate::Outcome;

/// Record with its name set and subject, as they rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Digest of the record under the second layer.
    pub record: [u8; 32],
    /// Highest version.
    pub version: i64,
    /// True where the record was taken back.
    pub is_withdrawn: bool,
    /// Digests and ids as they stand: owner, content, name set, names, and the subject's number.
    pub values: [Vec<u8>; 5],
    /// Number of records of the name set.
    pub records: i64,
}

const ROWS: &str = "SELECT f.record, f.version, f.status, f.owner, f.content, f.name_set, s.names,
        p.subject_id, s.records
    FROM fact f LEFT JOIN name_set s ON s.id = f.name_set
    LEFT JOIN pseudonym p ON p.value = substr(s.names, 1, 32)
    ORDER BY f.record";

/// Reads all rows of a SQLite store, sorted by record.
///
/// # Errors
/// A file that is no registry's.
pub async fn rows(database: &Path) -> Outcome<Vec<Row>> {
    let options = SqliteConnectOptions::new().filename(database);
    let mut connection = options.read_only(true).connect().await?;
    let rows = sqlx::query(ROWS).fetch_all(&mut connection).await?;
    connection.close().await?;
    let mut read = Vec::with_capacity(rows.len());
    for row in rows {
        let bytes = |column: &str| {
            let value: Option<Vec<u8>> = row.try_get(column)?;
            Ok::<Vec<u8>, sqlx::Error>(value.unwrap_or_default())
        };
        let record: Vec<u8> = bytes("record")?;
        let subject: Option<i64> = row.try_get("subject_id")?;
        let subject = subject.map(|id| id.to_be_bytes().to_vec());
        let records: Option<i64> = row.try_get("records")?;
        read.push(Row {
            record: record
                .try_into()
                .map_err(|_| "a record of another length")?,
            version: row.try_get("version")?,
            is_withdrawn: row.try_get::<String, _>("status")? == "withdrawn",
            values: [
                bytes("owner")?,
                bytes("content")?,
                bytes("name_set")?,
                bytes("names")?,
                subject.unwrap_or_default(),
            ],
            records: records.unwrap_or_default(),
        });
    }
    Ok(read)
}
