//! Part of a file of an export that makes one page.

use std::collections::HashMap;

use connector_kit::{ClinicRecord, Feed, Person, RecordStatus, SourceError};
use serde_json::Value;

use super::leading;
use super::lines::FileLine;
use super::manifest::FileKind;
use crate::bundle::{self, ServerPage};
use crate::fact::{self, resource_type};
use crate::fingerprint;
use crate::outcome::{self, Weight};
use crate::session::FhirSession;

/// Most bytes of lines that are looked at for one page, whether or not they are taken.
const MAX_SCANNED: usize = 64 * 1024 * 1024;

/// Lines that are taken for a page.
pub(crate) struct Taken<'a> {
    session: &'a FhirSession,
    feed: Feed,
    kind: FileKind,
    /// Most records, or deletions.
    most: usize,
    /// Resources of the feed.
    pub page: ServerPage,
    positions: HashMap<String, usize>,
    /// Records of lines that are too long or no JSON, to be refused visibly.
    pub unusable: Vec<ClinicRecord>,
    /// Ids of deleted resources.
    pub deleted: Vec<String>,
    /// Deletions of the next line that have been taken, if it names more than fit.
    pub entry: usize,
    is_full: bool,
    bytes: usize,
    scanned: usize,
}

impl<'a> Taken<'a> {
    pub(crate) fn new(
        session: &'a FhirSession,
        feed: Feed,
        kind: FileKind,
        most: usize,
        entry: usize,
    ) -> Self {
        Self {
            session,
            feed,
            kind,
            most,
            page: ServerPage::default(),
            positions: HashMap::new(),
            unusable: Vec::new(),
            deleted: Vec::new(),
            entry,
            is_full: false,
            bytes: 0,
            scanned: 0,
        }
    }

    /// True once the page is full: of records, of their bytes, or of bytes looked at.
    pub(crate) fn is_full(&self) -> bool {
        let most_bytes = usize::try_from(self.session.config.max_body_bytes).unwrap_or(usize::MAX);
        let records = self.page.matches.len() + self.unusable.len() + self.deleted.len();
        self.is_full
            || records >= self.most
            || self.bytes >= most_bytes
            || self.scanned >= MAX_SCANNED
    }

    /// Takes a line of the file. Returns false for one that names more deletions than fit, so that
    /// the rest of it is for the next page.
    pub(crate) fn take(&mut self, line: FileLine<'_>) -> Result<bool, SourceError> {
        let (FileLine::Whole(text) | FileLine::TooLong(text)) = line;
        self.scanned += text.len();
        match (self.kind, line) {
            (FileKind::Resources, FileLine::TooLong(head)) => {
                self.add_unusable(head);
                Ok(true)
            }
            (_, FileLine::TooLong(_)) => Err(too_long(self.session)),
            (FileKind::Outcomes, FileLine::Whole(text)) => judge(text).map(|()| true),
            (FileKind::Resources, FileLine::Whole(text)) => self.take_resource(text).map(|()| true),
            (FileKind::Deletions, FileLine::Whole(text)) => self.take_deletions(text),
        }
    }

    /// Takes a resource, if it has codes that the feed asks for.
    fn take_resource(&mut self, line: &[u8]) -> Result<(), SourceError> {
        let Ok(json) = serde_json::from_slice(line) else {
            self.add_unusable(line);
            return Ok(());
        };
        let Some(resource) = bundle::exported(json, resource_type(self.feed))? else {
            return Ok(());
        };
        let codings = fact::codings_of(self.feed, resource.json.get());
        // What nobody can read could be anything: it is refused visibly.
        if codings.is_none_or(|codings| self.session.queries.asks_for(self.feed, &codings)) {
            self.bytes += line.len();
            bundle::keep_newest(&mut self.page.matches, &mut self.positions, resource);
        }
        Ok(())
    }

    /// Takes a line of which only the beginning can be read, unless its codes are there and are
    /// others than the feed asks for.
    fn add_unusable(&mut self, head: &[u8]) {
        let elements = leading::elements(head);
        let id = bundle::usable_id(elements.get("id").unwrap_or(&Value::Null));
        let has_codes = elements.contains_key("code") || elements.contains_key("vaccineCode");
        let known = Value::Object(elements).to_string();
        let codings = fact::codings_of(self.feed, &known).filter(|_| has_codes);
        if codings.is_some_and(|codings| !self.session.queries.asks_for(self.feed, &codings)) {
            return;
        }
        let kind = resource_type(self.feed);
        let print = fingerprint::of_text(&String::from_utf8_lossy(head));
        let record = match id {
            Some(id) => {
                without_content(self.feed, format!("{kind}/{id}"), RecordStatus::Unreadable)
            }
            None => without_content(
                self.feed,
                format!("{kind}/?{print:016x}"),
                RecordStatus::Unknown,
            ),
        };
        self.unusable.push(record);
    }

    fn take_deletions(&mut self, line: &[u8]) -> Result<bool, SourceError> {
        let kind = resource_type(self.feed);
        let named = bundle::parse_history(line, kind)?.deleted;
        let room = self.most - self.deleted.len();
        let rest = named.len().saturating_sub(self.entry);
        let ids = named.into_iter().skip(self.entry).take(room);
        self.deleted.extend(ids);
        self.is_full = rest > room;
        self.entry = if self.is_full { self.entry + room } else { 0 };
        Ok(!self.is_full)
    }
}

/// A record of which nothing but its id and status is known.
pub(crate) fn without_content(feed: Feed, record_id: String, status: RecordStatus) -> ClinicRecord {
    ClinicRecord {
        record_id,
        status,
        unmapped_status: None,
        person: Person::default(),
        fact: fact::unread(feed),
        stamp: None,
    }
}

fn too_long(session: &FhirSession) -> SourceError {
    SourceError::misconfigured(
        format!(
            "the FHIR server's bulk export names more deletions or outcomes in one line than fit \
             into {} bytes",
            session.config.max_body_bytes
        ),
        "raise max_body_bytes, or write first_load = \"search\"",
    )
}

/// Judges an `OperationOutcome` of the export: remarks are logged, and an export that is not whole
/// is none.
fn judge(line: &[u8]) -> Result<(), SourceError> {
    let words = outcome::describe(line).unwrap_or_default();
    if outcome::weight(line) == Weight::Remark {
        tracing::warn!(
            outcome = words,
            "the FHIR server adds a remark to its bulk export"
        );
        return Ok(());
    }
    Err(SourceError::misconfigured(
        format!("the FHIR server says that its bulk export is not whole: {words}"),
        "have that mended, then load from the beginning (sync --full); or write first_load = \
         \"search\"",
    ))
}
