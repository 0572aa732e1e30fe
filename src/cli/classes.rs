//! Classes of facts that leave alike in everything but the person: how many persons stand in them,
//! and how many records in small ones, where the fact itself may tell whose it is.

use std::collections::{BTreeSet, HashMap};

use contract::Fact;
use pseudonym::Leaving;
use serde::Serialize;

/// Sizes that records are counted below.
const SIZES: [u64; 3] = [2, 5, 10];

/// Facts that leave, counted by what they say.
#[derive(Debug, Default)]
pub(super) struct Classes {
    records: u64,
    persons: Persons,
    /// Person of each record of a class, by number.
    classes: HashMap<Fact, Vec<usize>>,
}

/// Persons of the records, by number. Numbers of one person are joined when a record shows that they
/// are.
#[derive(Debug, Default)]
struct Persons {
    numbers: HashMap<[u8; 32], usize>,
    /// Another number of the same person, nearer to the one that stands for all; its own in that.
    nearer: Vec<usize>,
}

impl Persons {
    /// Number of the person who has these names, at least one of them.
    fn number(&mut self, names: &[[u8; 32]]) -> usize {
        let fresh = self.nearer.len();
        let known = names.iter().filter_map(|name| self.numbers.get(name));
        let known: Vec<usize> = known.copied().collect();
        let number = known.first().map_or(fresh, |known| self.standing(*known));
        if number == fresh {
            self.nearer.push(fresh);
        }
        for other in known {
            let other = self.standing(other);
            self.nearer[other] = number;
        }
        for name in names {
            self.numbers.insert(*name, number);
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

    /// Number of different persons.
    fn count(&self, numbers: &[usize]) -> u64 {
        let persons = numbers.iter().map(|number| self.standing(*number));
        persons.collect::<BTreeSet<_>>().len() as u64
    }
}

/// Figures of the classes; nothing in them names a record or a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ClassSummary {
    /// Number of records that were read.
    records: u64,
    /// Number of those whose fact leaves.
    leaving: u64,
    /// Number of classes.
    classes: u64,
    /// Number of persons in the class that has fewest; `None` where nothing leaves.
    k: Option<u64>,
    /// Records in classes of fewer persons than a number.
    in_small_classes: [SmallClasses; SIZES.len()],
}

/// Records in classes of fewer persons than a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct SmallClasses {
    smaller_than: u64,
    records: u64,
}

impl Classes {
    /// Adds a record, with the fact that leaves of it if one does.
    pub(super) fn add(&mut self, leaving: Option<Leaving>) {
        self.records += 1;
        if let Some(Leaving { fact, person }) = leaving {
            let number = self.persons.number(&person);
            self.classes.entry(fact).or_default().push(number);
        }
    }

    pub(super) fn summary(&self) -> ClassSummary {
        let sizes = self.classes.values().map(|records| Size {
            records: records.len() as u64,
            persons: self.persons.count(records),
        });
        let sizes: Vec<Size> = sizes.collect();
        let below = |most: u64| {
            let small = sizes.iter().filter(|size| size.persons < most);
            small.map(|size| size.records).sum()
        };
        ClassSummary {
            records: self.records,
            leaving: sizes.iter().map(|size| size.records).sum(),
            classes: sizes.len() as u64,
            k: sizes.iter().map(|size| size.persons).min(),
            in_small_classes: SIZES.map(|smaller_than| SmallClasses {
                smaller_than,
                records: below(smaller_than),
            }),
        }
    }
}

/// Size of a class.
struct Size {
    records: u64,
    persons: u64,
}

impl ClassSummary {
    /// The figures in a sentence.
    pub(super) fn text(&self) -> String {
        let Self {
            records,
            leaving,
            classes,
            ..
        } = self;
        let Some(k) = self.k else {
            return format!("of {records} records read no fact leaves");
        };
        let small = self
            .in_small_classes
            .map(|small| format!("{} below {}", small.records, small.smaller_than));
        format!(
            "of {records} records read {leaving} leave, in {classes} classes of facts that leave \
             alike; k = {k}, the persons in the class of fewest; records in classes of fewer \
             persons: {}",
            small.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use contract::{TestCode, TestResult};

    use super::*;

    fn test(date: &str, names: &[u8]) -> Option<Leaving> {
        Some(Leaving {
            fact: Fact::Test {
                test: TestCode::Rna,
                result: TestResult::NotDetected,
                occurred_on: date.parse().expect("a date"),
            },
            person: names.iter().map(|name| [*name; 32]).collect(),
        })
    }

    #[test]
    fn records_are_counted_by_the_persons_of_their_class() {
        let mut classes = Classes::default();
        assert_eq!(classes.summary().text(), "of 0 records read no fact leaves");
        classes.add(None);
        for (date, records) in [("2021-07-01", 1), ("2021-07-02", 4), ("2021-07", 12)] {
            for person in 0..records {
                classes.add(test(date, &[person]));
            }
        }
        assert_eq!(
            classes.summary().text(),
            "of 18 records read 17 leave, in 3 classes of facts that leave alike; k = 1, the \
             persons in the class of fewest; records in classes of fewer persons: 1 below 2, 5 \
             below 5, 5 below 10"
        );
    }

    #[test]
    fn many_facts_of_one_person_make_no_large_class() {
        let mut classes = Classes::default();
        for _ in 0..20 {
            classes.add(test("2021-07", &[1]));
        }
        classes.add(test("2021-07", &[2]));
        assert_eq!(classes.summary().k, Some(2));
        // A record that has names of both shows that they are one.
        classes.add(test("2021-08", &[1, 2]));
        classes.add(test("2021-08", &[3]));
        let summary = classes.summary();
        assert_eq!(summary.k, Some(1));
        assert_eq!(summary.in_small_classes.map(|it| it.records), [21, 23, 23]);
    }
}
