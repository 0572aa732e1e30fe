//! Dead letters: rows that could not become events, and events the registry refused; until they are
//! mended.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::{RecordDigest, Version};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{Row as _, SqliteExecutor};

use crate::index::ByDigest;
use crate::plan::Known;
use crate::records::{each_digest, json, side_by_side};
use crate::time::{from_ms, to_ms};
use crate::{MAX_DEAD_LETTERS_PER_FEED, Outbox, OutboxError, PageCommit};

/// Record ids are cut at this many characters.
const MAX_RECORD_ID_CHARS: usize = 512;

/// Whose refusal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The row could not become an event.
    Clinic,
    /// The registry refused the event.
    Registry,
}

impl Origin {
    /// The word used in files, `--json` and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clinic => "clinic",
            Self::Registry => "registry",
        }
    }

    /// The schema holds no third word.
    pub(crate) fn from_column(word: &str) -> Self {
        if word == "clinic" {
            Self::Clinic
        } else {
            Self::Registry
        }
    }
}

/// Which dead letters are meant; what is left out does not narrow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterFilter {
    /// Only of this source.
    pub source: Option<String>,
    /// Only of this feed.
    pub feed: Option<String>,
    /// Only with this reason code.
    pub reason: Option<String>,
    /// Only of this origin.
    pub origin: Option<Origin>,
    /// Only those first seen before.
    pub older_than: Option<DateTime<Utc>>,
    /// Only these; empty: any.
    pub ids: Vec<i64>,
    /// The discarded ones instead of the open ones.
    pub discarded: bool,
    /// At most this many, the last seen first.
    pub limit: u32,
}

impl Default for DeadLetterFilter {
    /// All open ones, as many as are ever kept for one feed.
    fn default() -> Self {
        Self {
            source: None,
            feed: None,
            reason: None,
            origin: None,
            older_than: None,
            ids: Vec::new(),
            discarded: false,
            limit: MAX_DEAD_LETTERS_PER_FEED,
        }
    }
}

/// A row of the clinic that could not become an event, or an event the registry refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// Stays the same as long as the letter exists.
    pub id: i64,
    /// Name of the source; empty for a record from before feeds were remembered.
    pub source: String,
    /// Name of the feed; empty as `source`.
    pub feed: String,
    /// Who refused.
    pub origin: Origin,
    /// The clinic's own record id: for the clinic's eyes only. `None` for the registry's until a
    /// sweep has named it.
    pub record_id: Option<String>,
    /// The first 16 hex digits of the record's digest; empty for letters from before digests were
    /// kept.
    pub record: String,
    /// Why, as a code; the registry's begin with `registry:`.
    pub reason: String,
    /// When it was first refused.
    pub first_seen_at: Option<DateTime<Utc>>,
    /// When it was last refused.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// When an operator put it aside.
    pub discarded_at: Option<DateTime<Utc>>,
}

impl Outbox {
    /// Puts letters aside; says how many. They stay aside while the row's stamp and the reason stay
    /// the same.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn discard_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        now: DateTime<Utc>,
    ) -> Result<u64, OutboxError> {
        let open = DeadLetterFilter {
            discarded: false,
            ..filter.clone()
        };
        let inner = Arc::clone(&self.inner);
        let mut transaction = inner.writer.begin().await?;
        let connection = transaction.connection();
        let letters = select(&mut *connection, &open)
            .await
            .map_err(OutboxError::database)?;
        let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
        let discarded = sqlx::query(
            "UPDATE dead_letter SET discarded_at_ms = ?2 WHERE id IN (SELECT value FROM \
             json_each(?1))",
        );
        let discarded = discarded
            .bind(json(&ids))
            .bind(to_ms(now))
            .execute(connection)
            .await;
        let discarded = discarded.map_err(OutboxError::database)?.rows_affected();
        transaction.commit().await?;
        Ok(discarded)
    }
}

/// The letters meant, the last seen first.
pub(crate) async fn select(
    executor: impl SqliteExecutor<'_>,
    filter: &DeadLetterFilter,
) -> Result<Vec<DeadLetter>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT d.id, coalesce(f.source, '') AS source, coalesce(f.feed, '') AS feed, d.origin, \
         d.record_id, \
         lower(hex(coalesce(substr(d.record, 1, 8), x''))) AS record, d.reason, \
         d.first_seen_at_ms, \
         d.last_seen_at_ms, d.discarded_at_ms FROM dead_letter AS d LEFT JOIN feed AS f ON f.id = \
         d.feed_id \
         WHERE (?1 IS NULL OR f.source = ?1) AND (?2 IS NULL OR f.feed = ?2) AND (?3 IS NULL OR \
         d.reason = ?3) \
         AND (?4 IS NULL OR d.origin = ?4) AND (?5 IS NULL OR d.first_seen_at_ms < ?5) \
         AND (?6 IS NULL OR d.id IN (SELECT value FROM json_each(?6))) AND (d.discarded_at_ms IS \
         NOT NULL) = ?7 \
         ORDER BY d.last_seen_at_ms DESC, d.id LIMIT ?8",
    )
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
    rows.iter().map(letter).collect()
}

