//! Classes of facts that leave alike in everything but the person: how many persons stand in them,
//! and how many records in small ones, where the fact itself may tell whose it is.

use std::collections::HashMap;

use contract::Fact;
use draft::Persons;
use pseudonym::{Leaving, coarser_facts};
use serde::Serialize;

/// Sizes that records are counted below.
const SIZES: [u64; 3] = [2, 5, 10];

/// Facts that leave, counted by what they say.
#[derive(Debug, Default)]
pub(super) struct Classes {
    records: u64,
    persons: Persons<[u8; 32]>,
    /// Person of each record of a class, by number.
    classes: HashMap<Fact, Vec<usize>>,
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
    /// Records in classes of fewer persons than the release policy asks for; `None` where it asks for
    /// none.
    withheld: Option<SmallClasses>,
    /// Records among those that would be in large enough classes with a coarser date.
    coarser: Option<u64>,
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
            let number = self.persons.add(&person);
            self.classes.entry(fact).or_default().push(number);
        }
    }

    /// Figures of the classes, under a policy that withholds facts of classes of fewer persons than
    /// `smallest_class`.
    pub(super) fn summary(&self, smallest_class: Option<u8>) -> ClassSummary {
        let sizes = self.classes.values().map(|records| Size {
            records: records.len() as u64,
            persons: self.persons.count_among(records),
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
            withheld: smallest_class
                .map(u64::from)
                .map(|smaller_than| SmallClasses {
                    smaller_than,
                    records: below(smaller_than),
                }),
            coarser: smallest_class.map(|persons| self.coarser(persons.into())),
        }
    }
}

impl Classes {
    /// Number of records in classes of fewer persons than this that would be in large enough ones
    /// with a coarser date, the least coarse that is coarse enough.
    fn coarser(&self, least_persons: u64) -> u64 {
        let is_large = |records: &Vec<usize>| self.persons.count_among(records) >= least_persons;
        let small = self
            .classes
            .iter()
            .filter(|(_, records)| !is_large(records));
        let mut small: Vec<(Vec<Fact>, &Vec<usize>)> = small
            .map(|(fact, records)| (coarser_facts(fact).collect(), records))
            .collect();
        let mut coarser = 0;
        let most = small.iter().map(|(facts, _)| facts.len()).max();
        for times in 0..most.unwrap_or(0) {
            let mut classes: HashMap<Fact, Vec<usize>> = HashMap::new();
            for (facts, records) in &small {
                if let Some(fact) = facts.get(times) {
                    classes.entry(fact.clone()).or_default().extend(*records);
                }
            }
            classes.retain(|_, records| is_large(records));
            coarser += classes
                .values()
                .map(|records| records.len() as u64)
                .sum::<u64>();
            let is_in_large = |facts: &Vec<Fact>| {
                facts
                    .get(times)
                    .is_some_and(|fact| classes.contains_key(fact))
            };
            small.retain(|(facts, _)| !is_in_large(facts));
        }
        coarser
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
        let what = match self.withheld {
            None => format!("{leaving} leave"),
            Some(withheld) => format!(
                "{} leave and {} are withheld, since among these records fewer than {} persons are \
                 in their class, {} of which would be in larger ones with a coarser date",
                leaving - withheld.records,
                withheld.records,
                withheld.smaller_than,
                self.coarser.unwrap_or(0)
            ),
        };
        format!(
            "of {records} records read {what}, in {classes} classes of facts that leave alike; k = \
             {k}, the persons in the class of fewest; records in classes of fewer persons: {}",
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
        assert_eq!(
            classes.summary(None).text(),
            "of 0 records read no fact leaves"
        );
        classes.add(None);
        for (date, records) in [("2021-07-01", 1), ("2021-07-02", 4), ("2021-07", 12)] {
            for person in 0..records {
                classes.add(test(date, &[person]));
            }
        }
        assert_eq!(
            classes.summary(None).text(),
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
        assert_eq!(classes.summary(None).k, Some(2));
        // A record that has names of both shows that they are one.
        classes.add(test("2021-08", &[1, 2]));
        classes.add(test("2021-08", &[3]));
        let summary = classes.summary(None);
        assert_eq!(summary.k, Some(1));
        assert_eq!(summary.in_small_classes.map(|it| it.records), [21, 23, 23]);
    }

    #[test]
    fn what_the_policy_withholds_is_told() {
        let mut classes = Classes::default();
        for (date, records) in [("2021-07-01", 4), ("2021-07-02", 5)] {
            for person in 0..records {
                classes.add(test(date, &[person]));
            }
        }
        let summary = classes.summary(Some(5));
        assert_eq!(summary.withheld.map(|it| it.records), Some(4));
        assert!(
            summary.text().starts_with(
                "of 9 records read 5 leave and 4 are withheld, since among these records fewer than 5 \
                 persons are in their class, 0 of which would be in larger ones with a coarser date,"
            ),
            "{}",
            summary.text()
        );
        assert_eq!(classes.summary(None).withheld, None);
    }

    #[test]
    fn records_are_counted_that_a_coarser_date_puts_in_large_classes() {
        let mut classes = Classes::default();
        for person in 0..5 {
            classes.add(test(&format!("2021-07-0{}", person + 1), &[person]));
        }
        assert_eq!(classes.summary(Some(5)).coarser, Some(5), "a month");
        assert_eq!(classes.summary(Some(6)).coarser, Some(0));
        // The sixth is alone in its month, and in what is left of its year.
        classes.add(test("2021-08-01", &[9]));
        assert_eq!(classes.summary(Some(5)).coarser, Some(5));
        assert_eq!(classes.summary(Some(6)).coarser, Some(6), "the year of all");
        // A class that is large enough as it is lends nobody.
        for person in 10..15 {
            classes.add(test("2021-08-02", &[person]));
        }
        assert_eq!(classes.summary(Some(5)).coarser, Some(5));
        assert_eq!(classes.summary(None).coarser, None);
    }
}
