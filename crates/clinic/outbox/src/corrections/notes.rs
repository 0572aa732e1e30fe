//! Statements over the notes of refused corrections.

use az::SaturatingAs as _;
use chrono::{DateTime, Utc};
use contract::{ContentDigest, RecordDigest};
use sqlx::SqliteExecutor;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::types::{FeedCounts, HeldCorrections};
use crate::file::{OutboxError, digest_from, each_digest, json, side_by_side, to_ms};
use crate::limits::CORRECTIONS_WINDOW_MS;
use crate::records::RecordMap;

/// A refused correction to be noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Noticed {
    pub(crate) record: RecordDigest,
    pub(crate) feed_id: i64,
    /// True if only a state that was lost can have sent an older version.
    pub(crate) possible: bool,
    /// True if the registry refused it, not the clinic's own rules.
    pub(crate) by_registry: bool,
    /// Content of the version that the registry refused.
    pub(crate) content: Option<ContentDigest>,
}

/// Note of an older version that stands at the registry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StandingNote {
    pub(crate) id: i64,
    pub(crate) record: RecordDigest,
}

/// Notes refused corrections; those noted before stay as they are, but for the refusal's origin.
pub(crate) async fn notice(
    connection: &mut SqliteConnection,
    noticed: &[Noticed],
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    if noticed.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = noticed
        .iter()
        .map(|one| {
            let content = one.content.map(|content| content.to_hex());
            let Noticed {
                feed_id,
                by_registry,
                possible,
                ..
            } = *one;
            (one.record.to_hex(), feed_id, by_registry, content, possible)
        })
        .collect();
    sqlx::query(
        "INSERT INTO refused_correction (record, feed_id, state, by_registry, content, possible, \
         noticed_at_ms) \
         SELECT unhex(value ->> 0), value ->> 1, 'waiting', value ->> 2, unhex(value ->> 3), \
         value ->> 4, ?2 FROM json_each(?1) WHERE true \
         ON CONFLICT (record) DO UPDATE SET feed_id = excluded.feed_id, \
         by_registry = excluded.by_registry, content = excluded.content, \
         possible = excluded.possible, \
         permitted = iif(state = 'withdrawn', 0, permitted), \
         noticed_at_ms = iif(state = 'withdrawn', ?2, noticed_at_ms), \
         state = iif(state IN ('withdrawn', 'unchecked'), 'waiting', state)",
    )
    .bind(json(&rows))
    .bind(to_ms(now))
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets the notes of records whose newer word was sent, or whose row is gone; returns those of
/// the records whose newer version the registry had refused.
pub(crate) async fn forget<'a>(
    connection: &mut SqliteConnection,
    records: impl Iterator<Item = &'a RecordDigest>,
) -> Result<Vec<RecordDigest>, OutboxError> {
    if !any(&mut *connection).await? {
        return Ok(Vec::new());
    }
    let forgotten: Vec<(Vec<u8>, bool)> = sqlx::query_as(each_digest!(
        "DELETE FROM refused_correction WHERE record IN (SELECT substr(?1, at, 32) FROM place) \
         RETURNING record, by_registry"
    ))
    .bind(side_by_side(records))
    .fetch_all(connection)
    .await?;
    let by_registry = forgotten
        .into_iter()
        .filter(|(_, by_registry)| *by_registry);
    by_registry.map(|(record, _)| digest_from(record)).collect()
}

/// Forgets all notes of a feed.
pub(crate) async fn forget_feed(
    connection: &mut SqliteConnection,
    feed_id: i64,
) -> Result<(), OutboxError> {
    sqlx::query("DELETE FROM refused_correction WHERE feed_id = ?1")
        .bind(feed_id)
        .execute(&mut *connection)
        .await?;
    forget_held_of(connection, feed_id).await
}

/// Notes that the older versions of these records are withdrawn.
pub(crate) async fn mark_withdrawn<'a>(
    connection: &mut SqliteConnection,
    records: impl Iterator<Item = &'a RecordDigest>,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    sqlx::query(each_digest!(
        "UPDATE refused_correction SET state = 'withdrawn', withdrawn_at_ms = ?2 \
         WHERE record IN (SELECT substr(?1, at, 32) FROM place)"
    ))
    .bind(side_by_side(records))
    .bind(to_ms(now))
    .execute(connection)
    .await?;
    Ok(())
}

/// Contents that the registry refused, of those of the records whose refusal stands.
pub(crate) async fn contents_refused(
    pool: &SqlitePool,
    records: &[RecordDigest],
) -> Result<RecordMap<ContentDigest>, OutboxError> {
    if !any(pool).await? {
        return Ok(RecordMap::default());
    }
    let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(each_digest!(
        "SELECT c.record, c.content FROM place CROSS JOIN refused_correction AS c \
         ON c.record = substr(?1, place.at, 32) WHERE c.content IS NOT NULL"
    ))
    .bind(side_by_side(records))
    .fetch_all(pool)
    .await?;
    let contents = rows.into_iter().map(|(record, content)| {
        let content = content.try_into().map_err(|_| OutboxError::Damaged {
            what: "a content digest",
        })?;
        Ok((digest_from(record)?, ContentDigest(content)))
    });
    contents.collect()
}

