//! LinkPlan between pseudonyms: puts those seen together under one subject, and keeps contradicting
//! persons apart.
//!
//! Only an event that becomes the stored version of its record links its pseudonyms. An older
//! version that comes late does not. A link stays when a newer version drops a name (the
//! registry's README.md says what that costs).
//!
//! Take all pseudonyms as points and join those of one event. Whatever the order of arrival, points
//! joined by the records' newest versions are one subject, and points that no version joins never
//! are. Between the two the order decides: whether a version that was corrected later arrived in
//! time to link. Where no later version drops a name or withdraws its record, there is nothing
//! between the two.
//!
//! All of that holds while a group of joined points has at most one SNILS a suite and key epoch. In
//! a group with two, each SNILS keeps a subject of its own with every fact that names it. The first
//! to come decides which of these subjects the weaker pseudonyms belong to, with the facts that
//! name only them, and which of the contradicting pairs is written down as the conflict.

use std::collections::{HashMap, HashSet};

use crate::second_layer::CityPseudonym;

/// Row id of a subject.
pub type SubjectId = i64;

/// Pseudonyms of one event, strongest first, and the record they came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPseudonyms<'a> {
    /// Digest of the record; kept with a conflict.
    pub record: [u8; 32],
    /// Pseudonyms of the person; at least one.
    pub pseudonyms: &'a [CityPseudonym],
}

/// Two strong pseudonyms that were kept apart; `one < other`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Smaller value of the two.
    pub one: [u8; 32],
    /// Larger value of the two.
    pub other: [u8; 32],
    /// Record that would have joined them.
    pub record: [u8; 32],
}

/// Subject that exists, or one to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectRef {
    /// Row id of a stored subject.
    Existing(SubjectId),
    /// Index of a new subject, from 0.
    New(usize),
}

/// Changes to write, so that the links hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LinkPlan {
    /// Number of subjects to make.
    pub new_subjects: usize,
    /// Pseudonyms not seen before, with their subjects; sorted by value.
    pub pseudonyms: Vec<(CityPseudonym, SubjectRef)>,
    /// Pairs of a subject that ends and the one that takes its pseudonyms over; sorted.
    pub merges: Vec<(SubjectId, SubjectId)>,
    /// Contradictions met; sorted by their values.
    pub conflicts: Vec<Conflict>,
}

