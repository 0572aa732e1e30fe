//! A SQLite file with the outbox's tables, opened as the outbox opens it.

use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};

/// Migrations of the outbox; they make the tables of the index.
const MIGRATIONS: [&str; 4] = [
    include_str!("../../../../../migrations/outbox/0001_outbox.sql"),
    include_str!("../../../../../migrations/outbox/0002_receipts_sweeps.sql"),
    include_str!("../../../../../migrations/outbox/0003_record_keys.sql"),
    include_str!("../../../../../migrations/outbox/0004_record_blocks.sql"),
];

/// An open file: one connection that writes, a pool that reads.
pub(crate) struct File {
    pub(crate) writer: SqliteConnection,
    pub(crate) reader: SqlitePool,
}

impl File {
    /// Makes a file with the outbox's tables.
    pub(crate) async fn create(path: &Path) -> Result<Self, sqlx::Error> {
        let mut file = Self::open(path, 4096).await?;
        for migration in MIGRATIONS {
            sqlx::raw_sql(migration).execute(&mut file.writer).await?;
        }
        Ok(file)
    }

    /// Opens a file, which may be empty, with so much cache for the writer. All other options are
    /// the outbox's.
    pub(crate) async fn open(path: &Path, cache_kib: u32) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(Duration::from_secs(5))
            .disable_statement_logging();
        let writing = options
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", "10000")
            .pragma("journal_size_limit", "67108864")
            .pragma("cache_size", format!("-{cache_kib}"));
        let reading = options.read_only(true).pragma("cache_size", "-1024");
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .max_lifetime(None)
            .idle_timeout(None)
            .test_before_acquire(false);
        Ok(Self {
            writer: writing.connect().await?,
            reader: pool.connect_lazy_with(reading),
        })
    }

    /// Closes the file; the WAL is folded into it.
    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        self.reader.close().await;
        sqlx::Connection::close(self.writer).await
    }
}
