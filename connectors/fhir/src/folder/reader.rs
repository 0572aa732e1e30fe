//! The folder as a source: looks at it, keeps the index of its state, and answers from that.

use std::collections::BTreeSet;
use std::sync::Arc;

use az::SaturatingAs;
use chrono::{DateTime, Utc};
use connector_kit::{
    ClinicRecord, Feed, KeysPage, KeysRequest, Page, PageRequest, RecordKey, SourceError,
    SourceSurprise, verify_fetch_count,
};

use super::index::{Entry, Index};
use super::indexing;
use super::look::Look;
use super::position::{FolderKeysPosition, FolderPosition};
use super::records::{RecordReader, fitting};
use super::settings::FolderSettings;
use crate::cursor::{read_text, write_text};
use crate::fact::resource_type;

/// Reader of one folder; it blocks while it reads.
pub(super) struct FolderReader {
    settings: Arc<FolderSettings>,
    index: Option<Arc<Index>>,
    /// State that was seen before it could be read, and when.
    waiting: Option<SeenState>,
}

/// State of the folder, and the moment of the first look at it.
struct SeenState {
    state: u64,
    changed: Option<DateTime<Utc>>,
    at: DateTime<Utc>,
}

impl FolderReader {
    pub(super) const fn new(settings: Arc<FolderSettings>) -> Self {
        Self {
            settings,
            index: None,
            waiting: None,
        }
    }

    pub(super) fn settings(&self) -> &FolderSettings {
        &self.settings
    }

    /// A page of a feed.
    pub(super) fn page(&mut self, request: &PageRequest) -> Result<Page, SourceError> {
        let stored: Option<FolderPosition> = request.after.as_ref().map(read_text).transpose()?;
        let look = self.look()?;
        let is_same = |position: &FolderPosition| position.folder_state == Some(look.state);
        let is_read = |position: &FolderPosition| is_same(position) && position.behind.is_none();
        if request.first_of_run && stored.as_ref().is_some_and(is_read) {
            return Ok(Page {
                records: Vec::new(),
                next: None,
                resume: None,
                surprise: None,
            });
        }
        let index = self.index_of(&look, request.now)?;
        self.verify_there(&index, request.feed)?;
        let goes_on = !request.first_of_run || stored.as_ref().is_some_and(is_same);
        let mut surprise = None;
        let mut position = match stored {
            Some(stored) if goes_on => FolderPosition {
                folder_state: stored.folder_state.filter(|state| *state == look.state),
                ..stored
            },
            stored => {
                let newest = index.newest(request.feed, request.now.timestamp_micros());
                let before = stored.and_then(|stored| stored.newest);
                let went_back = newest.is_some() && newest < before;
                surprise = went_back.then_some(SourceSurprise::StampsWentBack);
                FolderPosition {
                    folder_state: Some(look.state),
                    behind: None,
                    newest: newest.or(before),
                }
            }
        };
        let entries = entries(
            &index,
            request.feed,
            position.behind.as_deref(),
            request.limit,
        );
        let most = self.settings.limits.page_bytes;
        let taken = fitting(entries.iter().map(|entry| entry.place), most);
        let records = self
            .reader(&index, request.now)
            .records(request.feed, &entries[..taken])?;
        position.behind = last_name(&index, request.feed, &entries[..taken]);
        let resume = write_text(&position)?;
        Ok(Page {
            records,
            next: position.behind.is_some().then(|| resume.clone()),
            resume: Some(resume),
            surprise,
        })
    }

