//! Dead letters of events that the registry refused.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use contract::RecordDigest;
use record_secrets::Revision;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::types::Origin;
use super::unlisted::{Unlisted, any_unlisted, forget_unlisted, put_unlisted};
use crate::file::{OutboxError, digest_from, each_digest, json, side_by_side, to_ms};
use crate::limits::MAX_DEAD_LETTERS_PER_FEED;
use crate::records::{KnownRecord, RecordMap, SourceStamp};

/// Reason of letters of records that no version is left for.
pub const VERSIONS_EXHAUSTED: &str = "versions-exhausted";

/// Reason of letters of withdrawals that could not follow a raise: the kind of fact that the record
/// was is not known here, nor perhaps its feed.
pub const WITHDRAWAL_OF_UNKNOWN_KIND: &str = "withdrawal-of-unknown-kind";

/// Reason of letters of events that changed nothing, since the registry holds a higher version that
/// this outbox never gave out.
pub const SUPERSEDED: &str = "registry:superseded";

/// Reason of letters of events that the registry refused, since it holds another content under the
/// same version: another state of this gateway has given that version out too.
pub const VERSION_REUSED: &str = "registry:version-reused";

/// Reason of letters of records of which the registry holds a higher version that this clinic can
/// never have given out, as a comparison has shown.
pub const FOREIGN_VERSION: &str = "registry:foreign-version";

/// An event the registry refused.
pub(crate) struct RefusedByRegistry {
    pub(crate) record: RecordDigest,
    /// Revision of the event, where the registry could tell its version.
    pub(crate) revision: Option<Revision>,
    pub(crate) reason: String,
    /// True if the registry refused what the event says, so that an older version of the record
    /// holds on there.
    pub(crate) leaves_older: bool,
}

impl RefusedByRegistry {
    /// State of the record, unless a newer revision of it was given out since.
    pub(crate) fn latest<'a>(&self, known: &'a RecordMap<KnownRecord>) -> Option<&'a KnownRecord> {
        let is_latest = |known: &&KnownRecord| {
            let revision = self.revision;
            revision.is_none_or(|refused| known.state.revision <= refused)
        };
        known.get(&self.record).filter(is_latest)
    }
}

/// A letter to open, of a record whose latest word does not stand at the registry.
pub(crate) struct RegistryLetter<'a> {
    pub(crate) record: RecordDigest,
    pub(crate) feed_id: Option<i64>,
    pub(crate) reason: &'a str,
    pub(crate) stamp: SourceStamp,
}

impl<'a> RegistryLetter<'a> {
    /// Letter of a record as it is known.
    pub(crate) const fn of(record: RecordDigest, known: &KnownRecord, reason: &'a str) -> Self {
        Self {
            record,
            feed_id: known.state.feed_id,
            reason,
            stamp: known.state.stamp,
        }
    }
}

/// Opens or refreshes the letters of refused events, unless a newer revision of the record was
/// given out since.
pub(crate) async fn open_of_registry(
    connection: &mut SqliteConnection,
    refused: &[RefusedByRegistry],
    known: &RecordMap<KnownRecord>,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    let letters = refused.iter().filter_map(|event| {
        let known = event.latest(known)?;
        Some(RegistryLetter::of(event.record, known, &event.reason))
    });
    open_letters(connection, letters, now).await
}

/// Opens or refreshes letters, and counts those that the list has no room for; the last one of each
/// record.
pub(crate) async fn open_letters<'a>(
    connection: &mut SqliteConnection,
    letters: impl IntoIterator<Item = RegistryLetter<'a>>,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    let letters: Letters<'_> = letters
        .into_iter()
        .map(|letter| (letter.record, (letter.feed_id, letter.reason, letter.stamp)))
        .collect();
    if letters.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = letters
        .iter()
        .map(|(record, letter)| (record.to_hex(), letter))
        .collect();
    let opened = sqlx::query(
        "WITH room (feed_id) AS MATERIALIZED (\
         SELECT feed_id FROM (SELECT DISTINCT value ->> '$[1][0]' AS feed_id FROM json_each(?1)) \
         AS f WHERE ?3 > (SELECT count(*) FROM dead_letter AS d \
         WHERE d.feed_id IS f.feed_id AND d.origin = 'registry')) \
         INSERT INTO dead_letter (feed_id, origin, record, reason, stamp, first_seen_at_ms, \
         last_seen_at_ms) \
         SELECT r.feed_id, 'registry', r.record, r.reason, r.stamp, ?2, ?2 FROM (\
         SELECT unhex(value ->> 0) AS record, value ->> '$[1][0]' AS feed_id, \
         value ->> '$[1][1]' AS reason, value ->> '$[1][2]' AS stamp FROM json_each(?1)) AS r \
         WHERE (EXISTS (SELECT 1 FROM room WHERE room.feed_id IS r.feed_id) \
         OR EXISTS (SELECT 1 FROM dead_letter AS d \
         WHERE d.record = r.record AND d.origin = 'registry')) \
         ON CONFLICT (record) WHERE origin = 'registry' DO UPDATE SET feed_id = excluded.feed_id, \
         discarded_at_ms = iif(reason = excluded.reason AND stamp IS excluded.stamp, \
         discarded_at_ms, NULL), \
         reason = excluded.reason, stamp = excluded.stamp, last_seen_at_ms = ?2",
    )
    .bind(json(&rows))
    .bind(to_ms(now))
    .bind(MAX_DEAD_LETTERS_PER_FEED)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    let are_all_listed = opened == letters.len() as u64;
    if are_all_listed && !any_unlisted(&mut *connection).await? {
        return Ok(());
    }
    note_unlisted(connection, &letters).await
}

