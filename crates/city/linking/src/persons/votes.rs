//! Weak names of a piece where SNILS contradict each other: each goes to one person, by votes.

use std::cmp::Reverse;

use super::bits;
use super::model::ContestKind;
use super::poll::{Lead, lead};
use super::small::SmallPart;

/// Gives weak names to the persons that the anchors are, the name with most votes first, of equal
/// ones those of the strongest scheme. Names that get no person stay together as sets state them.
pub(super) fn give(
    part: &SmallPart,
    piece: u64,
    persons: Vec<u64>,
    contests: &mut Vec<(usize, ContestKind)>,
) -> Vec<u64> {
    let mut poll = Poll::new(part, piece, persons);
    loop {
        poll.hear_sets();
        let surest = poll.surest();
        if surest.is_empty() {
            break;
        }
        for (node, person) in surest {
            poll.assign(node, person);
        }
    }
    poll.contests(contests);
    let left = bits::pieces(piece & !poll.given, part.sets.iter().map(|set| set.nodes));
    poll.persons.extend(left);
    poll.persons
}

/// Votes of the sets so far.
struct Poll<'a> {
    part: &'a SmallPart,
    piece: u64,
    /// Nodes of each person.
    persons: Vec<u64>,
    /// Number of the person of each node, where it has one.
    person_of: Vec<usize>,
    /// Nodes that have a person.
    given: u64,
    /// Persons for which each set votes, a bit for each.
    heard: Vec<u64>,
    /// Votes of each node for each person, a row a node.
    votes: Vec<u64>,
}

impl<'a> Poll<'a> {
    fn new(part: &'a SmallPart, piece: u64, persons: Vec<u64>) -> Self {
        let nodes = part.classes.len();
        let mut poll = Self {
            part,
            piece,
            person_of: vec![0; nodes],
            given: 0,
            heard: vec![0; part.sets.len()],
            votes: vec![0; nodes * persons.len()],
            persons,
        };
        for (number, person) in poll.persons.iter().enumerate() {
            poll.given |= person;
            bits::nodes(*person).for_each(|node| poll.person_of[node] = number);
        }
        poll
    }

    /// Takes the votes of every set for its weak names. A set votes for the person of its strongest
    /// name that has one; where several are equally strong, for each of their persons, so that no
    /// digest decides.
    fn hear_sets(&mut self) {
        let width = self.persons.len();
        for (place, set) in self.part.sets.iter().enumerate() {
            let names = set.nodes & self.piece;
            let strongest = self.part.strongest_class(names & self.given);
            let heard = bits::nodes(strongest).fold(0, |all, node| all | 1 << self.person_of[node]);
            let before = std::mem::replace(&mut self.heard[place], heard);
            if before == heard {
                continue;
            }
            for node in bits::nodes(names & !self.given) {
                let row = &mut self.votes[node * width..][..width];
                for person in bits::nodes(before & !heard) {
                    row[person] = row[person].saturating_sub(set.records);
                }
                for person in bits::nodes(heard & !before) {
                    row[person] = row[person].saturating_add(set.records);
                }
            }
        }
    }

    fn lead(&self, node: usize) -> Lead {
        let width = self.persons.len();
        let row = &self.votes[node * width..][..width];
        lead(row.iter().copied().enumerate())
    }

    /// Names with the greatest number of votes for one person, of these those of the strongest
    /// scheme, each with its person.
    fn surest(&self) -> Vec<(usize, usize)> {
        let mut surest = Vec::new();
        let mut best = None;
        for node in bits::nodes(self.piece & !self.given) {
            if let Lead::One { person, votes } = self.lead(node) {
                let rank = Some((votes, Reverse(self.part.classes[node].scheme)));
                if rank > best {
                    best = rank;
                    surest.clear();
                }
                if rank == best {
                    surest.push((node, person));
                }
            }
        }
        surest
    }

    fn assign(&mut self, node: usize, person: usize) {
        self.person_of[node] = person;
        self.persons[person] |= 1 << node;
        self.given |= 1 << node;
    }

    fn contests(&self, contests: &mut Vec<(usize, ContestKind)>) {
        for node in bits::nodes(self.piece & !self.given) {
            if self.lead(node) == Lead::Tie {
                contests.push((node, ContestKind::Tie));
            }
        }
        for (set, heard) in self.part.sets.iter().zip(&self.heard) {
            let given = bits::nodes(set.nodes & self.piece & self.given);
            let elsewhere = given.filter(|&node| heard & !(1 << self.person_of[node]) != 0);
            contests.extend(elsewhere.map(|node| (node, ContestKind::Minority)));
        }
    }
}
