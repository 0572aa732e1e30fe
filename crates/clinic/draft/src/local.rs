//! Names of a person that only the person's clinic can compute, and that never leave it.

use std::fmt;

use contract::Scheme;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Keyed digest of one identifier under the clinic's own record key. It tells the clinic which
/// identifiers are the same before, and whether or not, key services have evaluated them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalName {
    /// Kind of the identifier.
    pub scheme: Scheme,
    /// Keyed digest of its normal form, 32 bytes.
    pub value: [u8; 32],
}

impl fmt::Debug for LocalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalName({} …)", self.scheme.as_str())
    }
}

/// A person by local names, sorted, without repeats. It has no way onto the wire: an event wants
/// a [`contract::Subject`], which only an [`Evaluator`](crate::Evaluator) makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSubject(Vec<LocalName>);

impl LocalSubject {
    /// Most names of one scheme that a person may have; of SNILS one.
    const MAX_OF_A_SCHEME: usize = contract::Subject::MAX_OF_A_SCHEME;

    /// Sorts the names and removes repeats. `None` when there is none, or when there are more
    /// than `most`, than two of one scheme, or than one SNILS.
    #[must_use]
    pub fn new(mut names: Vec<LocalName>, most: usize) -> Option<Self> {
        names.sort_unstable();
        names.dedup();
        let has_more_than = |most_of_it: usize, scheme: Option<Scheme>| {
            names.windows(most_of_it + 1).any(|some| {
                some[0].scheme == some[most_of_it].scheme
                    && scheme.is_none_or(|scheme| scheme == some[0].scheme)
            })
        };
        let within = (1..=most).contains(&names.len())
            && !has_more_than(Self::MAX_OF_A_SCHEME, None)
            && !has_more_than(1, Some(Scheme::Snils));
        within.then_some(Self(names))
    }

    /// Local names of the person, sorted.
    #[must_use]
    pub fn names(&self) -> &[LocalName] {
        &self.0
    }
}

impl Drop for LocalSubject {
    fn drop(&mut self) {
        for name in &mut self.0 {
            name.value.zeroize();
        }
    }
}

impl ZeroizeOnDrop for LocalSubject {}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(scheme: Scheme, number: u8) -> LocalName {
        LocalName {
            scheme,
            value: [number; 32],
        }
    }

    #[test]
    fn names_are_sorted_and_limited() {
        let names = |numbers: &[(Scheme, u8)]| {
            let names = numbers
                .iter()
                .map(|(scheme, number)| name(*scheme, *number));
            LocalSubject::new(names.collect(), 3)
        };
        let person = names(&[
            (Scheme::Oms, 2),
            (Scheme::Snils, 1),
            (Scheme::Oms, 2),
            (Scheme::Oms, 1),
        ]);
        assert_eq!(
            person.unwrap().names(),
            [
                name(Scheme::Snils, 1),
                name(Scheme::Oms, 1),
                name(Scheme::Oms, 2)
            ]
        );
        assert_eq!(names(&[]), None);
        assert_eq!(names(&[(Scheme::Snils, 1), (Scheme::Snils, 2)]), None);
        assert_eq!(
            names(&[(Scheme::Oms, 1), (Scheme::Oms, 2), (Scheme::Oms, 3)]),
            None
        );
        let four = [
            (Scheme::Snils, 1),
            (Scheme::Oms, 1),
            (Scheme::PassportRu, 1),
            (Scheme::Ehic, 1),
        ];
        assert!(names(&four[..3]).is_some());
        assert_eq!(names(&four), None);
    }

    #[test]
    fn debug_shows_no_digest() {
        assert_eq!(
            format!("{:?}", name(Scheme::Snils, 0xab)),
            "LocalName(snils …)"
        );
    }
}
