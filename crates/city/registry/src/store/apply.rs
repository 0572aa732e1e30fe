//! Script of a transaction: writes a group of batches as sets. Both kinds of database follow it.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use fault::Point;
use linking::{
    Chosen, CityPseudonym, EventPseudonyms, EventRefusal, GroupOutcome, IncomingEvent, LinkPlan,
    OpenBatch, SubjectId, SubjectRef, choose, plan_links,
};

use super::error::StoreError;
use super::transaction::{Abort, Applied, Attempt, StoreTransaction};

/// Applies the batches within the transaction; the caller commits, or rolls back on [`Abort`].
pub(super) async fn apply(
    transaction: &mut dyn StoreTransaction,
    batches: &[&OpenBatch],
    attempt: Attempt,
    now: DateTime<Utc>,
) -> Result<Applied, Abort> {
    transaction.lock_writers(attempt.exclusive).await?;
    let stored = if attempt.blind {
        HashMap::new()
    } else {
        let events = batches.iter().flat_map(|batch| &batch.events);
        let records = sorted(events.map(|event| event.record).collect());
        transaction.stored(&records).await?
    };
    let chosen = choose(batches, &stored);
    let links = link(transaction, &chosen.persons, now).await?;
    let Chosen {
        write,
        refusals,
        answers,
        outcome,
        ..
    } = chosen;
    // The new ones first: a transaction that waits there for another writer's new record does not
    // yet hold a record that others go on to update.
    let (update, add): (Vec<&IncomingEvent>, Vec<&IncomingEvent>) = write
        .into_iter()
        .partition(|event| stored.contains_key(&event.record));
    if !add.is_empty() && transaction.add_facts(&add).await? != add.len() as u64 {
        return Err(Abort::Raced);
    }
    if !update.is_empty() && transaction.put_facts(&update).await? != update.len() as u64 {
        return Err(Abort::Raced);
    }
    let all_refusals: Vec<&EventRefusal> = batches
        .iter()
        .flat_map(|batch| &batch.refusals)
        .chain(&refusals)
        .collect();
    if !all_refusals.is_empty() {
        transaction.add_refusals(&all_refusals, now).await?;
    }
    fault::check::<StoreError>(Point::RegistryStored)?;
    let outcome = GroupOutcome {
        conflicts: links.conflicts.len(),
        merged: links.merges.len(),
        ..outcome
    };
    Ok(Applied { outcome, answers })
}

/// Finds or makes the subject of every person.
async fn link(
    transaction: &mut dyn StoreTransaction,
    persons: &[EventPseudonyms<'_>],
    now: DateTime<Utc>,
) -> Result<LinkPlan, Abort> {
    let known = transaction.subjects_of(&values(persons)).await?;
    let unlinked: Vec<EventPseudonyms<'_>> = persons
        .iter()
        .filter(|person| !is_linked(person, &known))
        .cloned()
        .collect();
    if unlinked.is_empty() {
        return Ok(LinkPlan::default());
    }
    let wanted = values(&unlinked);
    let locked = subjects(&wanted, &known);
    // Where no subject is known there is none to lock; a writer that adds one of these names
    // meanwhile makes adding it fail here.
    let mut known = HashMap::new();
    let mut anchors = Vec::new();
    if !locked.is_empty() {
        transaction.lock_subjects(&locked).await?;
        // Another writer may have added names between the first look and the lock.
        known = transaction.subjects_of(&wanted).await?;
        let ids = subjects(&wanted, &known);
        if ids.iter().any(|id| locked.binary_search(id).is_err()) {
            return Err(Abort::Raced);
        }
        anchors = transaction.anchors(&ids).await?;
    }
    let plan = plan_links(&unlinked, &known, &anchors);
    write_links(transaction, &plan).await?;
    if !plan.conflicts.is_empty() {
        transaction.add_conflicts(&plan.conflicts, now).await?;
    }
    Ok(plan)
}

async fn write_links(transaction: &mut dyn StoreTransaction, plan: &LinkPlan) -> Result<(), Abort> {
    let new_ids = random_ids(plan.new_subjects);
    // A random number that is taken already is as likely as a hit in 2^63 over their number; the
    // next try draws again.
    let all_differ = new_ids.len() == plan.new_subjects;
    if !all_differ
        || (!new_ids.is_empty()
            && transaction.add_subjects(&new_ids).await? != new_ids.len() as u64)
    {
        return Err(Abort::Raced);
    }
    let rows: Vec<(CityPseudonym, SubjectId)> = plan
        .pseudonyms
        .iter()
        .map(|(pseudonym, subject)| match subject {
            SubjectRef::Existing(id) => (*pseudonym, *id),
            SubjectRef::New(index) => (*pseudonym, new_ids[*index]),
        })
        .collect();
    if !rows.is_empty() && transaction.add_pseudonyms(&rows).await? != rows.len() as u64 {
        return Err(Abort::Raced);
    }
    if !plan.merges.is_empty() {
        transaction.merge(&plan.merges).await?;
    }
    Ok(())
}

/// Random numbers of 63 bits, each once, sorted: ids in a row would show who came together.
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

/// True where every pseudonym is known, under one subject.
fn is_linked(person: &EventPseudonyms<'_>, known: &HashMap<[u8; 32], SubjectId>) -> bool {
    let mut subjects = person
        .pseudonyms
        .iter()
        .map(|pseudonym| known.get(&pseudonym.value));
    let first = subjects.next().flatten();
    first.is_some() && subjects.all(|subject| subject == first)
}

/// Values of all pseudonyms, each once, sorted.
fn values(persons: &[EventPseudonyms<'_>]) -> Vec<[u8; 32]> {
    sorted(
        persons
            .iter()
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

/// Subjects of these values, each once, sorted.
fn subjects(values: &[[u8; 32]], known: &HashMap<[u8; 32], SubjectId>) -> Vec<SubjectId> {
    let all: BTreeSet<SubjectId> = values
        .iter()
        .filter_map(|value| known.get(value))
        .copied()
        .collect();
    Vec::from_iter(all)
}
