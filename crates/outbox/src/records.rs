//! The table of records: looked up and written as sets, whatever the size of a page.

use std::collections::{BTreeMap, HashMap, HashSet};

use contract::{ContentDigest, RecordDigest, Version};
use sqlx::SqliteExecutor;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::index::{ByDigest, Index, Numbered};
use crate::keys::{self, key_of};
use crate::plan::{Known, Row};
use crate::{OutboxError, SourceStamp};

/// A remembered record as its row has it: digest, number, feed, stamp, content, generation, count, withdrawn.
type KnownRow = (Vec<u8>, i64, Option<i64>, Option<i64>, Option<Vec<u8>>, u32, u32, bool);

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

/// What is remembered of records that were asked for.
#[derive(Debug, Default)]
pub(crate) struct LookedUp {
    pub(crate) known: HashMap<RecordDigest, Known, ByDigest>,
    /// Records numbered above were committed after the look-up.
    pub(crate) upto: i64,
}

/// Of the records with these numbers, those that are wanted: the keys of two digests may be the same.
pub(crate) async fn of_numbers(
    pool: &SqlitePool,
    record_nos: &[i64],
    wanted: &[RecordDigest],
) -> Result<HashMap<RecordDigest, Known, ByDigest>, OutboxError> {
    if record_nos.is_empty() {
        return Ok(HashMap::default());
    }
    let wanted: HashSet<&RecordDigest, ByDigest> = wanted.iter().collect();
    let mut known = HashMap::with_capacity_and_hasher(record_nos.len(), ByDigest::default());
    for (record, found) in look_up_numbers(pool, record_nos).await? {
        if wanted.contains(&record) && known.insert(record, found).is_some() {
            return Err(OutboxError::Damaged { what: "a record, which is there twice" });
        }
    }
    Ok(known)
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

/// Remembers the rows: numbers those that are new, and rewrites those that are known. `upto` is what the look-up said
/// that told them apart. Says what was numbered, which is true once the transaction is committed.
///
/// # Errors
/// [`OutboxError::Overtaken`] if another page has numbered one of the new records since, and the disk's failures.
pub(crate) async fn store(
    connection: &mut SqliteConnection,
    rows: &[Row],
    feed_id: Option<i64>,
    upto: i64,
    index: &Index,
) -> Result<Numbered, OutboxError> {
    let (known, new): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.record_no.is_some());
    let after = keys::last(&mut *connection).await?;
    refuse_twins(connection, &new, (upto, after), index).await?;
    let mut numbered = Numbered { after, keys: Vec::with_capacity(new.len()) };
    for (of, rows) in alike(new) {
        insert(connection, of, &rows, feed_id, numbered.last()).await.map_err(OutboxError::database)?;
        numbered.keys.extend(rows.iter().map(|row| key_of(&row.record)));
    }
    for (of, rows) in alike(known) {
        update(connection, of, &rows, feed_id).await.map_err(OutboxError::database)?;
    }
    Ok(numbered)
}

/// No index holds records apart, so this does: what was committed after the look-up is not among the new rows.
async fn refuse_twins(
    connection: &mut SqliteConnection,
    new: &[&Row],
    since: (i64, i64),
    index: &Index,
) -> Result<(), OutboxError> {
    let mut named = HashSet::with_capacity_and_hasher(new.len(), ByDigest::default());
    let apart = new.iter().all(|row| named.insert(&row.record));
    if !apart || index.has_newer(connection, new.iter().map(|row| key_of(&row.record)), since).await? {
        return Err(OutboxError::Overtaken);
    }
    Ok(())
}

/// What rows of one statement share: version, withdrawn, whether there is content.
type Alike = (Version, bool, bool);

/// In most pages all rows share version and status.
fn alike(rows: Vec<&Row>) -> BTreeMap<Alike, Vec<&Row>> {
    let mut alike: BTreeMap<_, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        alike.entry((row.version, row.withdrawn, row.content.is_some())).or_default().push(row);
    }
    alike
}

fn contents(rows: &[&Row]) -> Option<Vec<u8>> {
    let contents: Vec<u8> = rows.iter().flat_map(|row| &row.content).flat_map(|content| content.0).collect();
    (!contents.is_empty()).then_some(contents)
}

/// Digests and contents lie side by side in two blobs, and a JSON array of the stamps drives the statement.
async fn insert(
    connection: &mut SqliteConnection,
    (version, withdrawn, _): Alike,
    rows: &[&Row],
    feed_id: Option<i64>,
    after: i64,
) -> Result<(), sqlx::Error> {
    let stamps: Vec<SourceStamp> = rows.iter().map(|row| row.stamp).collect();
    sqlx::query(
        "INSERT INTO record (record_no, record, content, generation, count, withdrawn, feed_id, stamp) \
         SELECT ?8 + j.key, substr(?1, j.key * 32 + 1, 32), substr(?2, j.key * 16 + 1, 16), ?3, ?4, ?5, ?6, j.value \
         FROM json_each(?7) AS j",
    )
    .bind(side_by_side(rows.iter().map(|row| &row.record)))
    .bind(contents(rows))
    .bind(version.generation)
    .bind(version.count)
    .bind(withdrawn)
    .bind(feed_id)
    .bind(json(&stamps))
    .bind(after + 1)
    .execute(connection)
    .await
    .map(drop)
}

async fn update(
    connection: &mut SqliteConnection,
    (version, withdrawn, _): Alike,
    rows: &[&Row],
    feed_id: Option<i64>,
) -> Result<(), sqlx::Error> {
    let stamps: Vec<(Option<i64>, SourceStamp)> = rows.iter().map(|row| (row.record_no, row.stamp)).collect();
    sqlx::query(
        "UPDATE record SET content = n.content, generation = ?2, count = ?3, withdrawn = ?4, feed_id = ?5, \
         stamp = n.stamp FROM (SELECT value ->> 0 AS record_no, value ->> 1 AS stamp, \
         substr(?1, key * 16 + 1, 16) AS content FROM json_each(?6)) AS n WHERE record.record_no = n.record_no",
    )
    .bind(contents(rows))
    .bind(version.generation)
    .bind(version.count)
    .bind(withdrawn)
    .bind(feed_id)
    .bind(json(&stamps))
    .execute(connection)
    .await
    .map(drop)
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

/// Adopts the registry's newer versions and forgets content and stamp of what differs.
pub(crate) async fn adopt(
    connection: &mut SqliteConnection,
    record_nos_and_held: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE record SET content = NULL, stamp = NULL, \
         generation = max((generation << 32) | count, coalesce(d.held, 0)) >> 32, \
         count = max((generation << 32) | count, coalesce(d.held, 0)) & 4294967295 \
         FROM (SELECT value ->> 0 AS record_no, value ->> 1 AS held FROM json_each(?1)) AS d \
         WHERE record.record_no = d.record_no",
    )
    .bind(record_nos_and_held)
    .execute(connection)
    .await
    .map(drop)
}

/// Parameters of set statements.
pub(crate) fn json(values: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(values).expect("numbers and strings always have a JSON form")
}
