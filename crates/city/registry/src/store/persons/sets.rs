//! Changes of the numbers of records that state name sets.

use std::collections::HashMap;

use linking::{CityPseudonym, NameSet, NameSetId, SetChange};

use super::sorted_values;
use crate::store::person_statements::{NameValue, SetRow};
use crate::store::transaction::{Abort, StoreTransaction};

/// Sets that a group has changed.
#[derive(Default)]
pub(super) struct ChangedSets {
    /// Sets that were not stored before.
    pub(super) added: Vec<NameSet>,
    /// Sets that have more records than before.
    pub(super) grown: Vec<SetRow>,
    /// Sets that have fewer records than before, and some still.
    pub(super) shrunk: Vec<SetRow>,
    /// Sets that no record states any more.
    pub(super) removed: Vec<SetRow>,
}

impl ChangedSets {
    /// Names that say what has to be done: of a grown set, the strongest is enough.
    pub(super) fn names_to_look_at(&self) -> Vec<NameValue> {
        let added = self.added.iter().flat_map(|set| &set.names);
        let grown = self.grown.iter().filter_map(|set| set.names.first());
        let fewer = self.shrunk.iter().chain(&self.removed);
        let fewer = fewer.flat_map(|set| &set.names);
        sorted_values(
            added
                .map(|name| name.value)
                .chain(grown.chain(fewer).copied()),
        )
    }

    /// Names of the added sets, by their values.
    pub(super) fn new_names(&self) -> HashMap<NameValue, CityPseudonym> {
        let names = self.added.iter().flat_map(|set| &set.names);
        names.map(|name| (name.value, *name)).collect()
    }
}

/// Locks the sets and writes their new numbers of records.
pub(super) async fn change_sets(
    transaction: &mut dyn StoreTransaction,
    changes: &[SetChange<'_>],
) -> Result<ChangedSets, Abort> {
    let ids: Vec<NameSetId> = changes.iter().map(|change| change.id).collect();
    let stored = transaction.lock_sets(&ids).await?;
    let mut stored: HashMap<NameSetId, SetRow> =
        stored.into_iter().map(|set| (set.id, set)).collect();
    let mut changed = ChangedSets::default();
    let mut new_rows = Vec::new();
    let mut new_numbers = Vec::new();
    for change in changes {
        match stored.remove(&change.id) {
            Some(set) if set.records + change.change > 0 => {
                new_numbers.push((set.id, change.change));
                if change.change > 0 {
                    changed.grown.push(set);
                } else {
                    changed.shrunk.push(set);
                }
            }
            Some(set) => changed.removed.push(set),
            None if change.change > 0 => {
                new_rows.push(row_of(change));
                changed.added.push(NameSet {
                    id: change.id,
                    names: change.names.to_vec(),
                    records: change.change.unsigned_abs(),
                });
            }
            // A fact that states the set was seen: whoever removed the set since has changed it.
            None => return Err(Abort::Raced),
        }
    }
    if !new_numbers.is_empty() {
        transaction.change_sets(&new_numbers).await?;
    }
    if !new_rows.is_empty() && transaction.add_sets(&new_rows).await? != new_rows.len() as u64 {
        return Err(Abort::Raced);
    }
    if !changed.removed.is_empty() {
        transaction.remove_sets(&changed.removed).await?;
    }
    Ok(changed)
}

fn row_of(change: &SetChange<'_>) -> SetRow {
    SetRow {
        id: change.id,
        records: change.change,
        names: change.names.iter().map(|name| name.value).collect(),
    }
}
