//! Connected groups of the sets that a group of facts adds.

use std::collections::HashMap;

use linking::NameSet;

use super::component::root;
use crate::store::person_statements::NameValue;

/// Sorts sets into those that names connect with each other.
pub(super) fn clusters(sets: &[NameSet]) -> Vec<Vec<NameSet>> {
    let mut parents: Vec<usize> = (0..sets.len()).collect();
    let mut first_set_of: HashMap<NameValue, usize> = HashMap::with_capacity(2 * sets.len());
    for (place, set) in sets.iter().enumerate() {
        for name in &set.names {
            let other = *first_set_of.entry(name.value).or_insert(place);
            let from = root(&mut parents, place);
            parents[from] = root(&mut parents, other);
        }
    }
    let mut clusters: HashMap<usize, Vec<NameSet>> = HashMap::with_capacity(sets.len());
    for (place, set) in sets.iter().enumerate() {
        let root = root(&mut parents, place);
        clusters.entry(root).or_default().push(set.clone());
    }
    clusters.into_values().collect()
}