fn letter(row: &SqliteRow) -> Result<DeadLetter, sqlx::Error> {
    let moment = |column| {
        row.try_get::<Option<i64>, _>(column)
            .map(|ms| ms.and_then(from_ms))
    };
    Ok(DeadLetter {
        id: row.try_get("id")?,
        source: row.try_get("source")?,
        feed: row.try_get("feed")?,
        origin: Origin::from_column(row.try_get("origin")?),
        record_id: row.try_get("record_id")?,
        record: row.try_get("record")?,
        reason: row.try_get("reason")?,
        first_seen_at: moment("first_seen_at_ms")?,
        last_seen_at: moment("last_seen_at_ms")?,
        discarded_at: moment("discarded_at_ms")?,
    })
}

/// Opens or refreshes the letters of refused rows; how many are new.
pub(crate) async fn open_refused(
    connection: &mut SqliteConnection,
    page: &PageCommit,
    feed_id: i64,
) -> Result<u64, sqlx::Error> {
    if page.refused.is_empty() {
        return Ok(0);
    }
    let refused = page.refused.iter();
    let refused: HashMap<&str, _> = refused
        .map(|one| {
            (
                cut(&one.record_id),
                (one.reason, one.record.to_hex(), one.stamp),
            )
        })
        .collect();
    let before = count(connection, feed_id).await?;
    sqlx::query(
        "INSERT INTO dead_letter (feed_id, origin, record_id, record, reason, stamp, \
         first_seen_at_ms, last_seen_at_ms) \
         SELECT ?1, 'clinic', j.key, unhex(j.value ->> 1), j.value ->> 0, j.value ->> 2, ?3, ?3 \
         FROM json_each(?2) AS j WHERE ?4 OR EXISTS (SELECT 1 FROM dead_letter \
         WHERE feed_id = ?1 AND record_id = j.key AND origin = 'clinic') \
         ON CONFLICT (feed_id, record_id) WHERE origin = 'clinic' DO UPDATE SET record = \
         excluded.record, \
         discarded_at_ms = iif(reason = excluded.reason AND stamp IS excluded.stamp, \
         discarded_at_ms, NULL), \
         reason = excluded.reason, stamp = excluded.stamp, last_seen_at_ms = ?3",
    )
    .bind(feed_id)
    .bind(json(&refused))
    .bind(to_ms(page.now))
    .bind(before < i64::from(MAX_DEAD_LETTERS_PER_FEED))
    .execute(&mut *connection)
    .await?;
    Ok(u64::try_from(count(connection, feed_id).await? - before).unwrap_or(0))
}

/// Closes the letters of accepted rows that the page does not refuse as well; how many.
pub(crate) async fn close_accepted(
    connection: &mut SqliteConnection,
    page: &PageCommit,
    feed_id: i64,
) -> Result<u64, sqlx::Error> {
    let refused: HashSet<&str> = page.refused.iter().map(|one| cut(&one.record_id)).collect();
    let accepted: HashSet<&str> = page.accepted_record_ids.iter().map(|id| cut(id)).collect();
    let accepted: Vec<&str> = accepted.difference(&refused).copied().collect();
    if accepted.is_empty() {
        return Ok(0);
    }
    let closed = sqlx::query(
        "DELETE FROM dead_letter WHERE feed_id = ?1 AND origin = 'clinic' \
         AND record_id IN (SELECT value FROM json_each(?2))",
    );
    let closed = closed
        .bind(feed_id)
        .bind(json(&accepted))
        .execute(connection)
        .await?;
    Ok(closed.rows_affected())
}

async fn count(connection: &mut SqliteConnection, feed_id: i64) -> Result<i64, sqlx::Error> {
    let count = sqlx::query_scalar(
        "SELECT count(*) FROM dead_letter WHERE feed_id = ?1 AND origin = 'clinic'",
    );
    count.bind(feed_id).fetch_one(connection).await
}

/// An event the registry refused.
pub(crate) struct RefusedByRegistry {
    pub(crate) record: RecordDigest,
    pub(crate) version: Option<Version>,
    pub(crate) reason: String,
}

/// The records that letters speak of, of those that have a digest: by the letter's id.
pub(crate) async fn records(
    executor: impl SqliteExecutor<'_>,
    ids: &[i64],
) -> Result<HashMap<i64, RecordDigest>, OutboxError> {
    let records: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT d.id, d.record FROM json_each(?1) AS j CROSS JOIN dead_letter AS d ON d.id = \
         j.value \
         WHERE d.record IS NOT NULL",
    )
    .bind(json(ids))
    .fetch_all(executor)
    .await
    .map_err(OutboxError::database)?;
    let records = records
        .into_iter()
        .map(|(id, record)| Some((id, RecordDigest(record.try_into().ok()?))));
    records
        .collect::<Option<_>>()
        .ok_or(OutboxError::Damaged { what: "a digest" })
}

