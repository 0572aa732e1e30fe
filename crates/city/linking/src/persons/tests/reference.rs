//! The same rules in another form: names in ordered sets, everything computed anew at every step.
//! It is slow and short, and compared with the crate's functions on random cities.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use contract::{Epoch, Scheme, Suite};

use super::city::City;
use crate::persons::{Contest, ContestKind, Decision, MAX_COMPONENT_NAMES, MAX_COMPONENT_SETS};
use crate::second_layer::CityPseudonym;

type Value = [u8; 32];
/// Name in the order of strength.
type Name = (Scheme, Reverse<Epoch>, Suite, Value);
/// Names that are one by decision; the strongest comes first.
type Node = BTreeSet<Name>;
type Nodes = BTreeSet<Node>;
type Sets = BTreeMap<Nodes, u64>;
/// Names with the person that each goes to, by votes and scheme.
type Wins = BTreeMap<(u64, Reverse<Scheme>), Vec<(Node, usize)>>;
type Groups = BTreeSet<BTreeSet<Value>>;

/// Groups and contests of a city.
pub(super) struct Expected {
    pub(super) groups: Groups,
    pub(super) contests: BTreeSet<Contest>,
}

impl Expected {
    fn contest(&mut self, node: &Node, kind: ContestKind) {
        let name = strongest(node).3;
        self.contests.insert(Contest { name, kind });
    }

    fn person(&mut self, nodes: &Nodes) {
        let values = nodes.iter().flatten().map(|name| name.3);
        self.groups.insert(values.collect());
    }
}

fn strongest(node: &Node) -> Name {
    *node.first().unwrap()
}

fn class(node: &Node) -> (Scheme, Reverse<Epoch>, Suite) {
    let name = strongest(node);
    (name.0, name.1, name.2)
}

fn is_anchor(node: &Node) -> bool {
    strongest(node).0 == Scheme::Snils
}

/// True where two different nodes hold SNILS under one key.
fn contradicts(nodes: &Nodes) -> bool {
    let keys = |node: &Node| -> BTreeSet<_> {
        let anchors = node.iter().filter(|name| name.0 == Scheme::Snils);
        anchors.map(|name| (name.1, name.2)).collect()
    };
    nodes.iter().any(|one| {
        nodes
            .iter()
            .any(|other| one != other && !keys(one).is_disjoint(&keys(other)))
    })
}

/// Joins sets that have a member in common until none have.
fn connect<T: Ord + Clone>(sets: impl IntoIterator<Item = BTreeSet<T>>) -> Vec<BTreeSet<T>> {
    let mut joined: Vec<BTreeSet<T>> = Vec::new();
    for set in sets.into_iter().filter(|set| !set.is_empty()) {
        let mut all = set;
        while let Some(place) = joined.iter().position(|other| !other.is_disjoint(&all)) {
            all.extend(joined.remove(place));
        }
        joined.push(all);
    }
    joined
}

fn singles(nodes: &Nodes) -> impl Iterator<Item = Nodes> + '_ {
    nodes.iter().map(|node| Nodes::from([node.clone()]))
}

fn strongest_class(nodes: &Nodes) -> Nodes {
    let Some(first) = nodes.first() else {
        return Nodes::new();
    };
    let same = nodes.iter().filter(|node| class(node) == class(first));
    same.cloned().collect()
}

