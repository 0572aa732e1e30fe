//! Dead letters of rows that could not become events.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use contract::RecordDigest;
use sqlx::sqlite::SqliteConnection;

use super::types::{Origin, Refused};
use super::unlisted::{Unlisted, any_unlisted, forget_unlisted, put_unlisted};
use crate::file::{OutboxError, digest_from, json, to_ms};
use crate::limits::MAX_DEAD_LETTERS_PER_FEED;

/// Length at which record ids are cut, in characters.
const MAX_RECORD_ID_CHARS: usize = 512;

/// Opens or refreshes the letters of refused rows, and counts those that the list has no room for;
/// returns the number of rows that were not refused before.
pub(crate) async fn open_refused(
    connection: &mut SqliteConnection,
    refused: &[Refused],
    feed_id: i64,
    now: DateTime<Utc>,
) -> Result<u64, OutboxError> {
    if refused.is_empty() {
        return Ok(0);
    }
    let rows: HashMap<&str, _> = refused
        .iter()
        .map(|row| {
            let letter = (row.reason, row.record.to_hex(), row.stamp, value_of(row));
            (cut(&row.record_id), letter)
        })
        .collect();
    let rows = json(&rows);
    let before = count(connection, feed_id).await?;
    let has_room = before < i64::from(MAX_DEAD_LETTERS_PER_FEED);
    sqlx::query(
        "INSERT INTO dead_letter (feed_id, origin, record_id, record, reason, stamp, \
         value_id, first_seen_at_ms, last_seen_at_ms) \
         SELECT ?1, 'clinic', j.key, unhex(j.value ->> 1), j.value ->> 0, j.value ->> 2, \
         (SELECT id FROM unknown_value AS v WHERE v.feed_id = ?1 \
         AND v.digest = unhex(j.value ->> 3)), ?3, ?3 FROM json_each(?2) AS j \
         WHERE ?4 OR EXISTS (SELECT 1 FROM dead_letter WHERE feed_id = ?1 AND record_id = j.key AND origin = 'clinic') \
         ON CONFLICT (feed_id, record_id) WHERE origin = 'clinic' DO UPDATE SET \
         record = excluded.record, discarded_at_ms = iif(reason = excluded.reason AND \
         stamp IS excluded.stamp, discarded_at_ms, NULL), \
         reason = excluded.reason, stamp = excluded.stamp, value_id = excluded.value_id, \
         last_seen_at_ms = ?3",
    )
    .bind(feed_id)
    .bind(&rows)
    .bind(to_ms(now))
    .bind(has_room)
    .execute(&mut *connection)
    .await?;
    let listed = u64::try_from(count(connection, feed_id).await? - before).unwrap_or(0);
    if has_room && !any_unlisted(&mut *connection).await? {
        return Ok(listed);
    }
    let unlisted = note_unlisted(connection, refused, feed_id, &rows).await?;
    Ok((listed + unlisted.added).saturating_sub(unlisted.forgotten))
}

/// Records of those of the rows that were refused since `before` or longer, as their letters say;
/// an unlisted refusal says no time and counts.
pub(crate) async fn failed_since(
    connection: &mut SqliteConnection,
    rows: impl Iterator<Item = &Refused>,
    feed_id: i64,
    before: DateTime<Utc>,
) -> Result<Vec<RecordDigest>, OutboxError> {
    let rows: HashMap<&str, String> = rows
        .map(|row| (cut(&row.record_id), row.record.to_hex()))
        .collect();
    let records: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT unhex(j.value) FROM json_each(?2) AS j WHERE EXISTS (SELECT 1 FROM dead_letter \
         WHERE feed_id = ?1 AND record_id = j.key AND origin = 'clinic' \
         AND first_seen_at_ms <= ?3) OR EXISTS (SELECT 1 FROM unlisted_refusal \
         WHERE record = unhex(j.value) AND origin = 'clinic')",
    )
    .bind(feed_id)
    .bind(json(&rows))
    .bind(to_ms(before))
    .fetch_all(connection)
    .await?;
    records.into_iter().map(digest_from).collect()
}

/// Numbers of refusals that came to the unlisted ones and left them.
struct UnlistedChange {
    added: u64,
    forgotten: u64,
}

