//! Writing down what a page changes of classes.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use contract::RecordDigest;
use draft::{ClassMember, FactClass};
use record_secrets::{ClassDigest, RecordSecrets};
use sqlx::sqlite::SqliteConnection;

use super::read::in_hex;
use crate::file::{OutboxError, each_digest, json, side_by_side, to_ms};
use crate::records::RecordName;

/// State of a record whose class is not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// The record waits for its class.
    Withheld,
    /// The record stands at the registry from before, and counts.
    Standing,
    /// The record left with a date so many times coarser.
    Coarsened(usize),
}

impl MemberState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Withheld => "withheld",
            Self::Standing => "standing",
            Self::Coarsened(_) => "coarsened",
        }
    }

    /// Number of steps by which the date of the fact that counts is coarser than that of the row.
    const fn times_coarser(self) -> usize {
        match self {
            Self::Withheld | Self::Standing => 0,
            Self::Coarsened(times) => times,
        }
    }
}

/// A record of a page whose class is not open, or that leaves with a coarser date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewMember {
    pub(crate) record: RecordDigest,
    pub(crate) class: FactClass,
    pub(crate) state: MemberState,
}

impl NewMember {
    /// Class that the record counts in.
    fn counts_in(&self) -> &ClassMember {
        let coarser = self.state.times_coarser().checked_sub(1);
        let coarser = coarser.and_then(|at| self.class.coarser.get(at));
        coarser.map_or(&self.class.member, |coarser| &coarser.member)
    }

    /// Classes of the fact with coarser dates, as a column has them; none of a record that leaves.
    fn coarser_bytes(&self) -> Vec<u8> {
        if self.state != MemberState::Withheld {
            return Vec::new();
        }
        let coarser = self.class.coarser.iter();
        let bytes = coarser.flat_map(|coarser| {
            let member = &coarser.member;
            [member.class.0.to_vec(), person_bytes(member)].concat()
        });
        bytes.collect()
    }
}

/// Digests of the person, as a column has them.
pub(super) fn person_bytes(member: &ClassMember) -> Vec<u8> {
    member.person.iter().flat_map(|digest| digest.0).collect()
}

/// Changes of a page.
pub(crate) struct ClassChanges<'a> {
    /// All records of the page: what was written of them before is replaced.
    pub(crate) records: Vec<RecordDigest>,
    /// Records whose class is not open.
    pub(crate) members: &'a [NewMember],
    /// Classes that open.
    pub(crate) opened: &'a [ClassDigest],
    /// The clinic's ids of the page's records.
    pub(crate) names: &'a [RecordName],
    pub(crate) feed_id: i64,
    pub(crate) now: DateTime<Utc>,
}

/// Writes the page's records of classes that are not open, forgets those of its other records, and
/// opens classes.
pub(crate) async fn store(
    connection: &mut SqliteConnection,
    secrets: &RecordSecrets,
    changes: &ClassChanges<'_>,
) -> Result<(), OutboxError> {
    forget_others(connection, changes).await?;
    write_members(connection, secrets, changes).await?;
    open(connection, changes.opened).await
}

/// Forgets the page's records that are none of its members.
async fn forget_others(
    connection: &mut SqliteConnection,
    changes: &ClassChanges<'_>,
) -> Result<(), OutboxError> {
    let any: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM class_record)")
        .fetch_one(&mut *connection)
        .await?;
    if !any {
        return Ok(());
    }
    let members = changes.members.iter().map(|member| &member.record);
    let members: HashSet<&RecordDigest> = members.collect();
    let others = changes.records.iter();
    let others = others.filter(|record| !members.contains(record));
    forget(connection, others).await
}

/// Forgets what is written of these records' classes.
pub(super) async fn forget<'a>(
    connection: &mut SqliteConnection,
    records: impl Iterator<Item = &'a RecordDigest>,
) -> Result<(), OutboxError> {
    sqlx::query(each_digest!(
        "DELETE FROM class_record WHERE record IN (SELECT substr(?1, at, 32) FROM place)"
    ))
    .bind(side_by_side(records))
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets those of the records that stood at the registry, in a class that is not open or with a
/// coarser date: they are withdrawn.
pub(crate) async fn forget_standing<'a>(
    connection: &mut SqliteConnection,
    records: impl Iterator<Item = &'a RecordDigest>,
) -> Result<(), OutboxError> {
    sqlx::query(each_digest!(
        "DELETE FROM class_record WHERE state IN ('standing', 'coarsened') \
         AND record IN (SELECT substr(?1, at, 32) FROM place)"
    ))
    .bind(side_by_side(records))
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_members(
    connection: &mut SqliteConnection,
    secrets: &RecordSecrets,
    changes: &ClassChanges<'_>,
) -> Result<(), OutboxError> {
    if changes.members.is_empty() {
        return Ok(());
    }
    let names = changes.names.iter();
    let names: HashMap<&RecordDigest, &str> = names
        .map(|name| (&name.record, name.record_id.as_str()))
        .collect();
    let mut rows = Vec::with_capacity(changes.members.len());
    for member in changes.members {
        let record = &member.record;
        let sealed_id = match member.state {
            MemberState::Standing | MemberState::Coarsened(_) => None,
            MemberState::Withheld => {
                let name = names.get(record).ok_or(OutboxError::Damaged {
                    what: "a page: a record's own id is missing",
                })?;
                Some(hex::encode(secrets.seal_name(record, name)))
            }
        };
        let counts_in = member.counts_in();
        rows.push((
            record.to_hex(),
            hex::encode(counts_in.class.0),
            member.class.least_persons,
            member.state.times_coarser(),
            hex::encode(person_bytes(counts_in)),
            hex::encode(member.coarser_bytes()),
            member.state.as_str(),
            sealed_id,
        ));
    }
    sqlx::query(
        "INSERT INTO class_record (record, feed_id, class, least_persons, coarser, person, \
         coarser_classes, state, sealed_id, since_ms) \
         SELECT unhex(value ->> 0), ?2, unhex(value ->> 1), value ->> 2, value ->> 3, \
         unhex(value ->> 4), unhex(value ->> 5), value ->> 6, unhex(value ->> 7), ?3 \
         FROM json_each(?1) WHERE true \
         ON CONFLICT (record) DO UPDATE SET feed_id = excluded.feed_id, class = excluded.class, \
         least_persons = excluded.least_persons, coarser = excluded.coarser, \
         person = excluded.person, coarser_classes = excluded.coarser_classes, \
         state = excluded.state, sealed_id = excluded.sealed_id, \
         since_ms = iif(class_record.class = excluded.class, since_ms, excluded.since_ms)",
    )
    .bind(json(&rows))
    .bind(changes.feed_id)
    .bind(to_ms(changes.now))
    .execute(connection)
    .await?;
    Ok(())
}

/// Opens classes: what is withheld of them is due, and what stands of them need not be counted any
/// more.
pub(super) async fn open(
    connection: &mut SqliteConnection,
    opened: &[ClassDigest],
) -> Result<(), OutboxError> {
    if opened.is_empty() {
        return Ok(());
    }
    let digests = in_hex(opened.iter());
    for statement in [
        "INSERT INTO open_class (digest) SELECT unhex(value) FROM json_each(?1) WHERE true \
         ON CONFLICT DO NOTHING",
        "UPDATE class_record SET state = 'due' WHERE state = 'withheld' \
         AND class IN (SELECT unhex(value) FROM json_each(?1))",
        "DELETE FROM class_record WHERE state = 'standing' \
         AND class IN (SELECT unhex(value) FROM json_each(?1))",
    ] {
        sqlx::query(statement)
            .bind(&digests)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
