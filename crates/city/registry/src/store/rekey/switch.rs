//! The transaction in which all names of an epoch change at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use linking::{CityPseudonym, Decision, LinkRules, NameSetId, Rekeying};

use super::{CHUNK_NAMES, RekeyingRow, multiply};
use crate::store::columns::undecodable;
use crate::store::person_statements::{NameValue, SetRow};
use crate::store::persons::judge_anew;
use crate::store::transaction::{Abort, StoreTransaction};

/// Number of sets that are read and written at once. Few under test, so that it takes several
/// turns.
const SETS_AT_ONCE: i64 = if cfg!(test) { 3 } else { 5000 };

/// Number of names whose persons are judged at once.
const JUDGED_AT_ONCE: usize = 500;

/// Notes that a change is under way, where nothing is noted of its epoch; `None` where another is.
pub(in crate::store) async fn begin(
    transaction: &mut dyn StoreTransaction,
    rekeying: &Rekeying,
) -> Result<Option<RekeyingRow>, Abort> {
    transaction.lock_writers(true).await?;
    if let Some(row) = transaction.rekeying(rekeying.from()).await? {
        return Ok(Some(row));
    }
    if !transaction.unfinished_rekeyings().await?.is_empty() {
        return Ok(None);
    }
    let check = rekeying.check_value();
    transaction
        .begin_rekeying(rekeying.from(), rekeying.to(), &check)
        .await?;
    Ok(Some(RekeyingRow {
        to: rekeying.to(),
        check,
        is_finished: false,
    }))
}

/// Renames everything; the caller commits, or rolls back on [`Abort`].
pub(in crate::store) async fn switch(
    transaction: &mut dyn StoreTransaction,
    rekeying: &Rekeying,
    rules: &LinkRules,
    now: DateTime<Utc>,
) -> Result<(), Abort> {
    transaction.prepare_for_whole_tables().await?;
    transaction.lock_writers(true).await?;
    let stored = transaction.rekeying(rekeying.from()).await?;
    if stored.is_none_or(|row| row.is_finished) {
        // Another program has done it meanwhile.
        return Ok(());
    }
    multiply_rest(transaction, rekeying).await?;
    let mut judged: BTreeSet<NameValue> = BTreeSet::new();
    judged.extend(transaction.names_to_judge(rekeying.to()).await?);
    rename_sets(transaction, rekeying).await?;
    judged.extend(rename_decisions(transaction, now).await?);
    transaction.rename_all(rekeying.to(), now).await?;
    let judged: Vec<NameValue> = judged.into_iter().collect();
    for some in judged.chunks(JUDGED_AT_ONCE) {
        judge_anew(transaction, some, rules, now).await?;
    }
    transaction.finish_rekeying(rekeying.from(), now).await?;
    Ok(())
}

/// Works out what the names are going to be that have come since the last look.
async fn multiply_rest(
    transaction: &mut dyn StoreTransaction,
    rekeying: &Rekeying,
) -> Result<(), Abort> {
    loop {
        let names = transaction
            .names_to_rekey(rekeying.from(), &[], CHUNK_NAMES)
            .await?;
        if names.is_empty() {
            return Ok(());
        }
        let rekeyed = multiply(rekeying, &names)?;
        transaction.add_rekeyed(&rekeyed).await?;
    }
}

/// Gives every set that has changed names its new names and id, and its facts the new set.
async fn rename_sets(
    transaction: &mut dyn StoreTransaction,
    rekeying: &Rekeying,
) -> Result<(), Abort> {
    let mut after = Vec::new();
    loop {
        let sets = transaction.sets_after(&after, SETS_AT_ONCE).await?;
        let Some(last) = sets.last() else {
            return Ok(());
        };
        after = last.id.0.to_vec();
        let changed = changed_sets(transaction, rekeying, sets).await?;
        if !changed.is_empty() {
            replace_sets(transaction, &changed).await?;
        }
    }
}

