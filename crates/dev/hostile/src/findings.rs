//! Facts that a portal finds by each name of a person.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use contract::{Event, Fact, Pseudonym, RecordDigest, Version};
use registry::Reader;

use crate::Outcome;

/// Facts by record, as they are found by one name.
pub type Facts = BTreeMap<RecordDigest, (Version, Fact)>;

/// Facts that are found by each name, of known records only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(pub BTreeMap<Pseudonym, Facts>);

/// Records whose digests are known, by the digests under which a registry keeps them.
pub struct Known<'a> {
    reader: &'a Reader,
    records: HashMap<[u8; 32], RecordDigest>,
}

impl<'a> Known<'a> {
    /// Records of these events at this registry.
    pub fn new<'e>(reader: &'a Reader, events: impl Iterator<Item = &'e Event>) -> Self {
        let records = events.map(|event| (reader.stored_record(&event.record), event.record));
        Self {
            reader,
            records: records.collect(),
        }
    }

    /// Facts of these records that are found by each of the names.
    ///
    /// # Errors
    /// A store that does not answer.
    pub async fn findings(&self, names: &[Pseudonym]) -> Outcome<Findings> {
        let mut findings = Findings::default();
        for name in names {
            let facts = findings.0.entry(*name).or_default();
            for subject in self.reader.subjects_by(&[*name]).await? {
                for stored in subject.facts {
                    let record = self.records.get(&stored.record);
                    if let (Some(record), Some(fact)) = (record, stored.fact) {
                        facts.insert(*record, (stored.version, fact));
                    }
                }
            }
        }
        Ok(findings)
    }
}

impl Findings {
    /// Findings by some names only.
    #[must_use]
    pub fn of(&self, names: &[Pseudonym]) -> Self {
        let of_name = |name: &Pseudonym| Some((*name, self.0.get(name)?.clone()));
        Self(names.iter().filter_map(of_name).collect())
    }

    /// Findings without those of some records.
    #[must_use]
    pub fn without(mut self, records: &BTreeSet<RecordDigest>) -> Self {
        for facts in self.0.values_mut() {
            facts.retain(|record, _| !records.contains(record));
        }
        self
    }

    /// Names by which some fact of the other findings is not found here.
    #[must_use]
    pub fn lacks(&self, other: &Self) -> Vec<Pseudonym> {
        let lacks = |name: &Pseudonym, facts: &Facts| {
            let found = self.0.get(name);
            let is_found = |entry: (&RecordDigest, &(Version, Fact))| {
                found.and_then(|found| found.get(entry.0)) == Some(entry.1)
            };
            !facts.iter().all(is_found)
        };
        let lacking = other.0.iter().filter(|(name, facts)| lacks(name, facts));
        lacking.map(|(name, _)| *name).collect()
    }

    /// Names by which other facts are found here than there.
    #[must_use]
    pub fn differs(&self, other: &Self) -> Vec<Pseudonym> {
        let names = self.0.keys().chain(other.0.keys());
        let mut differing: Vec<Pseudonym> = names
            .filter(|name| self.0.get(name) != other.0.get(name))
            .copied()
            .collect();
        differing.sort_unstable();
        differing.dedup();
        differing
    }
}
