//! Rules that find persons: a function of the stored name sets, their numbers of records and the
//! operator's decisions, and of nothing else. So the order of arrival does not show, and a record
//! that is corrected or withdrawn leaves nothing behind.
//!
//! 1. *Decisions.* A name that stands alone is taken out of every set. Names that an operator has
//!    put together count as one from here on, as strong as the strongest of them.
//! 2. *Parts.* A set connects its names. A connected part of at most [`MAX_COMPONENT_NAMES`] names
//!    and [`MAX_COMPONENT_SETS`] sets, without two SNILS under one key, is one person.
//! 3. *Contradictions.* In a part with two such SNILS every SNILS is a person. Those under
//!    different keys that sets state together become one, the pairs of most records first; pairs
//!    of equally many records that would together join a contradiction join nothing. Then each
//!    weak name goes to one of these persons. A set votes, once for each of its records, for the
//!    person of its strongest name that has one, and for several where such names are equally
//!    strong. The name with most votes for one person goes first, of equal ones those of the
//!    strongest scheme. A name whose most votes are for two persons waits, without a vote, for
//!    names given later to bring it more; in the end it is with neither.
//! 4. *Disbelief.* With [`LinkRules::join_needs_records`] at 2, a set of one record does not join
//!    parts that hold records of their own. Names that only it states go with its strongest name.
//! 5. *Large parts.* Every SNILS is a person. Another name goes with the stronger names beside it
//!    that have most records, first with those that have gone to a SNILS. It is with nobody where
//!    these tie.
//!
//! A promise follows for honest persons whose names are connected by pairs that more than k records
//! state together, with one SNILS each, all under one key: k forged records, whatever they state,
//! take no name away from such a person and give it none of another's, while the part is within
//! the limits. The tests try this on random persons.
//!
//! A fact's person is the one of the strongest name of its set.

mod anchors;
mod bits;
mod coarse;
mod judge;
mod model;
mod one_record;
mod parts;
mod poll;
mod small;
mod votes;

#[cfg(test)]
mod tests;

pub use model::{
    Component, Contest, ContestKind, Decision, LinkRules, MAX_COMPONENT_NAMES, MAX_COMPONENT_SETS,
    NameSet, NameSetId, Persons,
};
use parts::{ConnectedPart, Division};

/// Finds the persons of a component.
#[must_use]
pub fn persons(component: &Component, rules: &LinkRules) -> Persons {
    let divided = parts::divide(component);
    let mut persons = Persons {
        groups: divided.alone.into_iter().map(|name| vec![name]).collect(),
        contests: Vec::new(),
        is_apart: component.is_cut,
    };
    for part in &divided.parts {
        let division = if component.is_cut || !part.is_within_limits() {
            coarse::divide(part, rules)
        } else {
            judge::judge(part, rules)
        };
        add(&mut persons, part, division);
    }
    persons.groups.sort_unstable();
    persons.contests.sort_unstable();
    persons.contests.dedup();
    persons
}

/// Adds the persons and contests of a part, by the names' values.
fn add(persons: &mut Persons, part: &ConnectedPart, division: Division) {
    for group in division.groups {
        let names = group.into_iter().flat_map(|node| &part.nodes[node].names);
        let mut values: Vec<_> = names.map(|name| name.value).collect();
        values.sort_unstable();
        persons.groups.push(values);
    }
    let contests = division.contests.into_iter();
    persons
        .contests
        .extend(contests.map(|(node, kind)| Contest {
            name: part.nodes[node].strongest().value,
            kind,
        }));
    persons.is_apart |= division.is_apart;
}
