//! The outbox itself: opening, cursors, how runs ended.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteConnection;

use crate::connect::{self, Writer};
use crate::gate::Gate;
use crate::generation::settle_mark;
use crate::index::Index;
use crate::lock::LockFile;
use crate::mark::MarkFile;
use crate::sealing::Sealing;
use crate::time::to_ms;
use crate::{
    Backlog, Committed, NotCommitted, OutboxError, OutboxOptions, OutboxReader, PageCommit,
    Prepared, RunOutcome,
};

/// Longest source or feed name, in bytes.
const MAX_NAME_BYTES: usize = 200;

/// The gateway's durable state, owned by this process. Cheap to clone: clones share one outbox.
#[derive(Debug, Clone)]
pub struct Outbox {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: OutboxOptions,
    /// Read and raised under the gate; anybody may look.
    pub(crate) generation: AtomicU32,
    /// A turn of it gives out versions: no two pages give out the same one.
    pub(crate) gate: Gate,
    pub(crate) sealing: Sealing,
    pub(crate) index: Index,
    pub(crate) writer: Writer,
    pub(crate) reader: OutboxReader,
    pub(crate) mark: Arc<MarkFile>,
    /// The last lease token given out; leases do not outlive the process, so counting from 1 is
    /// enough.
    pub(crate) lease_tokens: AtomicI64,
    /// Last, so that it is let go of last.
    _lock: LockFile,
}

impl Inner {
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }
}

impl Outbox {
    /// Opens the outbox at `path`, making it if there is none; takes the lock, brings the schema up
    /// to date, raises the generation if the file is not the one last used here, and ends the
    /// leases of a process that is gone.
    ///
    /// # Errors
    /// [`OutboxError::Locked`], [`OutboxError::NewerSchema`], [`OutboxError::NotAnOutbox`],
    /// [`OutboxError::OtherKeys`], [`OutboxError::DamagedMark`], [`OutboxError::BadOption`] and the
    /// disk's failures.
    pub async fn open(
        path: &Path,
        options: OutboxOptions,
        now: DateTime<Utc>,
    ) -> Result<Self, OutboxError> {
        options.check()?;
        let lock = LockFile::acquire(path, options.owner)?;
        connect::create_private(path)?;
        let mut connection = connect::open_writer(path).await?;
        let mark = settle_mark(&mut connection, path, options.min_generation, now).await?;
        check_keys(&mut connection, &options.keys_check).await?;
        let writer = Writer::new(path, connection);
        let outbox = Self {
            inner: Arc::new(Inner {
                options,
                generation: AtomicU32::new(mark.generation),
                gate: Gate::new(),
                sealing: Sealing::default(),
                index: Index::new(),
                writer,
                reader: OutboxReader::over(path),
                mark: Arc::new(MarkFile::write(path, &mark)?),
                lease_tokens: AtomicI64::new(0),
                _lock: lock,
            }),
        };
        outbox.spill_all().await?;
        outbox.release_all().await?;
        outbox.take_requests_again().await?;
        Ok(outbox)
    }

