//! Withheld records as operators see them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use draft::Persons;
use record_secrets::{ClassDigest, ClassPerson, RecordSecrets};
use serde::Serialize;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::due::open_id;
use super::read::{class_from, person_from};
use crate::file::{OutboxError, digest_from, from_ms};

/// Records of a feed that are withheld because facts of fewer persons than configured leave alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct WithheldCount {
    /// Records that are withheld, those that are due included.
    pub records: u64,
    /// Records among them whose class has persons enough by now, as they are or with a coarser date:
    /// they leave at the end of the feed's next run.
    pub due: u64,
    /// Records that have left with a coarser date, and are none of `records`.
    pub coarsened: u64,
    /// Time since which the oldest of them is withheld.
    pub oldest_at: Option<DateTime<Utc>>,
}

/// A withheld record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WithheldRecord {
    /// Name of the source.
    pub source: String,
    /// Name of the feed.
    pub feed: String,
    /// The clinic's own id of the record: for the clinic's eyes only.
    pub record_id: String,
    /// Time since which it is withheld.
    pub since: Option<DateTime<Utc>>,
    /// Number of different persons whose facts say the same, the record's own included; `None` where
    /// it is due.
    pub persons: Option<u64>,
    /// Least number of persons at which it leaves.
    pub least_persons: u8,
}

/// Counts the withheld records of each feed, by the feed's number.
pub(crate) async fn count(
    connection: &mut SqliteConnection,
) -> Result<HashMap<i64, WithheldCount>, OutboxError> {
    let rows: Vec<(i64, i64, i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT feed_id, count(*) FILTER (WHERE state IN ('withheld', 'due')), \
         count(*) FILTER (WHERE state = 'due'), count(*) FILTER (WHERE state = 'coarsened'), \
         min(since_ms) FILTER (WHERE state IN ('withheld', 'due')) \
         FROM class_record GROUP BY feed_id",
    )
    .fetch_all(connection)
    .await?;
    let counts = rows
        .into_iter()
        .map(|(feed_id, records, due, coarsened, oldest_ms)| {
            let count = WithheldCount {
                records: records.unsigned_abs(),
                due: due.unsigned_abs(),
                coarsened: coarsened.unsigned_abs(),
                oldest_at: oldest_ms.and_then(from_ms),
            };
            (feed_id, count)
        });
    Ok(counts.collect())
}

/// Lists withheld records of this source, or of all, the oldest first, at most so many.
///
/// # Errors
/// [`OutboxError::Damaged`] for an id that does not open, and the disk's failures.
pub(crate) async fn select(
    pool: &SqlitePool,
    secrets: &RecordSecrets,
    source: Option<&str>,
    most: u32,
) -> Result<Vec<WithheldRecord>, OutboxError> {
    type Row = (String, String, Vec<u8>, Vec<u8>, u8, String, Vec<u8>, i64);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT f.source, f.feed, c.record, c.class, c.least_persons, c.state, c.sealed_id, \
         c.since_ms FROM class_record AS c JOIN feed AS f ON f.id = c.feed_id \
         WHERE c.state IN ('withheld', 'due') AND (?1 IS NULL OR f.source = ?1) \
         ORDER BY c.since_ms, f.source, f.feed, c.record LIMIT ?2",
    )
    .bind(source)
    .bind(most)
    .fetch_all(pool)
    .await?;
    let sizes = sizes(pool).await?;
    let withheld = rows.into_iter().map(
        |(source, feed, record, class, least_persons, state, sealed, since_ms)| {
            let record_id = open_id(secrets, &digest_from(record)?, &sealed)?;
            let class = class_from(class)?;
            let size = sizes.get(&class).filter(|_| state == "withheld");
            Ok(WithheldRecord {
                source,
                feed,
                record_id,
                since: from_ms(since_ms),
                persons: size.map(Persons::count),
                least_persons,
            })
        },
    );
    withheld.collect()
}

/// Persons of all classes that are not open.
async fn sizes(
    pool: &SqlitePool,
) -> Result<HashMap<ClassDigest, Persons<ClassPerson>>, OutboxError> {
    let rows: Vec<(Vec<u8>, Vec<u8>)> =
        sqlx::query_as("SELECT class, person FROM class_record WHERE state != 'due'")
            .fetch_all(pool)
            .await?;
    let mut sizes: HashMap<ClassDigest, Persons<ClassPerson>> = HashMap::new();
    for (class, person) in rows {
        let persons = sizes.entry(class_from(class)?).or_default();
        persons.add(&person_from(&person));
    }
    Ok(sizes)
}