/// Writes down the refused rows that are not listed, and forgets those that are. `rows` are their
/// record ids as keys of a JSON object.
async fn note_unlisted(
    connection: &mut SqliteConnection,
    refused: &[Refused],
    feed_id: i64,
    rows: &str,
) -> Result<UnlistedChange, OutboxError> {
    let listed: Vec<String> = sqlx::query_scalar(
        "SELECT j.key FROM json_each(?2) AS j CROSS JOIN dead_letter AS d ON d.feed_id = ?1 \
         AND d.record_id = j.key AND d.origin = 'clinic'",
    )
    .bind(feed_id)
    .bind(rows)
    .fetch_all(&mut *connection)
    .await?;
    let listed: HashSet<&str> = listed.iter().map(String::as_str).collect();
    let is_listed = |row: &&Refused| listed.contains(cut(&row.record_id));
    let records = refused.iter().filter(is_listed).map(|row| &row.record);
    let forgotten = forget_unlisted(connection, records, Origin::Clinic).await?;
    let unlisted = refused.iter().filter(|row| !is_listed(row));
    let unlisted = unlisted.map(|row| Unlisted {
        record: row.record,
        feed_id: Some(feed_id),
        reason: row.reason,
        value: value_of(row),
    });
    let added = put_unlisted(connection, unlisted, Origin::Clinic).await?;
    Ok(UnlistedChange { added, forgotten })
}

/// Closes the letters of accepted rows that the page does not refuse as well; returns their number.
pub(crate) async fn close_accepted(
    connection: &mut SqliteConnection,
    accepted_record_ids: &[String],
    refused: &[Refused],
    feed_id: i64,
) -> Result<u64, OutboxError> {
    let refused: HashSet<&str> = refused.iter().map(|row| cut(&row.record_id)).collect();
    let accepted: HashSet<&str> = accepted_record_ids.iter().map(|id| cut(id)).collect();
    let accepted: Vec<&str> = accepted.difference(&refused).copied().collect();
    if accepted.is_empty() {
        return Ok(0);
    }
    let closed = sqlx::query(
        "DELETE FROM dead_letter WHERE feed_id = ?1 AND origin = 'clinic' \
         AND record_id IN (SELECT value FROM json_each(?2))",
    )
    .bind(feed_id)
    .bind(json(&accepted))
    .execute(connection)
    .await?;
    Ok(closed.rows_affected())
}

/// Writes down the record ids of records that only the registry's letters name.
pub(crate) async fn name(
    connection: &mut SqliteConnection,
    names: &[(RecordDigest, String)],
) -> Result<(), OutboxError> {
    if names.is_empty() {
        return Ok(());
    }
    let names: HashMap<String, &str> = names
        .iter()
        .map(|(record, id)| (record.to_hex(), cut(id)))
        .collect();
    sqlx::query(
        "UPDATE dead_letter SET record_id = j.value FROM json_each(?1) AS j \
         WHERE record_id IS NULL AND record = unhex(j.key)",
    )
    .bind(json(&names))
    .execute(connection)
    .await?;
    Ok(())
}

/// Digest of the row's value, in hexadecimal, if it has one.
fn value_of(row: &Refused) -> Option<String> {
    row.value.as_ref().map(|value| hex::encode(value.digest.0))
}

async fn count(connection: &mut SqliteConnection, feed_id: i64) -> Result<i64, OutboxError> {
    let count = sqlx::query_scalar(
        "SELECT count(*) FROM dead_letter WHERE feed_id = ?1 AND origin = 'clinic'",
    )
    .bind(feed_id)
    .fetch_one(connection)
    .await?;
    Ok(count)
}

fn cut(record_id: &str) -> &str {
    let end = record_id
        .char_indices()
        .nth(MAX_RECORD_ID_CHARS)
        .map_or(record_id.len(), |(at, _)| at);
    &record_id[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_ids_are_cut_between_characters() {
        assert_eq!(cut("запись-1"), "запись-1");
        assert_eq!(cut(&"ж".repeat(600)).chars().count(), MAX_RECORD_ID_CHARS);
    }
}
