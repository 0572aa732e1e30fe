//! Undoing of what a compromised account stated: listed records are withdrawn, with the links that
//! they made, and newer versions of them are refused.
//!
//! A record is withdrawn only where the version that is stored is one that the list names: then it
//! is what the account stated. Its facts go, its set of names loses a record, who is one person is
//! found anew, and whoever is touched is marked, so that passes are judged anew; all that by the
//! same means as a withdrawal of the clinic's own.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use contract::FactKind;
use escrow::StatedRecord;
use linking::{LinkRules, NameSetId, SetChange, StoredRecord, StoredVersion, SubjectId};

use super::error::StoreError;
use super::marks::NewMarks;
use super::person_statements::NameValue;
use super::persons::{Linking, relink};
use super::transaction::{Abort, StoreTransaction};
use super::{Store, in_time};

/// Most records in one transaction, for which the other writers wait.
const PART_RECORDS: usize = if cfg!(test) { 3 } else { 200 };
/// Most names of a person whose passes are counted.
const MAX_NAMES: usize = 64;

/// Record of a list, with all its versions that the list names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedRecord {
    pub(super) record: StoredRecord,
    pub(super) versions: Vec<i64>,
}

/// Manner in which a part of a list is purged.
#[derive(Debug, Clone, Copy)]
pub(super) struct PurgeManner {
    /// Rolled back at its end.
    pub is_dry_run: bool,
    /// Given up where it would have to read too much of who is one person.
    pub is_bounded: bool,
    /// Newer versions of the records are never taken again: their person is deleted.
    pub is_deletion: bool,
}

/// Counts of a purge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// Number of records whose facts were withdrawn, by kind of fact.
    pub withdrawn: BTreeMap<FactKind, usize>,
    /// Number of records that the account had withdrawn itself, and that take no newer version now.
    pub already_withdrawn: usize,
    /// Number of records that were purged before, or whose person was deleted.
    pub already_purged: usize,
    /// Number of records that are stored in a version that the list does not name. They stay.
    pub other_version: usize,
    /// Number of records that are not stored.
    pub unknown: usize,
    /// Number of persons who had a withdrawn fact.
    pub persons: usize,
    /// Number of passes and certificates that were issued for these persons, and that are judged
    /// anew.
    pub passes: u64,
}

/// Result of one transaction of a purge.
#[derive(Debug, Default)]
pub(super) struct PurgedPart {
    counts: Purged,
    subjects: BTreeSet<SubjectId>,
    /// Names of these subjects, before.
    names: BTreeSet<NameValue>,
}

/// Purges a part of a list within the transaction; the caller commits, or rolls back.
pub(super) async fn purge(
    transaction: &mut dyn StoreTransaction,
    listed: &[ListedRecord],
    rules: &LinkRules,
    manner: PurgeManner,
    now: DateTime<Utc>,
) -> Result<PurgedPart, Abort> {
    // Alone: it may put apart what two others work on.
    transaction.lock_writers(true).await?;
    let records: Vec<StoredRecord> = listed.iter().map(|listed| listed.record).collect();
    let stored = transaction.lock_stored(&records).await?;
    let mut part = PurgedPart::default();
    let mut purged = Vec::new();
    let mut sets: BTreeMap<NameSetId, i64> = BTreeMap::new();
    for listed in listed {
        let held = stored.get(&listed.record);
        if part.counts.judge(held, &listed.versions) {
            purged.push(listed.record);
            if let Some(set) = held.and_then(|held| held.name_set) {
                *sets.entry(set).or_default() -= 1;
            }
        }
    }
    note_persons(transaction, &sets, &mut part).await?;
    let changes: Vec<SetChange<'_>> = sets
        .into_iter()
        .map(|(id, change)| SetChange {
            id,
            change,
            names: &[],
        })
        .collect();
    let linking = Linking {
        rules,
        is_bounded: manner.is_bounded,
        now,
    };
    let mut marks = NewMarks::default();
    relink(transaction, &changes, linking, &mut marks).await?;
    marks.write(transaction, now).await?;
    let changed = transaction.purge_facts(&purged, manner.is_deletion).await?;
    if changed != purged.len() as u64 {
        return Err(Abort::Raced);
    }
    Ok(part)
}

impl Purged {
    /// Counts a record, and returns whether it is to be purged.
    fn judge(&mut self, held: Option<&StoredVersion>, versions: &[i64]) -> bool {
        let Some(held) = held else {
            self.unknown += 1;
            return false;
        };
        if held.purged {
            self.already_purged += 1;
        } else if !versions.contains(&held.version) {
            self.other_version += 1;
        } else if held.withdrawn {
            self.already_withdrawn += 1;
            return true;
        } else {
            *self.withdrawn.entry(held.kind).or_default() += 1;
            return true;
        }
        false
    }

    /// Adds the counts of records of another part.
    fn add_records(&mut self, part: &Self) {
        for (kind, records) in &part.withdrawn {
            *self.withdrawn.entry(*kind).or_default() += records;
        }
        self.already_withdrawn += part.already_withdrawn;
        self.already_purged += part.already_purged;
        self.other_version += part.other_version;
        self.unknown += part.unknown;
    }
}

