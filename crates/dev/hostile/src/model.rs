//! Model of a registry: findings worked out from the newest events, without a store.

use std::collections::{BTreeMap, HashMap};

use contract::{Body, Event, Pseudonym};
use linking::{Assertion, CityPseudonym, Component, LinkRules, NameSet, NameSetId, persons};
use registry::Reader;

use crate::Findings;
use crate::findings::Facts;

/// Facts that each of the names must find, where these are the newest events of all records at a
/// registry with this reader. Its key counts in one case: of two equally strong names that are not
/// one person, a fact goes with the one of the lower value.
#[must_use]
pub fn model<'e>(
    newest: impl Iterator<Item = &'e Event>,
    names: &[Pseudonym],
    rules: LinkRules,
    reader: &Reader,
) -> Findings {
    let mut sets: BTreeMap<NameSetId, NameSet> = BTreeMap::new();
    let mut facts_of: HashMap<[u8; 32], Facts> = HashMap::new();
    for event in newest {
        let Body::Asserted { subject, fact } = &event.body else {
            continue;
        };
        let stated = subject
            .pseudonyms()
            .iter()
            .map(|name| reader.second_layer(name));
        // An event with a name that is none is refused.
        let Some(stated) = stated.collect::<Option<Vec<CityPseudonym>>>() else {
            continue;
        };
        let asserted = Assertion::new(fact.clone(), stated);
        let facts = facts_of.entry(asserted.pseudonyms[0].value).or_default();
        facts.insert(event.record, (event.version, fact.clone()));
        let set = sets.entry(asserted.name_set).or_insert_with(|| NameSet {
            id: asserted.name_set,
            names: asserted.pseudonyms,
            records: 0,
        });
        set.records += 1;
    }
    let component = Component {
        sets: sets.into_values().collect(),
        ..Component::default()
    };
    let found = persons(&component, &rules);
    let mut facts_by: HashMap<[u8; 32], Facts> = HashMap::new();
    for group in found.groups {
        // A fact is its person's whom its strongest name belongs to.
        let own = group.iter().filter_map(|value| facts_of.get(value));
        let own: Facts = own.flatten().map(|(k, v)| (*k, v.clone())).collect();
        facts_by.extend(group.iter().map(|value| (*value, own.clone())));
    }
    let found = names.iter().map(|name| {
        let stored = reader.second_layer(name);
        let facts = stored.and_then(|stored| facts_by.get(&stored.value));
        (*name, facts.cloned().unwrap_or_default())
    });
    Findings(found.collect())
}
