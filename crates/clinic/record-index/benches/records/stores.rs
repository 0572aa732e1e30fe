//! The record index and its peers: plain SQLite tables that find records by an index of SQLite's.
//!
//! The peers are written with the same care: set statements, sorted look-ups and inserts, results
//! as text in one row, and 37 bytes of state in one column.

use std::collections::HashMap;
use std::error::Error;

use contract::RecordDigest;
use record_index::{RecordIndex, RecordState, key_of};
use sqlx::sqlite::SqliteConnection;

use crate::file::File;

/// Result of a step of the benchmark.
pub(crate) type Done<T> = Result<T, Box<dyn Error>>;

/// A store that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StoreKind {
    /// The record index.
    RecordIndex,
    /// A row a record, and a unique index on its digest.
    UniqueDigest,
    /// A row a record, and an index on its key, the first 8 bytes of the digest.
    KeyIndex,
    /// Blocks of records as in the record index, and a table of keys instead of the runs.
    KeyTable,
}

impl StoreKind {
    pub(crate) const ALL: &[Self] = &[
        Self::RecordIndex,
        Self::UniqueDigest,
        Self::KeyIndex,
        Self::KeyTable,
    ];

    /// Returns the name in tables and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RecordIndex => "record-index",
            Self::UniqueDigest => "unique-digest",
            Self::KeyIndex => "key-index",
            Self::KeyTable => "key-table",
        }
    }

    /// Finds a store by its name.
    pub(crate) fn by_name(name: &str) -> Result<Self, String> {
        let named = Self::ALL.iter().find(|kind| kind.name() == name);
        named
            .copied()
            .ok_or_else(|| format!("no store is called {name}"))
    }

    /// Returns the tables that a store has beside the outbox's.
    pub(crate) const fn schema(self) -> &'static str {
        match self {
            Self::RecordIndex => "",
            Self::UniqueDigest => {
                "CREATE TABLE peer (record_no INTEGER PRIMARY KEY, record BLOB NOT NULL UNIQUE, \
                 state BLOB NOT NULL) STRICT"
            }
            Self::KeyIndex => {
                "CREATE TABLE peer (record_no INTEGER PRIMARY KEY, key INTEGER NOT NULL, \
                 record BLOB NOT NULL, state BLOB NOT NULL) STRICT; \
                 CREATE INDEX peer_key ON peer (key)"
            }
            Self::KeyTable => {
                "CREATE TABLE peer_key (key INTEGER, record_no INTEGER, \
                 PRIMARY KEY (key, record_no)) STRICT, WITHOUT ROWID"
            }
        }
    }
}

/// An open store.
pub(crate) struct MeasuredStore {
    kind: StoreKind,
    index: RecordIndex,
}

/// Numbers of the records that a look-up found, and what the append needs to know of it.
pub(crate) struct FoundRecords {
    /// Record numbers by digest.
    pub(crate) record_nos: HashMap<RecordDigest, i64>,
    upto: i64,
}

const STATE_BYTES: usize = 37;
const SLOT_BYTES: usize = 32 + STATE_BYTES;

impl MeasuredStore {
    /// Makes a store with an empty memory.
    pub(crate) fn new(kind: StoreKind) -> Self {
        let index = match kind {
            // Its memtable is never used, and never flushed.
            StoreKind::KeyTable => RecordIndex::with_flush_keys(i64::MAX),
            _ => RecordIndex::default(),
        };
        Self { kind, index }
    }

    /// Finds a page of records, and reads all of each.
    pub(crate) async fn look_up(&self, file: &File, page: &[RecordDigest]) -> Done<FoundRecords> {
        match self.kind {
            StoreKind::RecordIndex => {
                let found = self.index.look_up(&file.reader, page).await?;
                let numbers = found
                    .known
                    .iter()
                    .map(|(record, one)| (*record, one.record_no));
                Ok(FoundRecords {
                    record_nos: numbers.collect(),
                    upto: found.upto,
                })
            }
            StoreKind::UniqueDigest => unique_digest_look_up(file, page).await,
            StoreKind::KeyIndex => key_index_look_up(file, page).await,
            StoreKind::KeyTable => key_table_look_up(file, page).await,
        }
    }

