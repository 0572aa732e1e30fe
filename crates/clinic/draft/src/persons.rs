//! Persons told apart by keyed digests of their identifiers.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Persons of rows, by number. Rows with a digest in common are of one person, also where only a
/// third row has both digests.
#[derive(Debug)]
pub struct Persons<D> {
    numbers: HashMap<D, usize>,
    /// Another number of the same person, nearer to the one that stands for all; its own in that.
    nearer: Vec<usize>,
}

impl<D> Default for Persons<D> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            nearer: Vec::new(),
        }
    }
}

impl<D: Copy + Eq + Hash> Persons<D> {
    /// Takes in the person of a row, by at least one digest; returns the person's number.
    pub fn add(&mut self, digests: &[D]) -> usize {
        let fresh = self.nearer.len();
        let known = digests.iter().filter_map(|digest| self.numbers.get(digest));
        let known: Vec<usize> = known.copied().collect();
        let number = known.first().map_or(fresh, |known| self.standing(*known));
        if number == fresh {
            self.nearer.push(fresh);
        }
        for other in known {
            let other = self.standing(other);
            self.nearer[other] = number;
        }
        for digest in digests {
            self.numbers.insert(*digest, number);
        }
        number
    }

    /// Number that stands for all numbers of the person of this one.
    fn standing(&self, mut number: usize) -> usize {
        while self.nearer[number] != number {
            number = self.nearer[number];
        }
        number
    }

    /// Number of different persons among these numbers.
    #[must_use]
    pub fn count_among(&self, numbers: &[usize]) -> u64 {
        let persons = numbers.iter().map(|number| self.standing(*number));
        persons.collect::<BTreeSet<_>>().len() as u64
    }

    /// Number of different persons taken in.
    #[must_use]
    pub fn count(&self) -> u64 {
        let is_standing = |(number, nearer): &(usize, &usize)| number == *nearer;
        self.nearer.iter().enumerate().filter(is_standing).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_a_digest_in_common_are_of_one_person() {
        let mut persons = Persons::default();
        let [one, other] = [&[1_u8][..], &[2]].map(|digests| persons.add(digests));
        let again = persons.add(&[1, 3]);
        assert_eq!(persons.count(), 2);
        assert_eq!(persons.count_among(&[one, again]), 1);
        assert_eq!(persons.count_among(&[one, other]), 2);
        // A row that has digests of both shows that they are one.
        persons.add(&[3, 2]);
        assert_eq!(persons.count(), 1);
        assert_eq!(persons.count_among(&[one, other]), 1);
        persons.add(&[4]);
        assert_eq!(persons.count(), 2);
    }
}
