//! Opening the SQLite file: what must be true of it before a word is written, and the one writing
//! connection.

use std::borrow::Cow;
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqlSafeStr as _};
use tokio::sync::{Mutex, MutexGuard};

use crate::OutboxError;
use crate::lock::FILE_MODE;

/// Every migration, oldest first; only ever added to.
const MIGRATIONS: [(i64, &str, &str); 4] = [
    (
        1,
        "outbox",
        include_str!("../../../../migrations/outbox/0001_outbox.sql"),
    ),
    (
        2,
        "receipts and sweeps",
        include_str!("../../../../migrations/outbox/0002_receipts_sweeps.sql"),
    ),
    (
        3,
        "record keys",
        include_str!("../../../../migrations/outbox/0003_record_keys.sql"),
    ),
    (
        4,
        "record blocks",
        include_str!("../../../../migrations/outbox/0004_record_blocks.sql"),
    ),
];

/// "CGOB", set by the first migration.
const APPLICATION_ID: i64 = 0x4347_4f42;

/// How long a statement waits for another connection's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) fn known_schema() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, ..)| *version)
}

/// Creates the file for its owner alone, or takes others' rights to it away. SQLite gives its WAL
/// the same mode.
pub(crate) fn create_private(path: &Path) -> Result<(), OutboxError> {
    let mut options = OpenOptions::new();
    let opened = options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path);
    let private = opened.and_then(|file| {
        let loose = file.metadata()?.permissions().mode() & 0o077 != 0;
        if loose {
            file.set_permissions(Permissions::from_mode(FILE_MODE))
        } else {
            Ok(())
        }
    });
    private.map_err(|error| OutboxError::io("creating the outbox file", &error))
}

/// Options of a connection that may write.
pub(crate) fn writing(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "10000")
        // After a burst the WAL shrinks to this many bytes.
        .pragma("journal_size_limit", "67108864")
        // KiB: known records of a page lie anywhere, and a merge of key runs writes many pages.
        .pragma("cache_size", "-4096")
        .disable_statement_logging()
}

/// Options of a connection that only looks.
pub(crate) fn reading(path: &Path) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT);
    // KiB, for each of several connections: the branches of the largest table; its leaves are the
    // operating system's to keep.
    options
        .read_only(true)
        .pragma("cache_size", "-1024")
        .disable_statement_logging()
}

/// Makes sure that there is an outbox of exactly this program's schema, whoever owns it.
pub(crate) async fn check_schema(path: &Path) -> Result<(), OutboxError> {
    use sqlx::Connection as _;
    if !exists(path) {
        return Err(OutboxError::Missing);
    }
    let mut connection = reading(path)
        .connect()
        .await
        .map_err(OutboxError::database)?;
    let found = schema_version(&mut connection).await?;
    let known = known_schema();
    connection.close().await.map_err(OutboxError::database)?;
    match found.cmp(&known) {
        std::cmp::Ordering::Greater => Err(OutboxError::NewerSchema { found, known }),
        std::cmp::Ordering::Less => Err(OutboxError::OlderSchema { found, known }),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

/// Opens the writing connection: right SQLite, right file, known schema; then WAL and the missing
/// migrations.
pub(crate) async fn open_writer(path: &Path) -> Result<SqliteConnection, OutboxError> {
    let mut connection = writing(path)
        .connect()
        .await
        .map_err(OutboxError::database)?;
    check_sqlite(&mut connection).await?;
    let found = schema_version(&mut connection).await?;
    if found > known_schema() {
        return Err(OutboxError::NewerSchema {
            found,
            known: known_schema(),
        });
    }
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode = WAL")
        .fetch_one(&mut connection)
        .await
        .map_err(OutboxError::database)?;
    if mode != "wal" {
        let kind = "the file system has no shared memory for a WAL: use a local disk".into();
        return Err(OutboxError::Io {
            what: "the outbox file",
            kind,
        });
    }
    migrate(&mut connection, &MIGRATIONS).await?;
    Ok(connection)
}

async fn migrate(
    connection: &mut SqliteConnection,
    migrations: &[(i64, &'static str, &'static str)],
) -> Result<(), OutboxError> {
    let migrations = migrations.iter().map(|&(version, name, sql)| {
        Migration::new(
            version,
            Cow::Borrowed(name),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    migrator
        .run_direct(None, connection, false)
        .await
        .map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                OutboxError::database(error)
            }
            MigrateError::VersionMissing(found) => OutboxError::NewerSchema {
                found,
                known: known_schema(),
            },
            _ => OutboxError::Damaged {
                what: "its schema is not the one this program made",
            },
        })
}

/// The schema version of the file, 0 for a new one.
pub(crate) async fn schema_version(connection: &mut SqliteConnection) -> Result<i64, OutboxError> {
    let application_id: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await
        .map_err(OutboxError::database)?;
    let (migrations, others): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE name = '_sqlx_migrations'), count(*) FILTER (WHERE name <> \
         '_sqlx_migrations') \
         FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(OutboxError::database)?;
    // A crash in the first migration leaves at most its empty bookkeeping table.
    if application_id == 0 && others == 0 {
        return Ok(0);
    }
    if application_id != APPLICATION_ID || migrations == 0 {
        return Err(OutboxError::NotAnOutbox);
    }
    let version = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations");
    match version
        .fetch_one(connection)
        .await
        .map_err(OutboxError::database)?
    {
        // The id and the first version are written in one transaction.
        0 => Err(OutboxError::Damaged {
            what: "its schema's version is missing",
        }),
        version => Ok(version),
    }
}

async fn check_sqlite(connection: &mut SqliteConnection) -> Result<(), OutboxError> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(connection)
        .await
        .map_err(OutboxError::database)?;
    if new_enough(&found) {
        Ok(())
    } else {
        Err(OutboxError::SqliteTooOld { found })
    }
}