    /// Appends new records and commits.
    pub(crate) async fn append(
        &self,
        file: &mut File,
        new: &[(RecordDigest, RecordState)],
        found: &FoundRecords,
    ) -> Done<()> {
        let mut transaction = sqlx::Connection::begin(&mut file.writer).await?;
        let connection = &mut *transaction;
        let records = new.iter().map(|(record, state)| (record, *state));
        let appended = match self.kind {
            StoreKind::RecordIndex => {
                Some(self.index.append(connection, records, found.upto).await?)
            }
            StoreKind::KeyTable => {
                let appended = self.index.append(connection, records, i64::MAX).await?;
                let keys = new.iter().map(|(record, _)| key_of(record).cast_signed());
                let mut entries: Vec<_> = keys.zip(appended.after() + 1..).collect();
                entries.sort_unstable();
                insert_keys(connection, &entries).await?;
                None
            }
            StoreKind::UniqueDigest | StoreKind::KeyIndex => {
                let mut rows: Vec<_> = new.iter().collect();
                rows.sort_unstable_by_key(|(record, _)| key_of(record).cast_signed());
                insert_rows(connection, self.kind, &rows).await?;
                None
            }
        };
        transaction.commit().await?;
        if let Some(appended) = appended {
            self.index.note_committed(&appended).await;
        }
        Ok(())
    }