/// Forgets the contents that the registry refused, so that they are sent again when they are read;
/// only those of these records.
pub(crate) async fn forget_contents_refused<'a>(
    connection: &mut SqliteConnection,
    records: impl Iterator<Item = &'a RecordDigest>,
) -> Result<(), OutboxError> {
    if !any(&mut *connection).await? {
        return Ok(());
    }
    sqlx::query(each_digest!(
        "UPDATE refused_correction SET content = NULL \
         WHERE record IN (SELECT substr(?1, at, 32) FROM place)"
    ))
    .bind(side_by_side(records))
    .execute(connection)
    .await?;
    Ok(())
}

/// Selects those of the records that are withdrawn because the registry refused a newer version.
pub(crate) async fn withdrawn_by_registry(
    pool: &SqlitePool,
    records: impl IntoIterator<Item = &RecordDigest>,
) -> Result<Vec<RecordDigest>, OutboxError> {
    if !any(pool).await? {
        return Ok(Vec::new());
    }
    let records: Vec<Vec<u8>> = sqlx::query_scalar(each_digest!(
        "SELECT c.record FROM place CROSS JOIN refused_correction AS c \
         ON c.record = substr(?1, place.at, 32) WHERE c.by_registry AND c.state = 'withdrawn'"
    ))
    .bind(side_by_side(records))
    .fetch_all(pool)
    .await?;
    records.into_iter().map(digest_from).collect()
}

async fn any(executor: impl SqliteExecutor<'_>) -> Result<bool, OutboxError> {
    let any = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM refused_correction)")
        .fetch_one(executor)
        .await?;
    Ok(any)
}

/// Counts the notes of a feed, of those that are certain or of those that are not. Withdrawn ones
/// only where nobody had to permit them, and only since [`CORRECTIONS_WINDOW_MS`] before `now`; or,
/// while some are held, before the oldest of those was noticed.
pub(crate) async fn count_feed(
    pool: &SqlitePool,
    feed_id: i64,
    possible: bool,
    now: DateTime<Utc>,
) -> Result<FeedCounts, OutboxError> {
    type Row = (i64, i64, i64, i64, i64, i64, Option<i64>);
    let row: Row = sqlx::query_as(
        "WITH oldest_held AS MATERIALIZED (SELECT min(noticed_at_ms) AS at_ms \
         FROM refused_correction WHERE feed_id = ?1 AND state = 'held' AND NOT permitted \
         AND possible = ?3) \
         SELECT count(*) FILTER (WHERE state = 'unchecked'), \
         count(*) FILTER (WHERE state IN ('waiting', 'held', 'kept') AND NOT permitted), \
         count(*) FILTER (WHERE state = 'held' AND NOT permitted), \
         count(*) FILTER (WHERE state IN ('waiting', 'held', 'kept') AND permitted), \
         count(*) FILTER (WHERE state = 'withdrawn' AND NOT permitted \
         AND withdrawn_at_ms > min(?2, coalesce(at_ms, ?2)) - ?4), \
         coalesce(max(id), 0), \
         (SELECT corrections_of FROM feed WHERE id = ?1) \
         FROM refused_correction CROSS JOIN oldest_held WHERE feed_id = ?1 AND possible = ?3",
    )
    .bind(feed_id)
    .bind(to_ms(now))
    .bind(possible)
    .bind(CORRECTIONS_WINDOW_MS)
    .fetch_one(pool)
    .await?;
    let (unchecked, standing, held, permitted, recent, last_id, held_of) = row;
    Ok(FeedCounts {
        unchecked: unchecked.unsigned_abs(),
        standing: standing.unsigned_abs(),
        held: held.unsigned_abs(),
        permitted: permitted.unsigned_abs(),
        recent: recent.unsigned_abs(),
        last_id,
        held_of: held_of.map(i64::unsigned_abs),
    })
}

/// Notes of a feed from before notes were taken: `limit` of them.
pub(crate) async fn unchecked(
    pool: &SqlitePool,
    feed_id: i64,
    limit: usize,
) -> Result<Vec<RecordDigest>, OutboxError> {
    let records: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT record FROM refused_correction WHERE feed_id = ?1 AND state = 'unchecked' LIMIT ?2",
    )
    .bind(feed_id)
    .bind(limit.saturating_as::<i64>())
    .fetch_all(pool)
    .await?;
    records.into_iter().map(digest_from).collect()
}

