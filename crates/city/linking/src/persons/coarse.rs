//! Coarse rule for parts that are too large to be judged by votes, or were not read to their end.
//! It looks at every name once and takes time in proportion to the part.

use std::collections::BTreeMap;

use super::model::{ContestKind, LinkRules, MAX_COMPONENT_NAMES};
use super::parts::{ConnectedPart, Division};
use super::poll::{Lead, lead};

/// Divides a part: every anchor is a person of its own, and every other name goes, strongest class
/// first, to the person for which the stronger names beside it have most votes; votes for persons
/// without an anchor count only where there are no others. A name with no stronger one beside it
/// begins a person, and so does one whose votes tie.
pub(super) fn divide(part: &ConnectedPart, rules: &LinkRules) -> Division {
    let places = Places::new(part);
    // The node that began the person of each node.
    let mut person_of: Vec<usize> = (0..part.nodes.len()).collect();
    let mut contests = Vec::new();
    // Stronger classes have lower numbers, so the persons of a set's strongest names are known.
    for node in 0..part.nodes.len() {
        match places.ask(node, &person_of) {
            Choice::Person { votes, from, .. }
                if votes < rules.join_needs_records && places.joins(node, from) =>
            {
                contests.push((node, ContestKind::OneRecord));
            }
            Choice::Person { person, .. } => person_of[node] = person,
            Choice::Tie => contests.push((node, ContestKind::Tie)),
            Choice::Nobody => (),
        }
    }
    // As many as can be looked at: a large part may have any number of them.
    contests.truncate(MAX_COMPONENT_NAMES);
    contests.push((0, ContestKind::TooLarge));
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (node, person) in person_of.into_iter().enumerate() {
        groups.entry(person).or_default().push(node);
    }
    Division {
        groups: groups.into_values().collect(),
        contests,
        is_apart: true,
    }
}

/// Choice to the question with whom a name goes.
enum Choice {
    Nobody,
    Tie,
    Person {
        person: usize,
        votes: u64,
        /// Last set that voted for the person; the only one where there is one vote.
        from: usize,
    },
}

/// ConnectedPart with the sets in which each name stands.
struct Places<'a> {
    part: &'a ConnectedPart,
    sets_of: Vec<Vec<usize>>,
}

impl<'a> Places<'a> {
    fn new(part: &'a ConnectedPart) -> Self {
        let mut sets_of = vec![Vec::new(); part.nodes.len()];
        for (place, set) in part.sets.iter().enumerate() {
            for &node in &set.nodes {
                sets_of[node].push(place);
            }
        }
        Self { part, sets_of }
    }

    fn ask(&self, node: usize, person_of: &[usize]) -> Choice {
        let class = self.part.nodes[node].class();
        if self.part.nodes[node].is_anchor() {
            return Choice::Nobody;
        }
        let mut votes: BTreeMap<usize, u64> = BTreeMap::new();
        let mut last_set: BTreeMap<usize, usize> = BTreeMap::new();
        for &set in &self.sets_of[node] {
            let strongest = self.strongest_class(set);
            if self.part.nodes[strongest[0]].class() == class {
                continue;
            }
            let mut persons: Vec<_> = strongest.iter().map(|&voter| person_of[voter]).collect();
            persons.sort_unstable();
            persons.dedup();
            for person in persons {
                let sum = votes.entry(person).or_default();
                *sum = sum.saturating_add(self.part.sets[set].records);
                last_set.insert(person, set);
            }
        }
        // A person without an anchor contradicts nobody, and may be the same as one that has it.
        // But where more records state the name beside it, they are believed.
        let is_anchored = |person: &usize| self.part.nodes[*person].is_anchor();
        let most = |anchored: bool| {
            let of_kind = votes
                .iter()
                .filter(|(person, _)| is_anchored(person) == anchored);
            of_kind.map(|(_, votes)| *votes).max()
        };
        if most(true) >= most(false) {
            votes.retain(|person, _| is_anchored(person));
        }
        match lead(votes.into_iter()) {
            Lead::NoVote => Choice::Nobody,
            Lead::Tie => Choice::Tie,
            Lead::One { person, votes } => Choice::Person {
                person,
                votes,
                from: last_set[&person],
            },
        }
    }

    /// Nodes of the strongest class of a set.
    fn strongest_class(&self, set: usize) -> &'a [usize] {
        let part = self.part;
        let nodes = &part.sets[set].nodes;
        let class = part.nodes[nodes[0]].class();
        let end = nodes.partition_point(|&node| part.nodes[node].class() == class);
        &nodes[..end]
    }

    /// True where other sets than this one state the name, and others state a strongest name of the
    /// set: then the set would join two that hold records of their own.
    fn joins(&self, node: usize, set: usize) -> bool {
        let is_elsewhere = |node: usize| self.sets_of[node].len() > 1;
        is_elsewhere(node)
            && self
                .strongest_class(set)
                .iter()
                .any(|&node| is_elsewhere(node))
    }
}
