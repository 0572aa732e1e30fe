//! Files of exports that are open between two pages, so that a page goes on where the last one
//! ended.

use connector_kit::{Feed, SourceError};
use tokio::sync::{Mutex, MutexGuard};

use super::file_lines::{FileLines, NextLine};
use super::lines::FileLine;
use super::manifest::Manifest;
use crate::http::files::FileAnswer;
use crate::transport_error;

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
    answer: FileAnswer,
    lines: FileLines,
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
    pub(crate) const fn new(answer: FileAnswer, number: usize, limit: usize) -> Self {
        Self {
            answer,
            lines: FileLines::new(limit),
            number,
            line: 0,
        }
    }

    /// Gives the next line to `take`, and counts it as read where that succeeds; returns false at
    /// the end of the file. Nothing is lost where this is dropped while it waits.
    ///
    /// # Errors
    /// [`SourceError::Retry`] where the file breaks off, also within a line or within what it is
    /// packed in.
    pub(crate) async fn next_line(
        &mut self,
        take: &mut (impl FnMut(FileLine<'_>) -> Result<(), SourceError> + Send),
    ) -> Result<bool, SourceError> {
        loop {
            match self.lines.next_line(take)? {
                NextLine::Taken => {
                    self.line += 1;
                    return Ok(true);
                }
                NextLine::End => return Ok(false),
                // A small piece may unpack to much: others get their turn, and time runs.
                NextLine::Unpacked => tokio::task::yield_now().await,
                NextLine::PieceNeeded => {
                    let peer = self.answer.peer;
                    let piece = self.answer.response.chunk().await;
                    match piece.map_err(|error| transport_error::refusal(&error, peer))? {
                        Some(piece) => self.lines.add(&piece),
                        None => self.lines.end()?,
                    }
                }
            }
        }
    }
}
