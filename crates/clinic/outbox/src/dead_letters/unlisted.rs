//! Refusals beyond the limit of the list: counted record by record, and tried again all together.
//!
//! At most as many as there are records, 60 bytes each; a record takes more than that in the record
//! index already.

use contract::RecordDigest;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::types::{DeadLetterFilter, Origin};
use crate::file::{OutboxError, digest_from, each_digest, json, side_by_side};

/// A refusal that the list has no room for.
pub(super) struct Unlisted<'a> {
    pub(super) record: RecordDigest,
    pub(super) feed_id: Option<i64>,
    pub(super) reason: &'a str,
    /// Digest of the value that the row is refused for, in hexadecimal.
    pub(super) value: Option<String>,
}

/// Returns whether any refusal is not listed: hardly ever.
pub(super) async fn any_unlisted(connection: &mut SqliteConnection) -> Result<bool, OutboxError> {
    let any = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM unlisted_refusal)");
    Ok(any.fetch_one(connection).await?)
}

/// Writes down refusals that are not listed, each with its latest reason; returns the number of
/// those that are new.
pub(super) async fn put_unlisted(
    connection: &mut SqliteConnection,
    refusals: impl Iterator<Item = Unlisted<'_>>,
    origin: Origin,
) -> Result<u64, OutboxError> {
    let rows: Vec<_> = refusals
        .map(|refusal| {
            let record = refusal.record.to_hex();
            (record, refusal.feed_id, refusal.reason, refusal.value)
        })
        .collect();
    if rows.is_empty() {
        return Ok(0);
    }
    let rows = json(&rows);
    let statements = [
        "INSERT INTO unlisted_refusal (record, origin, feed_id, reason) \
         SELECT unhex(value ->> 0), ?2, value ->> 1, value ->> 2 FROM json_each(?1) \
         WHERE true ON CONFLICT DO NOTHING",
        "UPDATE unlisted_refusal SET feed_id = j.value ->> 1, reason = j.value ->> 2, \
         value_id = (SELECT v.id FROM unknown_value AS v WHERE v.feed_id = j.value ->> 1 \
         AND v.digest = unhex(j.value ->> 3)) \
         FROM json_each(?1) AS j WHERE record = unhex(j.value ->> 0) AND origin = ?2",
    ];
    let mut changed = [0; 2];
    for (statement, changed) in statements.into_iter().zip(&mut changed) {
        let done = sqlx::query(statement).bind(&rows).bind(origin.as_str());
        *changed = done.execute(&mut *connection).await?.rows_affected();
    }
    Ok(changed[0])
}

/// Forgets the unlisted refusals of these records by this origin; returns their number.
pub(crate) async fn forget_unlisted<'a>(
    connection: &mut SqliteConnection,
    records: impl Iterator<Item = &'a RecordDigest>,
    origin: Origin,
) -> Result<u64, OutboxError> {
    if !any_unlisted(&mut *connection).await? {
        return Ok(0);
    }
    let forgotten = sqlx::query(each_digest!(
        "DELETE FROM unlisted_refusal WHERE origin = ?2 \
         AND record IN (SELECT substr(?1, at, 32) FROM place)"
    ))
    .bind(side_by_side(records))
    .bind(origin.as_str())
    .execute(connection)
    .await?;
    Ok(forgotten.rows_affected())
}

/// A refusal that is not listed, as it is tried again.
pub(crate) struct UnlistedRefusal {
    pub(crate) record: RecordDigest,
    pub(crate) origin: Origin,
    /// Name of the source; empty for a record from before feeds were remembered.
    pub(crate) source: String,
    /// Name of the feed; empty as `source`.
    pub(crate) feed: String,
}

/// The next unlisted refusals behind `after` that the filter means, at most so many, in the order
/// of their records and origins.
pub(crate) async fn next_unlisted(
    pool: &SqlitePool,
    filter: &DeadLetterFilter,
    after: Option<&UnlistedRefusal>,
    most: u32,
) -> Result<Vec<UnlistedRefusal>, OutboxError> {
    if !filter.may_mean_unlisted() {
        return Ok(Vec::new());
    }
    let rows: Vec<(Vec<u8>, String, String, String)> = sqlx::query_as(
        "SELECT u.record, u.origin, coalesce(f.source, ''), coalesce(f.feed, '') \
         FROM unlisted_refusal AS u LEFT JOIN feed AS f ON f.id = u.feed_id \
         WHERE (u.record, u.origin) > (?1, ?2) \
         AND (?3 IS NULL OR f.source = ?3) AND (?4 IS NULL OR f.feed = ?4) \
         AND (?5 IS NULL OR u.reason = ?5) AND (?6 IS NULL OR u.origin = ?6) \
         ORDER BY u.record, u.origin LIMIT ?7",
    )
    .bind(after.map_or(&[][..], |after| &after.record.0))
    .bind(after.map_or("", |after| after.origin.as_str()))
    .bind(&filter.source)
    .bind(&filter.feed)
    .bind(&filter.reason)
    .bind(filter.origin.map(Origin::as_str))
    .bind(most)
    .fetch_all(pool)
    .await?;
    let refusals = rows.into_iter().map(|(record, origin, source, feed)| {
        Ok(UnlistedRefusal {
            record: digest_from(record)?,
            origin: Origin::from_column(&origin),
            source,
            feed,
        })
    });
    refusals.collect()
}