/// Notes that the older versions of these checked records stand.
pub(crate) async fn check_upgraded<'a>(
    connection: &mut SqliteConnection,
    standing: impl Iterator<Item = &'a RecordDigest>,
) -> Result<(), OutboxError> {
    sqlx::query(each_digest!(
        "UPDATE refused_correction SET state = 'waiting' \
         WHERE state = 'unchecked' AND record IN (SELECT substr(?1, at, 32) FROM place)"
    ))
    .bind(side_by_side(standing))
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes of older versions that stand and are to be withdrawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chosen {
    pub(crate) feed_id: i64,
    /// True for notes of records that only a lost state can have sent, false for the others.
    pub(crate) possible: bool,
    /// Highest number of a note.
    pub(crate) last_id: i64,
    /// True if only those are withdrawn that an operator has permitted.
    pub(crate) only_permitted: bool,
}

/// Next of the chosen notes, `limit` of those numbered above `after`.
pub(crate) async fn standing(
    pool: &SqlitePool,
    chosen: Chosen,
    after: i64,
    limit: usize,
) -> Result<Vec<StandingNote>, OutboxError> {
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT id, record FROM refused_correction WHERE feed_id = ?1 AND id > ?2 AND id <= ?3 \
         AND state IN ('waiting', 'held', 'kept') AND (permitted OR NOT ?4) AND possible = ?6 \
         ORDER BY id LIMIT ?5",
    )
    .bind(chosen.feed_id)
    .bind(after)
    .bind(chosen.last_id)
    .bind(chosen.only_permitted)
    .bind(limit.saturating_as::<i64>())
    .bind(chosen.possible)
    .fetch_all(pool)
    .await?;
    let notes = rows.into_iter().map(|(id, record)| {
        let record = digest_from(record)?;
        Ok(StandingNote { id, record })
    });
    notes.collect()
}

/// Records of all notes of a feed.
pub(crate) async fn all_of_feed(
    pool: &SqlitePool,
    feed_id: i64,
) -> Result<Vec<RecordDigest>, OutboxError> {
    let records: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT record FROM refused_correction WHERE feed_id = ?1")
            .bind(feed_id)
            .fetch_all(pool)
            .await?;
    records.into_iter().map(digest_from).collect()
}

/// Holds the older versions of a feed that stand without a permission, those that are certain or
/// those that are not; `of` is the number of records that they were compared with.
pub(crate) async fn hold(
    connection: &mut SqliteConnection,
    feed_id: i64,
    possible: bool,
    of: u64,
) -> Result<(), OutboxError> {
    sqlx::query(
        "UPDATE refused_correction SET state = 'held' \
         WHERE feed_id = ?1 AND possible = ?2 AND state IN ('waiting', 'kept') AND NOT permitted",
    )
    .bind(feed_id)
    .bind(possible)
    .execute(&mut *connection)
    .await?;
    if possible {
        return Ok(());
    }
    sqlx::query("UPDATE feed SET corrections_of = ?2 WHERE id = ?1")
        .bind(feed_id)
        .bind(of.saturating_as::<i64>())
        .execute(connection)
        .await?;
    Ok(())
}

/// Keeps the older versions of a feed at the registry.
pub(crate) async fn keep(
    connection: &mut SqliteConnection,
    feed_id: i64,
) -> Result<(), OutboxError> {
    sqlx::query(
        "UPDATE refused_correction SET state = 'kept', permitted = 0 \
         WHERE feed_id = ?1 AND state IN ('waiting', 'held')",
    )
    .bind(feed_id)
    .execute(&mut *connection)
    .await?;
    forget_held_of(connection, feed_id).await
}

/// Forgets how many records the feed had when the safety catch held some: it holds none now.
pub(crate) async fn forget_held_of(
    connection: &mut SqliteConnection,
    feed_id: i64,
) -> Result<(), OutboxError> {
    sqlx::query("UPDATE feed SET corrections_of = NULL WHERE id = ?1")
        .bind(feed_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets the notes of those of the records that only a lost state can have sent: the registry has
/// none of them.
pub(crate) async fn forget_possible(
    connection: &mut SqliteConnection,
    records: &[RecordDigest],
) -> Result<(), OutboxError> {
    if records.is_empty() {
        return Ok(());
    }
    sqlx::query(each_digest!(
        "DELETE FROM refused_correction WHERE possible AND state <> 'withdrawn' \
         AND record IN (SELECT substr(?1, at, 32) FROM place)"
    ))
    .bind(side_by_side(records))
    .execute(connection)
    .await?;
    Ok(())
}

/// Permits the withdrawals that the safety catch holds at the source, of those that were held at
/// one time; returns their number.
pub(crate) async fn permit_held(
    connection: &mut SqliteConnection,
    source: &str,
    shown: &HeldCorrections,
) -> Result<u64, OutboxError> {
    let permitted = sqlx::query(
        "UPDATE refused_correction SET permitted = 1 WHERE state = 'held' AND EXISTS (\
         SELECT 1 FROM feed JOIN json_each(?2) AS shown ON shown.key = feed.feed \
         WHERE feed.source = ?1 AND feed.id = refused_correction.feed_id \
         AND refused_correction.id <= shown.value)",
    )
    .bind(source)
    .bind(json(shown))
    .execute(connection)
    .await?;
    Ok(permitted.rows_affected())
}