/// 3.51.3 mended a bug that could corrupt a WAL database.
fn new_enough(version: &str) -> bool {
    let mut parts = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    (next(), next(), next()) >= (3, 51, 3)
}

/// The one connection that writes. It is taken out for each transaction and put back after the
/// commit only: a failed or abandoned transaction closes it, which rolls back whatever SQLite had
/// not, and the next one opens another.
#[derive(Debug)]
pub(crate) struct Writer {
    options: SqliteConnectOptions,
    slot: Mutex<Option<SqliteConnection>>,
}

impl Writer {
    pub(crate) fn new(path: &Path, connection: SqliteConnection) -> Self {
        Self {
            options: writing(path),
            slot: Mutex::new(Some(connection)),
        }
    }

    /// Begins a transaction that holds SQLite's write lock from the start.
    pub(crate) async fn begin(&self) -> Result<WriteTransaction<'_>, OutboxError> {
        self.begin_with("BEGIN IMMEDIATE", "COMMIT").await
    }

    /// The same, but its commit does not wait for the disk: a power cut may undo it, and with it
    /// nothing that was committed by [`Self::begin`] before or after (the WAL holds all of them in
    /// their order). Only for what may be undone.
    pub(crate) async fn begin_unsynced(&self) -> Result<WriteTransaction<'_>, OutboxError> {
        self.begin_with(
            "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
            "COMMIT; PRAGMA synchronous = FULL",
        )
        .await
    }

    async fn begin_with(
        &self,
        begin: &'static str,
        commit: &'static str,
    ) -> Result<WriteTransaction<'_>, OutboxError> {
        let mut slot = self.slot.lock().await;
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => self
                .options
                .connect()
                .await
                .map_err(OutboxError::database)?,
        };
        sqlx::query(begin)
            .execute(&mut connection)
            .await
            .map_err(OutboxError::database)?;
        Ok(WriteTransaction {
            slot,
            connection,
            commit,
        })
    }

    /// Closes the connection, so that the WAL is folded into the file.
    pub(crate) async fn close(&self) -> Result<(), OutboxError> {
        use sqlx::Connection as _;
        match self.slot.lock().await.take() {
            Some(connection) => connection.close().await.map_err(OutboxError::database),
            None => Ok(()),
        }
    }
}

/// A transaction of the writer; dropped without a commit, it is undone.
pub(crate) struct WriteTransaction<'a> {
    slot: MutexGuard<'a, Option<SqliteConnection>>,
    connection: SqliteConnection,
    commit: &'static str,
}

impl<'a> WriteTransaction<'a> {
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Commits, durably where the transaction was not begun otherwise.
    pub(crate) async fn commit(self) -> Result<(), OutboxError> {
        self.commit_and_hold().await.map(drop)
    }

