//! Makes the index of a folder's state: reads every line once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};

use connector_kit::{Feed, SourceError};

use super::deleted::Deleted;
use super::index::{Entry, Index, Table};
use super::line::{self, LineContent, ReadLine};
use super::line_place::LinePlace;
use super::lines::{Line, Lines};
use super::look::{ExportFile, Look};
use super::settings::FolderSettings;
use super::tally::Tally;
use super::unpacked::Unpacked;
use crate::bundle::Resource;
use crate::fact::{self, resource_type};
use crate::patient_links::{PatientLinks, reference};
use crate::patients::patient_id;

/// Reads the files of a look.
///
/// # Errors
/// [`SourceError::Retry`] where a file is not whole, or changes meanwhile;
/// [`SourceError::Misconfigured`] where a file is none of an export, the export says itself that it
/// is not whole, or there is more than the index may hold.
pub(super) fn index(look: &Look, settings: &FolderSettings) -> Result<Index, SourceError> {
    let mut indexing = Indexing {
        settings,
        deleted: Deleted::default(),
        index: Index {
            state: look.state,
            files: look.files.clone(),
            vaccinations: Table::default(),
            tests: Table::default(),
            recoveries: Table::default(),
            patients: Table::default(),
            replaced: BTreeMap::new(),
            deleted_patients: BTreeSet::new(),
            tally: Tally::default(),
        },
    };
    for (number, file) in look.files.iter().enumerate() {
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        indexing.read_file(number, file)?;
    }
    let deleted = indexing.deleted;
    let mut index = indexing.index;
    for feed in Feed::ALL {
        index.tally.older_versions += index.table_mut(feed).settle() as u64;
    }
    index.tally.older_versions += index.patients.settle() as u64;
    deleted.take_out(&mut index, settings)?;
    Ok(index)
}

struct Indexing<'a> {
    settings: &'a FolderSettings,
    deleted: Deleted,
    index: Index,
}

/// A line that is no resource.
struct UnreadableLine {
    place: LinePlace,
    fingerprint: u64,
}