/// Of these records, those that only a dead letter of the registry names.
pub(crate) async fn unnamed(
    pool: &SqlitePool,
    digests: Vec<u8>,
) -> Result<HashSet<RecordDigest>, OutboxError> {
    let any = "SELECT EXISTS (SELECT 1 FROM dead_letter WHERE record_id IS NULL)";
    let which = each_digest!(
        "SELECT d.record FROM place CROSS JOIN dead_letter AS d \
         ON d.record = substr(?1, place.at, 32) AND d.record_id IS NULL"
    );
    among(pool, any, which, digests).await
}

/// Of these records, those with a dead letter of the registry.
pub(crate) async fn of_registry(
    pool: &SqlitePool,
    digests: Vec<u8>,
) -> Result<HashSet<RecordDigest>, OutboxError> {
    let any = "SELECT EXISTS (SELECT 1 FROM dead_letter WHERE origin = 'registry')";
    let which = each_digest!(
        "SELECT d.record FROM place CROSS JOIN dead_letter AS d \
         ON d.record = substr(?1, place.at, 32) AND d.origin = 'registry'"
    );
    among(pool, any, which, digests).await
}

/// Letters are few: `which` is asked only if there are any.
async fn among(
    pool: &SqlitePool,
    any: &'static str,
    which: &'static str,
    digests: Vec<u8>,
) -> Result<HashSet<RecordDigest>, OutboxError> {
    let any: bool = sqlx::query_scalar(any)
        .fetch_one(pool)
        .await
        .map_err(OutboxError::database)?;
    if !any {
        return Ok(HashSet::new());
    }
    let records: Vec<(Vec<u8>,)> = sqlx::query_as(which)
        .bind(digests)
        .fetch_all(pool)
        .await
        .map_err(OutboxError::database)?;
    let records = records
        .into_iter()
        .map(|(record,)| record.try_into().map(RecordDigest).ok());
    records
        .collect::<Option<_>>()
        .ok_or(OutboxError::Damaged { what: "a digest" })
}

/// Opens or refreshes the letters of refused events, unless a newer version of the record was given
/// out since.
pub(crate) async fn open_of_registry(
    connection: &mut SqliteConnection,
    refused: &[RefusedByRegistry],
    known: &HashMap<RecordDigest, Known, ByDigest>,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    if refused.is_empty() {
        return Ok(());
    }
    let mut letters = HashMap::<_, _, ByDigest>::default();
    for one in refused {
        let known = known.get(&one.record);
        let latest =
            known.filter(|known| one.version.is_none_or(|refused| known.version <= refused));
        // The last of each record.
        letters.extend(latest.map(|known| (one.record, (known.feed_id, &one.reason, known.stamp))));
    }
    let letters: Vec<_> = letters
        .iter()
        .map(|(record, letter)| (record.to_hex(), letter))
        .collect();
    sqlx::query(
        "INSERT INTO dead_letter (feed_id, origin, record, reason, stamp, first_seen_at_ms, \
         last_seen_at_ms) \
         SELECT r.feed_id, 'registry', r.record, r.reason, r.stamp, ?2, ?2 FROM (\
         SELECT unhex(value ->> 0) AS record, value ->> '$[1][0]' AS feed_id, value ->> '$[1][1]' \
         AS reason, \
         value ->> '$[1][2]' AS stamp FROM json_each(?1)) AS r \
         WHERE (?3 > (SELECT count(*) FROM dead_letter AS d WHERE d.feed_id IS r.feed_id AND \
         d.origin = 'registry') \
         OR EXISTS (SELECT 1 FROM dead_letter AS d WHERE d.record = r.record AND d.origin = \
         'registry')) \
         ON CONFLICT (record) WHERE origin = 'registry' DO UPDATE SET feed_id = excluded.feed_id, \
         discarded_at_ms = iif(reason = excluded.reason AND stamp IS excluded.stamp, \
         discarded_at_ms, NULL), \
         reason = excluded.reason, stamp = excluded.stamp, last_seen_at_ms = ?2",
    )
    .bind(json(&letters))
    .bind(to_ms(now))
    .bind(MAX_DEAD_LETTERS_PER_FEED)
    .execute(connection)
    .await
    .map(drop)
}

/// Closes the registry's letters of records that are sent anew; it speaks again if it refuses
/// again.
pub(crate) async fn close_of_registry<'a>(
    connection: &mut SqliteConnection,
    records: impl Iterator<Item = &'a RecordDigest>,
) -> Result<(), sqlx::Error> {
    let any: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM dead_letter WHERE origin = 'registry')")
            .fetch_one(&mut *connection)
            .await?;
    if !any {
        return Ok(());
    }
    sqlx::query(each_digest!(
        "DELETE FROM dead_letter WHERE origin = 'registry' AND record IN (SELECT substr(?1, at, \
         32) FROM place)"
    ))
    .bind(side_by_side(records))
    .execute(connection)
    .await
    .map(drop)
}

/// Writes down the clinic's own ids of records that only the registry's letters name.
pub(crate) async fn name(
    connection: &mut SqliteConnection,
    names: &[(RecordDigest, String)],
) -> Result<(), sqlx::Error> {
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
    .await
    .map(drop)
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
