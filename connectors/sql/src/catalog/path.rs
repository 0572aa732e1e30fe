//! The part of a database that its search path leads to: a copy of the tables in another schema is
//! none of the clinic's.

use super::{Catalog, Table};

impl Catalog {
    /// The tables whose names need no schema, and those that these refer to; `None` where that is
    /// all of them, or none.
    pub(crate) fn on_search_path(&self) -> Option<Self> {
        let mut kept: Vec<bool> = self.tables.iter().map(|table| table.is_in_path).collect();
        let mut open: Vec<usize> = (0..kept.len()).filter(|place| kept[*place]).collect();
        if open.is_empty() {
            return None;
        }
        while let Some(place) = open.pop() {
            for key in &self.tables[place].foreign_keys {
                if !kept[key.table] {
                    kept[key.table] = true;
                    open.push(key.table);
                }
            }
        }
        if kept.iter().all(|is_kept| *is_kept) {
            return None;
        }
        let mut count = 0;
        let places: Vec<Option<usize>> = kept
            .iter()
            .map(|is_kept| {
                let place = is_kept.then_some(count);
                count += usize::from(*is_kept);
                place
            })
            .collect();
        let tables = self.tables.iter().zip(&kept);
        let tables = tables.filter(|(_, is_kept)| **is_kept);
        Some(Self {
            tables: tables.map(|(table, _)| table.moved(&places)).collect(),
            is_cut: self.is_cut,
            unread: self.unread.clone(),
        })
    }
}

impl Table {
    /// The table as it stands, with references to where the other tables are now.
    fn moved(&self, places: &[Option<usize>]) -> Self {
        let mut moved = self.clone();
        moved.foreign_keys.retain_mut(|key| {
            let place = places[key.table];
            key.table = place.unwrap_or_default();
            place.is_some()
        });
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::super::ForeignKey;
    use super::*;

    fn table(name: &str, is_in_path: bool, to: Option<usize>) -> Table {
        let key = |table| ForeignKey {
            columns: vec!["x".to_owned()],
            table,
            to: vec!["id".to_owned()],
            is_owner: false,
        };
        Table {
            name: name.to_owned(),
            is_in_path,
            foreign_keys: to.map(key).into_iter().collect(),
            ..Table::default()
        }
    }

    #[test]
    fn what_the_path_does_not_lead_to_is_left_out_unless_a_table_of_it_refers_there() {
        let catalog = Catalog {
            tables: vec![
                table("copy", false, Some(2)),
                table("results", true, Some(3)),
                table("persons", true, None),
                table("lists.kinds", false, None),
            ],
            ..Catalog::default()
        };
        let found = catalog.on_search_path().expect("a part");
        let names: Vec<&str> = found.tables.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["results", "persons", "lists.kinds"]);
        assert_eq!(found.tables[0].foreign_keys[0].table, 2);
        assert!(found.on_search_path().is_none(), "that is all of it");
        let none = Catalog {
            tables: vec![table("a", false, None)],
            ..Catalog::default()
        };
        assert!(none.on_search_path().is_none());
    }
}
