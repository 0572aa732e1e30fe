//! SQLite as the registry's database: one file, one writer connection, a few readers.

mod passes;
mod persons;
mod queries;
mod rekey;
mod tokens;
mod transaction;

use std::collections::HashMap;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use linking::{
    CityPseudonym, Decision, LinkRules, OpenBatch, SecondLayerKey, StoredRecord, StoredVersion,
    SubjectId,
};
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection as _, Error};

use super::apply::apply;
use super::asked::AskedPerson;
use super::backend::{Backend, MessageKey};
use super::batch_escrow::BatchEscrow;
use super::certificates::issue_counts;
use super::error::StoreError;
use super::expire::expiry_store;
use super::marks::Mark;
use super::migrations::{MigrationFile, migrator};
use super::passes::{PassCount, PassKey};
use super::person_statements::NameValue;
use super::persons::{Around, PersonsChanged, decide_by_operator, look_around};
use super::purge::{ListedRecord, PurgeManner, PurgedPart, permit, purge};
use super::rekey::rekey_store;
use super::rows::{
    ActionColumns, ActionRow, ContestColumns, ContestRow, FactRow, action_row, contest_row,
};
use super::sql::{CHECK_VALUE, CLAIM, COUNTS, PING, PRUNE, TOUCH, select_actions, select_contests};
use super::stats::CountRow;
use super::tokens::token_store;
use super::transaction::{Abort, Applied, Attempt, StoreTransaction};
use super::upgrade::move_facts;
use crate::config::SqliteConfig;
use transaction::SqliteTransaction;

/// Longest wait for another process that writes, in seconds.
const BUSY_TIMEOUT_SECONDS: u64 = 10;
/// Longest wait for a connection, in seconds.
const ACQUIRE_TIMEOUT_SECONDS: u64 = 30;
/// Number of times that opening the file is tried.
const OPEN_TRIES: u32 = 10;
/// Pause between two tries to open the file.
const OPEN_PAUSE: Duration = Duration::from_millis(200);
/// Number of connections that only read.
const READERS: u32 = 4;

const MIGRATIONS: [MigrationFile; 12] = [
    MigrationFile {
        name: "init",
        sql: include_str!("../../../../../../migrations/registry/sqlite/0001_init.sql"),
    },
    MigrationFile {
        name: "content",
        sql: include_str!("../../../../../../migrations/registry/sqlite/0002_content.sql"),
    },
    MigrationFile {
        name: "links",
        sql: include_str!("../../../../../../migrations/registry/sqlite/0003_links.sql"),
    },
    MigrationFile {
        name: "attempts",
        sql: include_str!("../../../../../../migrations/registry/sqlite/0004_attempts.sql"),
    },
    MigrationFile {
        name: "passes",
        sql: include_str!("../../../../../../migrations/registry/sqlite/0005_passes.sql"),
    },
    MigrationFile {
        name: "pass marks",
        sql: include_str!("../../../../../../migrations/registry/sqlite/0006_pass_marks.sql"),
    },
    MigrationFile {
        name: "certificates",
        sql: include_str!("../../../../../../migrations/registry/sqlite/0007_certificates.sql"),
    },
    MigrationFile {
        name: "rekeying",
        sql: include_str!("../../../../../../migrations/registry/sqlite/0008_rekeying.sql"),
    },
    MigrationFile {
        name: "purge",
        sql: include_str!("../../../../../../migrations/registry/sqlite/0009_purge.sql"),
    },
    MigrationFile {
        name: "expired",
        sql: include_str!("../../../../../../migrations/registry/sqlite/0010_expired.sql"),
    },
    MigrationFile {
        name: "tokens",
        sql: include_str!("../../../../../../migrations/registry/sqlite/0011_tokens.sql"),
    },
    MigrationFile {
        name: "deleted",
        sql: include_str!("../../../../../../migrations/registry/sqlite/0012_deleted.sql"),
    },
];

/// Open SQLite file.
#[derive(Debug, Clone)]
pub(super) struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens or makes the file, readable by its owner only, and brings the schema up to date.
    pub(super) async fn open(config: &SqliteConfig, base: &Path) -> Result<Self, StoreError> {
        let path = base.join(&config.path);
        make_private(&path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: the batches are acknowledged right after the commit, so the commit must be on
            // the disk.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(BUSY_TIMEOUT_SECONDS));
        let writer = open_writer(&options).await?;
        let readers = pool_of(READERS).connect_lazy_with(options.read_only(true));
        Ok(Self { writer, readers })
    }
}

issue_counts!(
    SqliteStore,
    writer,
    readers,
    queries::hex_list,
    "IN (SELECT unhex(j.value) FROM json_each($1) AS j)"
);

rekey_store!(sqlite, SqliteStore, writer, readers);

expiry_store!(sqlite, SqliteStore, readers);

token_store!(
    sqlite,
    SqliteStore,
    writer,
    readers,
    queries::hex_list,
    "IN (SELECT unhex(j.value) FROM json_each($2) AS j)"
);

