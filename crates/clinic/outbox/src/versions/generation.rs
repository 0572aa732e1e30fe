//! The generation in the database's `meta` row: determined at the opening, raised at run time.

use std::path::Path;

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::generation_file::GenerationFile;
use super::identity::{self, Identity, RaiseReason};
use super::renewal::{self, Renewal, read_renewal};
use crate::file::{OutboxError, to_ms};

const DAMAGED: OutboxError = OutboxError::Damaged {
    what: "its identity",
};

/// Compares the database with the generation file and, if the generation rises, forgets every
/// cursor: all that the sources hold is read, and sent, again. Digests stay, to tell a withdrawal
/// already sent from one to send.
pub(crate) async fn determine_generation(
    connection: &mut SqliteConnection,
    path: &Path,
    min_generation: u32,
    now: DateTime<Utc>,
) -> Result<Identity, OutboxError> {
    let stored = read(connection).await?;
    let mut in_database = stored;
    if stored.is_some() && read_renewal(&mut *connection).await? == Some(Renewal::Raise) {
        in_database = stored.map(Identity::of_first_form);
    }
    let known = in_database.map_or(0, |identity| identity.generation);
    let in_file = GenerationFile::read(path, known)?;
    let mut fresh_id = [0; 16];
    getrandom::fill(&mut fresh_id).map_err(|_| OutboxError::NoRandomness)?;
    let (identity, reason) = identity::compare(in_database, in_file, min_generation, fresh_id)?;
    if stored == Some(identity) {
        return Ok(identity);
    }
    if let Some(reason) = reason {
        warn_of(identity.generation, reason);
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    write(&mut transaction, &identity, reason, now).await?;
    transaction.commit().await?;
    Ok(identity)
}

/// Writes a higher generation, to be committed with `Versions::commit_raised`.
pub(crate) async fn raise(
    connection: &mut SqliteConnection,
    generation: u32,
    reason: RaiseReason,
    now: DateTime<Utc>,
) -> Result<Identity, OutboxError> {
    let found = read(connection).await?.ok_or(DAMAGED)?;
    let risen = Identity {
        generation,
        stamp: found.stamp + 1,
        ..found
    };
    warn_of(generation, reason);
    write(connection, &risen, Some(reason), now).await?;
    if reason == RaiseReason::NewContract {
        // No state was lost: what is unknown here was never sent.
        sqlx::query("UPDATE feed SET read_generation = ?2 WHERE read_generation >= ?1")
            .bind(found.generation)
            .bind(generation)
            .execute(connection)
            .await?;
    }
    Ok(risen)
}

fn warn_of(generation: u32, reason: RaiseReason) {
    tracing::warn!(
        generation,
        reason = reason.as_str(),
        "the outbox begins a new generation: every source is read and sent again"
    );
}

async fn read(connection: &mut SqliteConnection) -> Result<Option<Identity>, OutboxError> {
    let row: Option<(Vec<u8>, u32, i64)> =
        sqlx::query_as("SELECT outbox_id, generation, stamp FROM meta WHERE id = 1")
            .fetch_optional(connection)
            .await?;
    let Some((outbox_id, generation, stamp)) = row else {
        return Ok(None);
    };
    Ok(Some(Identity {
        outbox_id: outbox_id.try_into().map_err(|_| DAMAGED)?,
        generation,
        stamp: stamp.try_into().map_err(|_| DAMAGED)?,
    }))
}

async fn write(
    connection: &mut SqliteConnection,
    identity: &Identity,
    reason: Option<RaiseReason>,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    sqlx::query(
        "INSERT INTO meta (id, outbox_id, generation, stamp, created_at_ms, raised_at_ms, \
         raised_why) \
         VALUES (1, ?1, ?2, ?3, ?4, iif(?5 IS NULL, NULL, ?4), ?5) \
         ON CONFLICT (id) DO UPDATE SET outbox_id = ?1, generation = ?2, stamp = ?3, \
         raised_at_ms = excluded.raised_at_ms, raised_why = excluded.raised_why",
    )
    .bind(identity.outbox_id.as_slice())
    .bind(identity.generation)
    .bind(identity.stamp.saturating_as::<i64>())
    .bind(to_ms(now))
    .bind(reason.map(RaiseReason::as_str))
    .execute(&mut *connection)
    .await?;
    if reason.is_some() {
        sqlx::query("UPDATE feed SET cursor = NULL, load_rows = 0")
            .execute(&mut *connection)
            .await?;
        renewal::need_withdrawals(connection).await?;
    }
    Ok(())
}
