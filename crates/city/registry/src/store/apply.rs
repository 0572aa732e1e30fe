//! Script of a transaction: writes a group of batches as sets. Both kinds of database follow it.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use contract::{Epoch, Suite};
use fault::Point;
use linking::{
    Chosen, EventRefusal, GroupOutcome, IncomingEvent, LinkRules, OpenBatch, StoredRecord,
    StoredVersion, choose,
};

use super::batch_escrow::{BatchEscrow, stated};
use super::error::StoreError;
use super::expire::with_tombstones;
use super::marks::NewMarks;
use super::persons::{Linking, relink};
use super::tokens::spend;
use super::transaction::{Abort, Applied, Attempt, StoreTransaction};

/// Applies the batches within the transaction; the caller commits, or rolls back on [`Abort`].
pub(super) async fn apply(
    transaction: &mut dyn StoreTransaction,
    batches: &[&OpenBatch],
    rules: &LinkRules,
    escrow: Option<&BatchEscrow>,
    attempt: Attempt,
    now: DateTime<Utc>,
) -> Result<Applied, Abort> {
    transaction.lock_writers(attempt.exclusive).await?;
    refuse_changed_names(transaction, batches).await?;
    let spent = spend(transaction, batches, now).await?;
    let judged: Option<Vec<&OpenBatch>> = spent.changed.as_ref().map(|all| all.iter().collect());
    let batches = judged.as_deref().unwrap_or(batches);
    let stored = if attempt.blind {
        HashMap::new()
    } else {
        let events = batches.iter().flat_map(|batch| &batch.events);
        let records = sorted(events.map(|event| event.record.stored).collect());
        transaction.lock_stored(&records).await?
    };
    let changed = with_tombstones(batches, &stored);
    let changed: Option<Vec<&OpenBatch>> = changed.as_ref().map(|changed| changed.iter().collect());
    let batches = changed.as_deref().unwrap_or(batches);
    let chosen = choose(batches, &stored);
    let mut marks = NewMarks::default();
    let linking = Linking {
        rules,
        is_bounded: attempt.is_bounded,
        now,
    };
    let persons = relink(transaction, &chosen.set_changes, linking, &mut marks).await?;
    marks.add_facts(&chosen.write);
    marks.write(transaction, now).await?;
    let entries = escrow.map(|_| stated(batches, &chosen.write));
    let Chosen {
        write,
        refusals,
        answers,
        outcome,
        ..
    } = chosen;
    write_facts(transaction, write, &stored).await?;
    let all_refusals: Vec<&EventRefusal> = batches
        .iter()
        .flat_map(|batch| &batch.refusals)
        .chain(&refusals)
        .collect();
    if !all_refusals.is_empty() && !attempt.drops_refusals {
        transaction.add_refusals(&all_refusals, now).await?;
    }
    fault::check::<StoreError>(Point::RegistryStored)?;
    // Last before the commit: what is committed always has its entry. An entry of a transaction
    // that fails names a version that is not stored, which purges nothing.
    if let (Some(escrow), Some(entries)) = (escrow, entries) {
        escrow.lay_down(entries?, now).await?;
    }
    let outcome = GroupOutcome {
        conflicts: persons.contests,
        merged: persons.ended,
        ..outcome
    };
    Ok(Applied {
        outcome,
        answers,
        replayed: spent.replayed,
    })
}

/// Gives up where a batch states names of an epoch whose names have changed. They change alone
/// among the writers, so that it stays true until the transaction ends.
async fn refuse_changed_names(
    transaction: &mut dyn StoreTransaction,
    batches: &[&OpenBatch],
) -> Result<(), Abort> {
    let epochs = epochs_of_elements(batches);
    if epochs.is_empty() {
        return Ok(());
    }
    let changed = transaction.rekeyed_epochs().await?;
    if changed.iter().any(|epoch| epochs.contains(epoch)) {
        return Err(Abort::Rekeyed);
    }
    Ok(())
}

/// Epochs of the names of suite `voprf` that the batches state.
pub(super) fn epochs_of_elements(batches: &[&OpenBatch]) -> BTreeSet<Epoch> {
    let events = batches.iter().flat_map(|batch| &batch.events);
    let asserted = events.filter_map(|event| event.asserted.as_ref());
    let names = asserted.flat_map(|asserted| &asserted.pseudonyms);
    let elements = names.filter(|name| name.suite == Suite::Voprf);
    elements.map(|name| name.epoch).collect()
}

/// Writes the facts, new ones and new versions.
async fn write_facts(
    transaction: &mut dyn StoreTransaction,
    facts: Vec<&IncomingEvent>,
    stored: &HashMap<StoredRecord, StoredVersion>,
) -> Result<(), Abort> {
    let (update, add): (Vec<&IncomingEvent>, Vec<&IncomingEvent>) = facts
        .into_iter()
        .partition(|event| stored.contains_key(&event.record.stored));
    if !add.is_empty() && transaction.add_facts(&add).await? != add.len() as u64 {
        return Err(Abort::Raced);
    }
    if !update.is_empty() && transaction.put_facts(&update).await? != update.len() as u64 {
        return Err(Abort::Raced);
    }
    Ok(())
}

fn sorted(mut records: Vec<StoredRecord>) -> Vec<StoredRecord> {
    records.sort_unstable();
    records.dedup();
    records
}
