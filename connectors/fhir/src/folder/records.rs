//! Records at places in the files, with their persons.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use connector_kit::{ClinicRecord, Feed, Person, RecordStatus, SourceError};

use super::content;
use super::index::{Entry, Index};
use super::line;
use super::line_place::LinePlace;
use super::settings::FolderSettings;
use crate::bundle::{PatientEntry, Resource};
use crate::fact::{self, MappedResource, resource_type};
use crate::model::Reference;
use crate::patient_links::MAX_LINKED;
use crate::patients::Patients;
use crate::records::record;

/// Patients that the records of one page name, of whom one has to be there.
const MIN_JUDGED: usize = 20;

/// The index with the settings and the moment by which it is read.
#[derive(Clone, Copy)]
pub(super) struct RecordReader<'a> {
    pub index: &'a Index,
    pub settings: &'a FolderSettings,
    pub now: DateTime<Utc>,
}

/// A resource with its content mapped.
pub(super) struct MappedLine {
    pub resource: Resource,
    pub mapped: MappedResource,
}

impl<'a> RecordReader<'a> {
    /// The records of some entries of a feed, in their order.
    ///
    /// # Errors
    /// [`SourceError::Retry`] where a file has changed; [`SourceError::Misconfigured`] where the
    /// folder shows none of the patients that the records name.
    pub(super) fn records(
        self,
        feed: Feed,
        entries: &[Entry<'_>],
    ) -> Result<Vec<ClinicRecord>, SourceError> {
        let mut records = Vec::with_capacity(entries.len());
        let most = self.settings.limits.page_bytes;
        let mut rest = entries;
        while !rest.is_empty() {
            let count = fitting(rest.iter().map(|entry| entry.place), most);
            records.extend(self.group(feed, &rest[..count])?);
            rest = &rest[count..];
        }
        Ok(records)
    }

    fn group(self, feed: Feed, entries: &[Entry<'_>]) -> Result<Vec<ClinicRecord>, SourceError> {
        let readable = entries.iter().filter(|entry| entry.is_readable);
        let places: Vec<LinePlace> = readable.map(|entry| entry.place).collect();
        let lines = self.mapped(feed, &places)?;
        let patients = self.patients(&lines, |_| ())?;
        let mut lines = lines.into_iter();
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            if !entry.is_readable {
                records.push(unreadable(feed, entry.name, self.settings));
            } else if let Some(line) = lines.next() {
                records.push(record(feed, &line.resource, line.mapped, &patients));
            }
        }
        Ok(records)
    }

    /// The resources at some places, mapped, in their order.
    pub(super) fn mapped(
        self,
        feed: Feed,
        places: &[LinePlace],
    ) -> Result<Vec<MappedLine>, SourceError> {
        let mut lines: Vec<Option<MappedLine>> = places.iter().map(|_| None).collect();
        content::read(self.index, places, |number, text| {
            let resource = line::parsed(text, resource_type(feed)).ok_or_else(moved)?;
            let mapped = fact::map(feed, text, self.settings.rules);
            lines[number] = Some(MappedLine { resource, mapped });
            Ok(())
        })?;
        Ok(lines.into_iter().flatten().collect())
    }

    /// The patients that records name, and those they are linked to. `see` is shown every Patient
    /// that is read.
    pub(super) fn patients(
        self,
        lines: &[MappedLine],
        mut see: impl FnMut(&PatientEntry),
    ) -> Result<Patients<'a>, SourceError> {
        let settings = self.settings;
        let addresses = settings.addresses.clone();
        let mut patients = Patients::new(&settings.identifier_systems, addresses, self.now);
        let subjects: Vec<&Reference> = lines.iter().map(|line| &line.mapped.subject).collect();
        let mut asked = BTreeSet::new();
        let mut asked_for_links = BTreeSet::new();
        for _ in 0..2 * MAX_LINKED {
            let mut ids = BTreeSet::new();
            let mut unlinked = BTreeSet::new();
            for subject in &subjects {
                patients.look_through(subject, &mut ids, &mut unlinked);
            }
            ids.retain(|id| asked.insert(id.clone()));
            unlinked.retain(|id| asked_for_links.insert(id.clone()));
            if ids.is_empty() && unlinked.is_empty() {
                break;
            }
            self.add_patients(&mut patients, &ids, &mut see)?;
            for old in &unlinked {
                for by in self.index.replaced.get(old).into_iter().flatten() {
                    patients.replace(old, by);
                }
            }
        }
        Ok(patients)
    }

    fn add_patients(
        self,
        patients: &mut Patients<'_>,
        ids: &BTreeSet<String>,
        see: &mut impl FnMut(&PatientEntry),
    ) -> Result<(), SourceError> {
        let table = &self.index.patients;
        let found = ids.iter().filter_map(|id| table.get(id));
        let places: Vec<LinePlace> = found.map(|entry| entry.place).collect();
        let shows_none = places.is_empty() && patients.count() == 0;
        if shows_none && (ids.len() >= MIN_JUDGED || (!ids.is_empty() && table.is_empty())) {
            return Err(no_patients(ids.len()));
        }
        content::read(self.index, &places, |_, text| {
            let entry = PatientEntry::from(line::parsed(text, "Patient").ok_or_else(moved)?);
            see(&entry);
            patients.insert(entry);
            Ok(())
        })?;
        // That a file lacks somebody does not say that they are gone: a part of the export may be
        // missing. Only a list of what was deleted says it.
        let deleted = &self.index.deleted_patients;
        let is_missing = |id: &&String| table.get(id).is_none() && !deleted.contains(*id);
        patients.hide(ids.iter().filter(is_missing).cloned().collect());
        Ok(())
    }
}

/// Number of the first lines that have at most so many bytes together; at least one.
pub(super) fn fitting(places: impl Iterator<Item = LinePlace>, most: u64) -> usize {
    let mut bytes = 0;
    places
        .enumerate()
        .take_while(|(number, place)| {
            bytes += u64::from(place.length);
            *number == 0 || bytes <= most
        })
        .count()
}

/// The refusal of a line that is no resource.
fn unreadable(feed: Feed, name: &str, settings: &FolderSettings) -> ClinicRecord {
    ClinicRecord {
        record_id: format!("{}/{name}", resource_type(feed)),
        status: RecordStatus::Unreadable,
        unmapped_status: None,
        person: Person::default(),
        fact: fact::map(feed, "", settings.rules).fact,
        stamp: None,
    }
}

fn moved() -> SourceError {
    SourceError::retry("the files have changed while they were read; the folder is read again")
}

fn no_patients(named: usize) -> SourceError {
    SourceError::misconfigured(
        format!("the folder has none of the {named} patients that its records name"),
        "put the export's files of Patient into the folder as well, of the same export; until \
         then this feed stands still, and nothing that was sent of it is withdrawn",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_together_up_to_the_limit_and_one_always() {
        let places = |lengths: &[u32]| {
            let place = |length: &u32| LinePlace {
                file: 0,
                offset: 0,
                length: *length,
            };
            lengths.iter().map(place).collect::<Vec<_>>()
        };
        let count = |lengths: &[u32]| fitting(places(lengths).into_iter(), 10);
        assert_eq!(count(&[5, 5, 1]), 2);
        assert_eq!(count(&[5, 6]), 1);
        assert_eq!(count(&[11, 1]), 1);
        assert_eq!(count(&[]), 0);
    }
}
