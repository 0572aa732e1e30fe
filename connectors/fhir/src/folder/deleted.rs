//! Resources of a folder that lists of what was deleted name: they are left out of the index, and
//! are withdrawn as whatever is missing.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use connector_kit::SourceError;

use super::index::{Index, Table};
use super::line;
use super::settings::FolderSettings;
use crate::bundle::deletions::Deletions;

/// What the folder's lists name as deleted.
#[derive(Default)]
pub(super) struct Deleted {
    /// For each type, the ids with the latest moment at which they were gone; `None` where no list
    /// tells one.
    by_type: BTreeMap<String, BTreeMap<String, Option<DateTime<Utc>>>>,
    count: usize,
}

impl Deleted {
    /// Number of resources that are named.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Takes a list.
    pub(super) fn add(&mut self, list: Deletions) {
        for (kind, id) in list.resources {
            let ids = self.by_type.entry(kind).or_default();
            let before = ids.len();
            let moment = ids.entry(id).or_default();
            *moment = (*moment).max(list.moment);
            self.count += ids.len() - before;
        }
    }

    /// Takes the resources out of the index that were deleted after they were last changed.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] where nobody can tell which came later.
    pub(super) fn take_out(
        &self,
        index: &mut Index,
        settings: &FolderSettings,
    ) -> Result<(), SourceError> {
        let mut unclear = 0;
        for (kind, ids) in &self.by_type {
            let table = match line::feed_of(kind, settings) {
                Some(feed) => index.table_mut(feed),
                None => &mut index.patients,
            };
            let gone = gone(table, ids, &mut unclear);
            table.remove(&gone);
            index.tally.deleted += gone.len() as u64;
            if kind == "Patient" {
                let is_gone = |id: &&String| index.patients.get(id).is_none();
                let of_list = ids.keys().filter(is_gone).cloned();
                index.deleted_patients = of_list.collect();
                for by in index.replaced.values_mut() {
                    by.retain(|id| !gone.contains(id));
                }
            }
        }
        if unclear == 0 {
            return Ok(());
        }
        Err(SourceError::misconfigured(
            format!(
                "the folder has {unclear} resources that a list of what was deleted names, and \
                 nobody can tell which came later: the list has no timestamp, or the resource no \
                 meta.lastUpdated"
            ),
            "put one whole export into the folder, in which what was deleted is missing; until \
             then nothing is read, and nothing is withdrawn",
        ))
    }
}

/// Names of the resources that were gone after their newest version. Those of which that cannot be
/// told are counted.
fn gone(
    table: &Table,
    ids: &BTreeMap<String, Option<DateTime<Utc>>>,
    unclear: &mut u64,
) -> BTreeSet<String> {
    let mut gone = BTreeSet::new();
    for (id, moment) in ids {
        let Some(entry) = table.get(id) else {
            continue;
        };
        match (moment, entry.stamp) {
            (Some(moment), Some(stamp)) if stamp > moment.timestamp_micros() => {}
            (Some(_), Some(_)) => {
                gone.insert(id.clone());
            }
            _ => *unclear += 1,
        }
    }
    gone
}
