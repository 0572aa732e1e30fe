//! What one page takes of a file of an export.

use std::collections::HashMap;

use connector_kit::{Feed, SourceError};

use super::manifest::FileKind;
use crate::bundle::{self, ServerPage};
use crate::fact::{self, resource_type};
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
        self.is_full
            || self.page.matches.len().max(self.deleted.len()) >= self.most
            || self.bytes >= most_bytes
            || self.scanned >= MAX_SCANNED
    }

    /// Takes a line of the file. Returns false for one that names more deletions than fit, so that
    /// the rest of it is for the next page.
    pub(crate) fn take(&mut self, line: &[u8]) -> Result<bool, SourceError> {
        self.scanned += line.len();
        match self.kind {
            FileKind::Outcomes => judge(line).map(|()| true),
            FileKind::Resources => self.take_resource(line).map(|()| true),
            FileKind::Deletions => self.take_deletions(line),
        }
    }

    /// Takes a resource, if it has codes that the feed asks for.
    fn take_resource(&mut self, line: &[u8]) -> Result<(), SourceError> {
        let kind = resource_type(self.feed);
        let Some(resource) = bundle::parse_line(line, kind)? else {
            return Ok(());
        };
        let codings = fact::codings_of(self.feed, resource.json.get());
        let queries = &self.session.queries;
        // What nobody can read could be anything: it is refused visibly.
        if codings.is_none_or(|codings| queries.asks_for(self.feed, &codings)) {
            self.bytes += line.len();
            bundle::keep_newest(&mut self.page.matches, &mut self.positions, resource);
        }
        Ok(())
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