pub(super) fn persons(city: &City) -> Expected {
    let component = &city.component;
    let decisions = &component.decisions;
    let is_alone = |value: &Value| decisions.contains(&Decision::Alone(*value));
    let names = component.sets.iter().flat_map(|set| &set.names);
    let names: BTreeSet<Name> = names.map(CityPseudonym::strength).collect();
    let together = decisions.iter().filter_map(|decision| match decision {
        Decision::Together(a, b) if !is_alone(a) && !is_alone(b) => Some(BTreeSet::from([*a, *b])),
        _ => None,
    });
    let one = connect(
        names
            .iter()
            .map(|name| BTreeSet::from([name.3]))
            .chain(together),
    );
    let node_of = |value: Value| -> Node {
        let values = one.iter().find(|values| values.contains(&value)).unwrap();
        let inside = names.iter().filter(|name| values.contains(&name.3));
        inside.copied().collect()
    };
    let mut expected = Expected {
        groups: Groups::new(),
        contests: BTreeSet::new(),
    };
    let mut nodes = Nodes::new();
    for name in &names {
        if is_alone(&name.3) {
            expected.groups.insert(BTreeSet::from([name.3]));
        } else {
            nodes.insert(node_of(name.3));
        }
    }
    let mut sets = Sets::new();
    for set in component.sets.iter().filter(|set| set.records > 0) {
        let values = set.names.iter().map(|name| name.value);
        let nodes: Nodes = values
            .filter(|value| !is_alone(value))
            .map(node_of)
            .collect();
        *sets.entry(nodes).or_default() += set.records;
    }
    sets.remove(&Nodes::new());
    for part in connect(singles(&nodes).chain(sets.keys().cloned())) {
        let inside = sets.iter().filter(|(set, _)| set.is_subset(&part));
        let inside: Sets = inside
            .map(|(set, records)| (set.clone(), *records))
            .collect();
        let count = part.iter().flatten().count();
        let is_large = count > MAX_COMPONENT_NAMES || inside.len() > MAX_COMPONENT_SETS;
        if component.is_cut || is_large {
            coarse(&part, &inside, city.rules.join_needs_records, &mut expected);
        } else {
            judge(&part, &inside, city.rules.join_needs_records, &mut expected);
        }
    }
    expected
}

fn judge(part: &Nodes, sets: &Sets, needed: u64, expected: &mut Expected) {
    let mut believed: Vec<(Nodes, u64)> = Vec::new();
    for (set, records) in sets {
        let others: Vec<&Nodes> = sets.keys().filter(|other| *other != set).collect();
        let is_elsewhere = |node: &Node| others.iter().any(|other| other.contains(node));
        let rest = connect(singles(part).chain(others.iter().copied().cloned()));
        let ends = rest.iter().filter(|piece| !piece.is_disjoint(set));
        let held: Vec<&Nodes> = ends
            .clone()
            .filter(|end| end.iter().any(is_elsewhere))
            .collect();
        if *records >= needed || held.len() < 2 {
            believed.push((set.clone(), *records));
            continue;
        }
        for end in held {
            expected.contest(
                end.intersection(set).next().unwrap(),
                ContestKind::OneRecord,
            );
        }
        let mut left: Nodes = set
            .iter()
            .filter(|node| !is_elsewhere(node))
            .cloned()
            .collect();
        let first = strongest_class(set);
        for end in ends.filter(|end| first.is_subset(end)) {
            left.extend(end.intersection(set).cloned());
        }
        believed.push((left, *records));
    }
    for piece in connect(singles(part).chain(believed.iter().map(|(set, _)| set.clone()))) {
        if contradicts(&piece) {
            vote(&piece, &believed, expected);
        } else {
            expected.person(&piece);
        }
    }
}

fn anchors(piece: &Nodes, sets: &[(Nodes, u64)], expected: &mut Expected) -> Vec<Nodes> {
    let all: Vec<&Node> = piece.iter().filter(|node| is_anchor(node)).collect();
    let mut levels: BTreeMap<u64, Vec<Nodes>> = BTreeMap::new();
    for one in &all {
        for other in all.iter().filter(|other| one < other) {
            let both = sets
                .iter()
                .filter(|(set, _)| set.contains(*one) && set.contains(*other));
            let records = both.map(|(_, records)| records).sum();
            let pair = Nodes::from([(*one).clone(), (*other).clone()]);
            levels.entry(records).or_default().push(pair);
        }
    }
    levels.remove(&0);
    let mut persons: Vec<Nodes> = all
        .iter()
        .map(|node| Nodes::from([(*node).clone()]))
        .collect();
    let mut closed = Nodes::new();
    for pairs in levels.into_values().rev() {
        let links = pairs.into_iter().map(|pair| -> Nodes {
            let both = persons.iter().filter(|person| !person.is_disjoint(&pair));
            both.flatten().cloned().collect()
        });
        let links = links.filter(|link| !contradicts(link) && link.is_disjoint(&closed));
        for cluster in connect(links.collect::<Vec<_>>()) {
            if contradicts(&cluster) {
                for node in &cluster {
                    expected.contest(node, ContestKind::Tie);
                }
                closed.extend(cluster);
            } else {
                persons.retain(|person| person.is_disjoint(&cluster));
                persons.push(cluster);
            }
        }
    }
    persons
}

