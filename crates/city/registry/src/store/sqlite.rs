//! The SQLite store: one file, one writer connection, a few readers.

use std::collections::HashMap;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection as _, Error, SqlSafeStr};

use super::error::{StoreError, migration_fault};
use super::read::{
    CLAIM, FactTuple, PseudonymTuple, RawFact, RawStats, StoredTuple, TOUCH, raw_fact,
    raw_pseudonym, raw_stored, stats_sql, value_of,
};
use super::sqlite_rows::{SqliteRows, hex_list};
use crate::choose::Stored;
use crate::config::SqliteConfig;
use crate::link::SubjectId;
use crate::second_layer::CityPseudonym;

/// How long to wait for another process that writes, in seconds.
const BUSY_TIMEOUT_SECONDS: u64 = 10;
/// How long to wait for a connection, in seconds.
const ACQUIRE_TIMEOUT_SECONDS: u64 = 30;
/// How often, and after what pause, opening the file is tried again.
const OPEN_TRIES: u32 = 10;
const OPEN_PAUSE: Duration = Duration::from_millis(200);
/// Connections that only read.
const READERS: u32 = 4;

/// Whether a connection is out of its transaction and may be used again. On a full disk SQLite
/// rolls back by itself, the driver's ROLLBACK then fails, and it would refuse every later
/// transaction on this connection.
async fn ended(connection: &mut SqliteConnection) -> Result<bool, Error> {
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// An open SQLite file.
#[derive(Debug, Clone)]
pub(crate) struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens or makes the file, readable by its owner only, and brings the schema up to date.
    pub(crate) async fn open(config: &SqliteConfig, base: &Path) -> Result<Self, StoreError> {
        let path = base.join(&config.path);
        make_private(&path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: the queue is told "stored" right after the commit, so the commit must be on the
            // disk.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(BUSY_TIMEOUT_SECONDS));
        let pool = |size| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .acquire_timeout(Duration::from_secs(ACQUIRE_TIMEOUT_SECONDS))
                .after_release(|connection, _| Box::pin(ended(connection)))
        };
        let writer = writer(&|| pool(1), &options).await?;
        let readers = pool(READERS).connect_lazy_with(options.read_only(true));
        Ok(Self { writer, readers })
    }

    /// Begins a transaction that may write; a deferred one would fail when another process wrote
    /// meanwhile.
    pub(crate) async fn begin(&self) -> Result<SqliteRows, Error> {
        self.writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map(SqliteRows::new)
    }

    /// Puts the key's check value down where there is none yet; the one that stands.
    pub(crate) async fn claim(&self, check: &[u8; 32]) -> Result<Vec<u8>, Error> {
        sqlx::query(CLAIM)
            .bind(&check[..])
            .execute(&self.writer)
            .await?;
        sqlx::query_scalar("SELECT check_value FROM second_layer")
            .fetch_one(&self.writer)
            .await
    }

    pub(crate) async fn ping(&self) -> Result<(), Error> {
        sqlx::query("SELECT 1 FROM subject LIMIT 1")
            .execute(&self.writer)
            .await
            .map(drop)
    }

    /// Writes the one row that is always there back as it is, and commits.
    pub(crate) async fn ping_writing(&self) -> Result<(), Error> {
        sqlx::query(TOUCH).execute(&self.writer).await.map(drop)
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    pub(crate) async fn facts(
        &self,
        subjects: Option<&[SubjectId]>,
    ) -> Result<Vec<RawFact>, Error> {
        let rows: Vec<FactTuple> = match subjects {
            None => sqlx::query_as(ALL_FACTS).fetch_all(&self.readers).await?,
            Some(ids) => {
                sqlx::query_as(SUBJECT_FACTS)
                    .bind(id_list(ids))
                    .fetch_all(&self.readers)
                    .await?
            }
        };
        rows.into_iter().map(raw_fact).collect()
    }

    pub(crate) async fn pseudonyms(
        &self,
        subjects: Option<&[SubjectId]>,
    ) -> Result<Vec<(SubjectId, CityPseudonym)>, Error> {
        let rows: Vec<PseudonymTuple> = match subjects {
            None => {
                sqlx::query_as(ALL_PSEUDONYMS)
                    .fetch_all(&self.readers)
                    .await?
            }
            Some(ids) => {
                sqlx::query_as(SUBJECT_PSEUDONYMS)
                    .bind(id_list(ids))
                    .fetch_all(&self.readers)
                    .await?
            }
        };
        rows.into_iter().map(raw_pseudonym).collect()
    }

    pub(crate) async fn subjects_of(
        &self,
        values: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], SubjectId>, Error> {
        let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(SUBJECTS_OF)
            .bind(hex_list(values))
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter()
            .map(|(value, id)| Ok((value_of(&value)?, id)))
            .collect()
    }

    pub(crate) async fn stored(
        &self,
        records: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Stored>, Error> {
        let rows: Vec<StoredTuple> = sqlx::query_as(STORED)
            .bind(hex_list(records))
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(raw_stored).collect()
    }

    pub(crate) async fn stats(&self) -> Result<RawStats, Error> {
        let mut tx = self.readers.begin().await?;
        Ok(RawStats {
            subjects: sqlx::query_scalar(stats_sql::SUBJECTS)
                .fetch_one(&mut *tx)
                .await?,
            pseudonyms: sqlx::query_as(stats_sql::PSEUDONYMS)
                .fetch_all(&mut *tx)
                .await?,
            facts: sqlx::query_as(stats_sql::FACTS).fetch_all(&mut *tx).await?,
            conflicts: sqlx::query_scalar(stats_sql::CONFLICTS)
                .fetch_one(&mut *tx)
                .await?,
            refusals: sqlx::query_as(stats_sql::REFUSALS)
                .fetch_all(&mut *tx)
                .await?,
        })
    }

    pub(crate) async fn prune(&self, keep: i64) -> Result<u64, Error> {
        let done = sqlx::query(
            "DELETE FROM refusal WHERE seen_at <= (SELECT seen_at FROM refusal ORDER BY seen_at \
             DESC LIMIT 1 OFFSET $1)",
        );
        Ok(done.bind(keep).execute(&self.writer).await?.rows_affected())
    }
}

#[cfg(test)]
impl SqliteStore {
    /// As a file system does that was remounted read-only.
    pub(crate) async fn refuse_writes(&self) {
        sqlx::query("PRAGMA query_only = 1")
            .execute(&self.writer)
            .await
            .unwrap();
    }
}

/// What holds of records; `$1` is a JSON list of hex.
pub(super) const STORED: &str = "SELECT record, version, kind, status, content FROM fact
    WHERE record IN (SELECT unhex(j.value) FROM json_each($1) AS j)";
/// Looks pseudonyms up; `$1` is a JSON list of hex.
pub(super) const SUBJECTS_OF: &str = "SELECT value, subject_id FROM pseudonym
    WHERE value IN (SELECT unhex(j.value) FROM json_each($1) AS j)";
const ALL_FACTS: &str =
    "SELECT f.record, f.version, f.kind, f.vaccine, f.dose_number, f.series_doses, f.test,
        f.result, f.began_on, f.occurred_on, p.subject_id
    FROM fact AS f LEFT JOIN pseudonym AS p ON p.value = f.pseudonym ORDER BY f.record";
const SUBJECT_FACTS: &str =
    "SELECT f.record, f.version, f.kind, f.vaccine, f.dose_number, f.series_doses, f.test,
        f.result, f.began_on, f.occurred_on, p.subject_id
    FROM fact AS f JOIN pseudonym AS p ON p.value = f.pseudonym
    WHERE p.subject_id IN (SELECT j.value FROM json_each($1) AS j) ORDER BY f.record";
const ALL_PSEUDONYMS: &str = "SELECT value, scheme, suite, epoch, subject_id FROM pseudonym";
const SUBJECT_PSEUDONYMS: &str = "SELECT value, scheme, suite, epoch, subject_id FROM pseudonym
    WHERE subject_id IN (SELECT j.value FROM json_each($1) AS j)";

/// A JSON list of ids.
pub(super) fn id_list(ids: &[SubjectId]) -> String {
    serde_json::to_string(ids).expect("numbers are always JSON")
}

/// Connects and makes the tables. Of two programs that open a new file at the same moment SQLite
/// lets one fail, at switching to the write-ahead log or at a table that the other makes; the next
/// try finds what the other has made.
async fn writer(
    pool: &(dyn Fn() -> SqlitePoolOptions + Sync),
    options: &SqliteConnectOptions,
) -> Result<SqlitePool, StoreError> {
    let mut tries = 1;
    loop {
        let failed = match pool().connect_with(options.clone()).await {
            Ok(writer) => match migrator().run(&writer).await {
                Ok(()) => return Ok(writer),
                Err(error) => {
                    writer.close().await;
                    error
                }
            },
            Err(error) => MigrateError::Execute(error),
        };
        match failed {
            MigrateError::Execute(_) | MigrateError::ExecuteMigration(..) if tries < OPEN_TRIES => {
                tries += 1
            }
            error => return Err(migration_fault(&error)),
        }
        tokio::time::sleep(OPEN_PAUSE).await;
    }
}

fn migrator() -> Migrator {
    let files = [
        (
            "init",
            include_str!("../../../../../migrations/registry/sqlite/0001_init.sql"),
        ),
        (
            "content",
            include_str!("../../../../../migrations/registry/sqlite/0002_content.sql"),
        ),
    ];
    let migration = |(version, (name, sql)): (i64, (&'static str, &'static str))| {
        Migration::new(
            version,
            name.into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    };
    Migrator::with_migrations((1..).zip(files).map(migration).collect())
}

/// SQLite itself would make the file as readable as the umask says.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let made = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path);
    made.map(drop).map_err(|error| StoreError::Misconfigured {
        what: format!(
            "the database file {} cannot be opened: {}",
            path.display(),
            error.kind()
        ),
        help: "check that its folder exists and belongs to this program's user",
    })
}
