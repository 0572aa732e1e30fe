//! Writes a group of batches as sets, in one transaction: the script both stores follow.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use contract::StoredAnswer;

use crate::choose::{Chosen, Stored, choose};
use crate::incoming::{Incoming, OpenBatch, Refusal};
use crate::link::{Conflict, Links, Owner, Person, SubjectId, plan};
use crate::second_layer::CityPseudonym;
use crate::store::{Outcome, StoreError};

/// One transaction's statements, each over a whole set.
#[async_trait]
pub(crate) trait Rows: Send {
    /// Until the transaction ends: one of many writers, or alone. Alone it cannot lose a race.
    async fn lock_writers(&mut self, exclusive: bool) -> Result<(), sqlx::Error>;
    /// What holds of those records that are stored.
    async fn stored(
        &mut self,
        records: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Stored>, sqlx::Error>;
    /// The subjects of those pseudonyms that are stored.
    async fn subjects_of(
        &mut self,
        values: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], SubjectId>, sqlx::Error>;
    /// Until the transaction ends, nobody else adds pseudonyms to these subjects or merges them.
    /// `ids` is sorted.
    async fn lock_subjects(&mut self, ids: &[SubjectId]) -> Result<(), sqlx::Error>;
    /// The SNILS pseudonyms of these subjects.
    async fn anchors(
        &mut self,
        ids: &[SubjectId],
    ) -> Result<Vec<(SubjectId, CityPseudonym)>, sqlx::Error>;
    /// Makes these subjects; how many were made. One that exists is left out, or fails as a lost
    /// race.
    async fn add_subjects(&mut self, ids: &[SubjectId]) -> Result<u64, sqlx::Error>;
    /// Adds pseudonyms; how many were added. One that exists is left out, or fails as a lost race.
    async fn add_pseudonyms(
        &mut self,
        rows: &[(CityPseudonym, SubjectId)],
    ) -> Result<u64, sqlx::Error>;
    /// Gives the first subject's pseudonyms to the second and removes the first.
    async fn merge(&mut self, pairs: &[(SubjectId, SubjectId)]) -> Result<(), sqlx::Error>;
    /// Writes conflicts down, leaving out those that are known.
    async fn add_conflicts(
        &mut self,
        rows: &[Conflict],
        now: DateTime<Utc>,
    ) -> Result<(), sqlx::Error>;
    /// Writes facts of records that were not stored a moment ago; how many were written. One that
    /// is stored by now is as in [`Rows::put_facts`], or fails as a lost race.
    async fn add_facts(&mut self, facts: &[&Incoming]) -> Result<u64, sqlx::Error> {
        self.put_facts(facts).await
    }
    /// Writes facts where they are new, or of the same kind and of a higher version, or of the same
    /// version and status with a content that was unknown; how many were written.
    async fn put_facts(&mut self, facts: &[&Incoming]) -> Result<u64, sqlx::Error>;
    /// Writes refusals down, leaving out those that are known.
    async fn add_refusals(
        &mut self,
        rows: &[&Refusal],
        now: DateTime<Utc>,
    ) -> Result<(), sqlx::Error>;
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
    /// A test breaks the step.
    Injected(StoreError),
}

impl From<sqlx::Error> for Abort {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

/// What a transaction came to: counts, and an answer for each batch.
pub(crate) type Applied = (Outcome, Vec<StoredAnswer>);

/// How a transaction is tried.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Try {
    /// Alone among the writers.
    pub exclusive: bool,
    /// Without a look for the records: they are taken for new ones, and the first that is stored
    /// makes it a lost race.
    pub blind: bool,
}

/// Applies the batches within `rows`' transaction; the caller commits, or rolls back on [`Abort`].
pub(crate) async fn apply<B: Borrow<OpenBatch> + Sync>(
    rows: &mut dyn Rows,
    batches: &[B],
    Try { exclusive, blind }: Try,
    now: DateTime<Utc>,
) -> Result<Applied, Abort> {
    rows.lock_writers(exclusive).await?;
    let events = batches.iter().flat_map(|batch| &batch.borrow().events);
    let stored = match blind {
        true => HashMap::new(),
        false => {
            rows.stored(&sorted(events.map(|event| event.record).collect()))
                .await?
        }
    };
    let Chosen {
        write,
        persons,
        refusals,
        answers,
        counts,
    } = choose(batches, &stored);
    let links = link(rows, &persons, now).await?;
    // The new ones first: who waits there, for somebody's new record, holds none that others go on
    // to update.
    let (update, add): (Vec<&Incoming>, Vec<&Incoming>) = write
        .into_iter()
        .partition(|event| stored.contains_key(&event.record));
    if !add.is_empty() && rows.add_facts(&add).await? != add.len() as u64 {
        return Err(Abort::Raced);
    }
    if !update.is_empty() && rows.put_facts(&update).await? != update.len() as u64 {
        return Err(Abort::Raced);
    }
    let all_refusals: Vec<&Refusal> = batches
        .iter()
        .flat_map(|batch| &batch.borrow().refusals)
        .chain(&refusals)
        .collect();
    if !all_refusals.is_empty() {
        rows.add_refusals(&all_refusals, now).await?;
    }
    fault::check::<StoreError>(fault::Point::RegistryStored).map_err(Abort::Injected)?;
    let outcome = Outcome {
        applied: counts.applied,
        unchanged: counts.duplicate,
        superseded: counts.superseded,
        refused: counts.refused,
        version_reused: counts.version_reused,
        conflicts: links.conflicts.len(),
        merged: links.merges.len(),
    };
    Ok((outcome, answers))
}

/// Finds or makes the subject of every person.
async fn link(
    rows: &mut dyn Rows,
    persons: &[Person<'_>],
    now: DateTime<Utc>,
) -> Result<Links, Abort> {
    let known = rows.subjects_of(&values(persons.iter())).await?;
    let open: Vec<Person<'_>> = persons
        .iter()
        .filter(|person| !settled(person, &known))
        .cloned()
        .collect();
    if open.is_empty() {
        return Ok(Links::default());
    }
    let wanted = values(open.iter());
    let locked = subjects(&wanted, &known);
    // Where nobody is known there is nobody to lock; who adds one of these names meanwhile makes
    // adding it fail.
    let mut known = HashMap::new();
    let mut anchors = Vec::new();
    if !locked.is_empty() {
        rows.lock_subjects(&locked).await?;
        // Somebody may have added names between the first look and the lock.
        known = rows.subjects_of(&wanted).await?;
        let ids = subjects(&wanted, &known);
        if ids.iter().any(|id| locked.binary_search(id).is_err()) {
            return Err(Abort::Raced);
        }
        anchors = rows.anchors(&ids).await?;
    }
    let links = plan(&open, &known, &anchors);
    write_links(rows, &links).await?;
    if !links.conflicts.is_empty() {
        rows.add_conflicts(&links.conflicts, now).await?;
    }
    Ok(links)
}

async fn write_links(rows: &mut dyn Rows, links: &Links) -> Result<(), Abort> {
    let fresh = random_ids(links.new_subjects);
    // One that exists: as likely as a hit in 2^63 over their number, and drawn again by the next
    // try.
    let drawn = fresh.len() == links.new_subjects;
    if !drawn || (!fresh.is_empty() && rows.add_subjects(&fresh).await? != fresh.len() as u64) {
        return Err(Abort::Raced);
    }
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

/// Random numbers of 63 bits, each once, sorted: ids in a row would tell who came together.
fn random_ids(count: usize) -> Vec<SubjectId> {
    let mut bytes = vec![0; count * size_of::<SubjectId>()];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    let (chunks, _) = bytes.as_chunks();
    let ids: BTreeSet<SubjectId> = chunks
        .iter()
        .map(|chunk| SubjectId::from_le_bytes(*chunk) & SubjectId::MAX)
        .collect();
    Vec::from_iter(ids)
}

/// True where every name is known, under one subject.
fn settled(person: &Person<'_>, known: &HashMap<[u8; 32], SubjectId>) -> bool {
    let mut subjects = person
        .pseudonyms
        .iter()
        .map(|pseudonym| known.get(&pseudonym.value));
    let first = subjects.next().flatten();
    first.is_some() && subjects.all(|subject| subject == first)
}

/// Every value once, sorted.
fn values<'a>(persons: impl Iterator<Item = &'a Person<'a>>) -> Vec<[u8; 32]> {
    sorted(
        persons
            .flat_map(|person| person.pseudonyms)
            .map(|pseudonym| pseudonym.value)
            .collect(),
    )
}

fn sorted(mut digests: Vec<[u8; 32]>) -> Vec<[u8; 32]> {
    digests.sort_unstable();
    digests.dedup();
    digests
}

/// The subjects of these values, sorted.
fn subjects(values: &[[u8; 32]], known: &HashMap<[u8; 32], SubjectId>) -> Vec<SubjectId> {
    let all: BTreeSet<SubjectId> = values
        .iter()
        .filter_map(|value| known.get(value))
        .copied()
        .collect();
    Vec::from_iter(all)
}
