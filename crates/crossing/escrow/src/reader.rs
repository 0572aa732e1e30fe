//! Reading of a folder with the auditor's key.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use crate::block::{self, OpenError};
use crate::entry::Entry;
use crate::error::{EscrowError, io_error};
use crate::files;
use crate::format::BLOCK_BYTES;
use crate::key::AuditorKey;

/// Reader of a folder. It may read while others write, and holds one block in memory.
#[derive(Debug)]
pub struct Reader<'a> {
    folder: PathBuf,
    key: &'a AuditorKey,
}

/// What was read, and what could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadSummary {
    /// Number of files of entries.
    pub files: usize,
    /// Number of blocks that were opened.
    pub blocks: usize,
    /// What could not be read, in the order of the files.
    pub unreadable: Vec<Unreadable>,
}

/// Part of a folder that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Path of the file.
    pub path: PathBuf,
    /// Why it could not be read.
    pub kind: UnreadableKind,
}

/// Why a part of a folder could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableKind {
    /// Block that was changed, or that a power cut has left half written.
    #[error("block {block} is damaged: what it held is lost")]
    Damaged {
        /// Number of the block in its file, from 1.
        block: u64,
    },
    /// Block that was sealed to another key.
    #[error("block {block} is sealed to another key: open the folder with that one, too")]
    OtherKey {
        /// Number of the block in its file, from 1.
        block: u64,
    },
    /// End of a file that is no whole block: a write that failed or was cut by a crash, which
    /// nobody relied on.
    #[error(
        "the last {bytes} bytes are no whole block: a write that never ended, on which nobody \
         relied; or a copy that was cut off: compare its length with the original's"
    )]
    TornEnd {
        /// Number of bytes.
        bytes: usize,
    },
    /// File that is none of entries.
    #[error("this is no file of entries, such as escrow-2026-11-30-0123456789abcdef.sealed")]
    Strange,
}

impl<'a> Reader<'a> {
    /// Reader of a folder with a key.
    #[must_use]
    pub fn new(folder: &Path, key: &'a AuditorKey) -> Self {
        Self {
            folder: folder.to_owned(),
            key,
        }
    }

    /// Reads every entry, with the UTC day on which it was laid down: files in the order of their
    /// days, and the entries of a file in the order in which they were written. What cannot be read
    /// hides nothing behind it.
    ///
    /// # Errors
    /// [`EscrowError`]: the folder or a file of it cannot be read at all.
    pub fn read(&self, mut each: impl FnMut(NaiveDate, Entry)) -> Result<ReadSummary, EscrowError> {
        let listing = files::list(&self.folder)?;
        let mut summary = ReadSummary {
            files: listing.files.len(),
            ..ReadSummary::default()
        };
        for path in listing.files {
            self.read_file(&path, &mut each, &mut summary)?;
        }
        summary
            .unreadable
            .extend(listing.strange.into_iter().map(|path| Unreadable {
                path,
                kind: UnreadableKind::Strange,
            }));
        Ok(summary)
    }

    fn read_file(
        &self,
        path: &Path,
        each: &mut impl FnMut(NaiveDate, Entry),
        summary: &mut ReadSummary,
    ) -> Result<(), EscrowError> {
        let failed = io_error(path);
        let file = File::open(path).map_err(&failed)?;
        // No more than what stands there now: a writer may go on meanwhile.
        let length = file.metadata().map_err(&failed)?.len();
        let mut file = BufReader::new(file.take(length));
        let mut buffer = Vec::with_capacity(BLOCK_BYTES);
        for number in 1.. {
            buffer.clear();
            let mut next = (&mut file).take(BLOCK_BYTES as u64);
            next.read_to_end(&mut buffer).map_err(&failed)?;
            let kind = match buffer.first_chunk::<BLOCK_BYTES>() {
                Some(block) => match block::open(self.key, block) {
                    Ok(opened) => {
                        summary.blocks += 1;
                        for entry in opened.entries {
                            each(opened.day, entry);
                        }
                        continue;
                    }
                    Err(OpenError::Damaged) => UnreadableKind::Damaged { block: number },
                    Err(OpenError::OtherKey) => UnreadableKind::OtherKey { block: number },
                },
                None if buffer.is_empty() => break,
                None => UnreadableKind::TornEnd {
                    bytes: buffer.len(),
                },
            };
            summary.unreadable.push(Unreadable {
                path: path.to_owned(),
                kind,
            });
        }
        Ok(())
    }
}