#[async_trait]
impl Backend for SqliteStore {
    fn name(&self) -> &'static str {
        "SQLite"
    }

    async fn apply(
        &self,
        batches: &[&OpenBatch],
        rules: &LinkRules,
        escrow: Option<&BatchEscrow>,
        attempt: Attempt,
        now: DateTime<Utc>,
    ) -> Result<Applied, Abort> {
        // A deferred transaction would fail when another process wrote meanwhile.
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut transaction = SqliteTransaction::new(begun);
        let applied = apply(&mut transaction, batches, rules, escrow, attempt, now).await?;
        if !attempt.is_rehearsal {
            transaction.commit().await?;
        }
        Ok(applied)
    }

    async fn move_old_facts(&self, key: &SecondLayerKey) -> Result<Option<usize>, Abort> {
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut transaction = SqliteTransaction::new(begun);
        let moved = move_facts(&mut transaction, key).await?;
        transaction.commit().await?;
        Ok(moved)
    }

    async fn decide(
        &self,
        decision: Decision,
        holds: bool,
        rules: &LinkRules,
        now: DateTime<Utc>,
    ) -> Result<Option<PersonsChanged>, Abort> {
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut transaction = SqliteTransaction::new(begun);
        let changed = decide_by_operator(&mut transaction, decision, holds, rules, now).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    async fn purge(
        &self,
        records: &[ListedRecord],
        rules: &LinkRules,
        manner: PurgeManner,
        now: DateTime<Utc>,
    ) -> Result<PurgedPart, Abort> {
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut transaction = SqliteTransaction::new(begun);
        let purged = purge(&mut transaction, records, rules, manner, now).await?;
        if !manner.is_dry_run {
            transaction.commit().await?;
        }
        Ok(purged)
    }

    async fn permit(&self, records: &[StoredRecord]) -> Result<u64, Abort> {
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut transaction = SqliteTransaction::new(begun);
        let permitted = permit(&mut transaction, records).await?;
        transaction.commit().await?;
        Ok(permitted)
    }

    async fn around(&self, name: &NameValue) -> Result<Option<Around>, Abort> {
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut transaction = SqliteTransaction::new(begun);
        look_around(&mut transaction, *name).await
    }

    async fn contests(&self, limit: i64) -> Result<Vec<ContestRow>, Error> {
        let query = sqlx::query_as(select_contests!("c.first_seen_at"));
        let rows: Vec<ContestColumns> = query.bind(limit).fetch_all(&self.readers).await?;
        rows.into_iter().map(contest_row).collect()
    }

    async fn actions(&self, limit: i64) -> Result<Vec<ActionRow>, Error> {
        let query = sqlx::query_as(select_actions!("done_at"));
        let rows: Vec<ActionColumns> = query.bind(limit).fetch_all(&self.readers).await?;
        rows.into_iter().map(action_row).collect()
    }

    async fn claim(&self, check: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let claim = sqlx::query(CLAIM).bind(&check[..]);
        claim.execute(&self.writer).await?;
        sqlx::query_scalar(CHECK_VALUE)
            .fetch_one(&self.writer)
            .await
    }

    async fn ping(&self) -> Result<(), Error> {
        sqlx::query(PING).execute(&self.writer).await.map(drop)
    }

    async fn ping_writing(&self) -> Result<(), Error> {
        sqlx::query(TOUCH).execute(&self.writer).await.map(drop)
    }

    async fn failures(&self, message: &MessageKey) -> Result<u32, Error> {
        queries::failures(&self.writer, message).await
    }

    async fn put_failures(
        &self,
        message: &MessageKey,
        failures: u32,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        queries::put_failures(&self.writer, message, failures, now).await
    }

    async fn prune_failures(&self, before: DateTime<Utc>) -> Result<(), Error> {
        queries::prune_failures(&self.writer, before).await
    }

    async fn count_passes(
        &self,
        keys: &[PassKey],
        more: u32,
        now: DateTime<Utc>,
    ) -> Result<Vec<u32>, Error> {
        passes::count_passes(&self.writer, keys, more, now).await
    }

    async fn is_watched(&self) -> Result<bool, Error> {
        passes::is_watched(&self.readers).await
    }

    async fn watch(&self) -> Result<(), Abort> {
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut transaction = SqliteTransaction::new(begun);
        transaction.watch().await?;
        Ok(transaction.commit().await?)
    }

    async fn marks(&self, limit: i64) -> Result<Vec<Mark>, Error> {
        passes::marks(&self.readers, limit).await
    }

    async fn remove_marks(&self, ids: &[i64]) -> Result<(), Error> {
        passes::remove_marks(&self.writer, ids).await
    }

    async fn prune_marks(&self, before: DateTime<Utc>) -> Result<(), Error> {
        passes::prune_marks(&self.writer, before).await
    }

    async fn marked_names(
        &self,
        names: &[NameValue],
        subjects: &[SubjectId],
        now: DateTime<Utc>,
    ) -> Result<Vec<NameValue>, Error> {
        passes::marked_names(&self.readers, names, subjects, now).await
    }

    async fn open_names(
        &self,
        after: Option<NameValue>,
        limit: i64,
        now: DateTime<Utc>,
    ) -> Result<Vec<NameValue>, Error> {
        passes::open_names(&self.readers, after, limit, now).await
    }

    async fn open_passes(
        &self,
        names: &[NameValue],
        now: DateTime<Utc>,
    ) -> Result<Vec<PassCount>, Error> {
        passes::open_passes(&self.readers, names, now).await
    }

    async fn ended_passes(
        &self,
        after: &PassKey,
        limit: i64,
        now: DateTime<Utc>,
    ) -> Result<Vec<PassCount>, Error> {
        passes::ended_passes(&self.readers, after, limit, now).await
    }

    async fn end_passes(&self, ended: &[PassCount]) -> Result<(), Error> {
        passes::end_passes(&self.writer, ended).await
    }

    async fn prune_passes(&self, before: DateTime<Utc>) -> Result<(), Error> {
        passes::prune_passes(&self.writer, before).await
    }

    async fn next_publication(&self, least: i64) -> Result<i64, Error> {
        passes::next_publication(&self.writer, least).await
    }

    async fn asked_person(
        &self,
        names: &[NameValue],
        most_facts: i64,
    ) -> Result<AskedPerson, Error> {
        queries::asked_person(&self.readers, names, most_facts).await
    }

    async fn facts(&self, subjects: Option<&[SubjectId]>) -> Result<Vec<FactRow>, Error> {
        queries::facts(&self.readers, subjects).await
    }

    async fn pseudonyms(
        &self,
        subjects: Option<&[SubjectId]>,
    ) -> Result<Vec<(SubjectId, CityPseudonym)>, Error> {
        queries::pseudonyms(&self.readers, subjects).await
    }

    async fn subjects_of(
        &self,
        values: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], SubjectId>, Error> {
        queries::subjects_of(&self.readers, values).await
    }

    async fn stored(
        &self,
        records: &[StoredRecord],
    ) -> Result<HashMap<StoredRecord, StoredVersion>, Error> {
        queries::stored(&self.readers, records).await
    }

    async fn counts(&self) -> Result<Vec<CountRow>, Error> {
        sqlx::query_as(COUNTS).fetch_all(&self.readers).await
    }

    async fn prune(&self, keep: i64) -> Result<u64, Error> {
        let pruned = sqlx::query(PRUNE).bind(keep).execute(&self.writer).await?;
        Ok(pruned.rows_affected())
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
impl SqliteStore {
    /// Makes a file as the program of before links left it.
    pub(super) async fn make_before_links(path: &Path) -> SqlitePool {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true);
        let pool = pool_of(1).connect_with(options).await.unwrap();
        migrator(&MIGRATIONS[..2]).run(&pool).await.unwrap();
        pool
    }

    /// Refuses writes from now on, as a file system does that was remounted read-only.
    pub(super) async fn refuse_writes(&self) {
        sqlx::query("PRAGMA query_only = 1")
            .execute(&self.writer)
            .await
            .unwrap();
    }
}

fn pool_of(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        // Without them the pool has a task that looks after idle connections; it may spin for ever
        // on a whole processor (sqlx issue 3645).
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(Duration::from_secs(ACQUIRE_TIMEOUT_SECONDS))
        .after_release(|connection, _| Box::pin(is_reusable(connection)))
}

/// Returns whether a connection is out of its transaction and may be used again. On a full disk
/// SQLite rolls back by itself, the driver's ROLLBACK then fails, and it would refuse every later
/// transaction on this connection.
async fn is_reusable(connection: &mut SqliteConnection) -> Result<bool, Error> {
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Connects the writer and makes the tables. Of two programs that open a new file at the same
/// moment SQLite lets one fail, at switching to the write-ahead log or at a table that the other
/// makes; the next try finds what the other has made.
async fn open_writer(options: &SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let mut tries = 1;
    loop {
        let failed = match pool_of(1).connect_with(options.clone()).await {
            Ok(writer) => match migrator(&MIGRATIONS).run(&writer).await {
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
            error => return Err(error.into()),
        }
        tokio::time::sleep(OPEN_PAUSE).await;
    }
}

/// Makes the file readable by its owner only; SQLite itself would make it as readable as the umask
/// says.
fn make_private(path: &Path) -> Result<(), StoreError> {
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(StoreError::Misconfigured {
            what: format!("the database file {} is no regular file", path.display()),
            help: "name a file of its own for the database",
        });
    }
    let made = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path);
    made.map(drop).map_err(|error| StoreError::Misconfigured {
        what: format!(
            "the database file {} cannot be opened: {}",
            path.display(),
            settings::path_error_text(error.kind())
        ),
        help: "check that its folder exists and belongs to this program's user",
    })
}
