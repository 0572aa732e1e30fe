//! Generations: which one the outbox is in at its opening, and how it rises at run time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteConnection;
use tokio::task::spawn_blocking;

use crate::connect::WriteTransaction;
use crate::mark::{self, Mark, Raise};
use crate::outbox::Inner;
use crate::time::to_ms;
use crate::types::MAX_GENERATION;
use crate::{Outbox, OutboxError};

impl Outbox {
    /// Raises the generation to `at_least`, if it is below, and forgets every cursor: all that the
    /// sources hold is read and sent again, above everything sent before. `why` is shown by
    /// `status`. False if it was not below.
    ///
    /// # Errors
    /// [`OutboxError::Exhausted`] beyond the last generation, and the disk's failures.
    pub async fn raise_generation(
        &self,
        at_least: u32,
        why: &'static str,
        now: DateTime<Utc>,
    ) -> Result<bool, OutboxError> {
        if at_least > MAX_GENERATION {
            return Err(OutboxError::Exhausted { what: "generation" });
        }
        let inner = Arc::clone(&self.inner);
        let raising = async move {
            let _turn = inner.gate.lock().await;
            if at_least <= inner.generation() {
                return Ok(false);
            }
            let mut transaction = inner.writer.begin().await?;
            let mark = raise(transaction.connection(), at_least, Raise::Told(why), now).await?;
            inner.commit_raised(transaction, mark).await?;
            Ok(true)
        };
        tokio::spawn(raising)
            .await
            .map_err(OutboxError::unfinished)?
    }
}

impl Inner {
    /// Commits a risen generation; from then on versions are given out in it. Only under the gate.
    pub(crate) async fn commit_raised(
        &self,
        transaction: WriteTransaction<'_>,
        mark: Mark,
    ) -> Result<(), OutboxError> {
        let writer = transaction.commit_and_hold().await?;
        self.generation.store(mark.generation, Ordering::Release);
        let file = Arc::clone(&self.mark);
        let moved = spawn_blocking(move || file.set(mark.generation, mark.stamp));
        moved.await.map_err(OutboxError::unfinished)??;
        drop(writer);
        Ok(())
    }
}

/// Writes a higher generation down, to be committed with [`Inner::commit_raised`].
pub(crate) async fn raise(
    connection: &mut SqliteConnection,
    generation: u32,
    why: Raise,
    now: DateTime<Utc>,
) -> Result<Mark, OutboxError> {
    let found = read_mark(connection).await?.ok_or(OutboxError::Damaged {
        what: "its identity",
    })?;
    let mark = Mark {
        generation,
        stamp: found.stamp + 1,
        ..found
    };
    warn_of(generation, why);
    write_mark(connection, &mark, Some(why), now)
        .await
        .map_err(OutboxError::database)?;
    Ok(mark)
}

fn warn_of(generation: u32, why: Raise) {
    tracing::warn!(
        generation,
        reason = why.as_str(),
        "the outbox begins a new generation: every source is read and sent again"
    );
}

/// Reconciles the file's mark with the one beside it and, if the generation rises, forgets every
/// cursor: all that the sources hold is read, and sent, again. Digests stay, to tell a withdrawal
/// already sent from one to send.
pub(crate) async fn settle_mark(
    connection: &mut SqliteConnection,
    path: &Path,
    min_generation: u32,
    now: DateTime<Utc>,
) -> Result<Mark, OutboxError> {
    let in_file = read_mark(connection).await?;
    let beside = mark::read(path, in_file.map_or(0, |mark| mark.generation))?;
    let mut fresh_id = [0; 16];
    getrandom::fill(&mut fresh_id).map_err(|_| OutboxError::NoRandomness)?;
    let (mark, raise) = mark::reconcile(in_file, beside, min_generation, fresh_id)?;
    if in_file == Some(mark) {
        return Ok(mark);
    }
    if let Some(raise) = raise {
        warn_of(mark.generation, raise);
    }
    use sqlx::Connection as _;
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(OutboxError::database)?;
    write_mark(&mut transaction, &mark, raise, now)
        .await
        .map_err(OutboxError::database)?;
    transaction.commit().await.map_err(OutboxError::database)?;
    Ok(mark)
}

async fn read_mark(connection: &mut SqliteConnection) -> Result<Option<Mark>, OutboxError> {
    let row: Option<(Vec<u8>, u32, i64)> =
        sqlx::query_as("SELECT outbox_id, generation, stamp FROM meta WHERE id = 1")
            .fetch_optional(connection)
            .await
            .map_err(OutboxError::database)?;
    let Some((outbox_id, generation, stamp)) = row else {
        return Ok(None);
    };
    let damaged = |_| OutboxError::Damaged {
        what: "its identity",
    };
    let outbox_id = outbox_id.try_into().map_err(|_| OutboxError::Damaged {
        what: "its identity",
    })?;
    Ok(Some(Mark {
        outbox_id,
        generation,
        stamp: stamp.try_into().map_err(damaged)?,
    }))
}

async fn write_mark(
    connection: &mut SqliteConnection,
    mark: &Mark,
    raise: Option<Raise>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO meta (id, outbox_id, generation, stamp, created_at_ms, raised_at_ms, \
         raised_why) \
         VALUES (1, ?1, ?2, ?3, ?4, iif(?5 IS NULL, NULL, ?4), ?5) \
         ON CONFLICT (id) DO UPDATE SET outbox_id = ?1, generation = ?2, stamp = ?3, \
         raised_at_ms = excluded.raised_at_ms, raised_why = excluded.raised_why",
    )
    .bind(mark.outbox_id.as_slice())
    .bind(mark.generation)
    .bind(i64::try_from(mark.stamp).unwrap_or(i64::MAX))
    .bind(to_ms(now))
    .bind(raise.map(Raise::as_str))
    .execute(&mut *connection)
    .await?;
    if raise.is_some() {
        sqlx::query("UPDATE feed SET cursor = NULL")
            .execute(connection)
            .await?;
    }
    Ok(())
}
