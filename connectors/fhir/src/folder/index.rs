//! The index of a folder's state: where each record of the feeds stands, and each Patient.
//!
//! It is kept in memory alone, since ids do not rest readable on the gateway's disk. Of each
//! resource it holds the id, the stamp and the place, and nothing of its content.

use std::collections::{BTreeMap, BTreeSet};

use connector_kit::Feed;

use super::line_place::LinePlace;
use super::look::ExportFile;
use super::tally::Tally;

/// A resource in the index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// The record id without its type: the resource's id, or what stands for it.
    pub name: &'a str,
    /// `meta.lastUpdated` in microseconds since 1970.
    pub stamp: Option<i64>,
    pub place: LinePlace,
    /// False for a line that is no resource.
    pub is_readable: bool,
}

/// The resources of one type, by their names.
#[derive(Default)]
pub(super) struct Table {
    /// The names, one behind the other.
    names: String,
    rows: Vec<Row>,
}

struct Row {
    name_from: usize,
    place: LinePlace,
    stamp: Option<i64>,
    name_bytes: u8,
    is_readable: bool,
}

impl Table {
    /// Adds a resource; [`Table::settle`] puts it into its place.
    pub(super) fn add(&mut self, entry: Entry<'_>) {
        // The ids that are taken over are shorter.
        let Ok(name_bytes) = u8::try_from(entry.name.len()) else {
            return;
        };
        self.rows.push(Row {
            name_from: self.names.len(),
            place: entry.place,
            stamp: entry.stamp,
            name_bytes,
            is_readable: entry.is_readable,
        });
        self.names.push_str(entry.name);
    }

    /// Sorts the resources, and of those with one name keeps the one with the newest stamp, then
    /// that of the last file and line. Returns the number of those that were dropped.
    pub(super) fn settle(&mut self) -> usize {
        let names = &self.names;
        let key = |row: &Row| (name_of(names, row), row.stamp, row.place);
        self.rows.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
        let before = self.rows.len();
        self.rows.dedup_by(|later, kept| {
            let is_same = name_of(names, later) == name_of(names, kept);
            if is_same {
                std::mem::swap(later, kept);
            }
            is_same
        });
        before - self.rows.len()
    }

    /// Takes resources out.
    pub(super) fn remove(&mut self, gone: &BTreeSet<String>) {
        let names = &self.names;
        self.rows.retain(|row| !gone.contains(name_of(names, row)));
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn get(&self, name: &str) -> Option<Entry<'_>> {
        let found = self
            .rows
            .binary_search_by(|row| name_of(&self.names, row).cmp(name));
        found.ok().map(|position| self.entry(&self.rows[position]))
    }

    /// The resources behind a name, in the order of their names.
    pub(super) fn behind(&self, name: Option<&str>) -> impl Iterator<Item = Entry<'_>> {
        let is_before = |row: &Row, name: &str| name_of(&self.names, row) <= name;
        let from = name.map_or(0, |name| {
            self.rows.partition_point(|row| is_before(row, name))
        });
        self.rows[from..].iter().map(|row| self.entry(row))
    }

    fn entry(&self, row: &Row) -> Entry<'_> {
        Entry {
            name: name_of(&self.names, row),
            stamp: row.stamp,
            place: row.place,
            is_readable: row.is_readable,
        }
    }
}

fn name_of<'a>(names: &'a str, row: &Row) -> &'a str {
    &names[row.name_from..row.name_from + usize::from(row.name_bytes)]
}

/// Index of one state of the folder.
pub(super) struct Index {
    pub state: u64,
    pub files: Vec<ExportFile>,
    pub vaccinations: Table,
    pub tests: Table,
    pub recoveries: Table,
    pub patients: Table,
    /// For each Patient that another one says it `replaces`, the ids of those that say so.
    pub replaced: BTreeMap<String, BTreeSet<String>>,
    /// Patients that a list of what was deleted names, and that no file has any more.
    pub deleted_patients: BTreeSet<String>,
    /// Numbers of what the files hold.
    pub tally: Tally,
}

impl Index {
    pub(super) const fn table(&self, feed: Feed) -> &Table {
        match feed {
            Feed::Vaccinations => &self.vaccinations,
            Feed::Tests => &self.tests,
            Feed::Recoveries => &self.recoveries,
        }
    }

    pub(super) const fn table_mut(&mut self, feed: Feed) -> &mut Table {
        match feed {
            Feed::Vaccinations => &mut self.vaccinations,
            Feed::Tests => &mut self.tests,
            Feed::Recoveries => &mut self.recoveries,
        }
    }

    /// Number of records and patients.
    pub(super) const fn len(&self) -> usize {
        self.vaccinations.len() + self.tests.len() + self.recoveries.len() + self.patients.len()
    }

    /// Newest stamp of a feed's records that is not later than `now`, both in microseconds since
    /// 1970.
    pub(super) fn newest(&self, feed: Feed, now: i64) -> Option<i64> {
        let stamps = self.table(feed).rows.iter().filter_map(|row| row.stamp);
        stamps.filter(|stamp| *stamp <= now).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, stamp: Option<i64>, file: u16, offset: u64) -> Entry<'_> {
        Entry {
            name,
            stamp,
            place: LinePlace {
                file,
                offset,
                length: 1,
            },
            is_readable: true,
        }
    }

    #[test]
    fn of_one_id_the_newest_counts_then_the_last_file_then_the_last_line() {
        let mut table = Table::default();
        for added in [
            entry("b", Some(7), 0, 10),
            entry("a", None, 3, 0),
            entry("b", Some(6), 2, 20),
            entry("b", Some(7), 0, 30),
            entry("a", Some(1), 0, 50),
            entry("c", None, 1, 5),
            entry("c", None, 1, 6),
            entry("c", None, 0, 60),
        ] {
            table.add(added);
        }
        assert_eq!(table.settle(), 5);
        let kept: Vec<_> = table
            .behind(None)
            .map(|entry| (entry.name, entry.place.file, entry.place.offset))
            .collect();
        assert_eq!(kept, [("a", 0, 50), ("b", 0, 30), ("c", 1, 6)]);
        assert_eq!(table.get("b").unwrap().place.offset, 30);
        assert!(table.get("bb").is_none() && table.get("").is_none());
        let behind = |name| {
            table
                .behind(Some(name))
                .map(|entry| entry.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(behind("a"), ["b", "c"]);
        assert_eq!(behind("aa"), ["b", "c"], "a name that has gone");
        assert!(behind("c").is_empty());
    }

    #[test]
    fn a_resource_takes_as_many_bytes_as_the_readme_says() {
        assert!(size_of::<Row>() <= 50, "{}", size_of::<Row>());
    }
}
