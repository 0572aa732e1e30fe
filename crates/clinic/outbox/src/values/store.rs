//! Writing down the values of refused rows, within a bound.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use record_secrets::{ValueDigest, ValueSecrets};
use sqlx::sqlite::SqliteConnection;

use super::persons::Persons;
use crate::dead_letters::Refused;
use crate::file::{OutboxError, json, to_ms};
use crate::limits::MAX_UNKNOWN_VALUES_PER_FEED;

/// A value of a page, with all the persons that are known to have it.
struct PageValue<'a> {
    table: &'static str,
    text: Option<&'a str>,
    persons: Persons,
}

/// Writes down the values of refused rows, before the letters that refer to them. The value itself
/// is sealed, and only once several persons have it.
pub(crate) async fn note_values(
    connection: &mut SqliteConnection,
    secrets: &ValueSecrets,
    refused: &[Refused],
    feed_id: i64,
    now: DateTime<Utc>,
) -> Result<(), OutboxError> {
    let mut values = of_page(refused);
    if values.is_empty() {
        return Ok(());
    }
    let digests = json(&digests(refused));
    let known: Vec<(Vec<u8>, u8, Vec<u8>)> = sqlx::query_as(
        "SELECT digest, persons, person_digests FROM unknown_value \
         WHERE feed_id = ?1 AND digest IN (SELECT unhex(value) FROM json_each(?2))",
    )
    .bind(feed_id)
    .bind(&digests)
    .fetch_all(&mut *connection)
    .await?;
    for (digest, count, persons) in known {
        let damaged = || OutboxError::Damaged {
            what: "a value that nobody has mapped",
        };
        let digest = ValueDigest(digest.try_into().map_err(|_| damaged())?);
        let persons = Persons::from_bytes(count, &persons).ok_or_else(damaged)?;
        if let Some(value) = values.get_mut(&digest) {
            value.persons.add_all(&persons);
        }
    }
    let rows: Vec<_> = values
        .iter()
        .map(|(digest, value)| {
            let text = value.text.filter(|_| value.persons.are_several());
            (
                hex::encode(digest.0),
                value.table,
                value.persons.count(),
                hex::encode(value.persons.to_bytes()),
                text.map(|text| hex::encode(secrets.seal(digest, text))),
            )
        })
        .collect();
    sqlx::query(
        "INSERT INTO unknown_value (feed_id, digest, code_table, persons, person_digests, sealed, \
         first_seen_at_ms, last_seen_at_ms) \
         SELECT ?1, unhex(value ->> 0), value ->> 1, value ->> 2, unhex(value ->> 3), \
         unhex(value ->> 4), ?3, ?3 FROM json_each(?2) WHERE true \
         ON CONFLICT (feed_id, digest) DO UPDATE SET persons = excluded.persons, \
         person_digests = excluded.person_digests, sealed = coalesce(sealed, excluded.sealed), \
         last_seen_at_ms = excluded.last_seen_at_ms",
    )
    .bind(feed_id)
    .bind(json(&rows))
    .bind(to_ms(now))
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes those values of the page that no letter refers to after all, and of a feed with too many
/// the rarest, of these the longest unseen.
pub(crate) async fn tidy_values(
    connection: &mut SqliteConnection,
    refused: &[Refused],
    feed_id: i64,
) -> Result<(), OutboxError> {
    let digests = digests(refused);
    if digests.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM unknown_value WHERE feed_id = ?1 \
         AND digest IN (SELECT unhex(value) FROM json_each(?2)) \
         AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE value_id = unknown_value.id) \
         AND NOT EXISTS (SELECT 1 FROM unlisted_refusal WHERE value_id = unknown_value.id)",
    )
    .bind(feed_id)
    .bind(json(&digests))
    .execute(&mut *connection)
    .await?;
    let values: i64 = sqlx::query_scalar("SELECT count(*) FROM unknown_value WHERE feed_id = ?1")
        .bind(feed_id)
        .fetch_one(&mut *connection)
        .await?;
    let beyond = values - i64::from(MAX_UNKNOWN_VALUES_PER_FEED);
    if beyond <= 0 {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM unknown_value WHERE id IN (SELECT id FROM unknown_value AS v \
         WHERE feed_id = ?1 ORDER BY (SELECT count(*) FROM dead_letter WHERE value_id = v.id) \
         + (SELECT count(*) FROM unlisted_refusal WHERE value_id = v.id), last_seen_at_ms, id \
         LIMIT ?2)",
    )
    .bind(feed_id)
    .bind(beyond)
    .execute(connection)
    .await?;
    Ok(())
}

/// Distinct values of a page.
fn of_page(refused: &[Refused]) -> BTreeMap<ValueDigest, PageValue<'_>> {
    let mut values = BTreeMap::new();
    for refused in refused.iter().filter_map(|row| row.value.as_ref()) {
        let value = values.entry(refused.digest).or_insert_with(|| PageValue {
            table: refused.table,
            text: refused.text.as_deref(),
            persons: Persons::default(),
        });
        value.persons.add(&refused.persons);
    }
    values
}

/// Digests of a page's values, in hexadecimal.
fn digests(refused: &[Refused]) -> Vec<String> {
    let values = refused.iter().filter_map(|row| row.value.as_ref());
    let mut digests: Vec<String> = values.map(|value| hex::encode(value.digest.0)).collect();
    digests.sort_unstable();
    digests.dedup();
    digests
}
