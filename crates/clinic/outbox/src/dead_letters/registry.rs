//! Dead letters of events that the registry refused.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use contract::{RecordDigest, Version};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::file::{OutboxError, digest_from, each_digest, json, side_by_side, to_ms};
use crate::limits::MAX_DEAD_LETTERS_PER_FEED;
use crate::records::{KnownRecord, RecordMap};

/// An event the registry refused.
pub(crate) struct RefusedByRegistry {
    pub(crate) record: RecordDigest,
    pub(crate) version: Option<Version>,
    pub(crate) reason: String,
}

/// Opens or refreshes the letters of refused events, unless a newer version of the record was given
/// out since.
pub(crate) async fn open_of_registry(
    connection: &mut SqliteConnection,
    refused: &[RefusedByRegistry],
    known: &RecordMap<KnownRecord>,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    if refused.is_empty() {
        return Ok(());
    }
    let mut letters = RecordMap::default();
    for event in refused {
        let known = known.get(&event.record);
        let latest = known.filter(|known| {
            event
                .version
                .is_none_or(|refused| known.state.version <= refused)
        });
        // The last of each record.
        letters.extend(latest.map(|known| {
            (
                event.record,
                (known.state.feed_id, &event.reason, known.state.stamp),
            )
        }));
    }
    let letters: Vec<_> = letters
        .iter()
        .map(|(record, letter)| (record.to_hex(), letter))
        .collect();
    sqlx::query(
        "INSERT INTO dead_letter (feed_id, origin, record, reason, stamp, first_seen_at_ms, \
         last_seen_at_ms) \
         SELECT r.feed_id, 'registry', r.record, r.reason, r.stamp, ?2, ?2 FROM (\
         SELECT unhex(value ->> 0) AS record, value ->> '$[1][0]' AS feed_id, \
         value ->> '$[1][1]' AS reason, value ->> '$[1][2]' AS stamp FROM json_each(?1)) AS r \
         WHERE (?3 > (SELECT count(*) FROM dead_letter AS d \
         WHERE d.feed_id IS r.feed_id AND d.origin = 'registry') \
         OR EXISTS (SELECT 1 FROM dead_letter AS d \
         WHERE d.record = r.record AND d.origin = 'registry')) \
         ON CONFLICT (record) WHERE origin = 'registry' DO UPDATE SET feed_id = excluded.feed_id, \
         discarded_at_ms = iif(reason = excluded.reason AND stamp IS excluded.stamp, \
         discarded_at_ms, NULL), \
         reason = excluded.reason, stamp = excluded.stamp, last_seen_at_ms = ?2",
    )
    .bind(json(&letters))
    .bind(to_ms(now))
    .bind(MAX_DEAD_LETTERS_PER_FEED)
    .execute(connection)
    .await?;
    Ok(())
}

/// Closes the letters of records that are sent anew; the registry refuses again if it has to.
pub(crate) async fn close_of_registry<'a>(
    connection: &mut SqliteConnection,
    records: impl Iterator<Item = &'a RecordDigest>,
) -> Result<(), OutboxError> {
    let any: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM dead_letter WHERE origin = 'registry')")
            .fetch_one(&mut *connection)
            .await?;
    if !any {
        return Ok(());
    }
    sqlx::query(each_digest!(
        "DELETE FROM dead_letter WHERE origin = 'registry' \
         AND record IN (SELECT substr(?1, at, 32) FROM place)"
    ))
    .bind(side_by_side(records))
    .execute(connection)
    .await?;
    Ok(())
}

/// Selects those of the digests, side by side, whose record only a letter of the registry names.
pub(crate) async fn unnamed(
    pool: &SqlitePool,
    digests: Vec<u8>,
) -> Result<HashSet<RecordDigest>, OutboxError> {
    let any = "SELECT EXISTS (SELECT 1 FROM dead_letter WHERE record_id IS NULL)";
    let select = each_digest!(
        "SELECT d.record FROM place CROSS JOIN dead_letter AS d \
         ON d.record = substr(?1, place.at, 32) AND d.record_id IS NULL"
    );
    select_among(pool, any, select, digests).await
}

/// Selects those of the digests, side by side, whose record has a letter of the registry.
pub(crate) async fn refused_by_registry(
    pool: &SqlitePool,
    digests: Vec<u8>,
) -> Result<HashSet<RecordDigest>, OutboxError> {
    let any = "SELECT EXISTS (SELECT 1 FROM dead_letter WHERE origin = 'registry')";
    let select = each_digest!(
        "SELECT d.record FROM place CROSS JOIN dead_letter AS d \
         ON d.record = substr(?1, place.at, 32) AND d.origin = 'registry'"
    );
    select_among(pool, any, select, digests).await
}

/// Runs `select` only if there is any letter: they are few.
async fn select_among(
    pool: &SqlitePool,
    any: &'static str,
    select: &'static str,
    digests: Vec<u8>,
) -> Result<HashSet<RecordDigest>, OutboxError> {
    let any: bool = sqlx::query_scalar(any).fetch_one(pool).await?;
    if !any {
        return Ok(HashSet::new());
    }
    let records: Vec<Vec<u8>> = sqlx::query_scalar(select)
        .bind(digests)
        .fetch_all(pool)
        .await?;
    records.into_iter().map(digest_from).collect()
}
