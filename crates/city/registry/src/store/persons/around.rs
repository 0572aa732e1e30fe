//! Names, sets and persons that are connected with one name, for an operator to look at.

use std::collections::{BTreeMap, HashMap};

use linking::{CityPseudonym, Decision, NameSet, SubjectId};

use super::component::Reading;
use crate::store::person_statements::{NameRow, NameValue};
use crate::store::transaction::{Abort, StoreTransaction};

/// Names, sets and persons that are connected with one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Around {
    /// Persons, the one of the name first.
    pub persons: Vec<PersonAround>,
    /// Sets of names that records state together.
    pub sets: Vec<NameSet>,
    /// Decisions of operators.
    pub decisions: Vec<Decision>,
    /// True where there is more than is shown.
    pub is_cut: bool,
}

/// Person who is connected with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonAround {
    /// Names, strongest first.
    pub names: Vec<CityPseudonym>,
    /// Number of stored records whose person it is.
    pub records: u64,
}

/// Reads what is connected with a name; `None` where the name is not stored.
pub(in crate::store) async fn look_around(
    transaction: &mut dyn StoreTransaction,
    name: NameValue,
) -> Result<Option<Around>, Abort> {
    let has_decisions = transaction.has_decisions().await?;
    let no_names = HashMap::new();
    let mut reading = Reading::new(has_decisions, &no_names);
    reading.read(transaction, &[name]).await?;
    let is_of_name = |rows: &[NameRow]| rows.iter().any(|row| row.name.value == name);
    let mut components = reading.into_components();
    components.retain(|loaded| is_of_name(&loaded.rows));
    let Some(loaded) = components.pop() else {
        return Ok(None);
    };
    let mut persons: BTreeMap<SubjectId, PersonAround> = BTreeMap::new();
    let mut subject_of: HashMap<NameValue, SubjectId> = HashMap::new();
    for row in &loaded.rows {
        subject_of.insert(row.name.value, row.subject);
        let person = persons.entry(row.subject).or_insert_with(|| PersonAround {
            names: Vec::new(),
            records: 0,
        });
        person.names.push(row.name);
    }
    for set in &loaded.component.sets {
        let subject = set
            .names
            .first()
            .and_then(|name| subject_of.get(&name.value));
        if let Some(person) = subject.and_then(|subject| persons.get_mut(subject)) {
            person.records += set.records;
        }
    }
    let mut persons: Vec<PersonAround> = persons.into_values().collect();
    for person in &mut persons {
        person.names.sort_unstable_by_key(CityPseudonym::strength);
    }
    let is_own = |person: &PersonAround| person.names.iter().any(|own| own.value == name);
    persons.sort_by_cached_key(|person| (!is_own(person), person.names[0].strength()));
    let mut sets = loaded.component.sets;
    sets.sort_unstable_by_key(|set| (std::cmp::Reverse(set.records), set.id));
    Ok(Some(Around {
        persons,
        sets,
        decisions: loaded.component.decisions,
        is_cut: loaded.component.is_cut,
    }))
}