/// Sets that have changed names, each with what it becomes.
async fn changed_sets(
    transaction: &mut dyn StoreTransaction,
    rekeying: &Rekeying,
    sets: Vec<SetRow>,
) -> Result<Vec<(SetRow, SetRow)>, Abort> {
    let values: BTreeSet<NameValue> = sets.iter().flat_map(|set| &set.names).copied().collect();
    let values: Vec<NameValue> = values.into_iter().collect();
    let rekeyed = transaction.rekeyed(&values).await?;
    let rekeyed: HashMap<NameValue, NameValue> = rekeyed.into_iter().collect();
    if rekeyed.is_empty() {
        return Ok(Vec::new());
    }
    let rows = transaction.names(&values).await?;
    let names: HashMap<NameValue, CityPseudonym> =
        rows.iter().map(|row| (row.name.value, row.name)).collect();
    let mut changed = Vec::new();
    for set in sets {
        if !set.names.iter().any(|value| rekeyed.contains_key(value)) {
            continue;
        }
        let of_value = |value: &NameValue| {
            let name = names.get(value).copied()?;
            Some(match rekeyed.get(value) {
                Some(new) => CityPseudonym {
                    epoch: rekeying.to(),
                    value: *new,
                    ..name
                },
                None => name,
            })
        };
        let new: Option<Vec<CityPseudonym>> = set.names.iter().map(of_value).collect();
        let mut new = new.ok_or_else(|| undecodable("name set"))?;
        new.sort_unstable_by_key(CityPseudonym::strength);
        new.dedup();
        let values: Vec<NameValue> = new.iter().map(|name| name.value).collect();
        let becomes = SetRow {
            id: NameSetId::of(&values),
            records: set.records,
            names: values,
        };
        changed.push((set, becomes));
    }
    Ok(changed)
}

/// Replaces sets by what they become; where that is stored already, the records are added to it.
async fn replace_sets(
    transaction: &mut dyn StoreTransaction,
    changed: &[(SetRow, SetRow)],
) -> Result<(), Abort> {
    let old: Vec<SetRow> = changed.iter().map(|(old, _)| old.clone()).collect();
    let moves: Vec<(NameSetId, NameSetId)> =
        changed.iter().map(|(old, new)| (old.id, new.id)).collect();
    let mut new: BTreeMap<NameSetId, SetRow> = BTreeMap::new();
    for (_, set) in changed {
        let records = set.records;
        new.entry(set.id)
            .and_modify(|known| known.records += records)
            .or_insert_with(|| set.clone());
    }
    transaction.remove_sets(&old).await?;
    let ids: Vec<NameSetId> = new.keys().copied().collect();
    let mut grown = Vec::new();
    for stored in transaction.lock_sets(&ids).await? {
        if let Some(set) = new.remove(&stored.id) {
            grown.push((set.id, set.records));
        }
    }
    if !grown.is_empty() {
        transaction.change_sets(&grown).await?;
    }
    let added: Vec<SetRow> = new.into_values().collect();
    if !added.is_empty() {
        transaction.add_sets(&added).await?;
    }
    transaction.move_facts(&moves).await?;
    Ok(())
}

/// Makes decisions about changed names decisions about what they become; returns the names that are
/// decided about then.
async fn rename_decisions(
    transaction: &mut dyn StoreTransaction,
    now: DateTime<Utc>,
) -> Result<BTreeSet<NameValue>, Abort> {
    let decisions = transaction.all_decisions().await?;
    let values: BTreeSet<NameValue> = decisions.iter().flat_map(names_of).collect();
    let values: Vec<NameValue> = values.into_iter().collect();
    let rekeyed = transaction.rekeyed(&values).await?;
    let rekeyed: HashMap<NameValue, NameValue> = rekeyed.into_iter().collect();
    let becomes = |value: &NameValue| rekeyed.get(value).copied().unwrap_or(*value);
    let mut kept: Vec<Decision> = Vec::new();
    let (changing, staying): (Vec<Decision>, Vec<Decision>) = decisions
        .into_iter()
        .partition(|decision| names_of(decision).any(|name| rekeyed.contains_key(&name)));
    kept.extend(staying);
    for old in changing {
        let new = match old {
            Decision::Alone(name) => Some(Decision::Alone(becomes(&name))),
            Decision::Together(one, other) => {
                let one = becomes(&one);
                let other = becomes(&other);
                // Of two names that have become one nothing is left to decide.
                (one != other).then(|| Decision::Together(one.min(other), one.max(other)))
            }
        };
        match new.filter(|new| !kept.contains(new)) {
            Some(new) => {
                transaction.rename_decision(old, new).await?;
                kept.push(new);
            }
            None => {
                transaction.decide(old, false, now).await?;
            }
        }
    }
    Ok(kept.iter().flat_map(names_of).collect())
}

fn names_of(decision: &Decision) -> impl Iterator<Item = NameValue> + use<> {
    let (one, other) = match *decision {
        Decision::Alone(name) => (name, None),
        Decision::Together(one, other) => (one, Some(other)),
    };
    std::iter::once(one).chain(other)
}
