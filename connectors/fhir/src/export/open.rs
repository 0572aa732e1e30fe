//! Files of exports that are open between two pages, so that a page goes on where the last one
//! ended.

use connector_kit::{Feed, SourceError};
use reqwest::Response;
use tokio::sync::{Mutex, MutexGuard};

use super::lines::{FileLine, Lines};
use super::manifest::Manifest;
use crate::refusal::HttpRefusal;

/// Exports of which files are being read, by feed.
#[derive(Default)]
pub(crate) struct OpenExports([Mutex<Option<OpenExport>>; 3]);

/// An export of which files are being read.
pub(crate) struct OpenExport {
    /// Path and query of the job's status.
    pub job: String,
    pub manifest: Manifest,
    /// The file that is being read, if one is open.
    pub file: Option<OpenFile>,
}

/// A file of an export that is being read.
pub(crate) struct OpenFile {
    response: Response,
    lines: Lines,
    is_at_end: bool,
    /// Place of the file on the list.
    pub number: usize,
    /// Lines of it that have been read.
    pub line: u64,
}

impl OpenExports {
    /// The open export of a feed, for one page at a time.
    pub(crate) async fn of(&self, feed: Feed) -> MutexGuard<'_, Option<OpenExport>> {
        let slot = match feed {
            Feed::Vaccinations => &self.0[0],
            Feed::Tests => &self.0[1],
            Feed::Recoveries => &self.0[2],
        };
        slot.lock().await
    }
}

impl OpenExport {
    /// An export of which nothing has been read.
    pub(crate) fn new(job: &str, manifest: Manifest) -> Self {
        Self {
            job: job.to_owned(),
            manifest,
            file: None,
        }
    }
}

impl OpenFile {
    /// The beginning of a file. `limit`: the longest line, in bytes.
    pub(crate) const fn new(response: Response, number: usize, limit: usize) -> Self {
        Self {
            response,
            lines: Lines::new(limit),
            is_at_end: false,
            number,
            line: 0,
        }
    }

    /// Gives the next line to `take`, and counts it as read where that succeeds; returns false at
    /// the end of the file. Nothing is lost where this is dropped while it waits.
    pub(crate) async fn next_line(
        &mut self,
        take: &mut (impl FnMut(FileLine<'_>) -> Result<(), SourceError> + Send),
    ) -> Result<bool, SourceError> {
        loop {
            if let Some(line) = self.lines.next_whole() {
                take(line)?;
                self.line += 1;
                return Ok(true);
            }
            if self.is_at_end {
                let Some(line) = self.lines.rest() else {
                    return Ok(false);
                };
                take(line)?;
                self.line += 1;
                return Ok(true);
            }
            match self.response.chunk().await.map_err(HttpRefusal::from)? {
                Some(piece) => self.lines.push(&piece),
                None => self.is_at_end = true,
            }
        }
    }
}
