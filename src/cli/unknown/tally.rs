//! Count of values in memory, over records that a command has read.

use std::collections::BTreeMap;

use outbox::Persons;
use pseudonym::{SeenValue, UnknownValue, ValueDigest};

use super::{Shown, Values};

/// Values of records, with the persons that have them.
#[derive(Debug, Default)]
pub(in crate::cli) struct Tally(BTreeMap<(String, ValueDigest), Counted>);

#[derive(Debug)]
struct Counted {
    value: UnknownValue,
    rows: u64,
    persons: Persons,
}

impl Tally {
    /// Counts the value of a record.
    pub(in crate::cli) fn add(&mut self, feed: &str, seen: SeenValue) {
        let key = (feed.to_owned(), seen.digest);
        let counted = self.0.entry(key).or_insert_with(|| Counted {
            value: seen.value,
            rows: 0,
            persons: Persons::default(),
        });
        counted.rows += 1;
        counted.persons.add(&seen.persons);
    }

    /// The values, as far as they may be shown.
    pub(in crate::cli) fn values(&self) -> Values {
        let mut values = Values::default();
        for ((feed, _), counted) in &self.0 {
            let value = &counted.value;
            if counted.persons.are_several() && value.may_be_shown() {
                values.add_shown(Shown {
                    feed: feed.clone(),
                    value: value.clone(),
                    rows: counted.rows,
                });
            } else {
                values.add_hidden(feed, value.table, counted.rows);
            }
        }
        values.sort();
        values
    }
}
