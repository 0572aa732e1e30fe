//! Connected parts of a component once the operator's decisions are applied, and their numbering.

use std::collections::{HashMap, HashSet};

use super::model::{
    Class, Component, ContestKind, Decision, MAX_COMPONENT_NAMES, MAX_COMPONENT_SETS,
};
use crate::second_layer::CityPseudonym;

/// Names that are one by an operator's decision; nearly always a single name.
pub(super) struct Node {
    /// Names, strongest first; at least one.
    pub(super) names: Vec<CityPseudonym>,
}

impl Node {
    /// Strongest of the names.
    pub(super) fn strongest(&self) -> &CityPseudonym {
        &self.names[0]
    }

    /// True where a SNILS is among the names.
    pub(super) fn is_anchor(&self) -> bool {
        // SNILS is the strongest scheme, so it comes first.
        self.strongest().is_anchor()
    }

    /// Class of the strongest name.
    pub(super) fn class(&self) -> Class {
        Class::of(self.strongest())
    }
}

/// Set as the numbers of its nodes in the part.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NumberedSet {
    /// Numbers of the nodes, ascending, so strongest first; at least one.
    pub(super) nodes: Vec<usize>,
    /// Number of records that state the set.
    pub(super) records: u64,
}

/// Nodes that sets connect with each other.
#[derive(Default)]
pub(super) struct ConnectedPart {
    /// Nodes, strongest first; a node's number is its place here.
    pub(super) nodes: Vec<Node>,
    /// Sets, each once.
    pub(super) sets: Vec<NumberedSet>,
}

impl ConnectedPart {
    /// True where the part is small enough to be judged by votes.
    pub(super) fn is_within_limits(&self) -> bool {
        let names: usize = self.nodes.iter().map(|node| node.names.len()).sum();
        names <= MAX_COMPONENT_NAMES && self.sets.len() <= MAX_COMPONENT_SETS
    }

    /// Sums up the records of sets that have become equal.
    fn merge_equal_sets(&mut self) {
        self.sets.sort_unstable();
        self.sets.dedup_by(|later, kept| {
            let is_equal = later.nodes == kept.nodes;
            if is_equal {
                kept.records = kept.records.saturating_add(later.records);
            }
            is_equal
        });
    }
}

/// Groups of a part's nodes, and contests about nodes.
#[derive(Default)]
pub(super) struct Division {
    /// Numbers of each person's nodes.
    pub(super) groups: Vec<Vec<usize>>,
    /// Contests, in no order.
    pub(super) contests: Vec<(usize, ContestKind)>,
    /// True where one more record that states names of one group only may change the groups.
    pub(super) is_apart: bool,
}

/// Component with the decisions applied.
pub(super) struct Divided {
    /// Values of stated names that an operator has put alone, sorted.
    pub(super) alone: Vec<[u8; 32]>,
    /// Connected parts of the rest.
    pub(super) parts: Vec<ConnectedPart>,
}

/// Applies the decisions, and divides the rest into connected parts.
pub(super) fn divide(component: &Component) -> Divided {
    let mut reading = Reading::new(&component.decisions);
    for set in &component.sets {
        reading.take_set(&set.names, set.records);
    }
    for decision in &component.decisions {
        if let Decision::Together(one, other) = decision {
            reading.take_together(one, other);
        }
    }
    let mut alone: Vec<_> = reading.stated_alone.iter().copied().collect();
    alone.sort_unstable();
    Divided {
        alone,
        parts: reading.into_parts(),
    }
}

/// Names in the order in which they are met, with what connects them.
struct Reading {
    alone: HashSet<[u8; 32]>,
    stated_alone: HashSet<[u8; 32]>,
    number: HashMap<[u8; 32], usize>,
    /// `None` for a name of a decision that no set states: it still connects two others.
    names: Vec<Option<CityPseudonym>>,
    sets: Vec<NumberedSet>,
    together: Vec<[usize; 2]>,
}

impl Reading {
    fn new(decisions: &[Decision]) -> Self {
        let alone = decisions.iter().filter_map(|decision| match decision {
            Decision::Alone(name) => Some(*name),
            Decision::Together(..) => None,
        });
        Self {
            alone: alone.collect(),
            stated_alone: HashSet::new(),
            number: HashMap::new(),
            names: Vec::new(),
            sets: Vec::new(),
            together: Vec::new(),
        }
    }

    fn take_set(&mut self, names: &[CityPseudonym], records: u64) {
        let mut nodes = Vec::with_capacity(names.len());
        for name in names {
            if !self.alone.is_empty() && self.alone.contains(&name.value) {
                self.stated_alone.insert(name.value);
            } else {
                let number = self.number_of(&name.value);
                self.names[number] = Some(*name);
                nodes.push(number);
            }
        }
        if records > 0 && !nodes.is_empty() {
            self.sets.push(NumberedSet { nodes, records });
        }
    }

    fn take_together(&mut self, one: &[u8; 32], other: &[u8; 32]) {
        if !self.alone.contains(one) && !self.alone.contains(other) {
            let pair = [self.number_of(one), self.number_of(other)];
            self.together.push(pair);
        }
    }

    fn number_of(&mut self, value: &[u8; 32]) -> usize {
        let next = self.names.len();
        let number = *self.number.entry(*value).or_insert(next);
        if number == next {
            self.names.push(None);
        }
        number
    }

    fn into_parts(self) -> Vec<ConnectedPart> {
        let mut forest = Forest::new(self.names.len());
        for pair in &self.together {
            forest.join(pair);
        }
        let node_of = forest.roots();
        for set in &self.sets {
            forest.join(&set.nodes);
        }
        let part_of = forest.roots();

        // The strongest names first, so that nodes and parts come out sorted.
        let mut names: Vec<_> = self.names.iter().enumerate().collect();
        names.sort_by_cached_key(|(_, name)| name.map(|name| name.strength()));
        let mut parts: Vec<ConnectedPart> = Vec::new();
        let mut place_of_part = vec![None; part_of.len()];
        let mut place_of_node = vec![None; node_of.len()];
        for (number, name) in names {
            let Some(name) = name else { continue };
            let place = *place_of_part[part_of[number]].get_or_insert(parts.len());
            if place == parts.len() {
                parts.push(ConnectedPart::default());
            }
            let nodes = &mut parts[place].nodes;
            let node = *place_of_node[node_of[number]].get_or_insert(nodes.len());
            match nodes.get_mut(node) {
                Some(node) => node.names.push(*name),
                None => nodes.push(Node { names: vec![*name] }),
            }
        }
        for mut set in self.sets {
            let part = place_of_part[part_of[set.nodes[0]]];
            set.nodes = set
                .nodes
                .iter()
                .filter_map(|&number| place_of_node[node_of[number]])
                .collect();
            set.nodes.sort_unstable();
            set.nodes.dedup();
            if let Some(part) = part {
                parts[part].sets.push(set);
            }
        }
        parts.iter_mut().for_each(ConnectedPart::merge_equal_sets);
        parts
    }
}

/// Disjoint-set forest (union-find) over numbers.
struct Forest(Vec<usize>);

impl Forest {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, mut number: usize) -> usize {
        while self.0[number] != number {
            self.0[number] = self.0[self.0[number]];
            number = self.0[number];
        }
        number
    }

    fn join(&mut self, numbers: &[usize]) {
        if let Some((&first, rest)) = numbers.split_first() {
            for &other in rest {
                let from = self.root(other);
                let to = self.root(first);
                self.0[from] = to;
            }
        }
    }

    fn roots(&mut self) -> Vec<usize> {
        (0..self.0.len()).map(|number| self.root(number)).collect()
    }
}