    /// The generation that versions are given out in, from 1.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.inner.generation()
    }

    /// What `status` shows; also usable while pages are committed.
    #[must_use]
    pub fn reader(&self) -> &OutboxReader {
        &self.inner.reader
    }

    /// Where reading of a feed goes on; `None` is the very beginning.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn cursor(&self, source: &str, feed: &str) -> Result<Option<String>, OutboxError> {
        self.inner.reader.cursor(source, feed).await
    }

    /// Whether the clinic's rows of the feed have dead letters, discarded ones included, so that
    /// [`PageCommit::accepted_record_ids`] is worth filling.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn has_dead_letters(&self, source: &str, feed: &str) -> Result<bool, OutboxError> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM feed JOIN dead_letter ON feed_id = feed.id \
             WHERE source = ?1 AND feed = ?2 AND origin = 'clinic')",
        )
        .bind(source)
        .bind(feed)
        .fetch_one(self.inner.reader.pool())
        .await
        .map_err(OutboxError::database)
    }

    /// What waits for the broker.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn backlog(&self) -> Result<Backlog, OutboxError> {
        self.inner.reader.backlog().await
    }

    /// Whether any batch waits for the broker: a look that takes no longer the more there are.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn has_unsent(&self) -> Result<bool, OutboxError> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM batch WHERE state <> 'sent')")
            .fetch_one(self.inner.reader.pool())
            .await
            .map_err(OutboxError::database)
    }

    /// True when pages would be refused with [`OutboxError::Full`]: read nothing until batches have
    /// left.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn is_full(&self) -> Result<bool, OutboxError> {
        let inner = &self.inner;
        Ok(!inner.has_room_for_sure() && self.backlog().await?.bytes >= inner.options.max_bytes)
    }

    /// Looks a page's records up, decides what is to be told, and seals it, while other pages are
    /// being committed: nothing is written, and nothing can leave before [`Outbox::commit`]. Giving
    /// up half way, or dropping the result, does no harm.
    ///
    /// # Errors
    /// [`OutboxError::TooLarge`], [`OutboxError::Seal`] and the disk's failures.
    pub async fn prepare(&self, page: PageCommit) -> Result<Prepared, OutboxError> {
        self.inner.prepare(page).await
    }

    /// Makes a prepared page durable: its batches, committed in one transaction with the digests,
    /// the dead letters, the counts and the cursor. If anything it was prepared on has changed
    /// since, it is prepared anew first. Commits take turns; a caller that waits for each has its
    /// pages committed in order, and must give up those that follow a page that was not committed:
    /// its cursor lies behind them. Once begun it runs to its end, even if the caller stops
    /// waiting.
    ///
    /// # Errors
    /// [`OutboxError::Full`] before anything is done; any other error leaves the page uncommitted,
    /// with one exception: if the mark file cannot be written the page is committed and the error
    /// tells of it all the same. Committing the page that is given back is right in every case.
    pub async fn commit(&self, prepared: Prepared) -> Result<Committed, NotCommitted> {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move { inner.commit(prepared).await })
            .await
            .map_err(OutboxError::unfinished)?
    }

    /// [`Outbox::prepare`] and [`Outbox::commit`] in one turn. Pages of different feeds may be
    /// committed at the same time; they take turns. Once begun it runs to its end, even if the
    /// caller stops waiting.
    ///
    /// # Errors
    /// As of both. Committing the same page again is right in every case.
    pub async fn commit_page(&self, page: PageCommit) -> Result<Committed, OutboxError> {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move { inner.commit_page(page).await })
            .await
            .map_err(OutboxError::unfinished)?
    }

    /// Notes how a run of a feed ended.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn record_run(
        &self,
        source: &str,
        feed: &str,
        outcome: RunOutcome<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        check_name(source)?;
        check_name(feed)?;
        let error = match outcome {
            RunOutcome::Ok => None,
            RunOutcome::Failed { code } => Some(short_code(code)),
        };
        let mut transaction = self.inner.writer.begin().await?;
        sqlx::query(
            "INSERT INTO feed (source, feed, last_run_at_ms, last_ok_at_ms, last_error, \
             consecutive_failures) \
             VALUES (?1, ?2, ?3, iif(?4 IS NULL, ?3, NULL), ?4, ?4 IS NOT NULL) \
             ON CONFLICT (source, feed) DO UPDATE SET last_run_at_ms = ?3, last_error = ?4, \
             last_ok_at_ms = iif(?4 IS NULL, ?3, last_ok_at_ms), \
             consecutive_failures = iif(?4 IS NULL, 0, consecutive_failures + 1)",
        )
        .bind(source)
        .bind(feed)
        .bind(to_ms(now))
        .bind(error)
        .execute(transaction.connection())
        .await
        .map_err(OutboxError::database)?;
        transaction.commit().await
    }

    /// Forgets where every feed of the source was left and its rows' open dead letters, so that the
    /// next run reads all of it (`sync --full`); records that have not changed are not sent again.
    /// What was discarded, and what the registry refused, stays.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn forget_cursors(&self, source: &str) -> Result<(), OutboxError> {
        let mut transaction = self.inner.writer.begin().await?;
        for statement in [
            "DELETE FROM dead_letter WHERE origin = 'clinic' AND discarded_at_ms IS NULL \
             AND feed_id IN (SELECT id FROM feed WHERE source = ?1)",
            "UPDATE feed SET cursor = NULL WHERE source = ?1",
        ] {
            sqlx::query(statement)
                .bind(source)
                .execute(transaction.connection())
                .await
                .map_err(OutboxError::database)?;
        }
        transaction.commit().await
    }

    /// Closes the file tidily, for all clones: the WAL is folded in. An outbox that is dropped, or
    /// whose process is killed, loses nothing either.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn close(self) -> Result<(), OutboxError> {
        let _no_page_under_way = self.inner.gate.lock().await;
        self.inner.reader.close().await;
        self.inner.writer.close().await
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), OutboxError> {
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len());
    if fits {
        Ok(())
    } else {
        Err(OutboxError::TooLarge {
            what: "the name of a source or feed",
        })
    }
}

/// The code itself, or `other` where free text may hide in it.
pub(crate) fn short_code(code: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if (1..=64).contains(&code.len()) && code.bytes().all(plain) {
        code
    } else {
        "other"
    }
}

/// Remembers the fingerprint at the first opening, and compares it at every other.
async fn check_keys(
    connection: &mut SqliteConnection,
    fingerprint: &str,
) -> Result<(), OutboxError> {
    if fingerprint.is_empty() {
        return Ok(());
    }
    let remembered: String = sqlx::query_scalar(
        "UPDATE meta SET keys_check = coalesce(keys_check, ?1) RETURNING keys_check",
    )
    .bind(fingerprint)
    .fetch_one(connection)
    .await
    .map_err(OutboxError::database)?;
    if remembered == fingerprint {
        Ok(())
    } else {
        Err(OutboxError::OtherKeys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_text_is_no_code() {
        assert_eq!(short_code("source-unreachable"), "source-unreachable");
        assert_eq!(short_code("42P01"), "42P01");
        assert_eq!(short_code("could not connect to 10.0.0.1"), "other");
        assert_eq!(short_code(""), "other");
        assert_eq!(short_code("Иванов"), "other");
    }
}
