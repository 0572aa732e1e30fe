//! Numbers of what a folder's files hold, for `check`, and what keeps sweeps from their end.

use std::collections::BTreeMap;

use connector_kit::Feed;

use super::line_place::LinePlace;

/// Most types that are counted apart; FHIR R4 has fewer than 150.
const MAX_TYPES: usize = 200;
/// Resources of a feed's type that are remembered for their codes, which are not the feed's.
const MAX_OTHERS: usize = 100;

/// Numbers of the lines of a folder.
#[derive(Default)]
pub(super) struct Tally {
    /// Resources by their type.
    pub types: BTreeMap<String, u64>,
    /// Lines that are no resources, by the type that their file begins with.
    unreadable: BTreeMap<String, u64>,
    /// Records and patients of which another version counts.
    pub older_versions: u64,
    /// Records and patients that a list of what was deleted names, and that are left out.
    pub deleted: u64,
    /// Deletions whose addresses name no resource of the folder.
    pub unnamed_deletions: u64,
    /// Bundles that are no lists of what was deleted, or not only.
    pub other_bundles: u64,
    /// Records that name their Patient by a whole address, where no `base_url` is configured; and
    /// the address of the first of these servers.
    pub whole_addresses: u64,
    pub address: Option<String>,
    others: BTreeMap<Feed, Vec<LinePlace>>,
}

impl Tally {
    /// Counts a resource.
    pub(super) fn count(&mut self, resource_type: &str) {
        if let Some(count) = self.types.get_mut(resource_type) {
            *count += 1;
        } else if self.types.len() < MAX_TYPES {
            self.types.insert(resource_type.to_owned(), 1);
        }
    }

    /// Number of resources of a type.
    pub(super) fn of(&self, resource_type: &str) -> u64 {
        self.types.get(resource_type).copied().unwrap_or_default()
    }

    /// Counts lines that are no resources, of a file that begins with this type.
    pub(super) fn note_unreadable(&mut self, resource_type: &str, count: u64) {
        let known = self.unreadable.entry(resource_type.to_owned()).or_default();
        *known += count;
    }

    /// Number of lines that are no resources, in files that begin with this type.
    pub(super) fn unreadable(&self, resource_type: &str) -> u64 {
        let count = self.unreadable.get(resource_type);
        count.copied().unwrap_or_default()
    }

    /// Remembers a resource of a feed's type with other codes, one of the first.
    pub(super) fn note_other(&mut self, feed: Feed, place: LinePlace) {
        let others = self.others.entry(feed).or_default();
        if others.len() < MAX_OTHERS {
            others.push(place);
        }
    }

    /// The first resources of a feed's type that have other codes.
    pub(super) fn others(&self, feed: Feed) -> &[LinePlace] {
        self.others
            .get(&feed)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}