/// Notes whose facts go: the subjects of the sets, and all their names.
async fn note_persons(
    transaction: &mut dyn StoreTransaction,
    sets: &BTreeMap<NameSetId, i64>,
    part: &mut PurgedPart,
) -> Result<(), Abort> {
    let ids: Vec<NameSetId> = sets.keys().copied().collect();
    let rows = transaction.lock_sets(&ids).await?;
    // A fact is its set's strongest name's.
    let strongest: BTreeSet<NameValue> = rows
        .iter()
        .filter_map(|set| set.names.first().copied())
        .collect();
    let strongest: Vec<NameValue> = strongest.into_iter().collect();
    let names = transaction.names(&strongest).await?;
    part.subjects.extend(names.iter().map(|row| row.subject));
    let subjects: Vec<SubjectId> = part.subjects.iter().copied().collect();
    let names = transaction.names_of_subjects(&subjects, MAX_NAMES).await?;
    part.names.extend(names.iter().map(|row| row.name.value));
    Ok(())
}

/// Has newer versions of purged records taken again, within the transaction, but for those of deleted
/// persons; returns their number.
pub(super) async fn permit(
    transaction: &mut dyn StoreTransaction,
    records: &[StoredRecord],
) -> Result<u64, Abort> {
    transaction.lock_writers(true).await?;
    transaction.lock_stored(records).await?;
    Ok(transaction.permit_facts(records).await?)
}

/// Records of a list, each once, sorted.
fn listed(list: &[StatedRecord]) -> Vec<ListedRecord> {
    let mut versions: BTreeMap<StoredRecord, Vec<i64>> = BTreeMap::new();
    for stated in list {
        let of_record = versions.entry(stated.record).or_default();
        of_record.push(stated.version.to_i64());
    }
    let listed = versions.into_iter();
    let listed = listed.map(|(record, versions)| ListedRecord { record, versions });
    listed.collect()
}

impl Store {
    /// Withdraws the records of a list whose stored version the list names, in transactions of a
    /// few hundred records. What was done stays done; the rest is done when it is called again.
    /// `is_dry_run` rolls each transaction back. `progress` is told the number of records looked
    /// at.
    pub(crate) async fn purge(
        &self,
        list: &[StatedRecord],
        is_dry_run: bool,
        now: DateTime<Utc>,
        progress: impl FnMut(usize),
    ) -> Result<Purged, StoreError> {
        let manner = PurgeManner {
            is_dry_run,
            is_bounded: true,
            is_deletion: false,
        };
        self.purge_parts(list, manner, now, progress).await
    }

    /// Withdraws the records of a person as [`Self::purge`] does, for good.
    pub(crate) async fn delete(
        &self,
        list: &[StatedRecord],
        is_dry_run: bool,
        now: DateTime<Utc>,
    ) -> Result<Purged, StoreError> {
        let manner = PurgeManner {
            is_dry_run,
            is_bounded: true,
            is_deletion: true,
        };
        self.purge_parts(list, manner, now, |_| ()).await
    }

    async fn purge_parts(
        &self,
        list: &[StatedRecord],
        manner: PurgeManner,
        now: DateTime<Utc>,
        mut progress: impl FnMut(usize),
    ) -> Result<Purged, StoreError> {
        let listed = listed(list);
        let mut all = Purged::default();
        let mut persons = BTreeSet::new();
        let mut counted = BTreeSet::new();
        let mut size = PART_RECORDS;
        let mut done = 0;
        while done < listed.len() {
            let end = listed.len().min(done + size);
            let manner = PurgeManner {
                is_bounded: end - done > 1,
                ..manner
            };
            let records = &listed[done..end];
            let run = || self.backend.purge(records, &self.rules, manner, now);
            let part = match self.alone(run).await {
                Err(StoreError::TooMuch) if size > 1 => {
                    size = size.div_ceil(4);
                    continue;
                }
                part => part?,
            };
            all.add_records(&part.counts);
            persons.extend(part.subjects);
            let names: Vec<NameValue> = part.names.difference(&counted).copied().collect();
            all.passes += self.count_issued(&names, now).await?;
            counted.extend(names);
            done = end;
            progress(done);
        }
        all.persons = persons.len();
        Ok(all)
    }

    /// Number of passes and certificates of these names that have not ended.
    async fn count_issued(
        &self,
        names: &[NameValue],
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let names = in_time(self.backend.marked_names(names, &[], now)).await?;
        let passes = self.open_passes(&names, now).await?;
        let passes = passes.iter().map(|count| count.issued - count.ended);
        let certificates = in_time(self.backend.open_certificates(&names, now)).await?;
        let certificates = certificates.iter().map(|count| count.issued - count.ended);
        Ok(passes.chain(certificates).map(u64::from).sum())
    }

    /// Has newer versions of the purged records of a list taken again; returns their number.
    pub(crate) async fn permit(&self, list: &[StatedRecord]) -> Result<u64, StoreError> {
        let listed = listed(list);
        let mut permitted = 0;
        for part in listed.chunks(PART_RECORDS) {
            let records: Vec<StoredRecord> = part.iter().map(|listed| listed.record).collect();
            permitted += self.alone(|| self.backend.permit(&records)).await?;
        }
        Ok(permitted)
    }
}
