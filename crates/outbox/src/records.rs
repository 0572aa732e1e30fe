//! The table of records: looked up and written as sets, whatever the size of a page.

use std::collections::{BTreeMap, HashMap};

use contract::{ContentDigest, RecordDigest, Version};
use sqlx::SqliteExecutor;
use sqlx::sqlite::SqliteConnection;

use crate::plan::{Known, Row};
use crate::{OutboxError, SourceStamp};

/// A remembered record as its row has it: digest, number, feed, stamp, content, generation, count, withdrawn.
type KnownRow = (Vec<u8>, i64, Option<i64>, Option<i64>, Option<Vec<u8>>, u32, u32, bool);

const DIGEST_BYTES: usize = 32;
const CONTENT_BYTES: usize = 16;

/// A statement over the 32-byte digests that lie side by side in its first parameter: `substr(?1, place.at, 32)` each.
/// An empty parameter is one place with an empty digest, which is no record's.
macro_rules! each_digest {
    ($statement:literal) => {
        concat!(
            "WITH RECURSIVE place (at) AS (SELECT 1 UNION ALL SELECT at + 32 FROM place WHERE at + 32 < length(?1)) ",
            $statement
        )
    };
}
pub(crate) use each_digest;

/// Digests as [`each_digest`] takes them.
pub(crate) fn side_by_side<'a>(records: impl IntoIterator<Item = &'a RecordDigest>) -> Vec<u8> {
    records.into_iter().flat_map(|record| record.0).collect()
}

/// What is remembered of the records, in one statement.
pub(crate) async fn look_up(
    executor: impl SqliteExecutor<'_>,
    digests: Vec<u8>,
) -> Result<HashMap<RecordDigest, Known>, OutboxError> {
    if digests.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<KnownRow> = sqlx::query_as(each_digest!(
        "SELECT r.record, r.record_no, r.feed_id, r.stamp, r.content, r.generation, r.count, r.withdrawn \
         FROM place CROSS JOIN record AS r ON r.record = substr(?1, place.at, 32)"
    ))
    .bind(digests)
    .fetch_all(executor)
    .await
    .map_err(OutboxError::database)?;
    rows.into_iter().map(known).collect::<Option<_>>().ok_or(OutboxError::Damaged { what: "a digest" })
}

/// What is remembered of records by their numbers.
pub(crate) async fn look_up_numbers(
    executor: impl SqliteExecutor<'_>,
    record_nos: &[i64],
) -> Result<Vec<(RecordDigest, Known)>, OutboxError> {
    let rows: Vec<KnownRow> = sqlx::query_as(
        "SELECT record, record_no, feed_id, stamp, content, generation, count, withdrawn FROM record \
         WHERE record_no IN (SELECT value FROM json_each(?1))",
    )
    .bind(json(record_nos))
    .fetch_all(executor)
    .await
    .map_err(OutboxError::database)?;
    rows.into_iter().map(known).collect::<Option<_>>().ok_or(OutboxError::Damaged { what: "a digest" })
}

fn known(row: KnownRow) -> Option<(RecordDigest, Known)> {
    let (record, record_no, feed_id, stamp, content, generation, count, withdrawn) = row;
    let content = content.map(|content| content.try_into().map(ContentDigest)).transpose().ok()?;
    let version = Version { generation, count };
    let known = Known { record_no, feed_id, stamp, content, version, withdrawn };
    Some((RecordDigest(record.try_into().ok()?), known))
}

/// Remembers the rows. One statement for all that share version and status, which in most pages is all of them: digests
/// and contents lie side by side in two blobs, and a JSON array of the stamps drives it.
pub(crate) async fn store(
    connection: &mut SqliteConnection,
    rows: &[Row],
    feed_id: Option<i64>,
) -> Result<(), sqlx::Error> {
    let mut alike: BTreeMap<_, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let kind = (row.version, row.withdrawn, row.content.is_some());
        alike.entry(kind).or_default().push(row);
    }
    for ((Version { generation, count }, withdrawn, _), rows) in alike {
        let mut digests = Vec::with_capacity(rows.len() * DIGEST_BYTES);
        let mut contents = Vec::with_capacity(rows.len() * CONTENT_BYTES);
        for row in &rows {
            digests.extend_from_slice(&row.record.0);
            contents.extend(row.content.iter().flat_map(|content| content.0));
        }
        let stamps: Vec<SourceStamp> = rows.iter().map(|row| row.stamp).collect();
        sqlx::query(
            "INSERT INTO record (record, content, generation, count, withdrawn, feed_id, stamp) \
             SELECT substr(?1, j.key * 32 + 1, 32), substr(?2, j.key * 16 + 1, 16), ?3, ?4, ?5, ?6, j.value \
             FROM json_each(?7) AS j WHERE true \
             ON CONFLICT (record) DO UPDATE SET content = excluded.content, generation = excluded.generation, \
             count = excluded.count, withdrawn = excluded.withdrawn, feed_id = excluded.feed_id, \
             stamp = excluded.stamp",
        )
        .bind(digests)
        .bind((!contents.is_empty()).then_some(contents))
        .bind(generation)
        .bind(count)
        .bind(withdrawn)
        .bind(feed_id)
        .bind(json(&stamps))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Notes where unchanged records stand at their source.
pub(crate) async fn store_moved(
    connection: &mut SqliteConnection,
    moved: &[(i64, SourceStamp)],
    feed_id: i64,
) -> Result<(), sqlx::Error> {
    if moved.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE record SET feed_id = ?1, stamp = m.stamp \
         FROM (SELECT value ->> 0 AS record_no, value ->> 1 AS stamp FROM json_each(?2)) AS m \
         WHERE record.record_no = m.record_no",
    )
    .bind(feed_id)
    .bind(json(moved))
    .execute(connection)
    .await
    .map(drop)
}

/// Parameters of set statements.
pub(crate) fn json(values: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(values).expect("numbers and strings always have a JSON form")
}