    /// The same. Nobody else writes, or leases a batch, until the returned guard is dropped.
    pub(crate) async fn commit_and_hold(
        mut self,
    ) -> Result<MutexGuard<'a, Option<SqliteConnection>>, OutboxError> {
        sqlx::query(self.commit)
            .execute(&mut self.connection)
            .await
            .map_err(OutboxError::database)?;
        *self.slot = Some(self.connection);
        Ok(self.slot)
    }
}

/// True if there is a file at all to look into.
fn exists(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() > 0)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use contract::{ContentDigest, PrivateKey, RecordDigest, Version};

    use super::*;
    use crate::blocks;
    use crate::plan::Known;

    #[test]
    fn sqlite_with_the_wal_bug_is_refused() {
        assert!(new_enough("3.51.3") && new_enough("3.52.0") && new_enough("4.0"));
        assert!(
            !new_enough("3.51.2")
                && !new_enough("3.50.9")
                && !new_enough("2.99.99")
                && !new_enough("?")
        );
    }

    #[test]
    fn migrations_are_numbered_in_order() {
        for (index, (version, name, _)) in MIGRATIONS.iter().enumerate() {
            assert_eq!(usize::try_from(*version).unwrap(), index + 1, "{name}");
        }
    }

    #[tokio::test]
    async fn only_what_was_begun_so_does_not_wait_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        create_private(&path).unwrap();
        let writer = Writer::new(&path, open_writer(&path).await.unwrap());
        let level = async |transaction: &mut WriteTransaction<'_>| -> i64 {
            let level =
                sqlx::query_scalar("PRAGMA synchronous").fetch_one(transaction.connection());
            level.await.unwrap()
        };
        const NORMAL: i64 = 1;
        const FULL: i64 = 2;
        // Twice over, because statements are kept and a `PRAGMA` acts when it is compiled.
        for (feed, abandoned) in [("a", false), ("b", false), ("c", true)] {
            let mut transaction = writer.begin().await.unwrap();
            assert_eq!(level(&mut transaction).await, FULL);
            transaction.commit().await.unwrap();
            let mut transaction = writer.begin_unsynced().await.unwrap();
            assert_eq!(level(&mut transaction).await, NORMAL);
            let kept = sqlx::query("INSERT INTO feed (source, feed) VALUES ('mis', ?1)");
            kept.bind(feed)
                .execute(transaction.connection())
                .await
                .unwrap();
            if !abandoned {
                transaction.commit().await.unwrap();
            }
        }
        let mut transaction = writer.begin().await.unwrap();
        assert_eq!(level(&mut transaction).await, FULL);
        let feeds: i64 = sqlx::query_scalar("SELECT count(*) FROM feed")
            .fetch_one(transaction.connection())
            .await
            .unwrap();
        assert_eq!(feeds, 2, "committed and abandoned all the same");
    }

    /// An outbox as the first release left it, with one record, one cursor, one refused row and one
    /// waiting batch.
    #[tokio::test]
    async fn outbox_of_the_first_schema_keeps_what_it_knew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        let now = DateTime::UNIX_EPOCH;
        let mut connection = writing(&path)
            .create_if_missing(true)
            .connect()
            .await
            .unwrap();
        migrate(&mut connection, &MIGRATIONS[..1]).await.unwrap();
        sqlx::raw_sql(
            "INSERT INTO meta (id, outbox_id, generation, stamp, created_at_ms) VALUES (1, \
             zeroblob(16), 1, 4, 0);
             INSERT INTO feed (source, feed, cursor) VALUES ('mis', 'tests', 'a');
             INSERT INTO record VALUES (randomblob(32), zeroblob(16), 1, 7, 0);
             INSERT INTO batch (batch_id, sealed_bytes, event_count, created_at_ms) VALUES \
             (randomblob(16), 3, 1, 0);
             INSERT INTO sealed VALUES (1, x'010203');
             INSERT INTO dead_letter VALUES (1, 'r-1', 'bad-snils', 5, 6);",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        sqlx::Connection::close(connection).await.unwrap();
        let refused = crate::OutboxReader::open(&path).await.unwrap_err();
        assert!(matches!(
            refused,
            OutboxError::OlderSchema { found: 1, known: 4 }
        ));
        fs::write(
            folder.path().join("outbox.db.generation"),
            format!(
                "clinic-gateway outbox 1\noutbox {}\ngeneration {:010}\nstamp {:020}\n",
                "0".repeat(32),
                1,
                4
            ),
        )
        .unwrap();

        let options = crate::OutboxOptions::new(PrivateKey::generate().public(), "test");
        let outbox = crate::Outbox::open(&path, options, now).await.unwrap();
        let status = outbox.reader().status().await.unwrap();
        assert_eq!(
            (
                status.generation,
                status.unplaced_records,
                status.backlog.batches
            ),
            (1, 1, 1)
        );
        assert!(
            !status.feeds[0].has_cursor,
            "all is read once more, to place the records"
        );
        let letters = outbox
            .reader()
            .dead_letters(&crate::DeadLetterFilter::default())
            .await
            .unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!(
            (letters[0].record_id.as_deref(), letters[0].origin),
            (Some("r-1"), crate::Origin::Clinic)
        );
        let records = all_records(&outbox).await;
        let number = records[0].1.record_no;
        let version = records[0].1.version;
        assert_eq!(
            (records.len(), number, version.count, records[0].1.withdrawn),
            (1, 1, 7, false)
        );
    }

    async fn all_records(outbox: &crate::Outbox) -> Vec<(RecordDigest, Known)> {
        let pool = outbox.reader().pool();
        let mut all = Vec::new();
        let upto = blocks::last(pool).await.unwrap();
        let visited = blocks::visit(pool, 0, upto, |record, known| {
            all.push((*record, *known));
            false
        });
        visited.await.unwrap();
        all
    }

    /// An outbox as the second schema left it: records with gaps in their numbers, found by an
    /// index.
    #[tokio::test]
    async fn outbox_of_the_second_schema_keeps_its_records_and_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.db");
        let now = DateTime::UNIX_EPOCH;
        let mut connection = writing(&path)
            .create_if_missing(true)
            .connect()
            .await
            .unwrap();
        migrate(&mut connection, &MIGRATIONS[..2]).await.unwrap();
        sqlx::raw_sql(
            "INSERT INTO feed (source, feed) VALUES ('mis', 'tests');
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 140000)
             INSERT INTO record SELECT n * 3, randomblob(32), randomblob(16), 1, n, n % 2, iif(n \
             % 5, 1, NULL),
             iif(n % 7, (n - 70000) * (1 << 40), NULL) FROM n WHERE n NOT BETWEEN 5000 AND 6000;
             UPDATE record SET content = NULL WHERE record_no % 11 = 0;",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        type Stored = (
            i64,
            Vec<u8>,
            Option<Vec<u8>>,
            u32,
            u32,
            bool,
            Option<i64>,
            Option<i64>,
        );
        let read = "SELECT record_no, record, content, generation, count, withdrawn, feed_id, \
            stamp FROM record ORDER BY record_no";
        let before: Vec<Stored> = sqlx::query_as(read)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let known =
            |(record_no, record, content, generation, count, withdrawn, feed_id, stamp): Stored| {
                let content = content.map(|content| ContentDigest(content.try_into().unwrap()));
                let version = Version { generation, count };
                let known = Known {
                    record_no,
                    feed_id,
                    stamp,
                    content,
                    version,
                    withdrawn,
                };
                (RecordDigest(record.try_into().unwrap()), known)
            };
        let before: Vec<_> = before.into_iter().map(known).collect();
        sqlx::Connection::close(connection).await.unwrap();

        let options = crate::OutboxOptions::new(PrivateKey::generate().public(), "test");
        let outbox = crate::Outbox::open(&path, options, now).await.unwrap();
        let pool = outbox.reader().pool();
        assert!(
            all_records(&outbox).await == before,
            "no record has changed"
        );
        let unplaced = before
            .iter()
            .filter(|(_, known)| known.feed_id.is_none())
            .count();
        assert_eq!(
            outbox.reader().status().await.unwrap().unplaced_records,
            unplaced as u64
        );
        assert!(
            !crate::keys::runs(pool).await.unwrap().is_empty(),
            "keys were put into runs"
        );
        let some: Vec<_> = before.iter().step_by(70).copied().collect();
        let wanted: Vec<RecordDigest> = some.iter().map(|(record, _)| *record).collect();
        let known = outbox.inner.look_up(&wanted).await.unwrap().known;
        assert!(some.iter().all(|(record, one)| known[record] == *one));
    }
}