/// Plans the links of many events. `known` has the subject of every pseudonym that is stored;
/// `anchors` the SNILS pseudonyms of those subjects.
#[must_use]
pub fn plan_links(
    events: &[EventPseudonyms<'_>],
    known: &HashMap<[u8; 32], SubjectId>,
    anchors: &[(SubjectId, CityPseudonym)],
) -> LinkPlan {
    let mut forest = Forest::default();
    let mut by_subject: HashMap<SubjectId, usize> = HashMap::new();
    for event in events {
        for pseudonym in event.pseudonyms {
            if let Some(&subject) = known.get(&pseudonym.value) {
                let node = *by_subject
                    .entry(subject)
                    .or_insert_with(|| forest.add_node(Some(subject), Vec::new()));
                forest.node_by_value.insert(pseudonym.value, node);
            }
        }
    }
    for (subject, anchor) in anchors {
        if let Some(&node) = by_subject.get(subject) {
            forest.anchors[node].push(*anchor);
        }
    }
    // Events with the strongest names first, so that within one group the outcome does not hang on
    // its order.
    let mut order: Vec<&EventPseudonyms<'_>> = events.iter().collect();
    order.sort_by_cached_key(|event| {
        (
            event
                .pseudonyms
                .iter()
                .map(CityPseudonym::strength)
                .collect::<Vec<_>>(),
            event.record,
        )
    });
    for event in order {
        forest.join(event);
    }
    forest.into_plan()
}

/// Disjoint-set forest (union-find) over subjects; each root has the anchors of its whole tree.
#[derive(Default)]
struct Forest {
    parent: Vec<usize>,
    subject: Vec<Option<SubjectId>>,
    anchors: Vec<Vec<CityPseudonym>>,
    node_by_value: HashMap<[u8; 32], usize>,
    new_pseudonyms: Vec<(CityPseudonym, usize)>,
    conflicts: Vec<Conflict>,
    seen_conflicts: HashSet<([u8; 32], [u8; 32])>,
}

impl Forest {
    fn add_node(&mut self, subject: Option<SubjectId>, anchors: Vec<CityPseudonym>) -> usize {
        self.parent.push(self.parent.len());
        self.subject.push(subject);
        self.anchors.push(anchors);
        self.parent.len() - 1
    }

    fn root(&mut self, mut node: usize) -> usize {
        while self.parent[node] != node {
            self.parent[node] = self.parent[self.parent[node]];
            node = self.parent[node];
        }
        node
    }

    /// Root of the tree that holds a pseudonym; a tree of its own where it was not seen before.
    fn root_of(&mut self, pseudonym: &CityPseudonym) -> usize {
        if let Some(&node) = self.node_by_value.get(&pseudonym.value) {
            return self.root(node);
        }
        let anchors = if pseudonym.is_anchor() {
            vec![*pseudonym]
        } else {
            Vec::new()
        };
        let node = self.add_node(None, anchors);
        self.node_by_value.insert(pseudonym.value, node);
        self.new_pseudonyms.push((*pseudonym, node));
        node
    }

    fn join(&mut self, event: &EventPseudonyms<'_>) {
        let Some((strongest, weaker)) = event.pseudonyms.split_first() else {
            return;
        };
        let mut current = self.root_of(strongest);
        for pseudonym in weaker {
            let other = self.root_of(pseudonym);
            if other == current {
                continue;
            }
            match self.contradiction(current, other) {
                Some((one, other)) => self.add_conflict(one, other, event.record),
                None => current = self.union(current, other),
            }
        }
    }

    fn contradiction(&self, a: usize, b: usize) -> Option<([u8; 32], [u8; 32])> {
        let pairs = self.anchors[a]
            .iter()
            .flat_map(|x| self.anchors[b].iter().map(move |y| (x, y)));
        pairs
            .filter(|(x, y)| x.contradicts(y))
            .map(|(x, y)| (x.value.min(y.value), x.value.max(y.value)))
            .min()
    }

    fn add_conflict(&mut self, one: [u8; 32], other: [u8; 32], record: [u8; 32]) {
        if self.seen_conflicts.insert((one, other)) {
            self.conflicts.push(Conflict { one, other, record });
        }
    }

    /// Joins two trees, and returns the root of the new one: the stored subject with the smallest
    /// id, whatever the order.
    fn union(&mut self, a: usize, b: usize) -> usize {
        let rank = |node: usize| (self.subject[node].unwrap_or(SubjectId::MAX), node);
        let (survivor, loser) = if rank(a) <= rank(b) { (a, b) } else { (b, a) };
        self.parent[loser] = survivor;
        let moved = std::mem::take(&mut self.anchors[loser]);
        self.anchors[survivor].extend(moved);
        survivor
    }

    fn into_plan(mut self) -> LinkPlan {
        let mut plan = LinkPlan {
            conflicts: std::mem::take(&mut self.conflicts),
            ..LinkPlan::default()
        };
        let mut new_of_root: HashMap<usize, usize> = HashMap::new();
        for (pseudonym, node) in std::mem::take(&mut self.new_pseudonyms) {
            let root = self.root(node);
            let subject = if let Some(subject) = self.subject[root] {
                SubjectRef::Existing(subject)
            } else {
                let next = new_of_root.len();
                SubjectRef::New(*new_of_root.entry(root).or_insert(next))
            };
            plan.pseudonyms.push((pseudonym, subject));
        }
        plan.new_subjects = new_of_root.len();
        for node in 0..self.parent.len() {
            let root = self.root(node);
            if let (Some(loser), Some(survivor)) = (self.subject[node], self.subject[root])
                && loser != survivor
            {
                plan.merges.push((loser, survivor));
            }
        }
        // Sorted, so that two writers write them in the same order and never wait for each other in
        // a circle.
        plan.pseudonyms
            .sort_unstable_by_key(|(pseudonym, _)| pseudonym.value);
        plan.merges.sort_unstable();
        plan.conflicts
            .sort_unstable_by_key(|conflict| (conflict.one, conflict.other));
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Scheme, Suite};

    fn name(scheme: Scheme, value: u8) -> CityPseudonym {
        CityPseudonym {
            scheme,
            suite: Suite::Hmac,
            epoch: 1,
            value: [value; 32],
        }
    }
    fn snils(value: u8) -> CityPseudonym {
        name(Scheme::Snils, value)
    }
    fn passport(value: u8) -> CityPseudonym {
        name(Scheme::PassportRu, value)
    }
    fn person(pseudonyms: &[CityPseudonym]) -> EventPseudonyms<'_> {
        EventPseudonyms {
            record: [0; 32],
            pseudonyms,
        }
    }

    #[test]
    fn nobody_known_makes_one_subject_a_person() {
        let a = [snils(1), passport(2)];
        let b = [snils(3)];
        let links = plan_links(&[person(&a), person(&b), person(&a)], &HashMap::new(), &[]);
        assert_eq!(links.new_subjects, 2);
        assert_eq!(links.pseudonyms.len(), 3);
        assert_eq!(links.pseudonyms[0].1, links.pseudonyms[1].1);
        assert_ne!(links.pseudonyms[0].1, links.pseudonyms[2].1);
    }

    #[test]
    fn two_known_subjects_of_one_person_merge_into_one() {
        let names = [snils(1), passport(2), passport(3)];
        let known = HashMap::from([([1; 32], 7), ([2; 32], 5)]);
        let links = plan_links(&[person(&names)], &known, &[(7, snils(1))]);
        assert_eq!(links.merges, [(7, 5)]);
        assert_eq!(links.pseudonyms, [(passport(3), SubjectRef::Existing(5))]);
    }

    #[test]
    fn two_snils_never_merge_and_the_weaker_name_stays() {
        let names = [snils(1), passport(2)];
        let known = HashMap::from([([2; 32], 5)]);
        let links = plan_links(&[person(&names)], &known, &[(5, snils(9))]);
        assert_eq!(links.merges, []);
        assert_eq!(links.pseudonyms, [(snils(1), SubjectRef::New(0))]);
        assert_eq!(
            links.conflicts,
            [Conflict {
                one: [1; 32],
                other: [9; 32],
                record: [0; 32]
            }]
        );
    }

    #[test]
    fn a_contradiction_through_a_chain_in_one_group_is_seen() {
        let a = [snils(1), passport(2)];
        let b = [snils(3), passport(4)];
        let c = [passport(2), passport(4)];
        let links = plan_links(&[person(&c), person(&a), person(&b)], &HashMap::new(), &[]);
        assert_eq!((links.new_subjects, links.conflicts.len()), (2, 1));
    }

    #[test]
    fn snils_under_two_keys_are_no_contradiction_and_two_passports_neither() {
        let names = [
            CityPseudonym {
                epoch: 2,
                ..snils(8)
            },
            snils(1),
            passport(2),
            passport(3),
        ];
        let links = plan_links(&[person(&names)], &HashMap::new(), &[]);
        assert_eq!((links.new_subjects, links.conflicts.len()), (1, 0));
    }
}