    /// A page of the ids and stamps of a feed.
    pub(super) fn keys(&mut self, request: &KeysRequest) -> Result<KeysPage, SourceError> {
        let stored: Option<FolderKeysPosition> =
            request.after.as_ref().map(read_text).transpose()?;
        let index = self.index(request.now)?;
        self.verify_there(&index, request.feed)?;
        verify_readable(&index, request.feed)?;
        let behind = stored.as_ref().map(|stored| stored.keys_behind.as_str());
        let entries = entries(&index, request.feed, behind, request.limit);
        let next = last_name(&index, request.feed, &entries)
            .map(|keys_behind| write_text(&FolderKeysPosition { keys_behind }))
            .transpose()?;
        let kind = resource_type(request.feed);
        let key = |entry: &Entry<'_>| RecordKey {
            record_id: format!("{kind}/{}", entry.name),
            stamp: entry.stamp,
        };
        Ok(KeysPage {
            keys: entries.iter().map(key).collect(),
            next,
            surprise: None,
        })
    }

    /// The records with these ids; those that are gone are left out.
    pub(super) fn fetch(
        &mut self,
        feed: Feed,
        record_ids: &[String],
        now: DateTime<Utc>,
    ) -> Result<Vec<ClinicRecord>, SourceError> {
        verify_fetch_count(record_ids)?;
        let index = self.index(now)?;
        self.verify_there(&index, feed)?;
        let prefix = format!("{}/", resource_type(feed));
        let ids = record_ids.iter().filter_map(|id| id.strip_prefix(&prefix));
        let names: BTreeSet<&str> = ids.collect();
        let table = index.table(feed);
        let found: Vec<Entry<'_>> = names.iter().filter_map(|name| table.get(name)).collect();
        if found.len() < names.len() {
            verify_readable(&index, feed)?;
        }
        self.reader(&index, now).records(feed, &found)
    }

    /// A reader of the index as it is.
    pub(super) fn reader<'a>(&'a self, index: &'a Index, now: DateTime<Utc>) -> RecordReader<'a> {
        RecordReader {
            index,
            settings: &self.settings,
            now,
        }
    }

    /// Looks at the folder.
    pub(super) fn look(&self) -> Result<Look, SourceError> {
        Look::take(&self.settings.path, self.settings.limits)
    }

    /// The index of the folder's present state.
    pub(super) fn index(&mut self, now: DateTime<Utc>) -> Result<Arc<Index>, SourceError> {
        let look = self.look()?;
        self.index_of(&look, now)
    }

    fn index_of(&mut self, look: &Look, now: DateTime<Utc>) -> Result<Arc<Index>, SourceError> {
        if let Some(index) = self
            .index
            .as_ref()
            .filter(|index| index.state == look.state)
        {
            return Ok(Arc::clone(index));
        }
        self.verify_settled(look, now)?;
        // Only one of the two is held in memory.
        self.index = None;
        let index = Arc::new(indexing::index(look, &self.settings)?);
        if self.look()?.state != look.state {
            return Err(SourceError::retry(
                "the folder has changed while it was read; it is read again",
            ));
        }
        let tally = &index.tally;
        tracing::info!(
            files = index.files.len(),
            records = index.len() - index.patients.len(),
            patients = index.patients.len(),
            older_versions = tally.older_versions,
            "a new state of the folder is read"
        );
        self.index = Some(Arc::clone(&index));
        Ok(index)
    }

    /// Fails while somebody may still be writing into the folder. A time in the future, by a clock
    /// that is ahead, is settled once it has been seen to stay.
    fn verify_settled(&mut self, look: &Look, now: DateTime<Utc>) -> Result<(), SourceError> {
        let settle = self.settings.limits.settle;
        let age = look.changed.map(|changed| now - changed);
        if age.is_some_and(|age| age >= settle) {
            return Ok(());
        }
        let is_seen = |seen: &SeenState| seen.state == look.state && seen.changed == look.changed;
        if self.waiting.as_ref().is_some_and(is_seen) {
            let seen_for = self.waiting.as_ref().map(|seen| now - seen.at);
            if seen_for.is_some_and(|seen_for| seen_for >= settle) {
                return Ok(());
            }
        } else {
            self.waiting = Some(SeenState {
                state: look.state,
                changed: look.changed,
                at: now,
            });
        }
        let seconds = settle.num_seconds();
        let what = match age.map(|age| age.num_seconds()) {
            Some(age) if age >= 0 => format!(
                "something in the folder has changed {age} s ago; it is read once nothing has \
                 changed for {seconds} s (settle_seconds)"
            ),
            _ => format!(
                "a file's time lies in the future; the folder is read once nothing is seen to \
                 change for {seconds} s (settle_seconds)"
            ),
        };
        Err(SourceError::retry(what))
    }

    /// Fails where the folder has no resource of a feed's type: an export that lacks it says
    /// nothing of the records.
    pub(super) fn verify_there(&self, index: &Index, feed: Feed) -> Result<(), SourceError> {
        let kind = resource_type(feed);
        if !self.settings.feeds.contains(&feed) || index.tally.of(kind) > 0 {
            return Ok(());
        }
        Err(SourceError::misconfigured(
            format!("the folder has no resource of the type {kind}"),
            format!(
                "put the export's files of {kind} there as well, or leave {feed} out of feeds; \
                 until then nothing of it is withdrawn. Where the clinic has none any more, put \
                 one there that is entered-in-error"
            ),
        ))
    }
}