    /// Changes known records and commits.
    pub(crate) async fn change(&self, file: &mut File, changes: &[(i64, RecordState)]) -> Done<()> {
        let mut transaction = sqlx::Connection::begin(&mut file.writer).await?;
        match self.kind {
            StoreKind::RecordIndex | StoreKind::KeyTable => {
                let apply = |_: &RecordDigest, state: &mut RecordState, new| {
                    *state = new;
                    Ok(())
                };
                record_index::change(&mut transaction, changes.iter().copied(), apply).await?;
            }
            StoreKind::UniqueDigest | StoreKind::KeyIndex => {
                update_rows(&mut transaction, changes).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }
}

fn json(values: &(impl serde::Serialize + ?Sized)) -> Done<String> {
    Ok(serde_json::to_string(values)?)
}

fn state_bytes(state: &RecordState) -> [u8; STATE_BYTES] {
    let mut bytes = [0; STATE_BYTES];
    bytes[..16].copy_from_slice(&state.content.map_or([0; 16], |content| content.0));
    bytes[16..20].copy_from_slice(&state.revision.generation.to_be_bytes());
    bytes[20..24].copy_from_slice(&state.revision.count.to_be_bytes());
    bytes[24..28].copy_from_slice(&1_u32.to_be_bytes());
    bytes[28..36].copy_from_slice(&state.stamp.unwrap_or(0).to_be_bytes());
    bytes[36] = u8::from(state.withdrawn);
    bytes
}

/// Columns of found rows: record numbers, and `hex()` of digests and states.
type Columns = (Option<String>, Option<String>);

/// Reads found rows, of which some may be another record's with the same key.
fn read_found(columns: Columns, page: &[RecordDigest]) -> Done<FoundRecords> {
    let numbers = columns.0.unwrap_or_default();
    let slots = columns.1.unwrap_or_default();
    let wanted: record_index::RecordSet<'_> = page.iter().collect();
    let mut record_nos = HashMap::with_capacity(page.len());
    let mut slot = [0; SLOT_BYTES];
    for (number, hex) in numbers
        .split_terminator(',')
        .zip(slots.as_bytes().chunks_exact(2 * SLOT_BYTES))
    {
        hex::decode_to_slice(hex, &mut slot)?;
        let record = RecordDigest(*slot.first_chunk().ok_or("a short row")?);
        if wanted.contains(&record) {
            record_nos.insert(record, number.parse()?);
        }
    }
    Ok(FoundRecords {
        record_nos,
        upto: 0,
    })
}

async fn unique_digest_look_up(file: &File, page: &[RecordDigest]) -> Done<FoundRecords> {
    let mut sorted = page.to_vec();
    sorted.sort_unstable();
    let digests: Vec<u8> = sorted.iter().flat_map(|record| record.0).collect();
    let columns: Columns = sqlx::query_as(
        "WITH RECURSIVE place (at) AS (SELECT 1 UNION ALL SELECT at + 32 FROM place \
         WHERE at + 32 < length(?1)) \
         SELECT group_concat(record_no), group_concat(hex(record || state), '') \
         FROM place CROSS JOIN peer ON record = substr(?1, at, 32)",
    )
    .bind(digests)
    .fetch_one(&file.reader)
    .await?;
    read_found(columns, page)
}

fn sorted_keys(page: &[RecordDigest]) -> Vec<i64> {
    let mut keys: Vec<i64> = page
        .iter()
        .map(|record| key_of(record).cast_signed())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

async fn key_index_look_up(file: &File, page: &[RecordDigest]) -> Done<FoundRecords> {
    let columns: Columns = sqlx::query_as(
        "SELECT group_concat(record_no), group_concat(hex(record || state), '') \
         FROM json_each(?1) AS j CROSS JOIN peer ON peer.key = j.value",
    )
    .bind(json(&sorted_keys(page))?)
    .fetch_one(&file.reader)
    .await?;
    read_found(columns, page)
}

async fn key_table_look_up(file: &File, page: &[RecordDigest]) -> Done<FoundRecords> {
    let numbers: Option<String> = sqlx::query_scalar(
        "SELECT group_concat(record_no) FROM json_each(?1) AS j CROSS JOIN peer_key \
         ON peer_key.key = j.value",
    )
    .bind(json(&sorted_keys(page))?)
    .fetch_one(&file.reader)
    .await?;
    let numbers = numbers.unwrap_or_default();
    let numbers = numbers.split_terminator(',').map(str::parse);
    let mut numbers: Vec<i64> = numbers.collect::<Result<_, _>>()?;
    numbers.sort_unstable();
    let wanted: record_index::RecordSet<'_> = page.iter().collect();
    let stored = record_index::look_up_numbers(&file.reader, &numbers).await?;
    let stored = stored
        .into_iter()
        .filter(|(record, _)| wanted.contains(record));
    let record_nos = stored
        .map(|(record, one)| (record, one.record_no))
        .collect();
    Ok(FoundRecords {
        record_nos,
        upto: 0,
    })
}

async fn insert_keys(connection: &mut SqliteConnection, entries: &[(i64, i64)]) -> Done<()> {
    sqlx::query(
        "INSERT INTO peer_key (key, record_no) \
         SELECT j.value ->> 0, j.value ->> 1 FROM json_each(?1) AS j",
    )
    .bind(json(entries)?)
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_rows(
    connection: &mut SqliteConnection,
    kind: StoreKind,
    rows: &[&(RecordDigest, RecordState)],
) -> Done<()> {
    let mut slots = Vec::with_capacity(rows.len() * SLOT_BYTES);
    for (record, state) in rows {
        slots.extend_from_slice(&record.0);
        slots.extend_from_slice(&state_bytes(state));
    }
    let keys: Vec<i64> = rows
        .iter()
        .map(|(record, _)| key_of(record).cast_signed())
        .collect();
    let insert = if kind == StoreKind::KeyIndex {
        "INSERT INTO peer (key, record, state) \
         SELECT j.value, substr(?1, j.key * 69 + 1, 32), substr(?1, j.key * 69 + 33, 37) \
         FROM json_each(?2) AS j"
    } else {
        "WITH RECURSIVE place (at) AS (SELECT 1 UNION ALL SELECT at + 69 FROM place \
         WHERE at + 69 < length(?1)) \
         INSERT INTO peer (record, state) \
         SELECT substr(?1, at, 32), substr(?1, at + 32, 37) FROM place WHERE ?2 IS NOT NULL"
    };
    sqlx::query(insert)
        .bind(slots)
        .bind(json(&keys)?)
        .execute(connection)
        .await?;
    Ok(())
}

async fn update_rows(
    connection: &mut SqliteConnection,
    changes: &[(i64, RecordState)],
) -> Done<()> {
    let mut sorted = changes.to_vec();
    sorted.sort_unstable_by_key(|(record_no, _)| *record_no);
    let states: Vec<u8> = sorted
        .iter()
        .flat_map(|(_, state)| state_bytes(state))
        .collect();
    let numbers: Vec<i64> = sorted.iter().map(|(record_no, _)| *record_no).collect();
    sqlx::query(
        "UPDATE peer SET state = substr(?1, j.key * 37 + 1, 37) FROM json_each(?2) AS j \
         WHERE record_no = j.value",
    )
    .bind(states)
    .bind(json(&numbers)?)
    .execute(connection)
    .await?;
    Ok(())
}
