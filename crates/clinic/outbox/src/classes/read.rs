//! Reading classes, and the records in them.

use std::collections::HashMap;

use contract::RecordDigest;
use draft::ClassMember;
use record_secrets::{ClassDigest, ClassPerson};
use sqlx::sqlite::SqlitePool;

use crate::file::{OutboxError, digest_from, each_digest, json, side_by_side};

/// A record that stands at the registry from before, or that left with a coarser date or is due to,
/// as it is stored.
pub(super) struct Written {
    /// Number of steps by which the date is coarser than that of the row; 0 for a record that stands
    /// from before.
    pub(super) times: usize,
    class: ClassDigest,
}

impl Written {
    /// Returns whether it counts in this class, with a date so many times coarser.
    pub(super) fn is_of(&self, times: usize, member: &ClassMember) -> bool {
        self.times == times && self.class == member.class
    }
}

/// Finds, among the records, those that stand from before, that left with a coarser date or are due
/// to.
pub(super) async fn written(
    pool: &SqlitePool,
    records: impl Iterator<Item = &RecordDigest>,
) -> Result<HashMap<RecordDigest, Written>, OutboxError> {
    let rows: Vec<(Vec<u8>, u8, Vec<u8>)> = sqlx::query_as(each_digest!(
        "SELECT c.record, c.coarser, c.class FROM place CROSS JOIN class_record AS c \
         ON c.record = substr(?1, place.at, 32) WHERE c.coarser > 0 OR c.state = 'standing'"
    ))
    .bind(side_by_side(records))
    .fetch_all(pool)
    .await?;
    let written = rows.into_iter().map(|(record, times, class)| {
        let written = Written {
            times: usize::from(times),
            class: class_from(class)?,
        };
        Ok((digest_from(record)?, written))
    });
    written.collect()
}

/// A record in a class, as it is stored.
pub(super) struct WrittenMember {
    pub(super) record: RecordDigest,
    pub(super) member: ClassMember,
}

/// Finds, among the classes, those that are open.
pub(super) async fn open_classes(
    pool: &SqlitePool,
    classes: impl Iterator<Item = &ClassDigest>,
) -> Result<Vec<ClassDigest>, OutboxError> {
    let open: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT digest FROM open_class WHERE digest IN (SELECT unhex(value) FROM json_each(?1))",
    )
    .bind(in_hex(classes))
    .fetch_all(pool)
    .await?;
    open.into_iter().map(class_from).collect()
}

/// Records that count in one of the classes.
pub(super) async fn members(
    pool: &SqlitePool,
    classes: impl Iterator<Item = &ClassDigest>,
) -> Result<Vec<WrittenMember>, OutboxError> {
    let rows: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "SELECT record, class, person FROM class_record \
         WHERE class IN (SELECT unhex(value) FROM json_each(?1))",
    )
    .bind(in_hex(classes))
    .fetch_all(pool)
    .await?;
    let members = rows.into_iter().map(|(record, class, person)| {
        Ok(WrittenMember {
            record: digest_from(record)?,
            member: ClassMember {
                class: class_from(class)?,
                person: person_from(&person),
            },
        })
    });
    members.collect()
}

/// Classes as a list in hexadecimal, which statements take for a set.
pub(super) fn in_hex<'a>(classes: impl Iterator<Item = &'a ClassDigest>) -> String {
    let digests: Vec<String> = classes.map(|class| hex::encode(class.0)).collect();
    json(&digests)
}

/// Class in a column.
///
/// # Errors
/// [`OutboxError::Damaged`] for one of another length.
pub(super) fn class_from(column: Vec<u8>) -> Result<ClassDigest, OutboxError> {
    let digest = column.try_into();
    digest
        .map(ClassDigest)
        .map_err(|_| OutboxError::Damaged { what: "a class" })
}

/// Digests of a person in a column.
pub(super) fn person_from(column: &[u8]) -> Vec<ClassPerson> {
    let (digests, _) = column.as_chunks::<8>();
    digests.iter().copied().map(ClassPerson).collect()
}
