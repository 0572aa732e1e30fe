//! Values that nobody has mapped, as commands show them at the clinic: only those that are short,
//! printable, and seen with several persons.

mod advice;
mod stored;
mod tally;

pub(super) use self::advice::{EMPTY_STATUS_LINE, Place, quoted};
pub(super) use self::stored::{Stored, TakenOut};
pub(super) use self::tally::Tally;

use pseudonym::{UnknownValue, ValueTable};

/// A value that may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// Name of its feed.
    pub(super) feed: String,
    pub(super) value: UnknownValue,
    /// Number of rows that have it.
    pub(super) rows: u64,
}

/// Values of one feed and table that may not be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hidden {
    /// Name of their feed.
    pub(super) feed: String,
    pub(super) table: ValueTable,
    /// Number of distinct values.
    pub(super) values: u64,
    /// Number of rows that have one of them.
    pub(super) rows: u64,
}

/// Values, the most frequent first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) shown: Vec<Shown>,
    pub(super) hidden: Vec<Hidden>,
}

impl Values {
    /// Number of distinct values that are not shown.
    pub(super) fn hidden_values(&self) -> u64 {
        self.hidden.iter().map(|hidden| hidden.values).sum()
    }

    /// Number of rows that have a value that is not shown.
    pub(super) fn hidden_rows(&self) -> u64 {
        self.hidden.iter().map(|hidden| hidden.rows).sum()
    }

    /// Adds a value that may be shown.
    fn add_shown(&mut self, shown: Shown) {
        self.shown.push(shown);
    }

    /// Adds a value that may not be shown.
    fn add_hidden(&mut self, feed: &str, table: ValueTable, rows: u64) {
        let known = self
            .hidden
            .iter_mut()
            .find(|hidden| hidden.feed == feed && hidden.table == table);
        match known {
            Some(hidden) => {
                hidden.values += 1;
                hidden.rows += rows;
            }
            None => self.hidden.push(Hidden {
                feed: feed.to_owned(),
                table,
                values: 1,
                rows,
            }),
        }
    }

    fn sort(&mut self) {
        self.shown.sort_by(|one, other| {
            let key = |shown: &Shown| (shown.value.table, shown.value.key());
            other.rows.cmp(&one.rows).then(key(one).cmp(&key(other)))
        });
        self.hidden
            .sort_by_key(|hidden| (std::cmp::Reverse(hidden.rows), hidden.table));
    }
}
