//! Upgrade of a store from before links: every fact gets its record's second-layer name and its
//! name set.
//!
//! Which names a record stated was not kept. So a fact's set is all names that its subject has; the
//! links hold until the clinics send their records again, which their gateways do by themselves.

use std::collections::{BTreeMap, HashMap};

use linking::{CityPseudonym, MAX_COMPONENT_NAMES, NameSetId, SecondLayerKey, SubjectId};

use super::old_facts::{MovedFact, OldFact};
use super::person_statements::{NameValue, SetRow};
use super::transaction::{Abort, StoreTransaction};

/// Number of facts that are moved in one transaction. Few under test, so that it takes several.
const CHUNK_FACTS: usize = if cfg!(test) { 4 } else { 10_000 };

/// Moves some facts; returns their number, or `None` when none is left and the old table is gone.
pub(super) async fn move_facts(
    transaction: &mut dyn StoreTransaction,
    key: &SecondLayerKey,
) -> Result<Option<usize>, Abort> {
    if !transaction.has_old_facts().await? {
        return Ok(None);
    }
    // Alone, since another program may be at it at the same time.
    transaction.lock_writers(true).await?;
    if !transaction.has_old_facts().await? {
        return Ok(None);
    }
    let facts = transaction.old_facts(CHUNK_FACTS).await?;
    if facts.is_empty() {
        // Before links, names stayed when the last record that stated them was withdrawn.
        transaction.remove_unstated_names().await?;
        // Whoever issues passes has to look at everything now.
        transaction.unwatch().await?;
        transaction.drop_old_facts().await?;
        return Ok(None);
    }
    let sets = sets_of(transaction, &facts).await?;
    add_records(transaction, &sets, &facts).await?;
    let moved: Vec<MovedFact> = facts
        .iter()
        .map(|fact| MovedFact {
            sent: fact.record,
            stored: key.record(&contract::RecordDigest(fact.record)),
            name_set: fact.name.and_then(|name| sets.get(&name)).map(|set| set.id),
        })
        .collect();
    transaction.move_old_facts(&moved).await?;
    Ok(Some(moved.len()))
}

/// Set of all names of a fact's person, by the name that the fact had.
async fn sets_of(
    transaction: &mut dyn StoreTransaction,
    facts: &[OldFact],
) -> Result<HashMap<NameValue, SetRow>, Abort> {
    let mut values: Vec<NameValue> = facts.iter().filter_map(|fact| fact.name).collect();
    values.sort_unstable();
    values.dedup();
    let named = transaction.names(&values).await?;
    let mut subjects: Vec<SubjectId> = named.iter().map(|row| row.subject).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let mut names_of: BTreeMap<SubjectId, Vec<CityPseudonym>> = BTreeMap::new();
    let limit = 4 * MAX_COMPONENT_NAMES;
    for row in transaction.names_of_subjects(&subjects, limit).await? {
        names_of.entry(row.subject).or_default().push(row.name);
    }
    for names in names_of.values_mut() {
        names.sort_unstable_by_key(CityPseudonym::strength);
        names.truncate(MAX_COMPONENT_NAMES);
    }
    let sets = named.iter().map(|row| {
        let own = names_of.get(&row.subject).map_or(&[][..], Vec::as_slice);
        (row.name.value, set_with(own, &row.name))
    });
    Ok(sets.collect())
}

/// Set of a person's names, the fact's own among them.
fn set_with(names: &[CityPseudonym], own: &CityPseudonym) -> SetRow {
    let mut names = names.to_vec();
    if !names.contains(own) {
        names.truncate(MAX_COMPONENT_NAMES - 1);
        names.push(*own);
        names.sort_unstable_by_key(CityPseudonym::strength);
    }
    let names: Vec<NameValue> = names.iter().map(|name| name.value).collect();
    SetRow {
        id: NameSetId::of(&names),
        records: 0,
        names,
    }
}

/// Adds the facts to the numbers of records of their sets.
async fn add_records(
    transaction: &mut dyn StoreTransaction,
    sets: &HashMap<NameValue, SetRow>,
    facts: &[OldFact],
) -> Result<(), Abort> {
    let mut counted: BTreeMap<NameSetId, SetRow> = BTreeMap::new();
    for fact in facts {
        if let Some(set) = fact.name.and_then(|name| sets.get(&name)) {
            counted.entry(set.id).or_insert_with(|| set.clone()).records += 1;
        }
    }
    let ids: Vec<NameSetId> = counted.keys().copied().collect();
    let mut changes = Vec::new();
    for stored in transaction.lock_sets(&ids).await? {
        if let Some(set) = counted.remove(&stored.id) {
            changes.push((set.id, set.records));
        }
    }
    if !changes.is_empty() {
        transaction.change_sets(&changes).await?;
    }
    let new: Vec<SetRow> = counted.into_values().collect();
    if !new.is_empty() {
        transaction.add_sets(&new).await?;
    }
    Ok(())
}
