//! Withheld records that have waited long enough: those leave with coarser dates whose facts then say
//! the same as those of enough persons.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contract::RecordDigest;
use draft::ClassMember;
use record_secrets::ClassDigest;
use sqlx::sqlite::{SqliteConnection, SqlitePool};

use super::due::ClassRecords;
use super::opening::{ClassSize, add_to};
use super::read::{class_from, members, open_classes, person_from};
use super::store::{open, person_bytes};
use crate::file::{OutboxError, digest_from, json, to_ms};

/// A withheld record that has waited long enough.
struct Waited {
    record: RecordDigest,
    least_persons: u8,
    /// Classes of its fact with coarser dates, each coarser than the one before.
    coarser: Vec<ClassMember>,
}

/// A record that leaves with a coarser date.
struct Coarsened {
    record: RecordDigest,
    /// Number of steps by which the date is coarser than that of the row.
    times: usize,
    member: ClassMember,
}

impl ClassRecords {
    /// Makes those records of this kind of feed due that are withheld since `since` or longer, and
    /// whose facts with a coarser date say the same as those of enough persons: of others that have
    /// waited as long, and of facts that left with that date. Returns their number.
    ///
    /// # Errors
    /// [`OutboxError::Damaged`] and the disk's failures.
    pub(crate) async fn coarsen(
        &self,
        feed: &str,
        since: DateTime<Utc>,
    ) -> Result<u64, OutboxError> {
        let pool = self.database.readers();
        if waited(pool, feed, since).await?.is_empty() {
            return Ok(0);
        }
        let _guard = self.versions.gate().lock().await;
        let waited = waited(pool, feed, since).await?;
        let coarsened = choose(pool, waited).await?;
        if coarsened.is_empty() {
            return Ok(0);
        }
        let mut transaction = self.database.begin().await?;
        write(transaction.connection(), &coarsened).await?;
        transaction.commit().await?;
        Ok(coarsened.len() as u64)
    }
}

/// Chooses for each record the least coarse date with which it is one of enough persons.
async fn choose(pool: &SqlitePool, mut waited: Vec<Waited>) -> Result<Vec<Coarsened>, OutboxError> {
    let mut chosen = Vec::new();
    let most = waited.iter().map(|record| record.coarser.len()).max();
    for times in 1..=most.unwrap_or(0) {
        let large = large_classes(pool, &waited, times).await?;
        let mut rest = Vec::with_capacity(waited.len());
        for record in waited {
            match record.coarser.get(times - 1) {
                Some(member) if large.contains(&member.class) => chosen.push(Coarsened {
                    record: record.record,
                    times,
                    member: member.clone(),
                }),
                _ => rest.push(record),
            }
        }
        waited = rest;
    }
    Ok(chosen)
}

/// Classes, of the records' facts with so much coarser dates, that have persons enough; sorted.
async fn large_classes(
    pool: &SqlitePool,
    waited: &[Waited],
    times: usize,
) -> Result<Vec<ClassDigest>, OutboxError> {
    let mut sizes: BTreeMap<ClassDigest, ClassSize> = BTreeMap::new();
    for record in waited {
        if let Some(member) = record.coarser.get(times - 1) {
            let size = sizes.entry(member.class);
            let size = size.or_insert_with(|| ClassSize::new(record.least_persons));
            size.add(&member.person);
        }
    }
    for written in members(pool, sizes.keys()).await? {
        add_to(&mut sizes, &written.member);
    }
    let mut large = open_classes(pool, sizes.keys()).await?;
    let enough = sizes.into_iter().filter(|(_, size)| size.is_large());
    large.extend(enough.map(|(class, _)| class));
    large.sort_unstable();
    Ok(large)
}

async fn waited(
    pool: &SqlitePool,
    feed: &str,
    since: DateTime<Utc>,
) -> Result<Vec<Waited>, OutboxError> {
    type Row = (Vec<u8>, u8, Vec<u8>, Vec<u8>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT c.record, c.least_persons, c.person, c.coarser_classes FROM feed AS f \
         JOIN class_record AS c ON c.feed_id = f.id AND c.state = 'withheld' \
         AND c.since_ms <= ?2 WHERE f.feed = ?1 ORDER BY c.record",
    )
    .bind(feed)
    .bind(to_ms(since))
    .fetch_all(pool)
    .await?;
    let waited = rows
        .into_iter()
        .map(|(record, least_persons, person, classes)| {
            let each = classes.chunks_exact(16 + person.len()).map(|bytes| {
                let (class, person) = bytes.split_at(16);
                Ok(ClassMember {
                    class: class_from(class.to_vec())?,
                    person: person_from(person),
                })
            });
            Ok(Waited {
                record: digest_from(record)?,
                least_persons,
                coarser: each.collect::<Result<_, OutboxError>>()?,
            })
        });
    waited.collect()
}

async fn write(
    connection: &mut SqliteConnection,
    coarsened: &[Coarsened],
) -> Result<(), OutboxError> {
    let mut classes: Vec<ClassDigest> = coarsened.iter().map(|one| one.member.class).collect();
    classes.sort_unstable();
    classes.dedup();
    open(&mut *connection, &classes).await?;
    let rows: Vec<_> = coarsened
        .iter()
        .map(|one| {
            (
                one.record.to_hex(),
                hex::encode(one.member.class.0),
                one.times,
                hex::encode(person_bytes(&one.member)),
            )
        })
        .collect();
    sqlx::query(
        "UPDATE class_record SET state = 'due', class = unhex(j.value ->> 1), \
         coarser = j.value ->> 2, person = unhex(j.value ->> 3), coarser_classes = x'' \
         FROM json_each(?1) AS j WHERE record = unhex(j.value ->> 0)",
    )
    .bind(json(&rows))
    .execute(connection)
    .await?;
    Ok(())
}
