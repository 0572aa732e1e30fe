//! Parts within the limits, as words of bits.

use super::bits::{self, Stated};
use super::model::Class;
use super::parts::{ConnectedPart, Node};

/// ConnectedPart with up to 64 nodes, numbered from the strongest.
pub(super) struct SmallPart {
    /// Class of each node.
    pub(super) classes: Vec<Class>,
    /// Nodes of the class of each node.
    pub(super) of_class: Vec<u64>,
    /// Suites and key epochs under which each node has a SNILS, a bit for each. Two nodes or
    /// persons that have a bit in common contradict each other: they hold two SNILS under one key.
    pub(super) keys: Vec<u64>,
    /// Sets, each once.
    pub(super) sets: Vec<Stated>,
}

impl SmallPart {
    /// Takes over a part that is within the limits.
    pub(super) fn new(part: &ConnectedPart) -> Self {
        let mut keys = Vec::new();
        let mut small = Self {
            classes: part.nodes.iter().map(Node::class).collect(),
            of_class: Vec::with_capacity(part.nodes.len()),
            keys: Vec::with_capacity(part.nodes.len()),
            sets: Vec::with_capacity(part.sets.len()),
        };
        for node in &part.nodes {
            let anchors = node.names.iter().filter(|name| name.is_anchor());
            let bits = anchors.map(|anchor| {
                let key = (anchor.suite, anchor.epoch);
                let known = keys.iter().position(|known| *known == key);
                1 << known.unwrap_or_else(|| {
                    keys.push(key);
                    keys.len() - 1
                })
            });
            small.keys.push(bits.fold(0, |all, bit: u64| all | bit));
            // Nodes are sorted by their strongest names, so those of a class follow each other.
            let class = node.class();
            let same = small.classes.iter().enumerate();
            let same = same.filter(|(_, other)| **other == class);
            small
                .of_class
                .push(same.fold(0, |all, (node, _)| all | 1 << node));
        }
        small.sets.extend(part.sets.iter().map(|set| Stated {
            nodes: set.nodes.iter().fold(0, |all, node| all | 1 << node),
            records: set.records,
        }));
        small
    }

    /// All nodes.
    pub(super) const fn all(&self) -> u64 {
        bits::first(self.classes.len())
    }

    /// Nodes of a set that are as strong as its strongest one.
    pub(super) fn strongest_class(&self, set: u64) -> u64 {
        bits::strongest(set).map_or(0, |node| set & self.of_class[node])
    }

    /// Keys of all these nodes; `None` where two of the nodes contradict each other.
    pub(super) fn keys_of(&self, set: u64) -> Option<u64> {
        bits::nodes(set).try_fold(0, |keys, node| {
            let more = self.keys[node];
            (keys & more == 0).then_some(keys | more)
        })
    }

    /// Nodes with a SNILS.
    pub(super) fn anchors(&self) -> u64 {
        let anchors = self.keys.iter().enumerate();
        let anchors = anchors.filter(|(_, keys)| **keys != 0);
        anchors.fold(0, |all, (node, _)| all | 1 << node)
    }
}