fn vote(piece: &Nodes, sets: &[(Nodes, u64)], expected: &mut Expected) {
    let mut persons = anchors(piece, sets, expected);
    let heard = |set: &Nodes, persons: &[Nodes]| -> BTreeSet<usize> {
        let given = set
            .iter()
            .filter(|node| persons.iter().any(|person| person.contains(*node)));
        let first = strongest_class(&given.cloned().collect());
        let voters = (0..persons.len()).filter(|&person| !persons[person].is_disjoint(&first));
        voters.collect()
    };
    loop {
        let given: Nodes = persons.iter().flatten().cloned().collect();
        let left: Nodes = piece.difference(&given).cloned().collect();
        let mut wins = Wins::new();
        let mut tied = Vec::new();
        for node in &left {
            let mut poll: BTreeMap<usize, u64> = BTreeMap::new();
            for (set, records) in sets.iter().filter(|(set, _)| set.contains(node)) {
                for person in heard(set, &persons) {
                    *poll.entry(person).or_default() += records;
                }
            }
            let most = poll.values().max().copied().unwrap_or(0);
            let first: Vec<_> = poll.iter().filter(|(_, votes)| **votes == most).collect();
            match first[..] {
                [] => (),
                [(&person, _)] => {
                    let rank = (most, Reverse(class(node).0));
                    wins.entry(rank).or_default().push((node.clone(), person));
                }
                _ => tied.push(node),
            }
        }
        let Some((_, surest)) = wins.pop_last() else {
            tied.iter()
                .for_each(|node| expected.contest(node, ContestKind::Tie));
            let rest = sets
                .iter()
                .map(|(set, _)| set.intersection(&left).cloned().collect());
            for group in connect(singles(&left).chain(rest)) {
                expected.person(&group);
            }
            break;
        };
        for (node, person) in surest {
            persons[person].insert(node);
        }
    }
    for (set, _) in sets {
        let heard = heard(set, &persons);
        for (number, person) in persons.iter().enumerate() {
            if heard.iter().any(|other| *other != number) {
                for node in person.intersection(set) {
                    expected.contest(node, ContestKind::Minority);
                }
            }
        }
    }
    persons.iter().for_each(|person| expected.person(person));
}

fn coarse(part: &Nodes, sets: &Sets, needed: u64, expected: &mut Expected) {
    let count = |node: &Node| sets.keys().filter(|set| set.contains(node)).count();
    let mut with: BTreeMap<Node, Node> = BTreeMap::new();
    for node in part {
        let mut poll: BTreeMap<Node, Vec<(&Nodes, u64)>> = BTreeMap::new();
        for (set, records) in sets.iter().filter(|(set, _)| set.contains(node)) {
            let first = strongest_class(set);
            if !first.contains(node) && !is_anchor(node) {
                let persons: Nodes = first.iter().map(|voter| with[voter].clone()).collect();
                for person in persons {
                    poll.entry(person).or_default().push((set, *records));
                }
            }
        }
        let votes =
            |from: &Vec<(&Nodes, u64)>| -> u64 { from.iter().map(|(_, records)| records).sum() };
        let best = |anchored: bool| {
            let of_kind = poll
                .iter()
                .filter(|(person, _)| is_anchor(person) == anchored);
            of_kind.map(|(_, from)| votes(from)).max()
        };
        if best(true) >= best(false) {
            poll.retain(|person, _| is_anchor(person));
        }
        let most: u64 = poll.values().map(votes).max().unwrap_or(0);
        let mut first = poll.iter().filter(|(_, from)| votes(from) == most);
        let person = match (first.next(), first.next()) {
            (None, _) => node,
            (Some(_), Some(_)) => {
                expected.contest(node, ContestKind::Tie);
                node
            }
            (Some((person, from)), None) => {
                let voters = strongest_class(from[0].0);
                let is_held = voters.iter().any(|voter| count(voter) > 1);
                if most < needed && count(node) > 1 && is_held {
                    expected.contest(node, ContestKind::OneRecord);
                    node
                } else {
                    person
                }
            }
        };
        with.insert(node.clone(), person.clone());
    }
    expected.contest(part.first().unwrap(), ContestKind::TooLarge);
    let persons: Nodes = with.values().cloned().collect();
    for person in persons {
        let nodes = with.iter().filter(|(_, other)| **other == person);
        expected.person(&nodes.map(|(node, _)| node.clone()).collect());
    }
}