/// Record of a letter, with its feed, reason and stamp.
type Letters<'a> = RecordMap<(Option<i64>, &'a str, SourceStamp)>;

/// Counts the letters that are not listed, and forgets those that are.
async fn note_unlisted(
    connection: &mut SqliteConnection,
    letters: &Letters<'_>,
) -> Result<(), OutboxError> {
    let listed = listed_among(connection, letters.keys()).await?;
    forget_unlisted(connection, listed.iter(), Origin::Registry).await?;
    let unlisted = letters
        .iter()
        .filter(|(record, _)| !listed.contains(*record));
    let unlisted = unlisted.map(|(record, (feed_id, reason, _))| Unlisted {
        record: *record,
        feed_id: *feed_id,
        reason,
        value: None,
    });
    put_unlisted(connection, unlisted, Origin::Registry).await?;
    Ok(())
}

/// Selects the records that have a letter of the registry.
async fn listed_among(
    connection: &mut SqliteConnection,
    records: impl Iterator<Item = &RecordDigest>,
) -> Result<HashSet<RecordDigest>, OutboxError> {
    let listed: Vec<Vec<u8>> = sqlx::query_scalar(each_digest!(
        "SELECT d.record FROM place CROSS JOIN dead_letter AS d \
         ON d.record = substr(?1, place.at, 32) AND d.origin = 'registry'"
    ))
    .bind(side_by_side(records))
    .fetch_all(connection)
    .await?;
    listed.into_iter().map(digest_from).collect()
}

/// Closes the letters of records that no version was left for, and that need none any more.
pub(crate) async fn close_parked<'a>(
    connection: &mut SqliteConnection,
    records: impl Iterator<Item = &'a RecordDigest> + Clone,
) -> Result<(), OutboxError> {
    if any_unlisted(&mut *connection).await? {
        sqlx::query(each_digest!(
            "DELETE FROM unlisted_refusal WHERE reason = 'versions-exhausted' \
             AND record IN (SELECT substr(?1, at, 32) FROM place)"
        ))
        .bind(side_by_side(records.clone()))
        .execute(&mut *connection)
        .await?;
    }
    let any: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM dead_letter WHERE reason = 'versions-exhausted')",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !any {
        return Ok(());
    }
    sqlx::query(each_digest!(
        "DELETE FROM dead_letter WHERE origin = 'registry' AND reason = 'versions-exhausted' \
         AND record IN (SELECT substr(?1, at, 32) FROM place)"
    ))
    .bind(side_by_side(records))
    .execute(connection)
    .await?;
    Ok(())
}

/// Closes the letters of records that are sent anew; the registry refuses again if it has to. Not
/// those of records whose older version is withdrawn because of the refusal: that is no mending.
pub(crate) async fn close_of_registry<'a>(
    connection: &mut SqliteConnection,
    records: impl Iterator<Item = &'a RecordDigest> + Clone,
) -> Result<(), OutboxError> {
    forget_unlisted(connection, records.clone(), Origin::Registry).await?;
    let any: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM dead_letter WHERE origin = 'registry')")
            .fetch_one(&mut *connection)
            .await?;
    if !any {
        return Ok(());
    }
    sqlx::query(each_digest!(
        "DELETE FROM dead_letter WHERE origin = 'registry' \
         AND record IN (SELECT substr(?1, at, 32) FROM place) \
         AND NOT EXISTS (SELECT 1 FROM refused_correction AS c \
         WHERE c.record = dead_letter.record AND c.by_registry)"
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

/// Selects those of the digests, side by side, whose record has a letter of the registry that no
/// question would help. A record that another state has sent too, superseded or under the same
/// version, is asked about: the answer tells what to go above; and so is one that is withdrawn
/// because of the refusal, since the withdrawal stands there.
pub(crate) async fn refused_by_registry(
    pool: &SqlitePool,
    digests: Vec<u8>,
) -> Result<HashSet<RecordDigest>, OutboxError> {
    let any = "SELECT EXISTS (SELECT 1 FROM dead_letter WHERE origin = 'registry')";
    let select = each_digest!(
        "SELECT d.record FROM place CROSS JOIN dead_letter AS d \
         ON d.record = substr(?1, place.at, 32) AND d.origin = 'registry' \
         AND d.reason NOT IN ('registry:superseded', 'registry:version-reused') \
         AND NOT EXISTS (SELECT 1 FROM refused_correction AS c \
         WHERE c.record = d.record AND c.by_registry AND c.state = 'withdrawn')"
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

#[cfg(test)]
mod tests {
    use contract::RefusalReason;

    use super::*;

    #[test]
    fn reason_of_a_version_used_twice_is_the_contracts() {
        let reason = RefusalReason::VersionReused.as_str();
        assert_eq!(VERSION_REUSED, format!("registry:{reason}"));
    }
}
