//! Persons that a value was seen with, told apart by keyed digests of their identifiers.

use record_secrets::ValuePerson;

/// Fewest different persons that have a value before it is shown: what fewer have could be a name.
pub const PERSONS_TO_SHOW: u8 = 3;

/// Most digests that are kept of one person.
const MAX_DIGESTS: usize = 32;

/// Number of bytes of a digest.
const DIGEST_BYTES: usize = 8;

/// Different persons that a value was seen with, counted up to [`PERSONS_TO_SHOW`]. Two rows with
/// an identifier in common are of one person, also where only a third row has both identifiers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Persons {
    /// Digests of each person; empty once there are several.
    persons: Vec<Vec<ValuePerson>>,
    are_several: bool,
}

impl Persons {
    /// Takes in the person of a row; none where the row names nobody.
    pub fn add(&mut self, digests: &[ValuePerson]) {
        if self.are_several || digests.is_empty() {
            return;
        }
        let mut person = digests.to_vec();
        self.persons.retain(|other| {
            let is_same = other.iter().any(|digest| digests.contains(digest));
            if is_same {
                person.extend(other);
            }
            !is_same
        });
        person.sort_unstable();
        person.dedup();
        person.truncate(MAX_DIGESTS);
        self.persons.push(person);
        if self.persons.len() >= usize::from(PERSONS_TO_SHOW) {
            self.are_several = true;
            self.persons.clear();
        }
    }

    /// Takes in the persons of other rows.
    pub fn add_all(&mut self, others: &Self) {
        for person in &others.persons {
            self.add(person);
        }
        if others.are_several {
            self.are_several = true;
            self.persons.clear();
        }
    }

    /// Several persons, whoever they are.
    #[must_use]
    pub const fn several() -> Self {
        Self {
            persons: Vec::new(),
            are_several: true,
        }
    }

    /// Returns whether a value may be shown that these persons have.
    #[must_use]
    pub const fn are_several(&self) -> bool {
        self.are_several
    }

    /// Number of persons, at most [`PERSONS_TO_SHOW`].
    #[must_use]
    pub fn count(&self) -> u8 {
        let known = u8::try_from(self.persons.len()).unwrap_or(PERSONS_TO_SHOW);
        if self.are_several {
            PERSONS_TO_SHOW
        } else {
            known
        }
    }

    /// Digests as they are stored.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for person in &self.persons {
            bytes.push(u8::try_from(person.len()).expect("at most MAX_DIGESTS"));
            person
                .iter()
                .for_each(|digest| bytes.extend_from_slice(&digest.0));
        }
        bytes
    }

    /// Reads what [`Persons::to_bytes`] wrote; `None` for anything else.
    pub(super) fn from_bytes(count: u8, mut bytes: &[u8]) -> Option<Self> {
        if count >= PERSONS_TO_SHOW {
            return Some(Self::several());
        }
        let mut persons = Vec::new();
        while let Some((length, rest)) = bytes.split_first() {
            let (person, rest) = rest.split_at_checked(usize::from(*length) * DIGEST_BYTES)?;
            let (digests, _) = person.as_chunks::<DIGEST_BYTES>();
            persons.push(digests.iter().map(|digest| ValuePerson(*digest)).collect());
            bytes = rest;
        }
        (persons.len() == usize::from(count)).then_some(Self {
            persons,
            are_several: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(numbers: &[u8]) -> Vec<ValuePerson> {
        numbers
            .iter()
            .map(|number| ValuePerson([*number; 8]))
            .collect()
    }

    fn of(rows: &[&[u8]]) -> Persons {
        let mut persons = Persons::default();
        rows.iter().for_each(|row| persons.add(&person(row)));
        persons
    }

    #[test]
    fn three_persons_are_several_and_two_are_not() {
        assert_eq!(of(&[]).count(), 0);
        let two = of(&[&[1], &[2], &[1], &[2], &[]]);
        assert!(two.count() == 2 && !two.are_several());
        let three = of(&[&[1], &[2], &[3]]);
        assert!(three.count() == 3 && three.are_several());
        assert!(three.to_bytes().is_empty(), "nothing is kept of them");
    }

    #[test]
    fn a_person_with_several_identifiers_is_one() {
        assert_eq!(of(&[&[1, 2], &[2, 3], &[3, 4]]).count(), 1);
        assert_eq!(
            of(&[&[1], &[2], &[1, 2]]).count(),
            1,
            "joined by the third row"
        );
        assert_eq!(of(&[&[1], &[2], &[1, 2], &[5]]).count(), 2);
    }

    #[test]
    fn persons_of_two_counts_come_together() {
        let mut persons = of(&[&[1], &[2]]);
        persons.add_all(&of(&[&[2, 9]]));
        assert_eq!(persons.count(), 2);
        persons.add_all(&Persons::several());
        assert!(persons.are_several());
    }

    #[test]
    fn they_are_read_as_they_were_written() {
        for persons in [of(&[]), of(&[&[1, 2, 3], &[4]]), Persons::several()] {
            let read = Persons::from_bytes(persons.count(), &persons.to_bytes());
            assert_eq!(read.as_ref(), Some(&persons));
        }
        for damaged in [&[2, 1, 1][..], &[1]] {
            assert_eq!(Persons::from_bytes(1, damaged), None);
        }
        assert_eq!(Persons::from_bytes(2, &[]), None);
    }

    #[test]
    fn a_person_with_very_many_identifiers_is_kept_within_the_limit() {
        let many: Vec<u8> = (0..200).collect();
        let persons = of(&[&many]);
        assert_eq!(persons.to_bytes().len(), 1 + MAX_DIGESTS * DIGEST_BYTES);
    }
}
