//! Reading dead letters.

use std::collections::HashMap;

use contract::RecordDigest;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteExecutor};

use super::types::{DeadLetter, DeadLetterFilter, Origin};
use crate::corrections::{OlderVersion, state_word};
use crate::file::{OutboxError, digest_from, json, time_in, to_ms};

/// Letters that the filter selects, the last seen first.
pub(crate) async fn select(
    executor: impl SqliteExecutor<'_>,
    filter: &DeadLetterFilter,
) -> Result<Vec<DeadLetter>, OutboxError> {
    let rows = sqlx::query(concat!(
        "SELECT d.id, coalesce(f.source, '') AS source, coalesce(f.feed, '') AS feed, d.origin, \
         d.record_id, lower(hex(coalesce(substr(d.record, 1, 8), x''))) AS record, d.reason, \
         d.value_id, d.first_seen_at_ms, d.last_seen_at_ms, d.discarded_at_ms, \
         iif(c.possible AND c.state <> 'held', '', coalesce(",
        state_word!(),
        ", '')) AS older_version \
         FROM dead_letter AS d LEFT JOIN feed AS f ON f.id = d.feed_id \
         LEFT JOIN refused_correction AS c ON c.record = d.record \
         WHERE (?1 IS NULL OR f.source = ?1) AND (?2 IS NULL OR f.feed = ?2) \
         AND (?3 IS NULL OR d.reason = ?3) AND (?4 IS NULL OR d.origin = ?4) \
         AND (?5 IS NULL OR d.first_seen_at_ms < ?5) \
         AND (?6 IS NULL OR d.id IN (SELECT value FROM json_each(?6))) \
         AND (d.discarded_at_ms IS NOT NULL) = ?7 \
         ORDER BY d.last_seen_at_ms DESC, d.id LIMIT ?8"
    ))
    .bind(&filter.source)
    .bind(&filter.feed)
    .bind(&filter.reason)
    .bind(filter.origin.map(Origin::as_str))
    .bind(filter.older_than.map(to_ms))
    .bind((!filter.ids.is_empty()).then(|| json(&filter.ids)))
    .bind(filter.discarded)
    .bind(filter.limit)
    .fetch_all(executor)
    .await?;
    Ok(rows
        .iter()
        .map(from_row)
        .collect::<Result<_, sqlx::Error>>()?)
}

fn from_row(row: &SqliteRow) -> Result<DeadLetter, sqlx::Error> {
    Ok(DeadLetter {
        id: row.try_get("id")?,
        source: row.try_get("source")?,
        feed: row.try_get("feed")?,
        origin: Origin::from_column(row.try_get("origin")?),
        record_id: row.try_get("record_id")?,
        record: row.try_get("record")?,
        reason: row.try_get("reason")?,
        value_id: row.try_get("value_id")?,
        older_version: OlderVersion::from_column(row.try_get("older_version")?),
        first_seen_at: time_in(row, "first_seen_at_ms")?,
        last_seen_at: time_in(row, "last_seen_at_ms")?,
        discarded_at: time_in(row, "discarded_at_ms")?,
    })
}

/// Records of the feed's rows that are refused for this reason, listed or not.
pub(crate) async fn records_refused_for(
    executor: impl SqliteExecutor<'_>,
    feed_id: i64,
    reason: &str,
) -> Result<Vec<RecordDigest>, OutboxError> {
    let records: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT record FROM dead_letter WHERE feed_id = ?1 AND origin = 'clinic' \
         AND reason = ?2 AND record IS NOT NULL \
         UNION ALL SELECT record FROM unlisted_refusal \
         WHERE feed_id = ?1 AND origin = 'clinic' AND reason = ?2",
    )
    .bind(feed_id)
    .bind(reason)
    .fetch_all(executor)
    .await?;
    records.into_iter().map(digest_from).collect()
}

/// The clinic's own ids of the rows of these letters, with the letter's id; without letters that have
/// none.
pub(crate) async fn record_ids_of(
    executor: impl SqliteExecutor<'_>,
    ids: &[i64],
) -> Result<Vec<(i64, String)>, OutboxError> {
    let record_ids = sqlx::query_as(
        "SELECT d.id, d.record_id FROM json_each(?1) AS j \
         CROSS JOIN dead_letter AS d ON d.id = j.value WHERE d.record_id IS NOT NULL \
         ORDER BY d.id",
    )
    .bind(json(ids))
    .fetch_all(executor)
    .await?;
    Ok(record_ids)
}

/// Records of the letters with these ids, by the letter's id; without letters that have no digest.
pub(crate) async fn records_of(
    executor: impl SqliteExecutor<'_>,
    ids: &[i64],
) -> Result<HashMap<i64, RecordDigest>, OutboxError> {
    let records: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT d.id, d.record FROM json_each(?1) AS j \
         CROSS JOIN dead_letter AS d ON d.id = j.value WHERE d.record IS NOT NULL",
    )
    .bind(json(ids))
    .fetch_all(executor)
    .await?;
    records
        .into_iter()
        .map(|(id, record)| Ok((id, digest_from(record)?)))
        .collect()
}