/// Records of the feed whose rows were refused here and are not listed.
pub(crate) async fn unlisted_of_clinic(
    pool: &SqlitePool,
    feed_id: i64,
) -> Result<Vec<RecordDigest>, OutboxError> {
    let records: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT record FROM unlisted_refusal WHERE feed_id = ?1 AND origin = 'clinic'",
    )
    .bind(feed_id)
    .fetch_all(pool)
    .await?;
    records.into_iter().map(digest_from).collect()
}

#[cfg(test)]
mod tests {
    use contract::PrivateKey;
    use record_secrets::RecordSecrets;

    use super::super::registry::{RegistryLetter, close_of_registry, close_parked, open_letters};
    use super::super::{SUPERSEDED, VERSIONS_EXHAUSTED};
    use super::*;
    use crate::limits::MAX_DEAD_LETTERS_PER_FEED;
    use crate::{DeadLetterCount, Outbox, OutboxOptions};

    fn record(number: u32) -> RecordDigest {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.to_be_bytes());
        RecordDigest(digest)
    }

    async fn open(outbox: &Outbox, records: std::ops::Range<u32>, reason: &str) {
        let letters = records.map(|number| RegistryLetter {
            record: record(number),
            feed_id: None,
            reason,
            stamp: None,
        });
        let mut transaction = outbox.database().begin().await.unwrap();
        let now = "2021-07-01T09:00:00Z".parse().unwrap();
        open_letters(transaction.connection(), letters, now)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }

    async fn counts(outbox: &Outbox) -> Vec<(String, u64, u64)> {
        let counts = outbox.reader().status().await.unwrap().dead_letters;
        let count = |count: DeadLetterCount| (count.reason, count.count, count.unlisted);
        counts.into_iter().map(count).collect()
    }

    #[tokio::test]
    async fn refusals_of_the_registry_beyond_the_list_count_until_they_are_closed() {
        let folder = tempfile::tempdir().unwrap();
        let key = PrivateKey::generate().public();
        let options = OutboxOptions::new(key, RecordSecrets::new(&[7; 32]), "test");
        let now = "2021-07-01T09:00:00Z".parse().unwrap();
        let path = folder.path().join("outbox.db");
        let outbox = Outbox::open(&path, options, now).await.unwrap();
        let most = MAX_DEAD_LETTERS_PER_FEED;
        let named =
            |reason: &str, count: u32, unlisted| (reason.to_owned(), u64::from(count), unlisted);

        open(&outbox, 0..most, SUPERSEDED).await;
        assert_eq!(counts(&outbox).await, [named(SUPERSEDED, most, 0)]);
        open(&outbox, most - 2..most + 3, SUPERSEDED).await;
        assert_eq!(counts(&outbox).await, [named(SUPERSEDED, most + 3, 3)]);
        open(&outbox, most..most + 1, VERSIONS_EXHAUSTED).await;
        let [superseded, exhausted] = <[_; 2]>::try_from(counts(&outbox).await).unwrap();
        assert_eq!(superseded, named(SUPERSEDED, most + 2, 2));
        assert_eq!(exhausted, named(VERSIONS_EXHAUSTED, 1, 1));

        let mut transaction = outbox.database().begin().await.unwrap();
        let connection = transaction.connection();
        let sent = [record(0), record(most + 1)];
        close_parked(connection, [record(most)].iter())
            .await
            .unwrap();
        close_of_registry(connection, sent.iter()).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(counts(&outbox).await, [named(SUPERSEDED, most, 1)]);
        // There is room again: what is refused once more is listed.
        open(&outbox, most + 2..most + 3, SUPERSEDED).await;
        assert_eq!(counts(&outbox).await, [named(SUPERSEDED, most, 0)]);
    }
}