impl Indexing<'_> {
    fn read_file(&mut self, number: u16, file: &ExportFile) -> Result<(), SourceError> {
        let opened = file.open()?;
        let mut unreadable = Vec::new();
        let first_type = self.read_lines(number, file, &opened, &mut unreadable)?;
        file.verify_unchanged(&opened)?;
        if unreadable.is_empty() {
            return Ok(());
        }
        let Some(first_type) = first_type else {
            return Err(SourceError::misconfigured(
                format!("no line of {} is a FHIR resource", file.shown),
                "take it out of the folder, or have it exported again as NDJSON; until then \
                 nothing is read, and nothing is withdrawn",
            ));
        };
        if first_type == "Bundle" {
            return Err(SourceError::misconfigured(
                format!(
                    "{} lines of {}, which lists what was deleted, cannot be read",
                    unreadable.len(),
                    file.shown
                ),
                "have the file exported again, or raise max_line_bytes; until then nothing is \
                 read, and nothing is withdrawn",
            ));
        }
        self.add_unreadable(&first_type, &unreadable);
        Ok(())
    }

    /// Reads the lines of a file. Returns the type of its first resource.
    fn read_lines(
        &mut self,
        number: u16,
        file: &ExportFile,
        opened: &File,
        unreadable: &mut Vec<UnreadableLine>,
    ) -> Result<Option<String>, SourceError> {
        let mut first_type = None;
        let failed = |error: std::io::Error| file.failed(error.kind());
        let content = Unpacked::new(opened).map_err(failed)?;
        let mut lines = Lines::new(content, self.settings.limits.line_bytes);
        while let Some(line) = lines.next_line().map_err(failed)? {
            let place = LinePlace {
                file: number,
                offset: line.offset,
                length: u32::try_from(line.bytes.len()).unwrap_or(u32::MAX),
            };
            if !line.is_ended && (line.is_too_long || !line::is_json(line.bytes)) {
                return Err(not_whole(file));
            }
            let read = self.read_line(&line);
            if matches!(read.content, LineContent::Unreadable) {
                unreadable.push(UnreadableLine {
                    place,
                    fingerprint: fingerprint(line.bytes),
                });
            } else {
                self.index.tally.count(&read.resource_type);
                first_type.get_or_insert(read.resource_type);
                self.take(read.content, place, file)?;
            }
            let held = self.index.len() + unreadable.len() + self.deleted.len();
            if held > self.settings.limits.resources {
                return Err(too_many(self.settings.limits.resources));
            }
        }
        Ok(first_type)
    }

    fn read_line(&self, line: &Line<'_>) -> ReadLine {
        if line.is_too_long {
            return ReadLine::unreadable();
        }
        line::read(line.bytes, self.settings)
    }

    fn take(
        &mut self,
        content: LineContent,
        place: LinePlace,
        file: &ExportFile,
    ) -> Result<(), SourceError> {
        match content {
            LineContent::Record(feed, resource) => {
                self.note_address(feed, &resource);
                let name = resource.record_id.split_once('/').unwrap_or_default().1;
                self.index.table_mut(feed).add(Entry {
                    name,
                    stamp: resource.stamp_micros(),
                    place,
                    is_readable: true,
                });
            }
            LineContent::OtherCode(feed) => self.index.tally.note_other(feed, place),
            LineContent::Patient(patient) => self.take_patient(&patient, place),
            LineContent::Deletions(list) => {
                self.index.tally.unnamed_deletions += list.unnamed;
                self.index.tally.other_bundles += u64::from(list.is_mixed);
                self.deleted.add(list);
            }
            LineContent::Incomplete(words) => return Err(incomplete(file, &words)),
            LineContent::Other | LineContent::Unreadable => {}
        }
        Ok(())
    }

    fn take_patient(&mut self, patient: &Resource, place: LinePlace) {
        // No record can name a patient without an id.
        let Some(id) = &patient.id else {
            return;
        };
        self.index.patients.add(Entry {
            name: id,
            stamp: patient.stamp_micros(),
            place,
            is_readable: true,
        });
        if !patient.json.get().contains("\"replaces\"") {
            return;
        }
        for old in PatientLinks::read(patient.json.get()).replaces {
            let old = reference(&old);
            if let Some(old) = patient_id(&old, &self.settings.addresses) {
                let by = self.index.replaced.entry(old.to_owned()).or_default();
                by.insert(id.clone());
            }
        }
    }

    /// Counts a record whose Patient cannot be known for want of `base_url`.
    fn note_address(&mut self, feed: Feed, resource: &Resource) {
        if self.settings.has_base_url {
            return;
        }
        let subject = fact::map(feed, resource.json.get(), self.settings.rules).subject;
        let reference = subject.reference.as_deref().unwrap_or_default().trim();
        let is_whole = reference.starts_with("http://") || reference.starts_with("https://");
        if is_whole && let Some(end) = reference.rfind("Patient/") {
            let tally = &mut self.index.tally;
            tally.whole_addresses += 1;
            let address = &reference[..end];
            tally.address.get_or_insert_with(|| address.to_owned());
        }
    }

    /// Lines that are no resources are refused as records of the type that their file begins with:
    /// an export has a file for each type.
    fn add_unreadable(&mut self, first_type: &str, unreadable: &[UnreadableLine]) {
        let count = unreadable.len() as u64;
        self.index.tally.note_unreadable(first_type, count);
        let mut feeds = self.settings.feeds.iter();
        let Some(feed) = feeds.find(|feed| resource_type(**feed) == first_type) else {
            return;
        };
        for line in unreadable {
            self.index.table_mut(*feed).add(Entry {
                name: &format!("?{:016x}", line.fingerprint),
                stamp: None,
                place: line.place,
                is_readable: false,
            });
        }
    }
}

fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn not_whole(file: &ExportFile) -> SourceError {
    SourceError::retry(format!(
        "{} is not whole: its last line is cut off. Nothing of the folder is read, and nothing is \
         withdrawn, before the file is whole",
        file.shown
    ))
}

fn incomplete(file: &ExportFile, words: &str) -> SourceError {
    SourceError::misconfigured(
        format!(
            "the export says in {} that it is not whole: {words}",
            file.shown
        ),
        "make the export again; until then nothing of it is read, and nothing is withdrawn",
    )
}

fn too_many(most: usize) -> SourceError {
    SourceError::misconfigured(
        format!("the folder has more than {most} records and patients"),
        "have the export leave out what is not asked for (its parameters _type and \
         _typeFilter), or take older exports out of the folder",
    )
}
