//! Writes a group of batches as sets, in one transaction: the script both stores follow.

use std::collections::{BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::choose::{Chosen, Stored, choose};
use crate::incoming::{Incoming, OpenBatch, Refusal};
use crate::link::{Conflict, Links, Owner, Person, SubjectId, plan};
use crate::second_layer::CityPseudonym;
use crate::store::Outcome;

/// One transaction's statements, each over a whole set.
#[async_trait]
pub(crate) trait Rows: Send {
    /// Until the transaction ends: one of many writers, or alone. Alone it cannot lose a race.
    async fn lock_writers(&mut self, exclusive: bool) -> Result<(), sqlx::Error>;
    /// Version and kind of those records that are stored.
    async fn stored(&mut self, records: &[[u8; 32]]) -> Result<HashMap<[u8; 32], Stored>, sqlx::Error>;
    /// The subjects of those pseudonyms that are stored.
    async fn subjects_of(&mut self, values: &[[u8; 32]])
    -> Result<HashMap<[u8; 32], SubjectId>, sqlx::Error>;
    /// Until the transaction ends, nobody else adds pseudonyms to these subjects or merges them. `ids` is sorted.
    async fn lock_subjects(&mut self, ids: &[SubjectId]) -> Result<(), sqlx::Error>;
    /// The SNILS pseudonyms of these subjects.
    async fn anchors(&mut self, ids: &[SubjectId]) -> Result<Vec<(SubjectId, CityPseudonym)>, sqlx::Error>;
    /// Makes this many subjects.
    async fn new_subjects(&mut self, count: usize) -> Result<Vec<SubjectId>, sqlx::Error>;
    /// Adds pseudonyms, leaving out those that exist; how many were added.
    async fn add_pseudonyms(&mut self, rows: &[(CityPseudonym, SubjectId)]) -> Result<u64, sqlx::Error>;
    /// Gives the first subject's pseudonyms to the second and removes the first.
    async fn merge(&mut self, pairs: &[(SubjectId, SubjectId)]) -> Result<(), sqlx::Error>;
    /// Writes conflicts down, leaving out those that are known.
    async fn add_conflicts(&mut self, rows: &[Conflict], now: DateTime<Utc>) -> Result<(), sqlx::Error>;
    /// Writes facts where they are new or of a higher version and the same kind; how many were written.
    async fn put_facts(&mut self, facts: &[&Incoming]) -> Result<u64, sqlx::Error>;
    /// Writes refusals down, leaving out those that are known.
    async fn add_refusals(&mut self, rows: &[&Refusal], now: DateTime<Utc>) -> Result<(), sqlx::Error>;
}

/// Why a transaction was given up.
#[derive(Debug)]
pub(crate) enum Abort {
    /// The store's driver failed.
    Sql(sqlx::Error),
    /// Another writer was faster; the same again will see what it wrote.
    Raced,
    /// It took longer than a transaction may.
    TooSlow,
}

impl From<sqlx::Error> for Abort {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

/// Applies the batches within `rows`' transaction; the caller commits, or rolls back on [`Abort`].
pub(crate) async fn apply(
    rows: &mut dyn Rows,
    batches: &[OpenBatch],
    exclusive: bool,
    now: DateTime<Utc>,
) -> Result<Outcome, Abort> {
    rows.lock_writers(exclusive).await?;
    let records: BTreeSet<[u8; 32]> =
        batches.iter().flat_map(|batch| &batch.events).map(|event| event.record).collect();
    let stored = rows.stored(&Vec::from_iter(records)).await?;
    let Chosen { write, persons, refusals, unchanged } = choose(batches, &stored);
    let links = link(rows, &persons, now).await?;
    if rows.put_facts(&write).await? != write.len() as u64 {
        return Err(Abort::Raced);
    }
    let all_refusals: Vec<&Refusal> =
        batches.iter().flat_map(|batch| &batch.refusals).chain(&refusals).collect();
    if !all_refusals.is_empty() {
        rows.add_refusals(&all_refusals, now).await?;
    }
    Ok(Outcome {
        applied: write.len(),
        unchanged,
        refused: all_refusals.len(),
        conflicts: links.conflicts.len(),
        merged: links.merges.len(),
    })
}

/// Finds or makes the subject of every person.
async fn link(rows: &mut dyn Rows, persons: &[Person<'_>], now: DateTime<Utc>) -> Result<Links, Abort> {
    let known = rows.subjects_of(&values(persons.iter())).await?;
    let open: Vec<Person<'_>> = persons.iter().filter(|person| !settled(person, &known)).cloned().collect();
    if open.is_empty() {
        return Ok(Links::default());
    }
    let wanted = values(open.iter());
    let locked = subjects(&wanted, &known);
    rows.lock_subjects(&locked).await?;
    // Somebody may have added names between the first look and the lock.
    let known = rows.subjects_of(&wanted).await?;
    let ids = subjects(&wanted, &known);
    if ids.iter().any(|id| locked.binary_search(id).is_err()) {
        return Err(Abort::Raced);
    }
    let anchors = rows.anchors(&ids).await?;
    let links = plan(&open, &known, &anchors);
    write_links(rows, &links).await?;
    if !links.conflicts.is_empty() {
        rows.add_conflicts(&links.conflicts, now).await?;
    }
    Ok(links)
}

async fn write_links(rows: &mut dyn Rows, links: &Links) -> Result<(), Abort> {
    let fresh =
        if links.new_subjects == 0 { Vec::new() } else { rows.new_subjects(links.new_subjects).await? };
    let named: Vec<(CityPseudonym, SubjectId)> = links
        .pseudonyms
        .iter()
        .map(|(pseudonym, owner)| match owner {
            Owner::Existing(id) => (*pseudonym, *id),
            Owner::New(index) => (*pseudonym, fresh[*index]),
        })
        .collect();
    if !named.is_empty() && rows.add_pseudonyms(&named).await? != named.len() as u64 {
        return Err(Abort::Raced);
    }
    if !links.merges.is_empty() {
        rows.merge(&links.merges).await?;
    }
    Ok(())
}

/// True where every name is known, under one subject.
fn settled(person: &Person<'_>, known: &HashMap<[u8; 32], SubjectId>) -> bool {
    let mut subjects = person.pseudonyms.iter().map(|pseudonym| known.get(&pseudonym.value));
    let first = subjects.next().flatten();
    first.is_some() && subjects.all(|subject| subject == first)
}

/// Every value once, sorted.
fn values<'a>(persons: impl Iterator<Item = &'a Person<'a>>) -> Vec<[u8; 32]> {
    let all: HashSet<[u8; 32]> =
        persons.flat_map(|person| person.pseudonyms).map(|pseudonym| pseudonym.value).collect();
    let mut all = Vec::from_iter(all);
    all.sort_unstable();
    all
}

/// The subjects of these values, sorted.
fn subjects(values: &[[u8; 32]], known: &HashMap<[u8; 32], SubjectId>) -> Vec<SubjectId> {
    let all: BTreeSet<SubjectId> = values.iter().filter_map(|value| known.get(value)).copied().collect();
    Vec::from_iter(all)
}