/// Entries of a feed behind a name, at most so many.
fn entries<'a>(index: &'a Index, feed: Feed, behind: Option<&str>, limit: u32) -> Vec<Entry<'a>> {
    let limit: usize = limit.saturating_as();
    index.table(feed).behind(behind).take(limit).collect()
}

/// Name behind which a feed goes on after these entries; `None` where they were its last.
fn last_name(index: &Index, feed: Feed, entries: &[Entry<'_>]) -> Option<String> {
    let last = entries.last()?.name;
    let has_more = index.table(feed).behind(Some(last)).next().is_some();
    has_more.then(|| last.to_owned())
}

/// Fails where lines of a feed's type cannot be read: each may be that of a record that seems to be
/// gone.
fn verify_readable(index: &Index, feed: Feed) -> Result<(), SourceError> {
    let kind = resource_type(feed);
    let count = index.tally.unreadable(kind);
    if count == 0 {
        return Ok(());
    }
    Err(SourceError::misconfigured(
        format!(
            "{count} lines of the files of {kind} cannot be read (no JSON, no FHIR \
             resource, or longer than max_line_bytes), so nobody can tell what is gone"
        ),
        "have the files exported again; until then what can be read is sent, and nothing is \
         withdrawn",
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::json;

    use super::*;

    const FEED: Feed = Feed::Vaccinations;

    fn line(resource_type: &str, id: &str) -> String {
        let patient = json!({"reference": "Patient/p"});
        let line = json!({"resourceType": resource_type, "id": id, "patient": patient});
        format!("{line}\n")
    }

    /// A reader of a folder with a Patient and some vaccinations, whose limits can be set.
    fn settings(folder: &Path, ids: &[&str]) -> FolderSettings {
        fs::write(folder.join("Patient.ndjson"), line("Patient", "p")).unwrap();
        let lines: String = ids.iter().map(|id| line("Immunization", id)).collect();
        fs::write(folder.join("Immunization.ndjson"), lines).unwrap();
        let config = json!({"path": folder, "feeds": ["vaccinations"]});
        FolderSettings::new(&serde_json::from_value(config).unwrap(), Path::new("/")).unwrap()
    }

    /// A moment at which the files have settled.
    fn later() -> DateTime<Utc> {
        DateTime::from_timestamp(7_000_000_000, 0).unwrap()
    }

    #[test]
    fn an_index_holds_as_many_resources_as_it_may_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        for (most, is_read) in [(4, true), (3, false)] {
            let mut settings = settings(folder.path(), &["a", "b", "c"]);
            settings.limits.resources = most;
            let read = FolderReader::new(Arc::new(settings)).index(later());
            let failure = read.err().map(|error| error.to_string());
            assert_eq!(failure.is_none(), is_read, "{failure:?}");
            assert!(failure.is_none_or(|said| said.contains("more than 3 records and patients")));
        }
    }

    #[test]
    fn a_page_has_no_more_bytes_than_it_may_and_loses_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = line("Immunization", "a").len() as u64 - 1;
        for (most, pages) in [
            (3 * bytes, 1),
            (3 * bytes - 1, 2),
            (2 * bytes - 1, 3),
            (1, 3),
        ] {
            let mut settings = settings(folder.path(), &["a", "b", "c"]);
            settings.limits.page_bytes = most;
            let mut reader = FolderReader::new(Arc::new(settings));
            let mut request = PageRequest::first_records(FEED, 10, later());
            let mut ids = Vec::new();
            let mut count = 0;
            loop {
                let page = reader.page(&request).unwrap();
                count += 1;
                ids.extend(page.records.into_iter().map(|record| record.record_id));
                request.after = page.next;
                if request.after.is_none() {
                    break;
                }
            }
            assert_eq!((ids.len(), count), (3, pages), "{most} bytes");
            let fetched = reader.fetch(FEED, &ids, later()).unwrap();
            assert_eq!(fetched.len(), 3, "{most} bytes");
        }
    }

    #[test]
    fn a_file_that_changes_behind_the_index_is_no_shorter_list() {
        let folder = tempfile::tempdir().unwrap();
        let mut reader = FolderReader::new(Arc::new(settings(folder.path(), &["a", "b"])));
        let index = reader.index(later()).unwrap();
        fs::write(folder.path().join("Immunization.ndjson"), "").unwrap();
        let entries = entries(&index, FEED, None, 10);
        let failure = reader.reader(&index, later()).records(FEED, &entries).err();
        assert!(
            matches!(failure, Some(SourceError::Retry { .. })),
            "{failure:?}"
        );
    }
}
