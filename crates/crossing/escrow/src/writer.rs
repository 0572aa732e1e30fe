//! Appending of entries, each on the disk before the caller goes on.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};

use crate::block;
use crate::entry::Entry;
use crate::error::{EscrowError, io_error};
use crate::files;
use crate::format::BLOCK_BYTES;
use crate::key::AuditorPublicKey;

/// Writer of a folder. Several may write to one folder at once, each to files of its own.
pub struct Writer {
    folder: PathBuf,
    key: AuditorPublicKey,
    max_bytes: u64,
    /// Size of the folder's files when they were last counted, and of what was written since.
    bytes: u64,
    current: Option<Current>,
}

/// File that is being written.
struct Current {
    day: NaiveDate,
    path: PathBuf,
    file: File,
    /// Length up to the end of the newest block that is on the disk, in bytes.
    length: u64,
}

impl Writer {
    /// Opens a folder, which is made with mode 0700 where it is missing. `max_bytes` is the most
    /// that its files may have together; what other writers add is counted whenever a file is
    /// begun.
    ///
    /// # Errors
    /// [`EscrowError`]: others may enter the folder, or it cannot be read.
    pub fn open(
        folder: &Path,
        key: &AuditorPublicKey,
        max_bytes: u64,
    ) -> Result<Self, EscrowError> {
        files::prepare_folder(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            key: key.clone(),
            max_bytes,
            bytes: files::size(folder)?,
            current: None,
        })
    }

    /// Seals entries, and returns once they are on the disk. Entries that come together share
    /// blocks and one wait for the disk. Blocks the thread.
    ///
    /// # Errors
    /// [`EscrowError`]: none of them counts as laid down; append them again. Some may stand in the
    /// folder nevertheless, and then stand there twice, which changes nothing.
    pub fn append(&mut self, now: DateTime<Utc>, entries: &[Entry]) -> Result<(), EscrowError> {
        if entries.is_empty() {
            return Ok(());
        }
        let day = now.date_naive();
        let blocks = block::seal(&self.key, day, entries);
        let bytes = blocks.len() as u64;
        let mut current = match self.current.take() {
            Some(current) if current.day == day && current.is_there() => current,
            Some(_) | None => self.begin(day, bytes)?,
        };
        if let Err(full) = self.check_size(bytes) {
            self.current = Some(current);
            return Err(full);
        }
        match current.write(&blocks) {
            Ok(()) => {
                self.bytes += bytes;
                self.current = Some(current);
                Ok(())
            }
            Err(error) => {
                let failure = io_error(&current.path)(error);
                current.give_up();
                Err(failure)
            }
        }
    }

    /// Returns whether a block more may be laid down, by the folder's files.
    ///
    /// # Errors
    /// [`EscrowError::FolderFull`].
    pub fn check_room(&self) -> Result<(), EscrowError> {
        self.check_size(BLOCK_BYTES as u64)
    }

    /// Begins a file. Files of earlier days, and those that a write has failed on, are never
    /// written again.
    fn begin(&mut self, day: NaiveDate, bytes: u64) -> Result<Current, EscrowError> {
        self.bytes = files::size(&self.folder)?;
        // Before the file is made, so that a full folder does not fill with empty files.
        self.check_size(bytes)?;
        let (path, file) = files::create(&self.folder, day)?;
        Ok(Current {
            day,
            path,
            file,
            length: 0,
        })
    }

    fn check_size(&self, more: u64) -> Result<(), EscrowError> {
        let bytes = self.bytes.saturating_add(more);
        if bytes > self.max_bytes {
            return Err(EscrowError::FolderFull {
                path: self.folder.clone(),
                bytes,
                max_bytes: self.max_bytes,
            });
        }
        Ok(())
    }
}

impl Current {
    /// True unless somebody has removed the file: what is written to it then is on no disk.
    fn is_there(&self) -> bool {
        let metadata = self.file.metadata();
        metadata.is_ok_and(|metadata| metadata.nlink() > 0)
    }

    fn write(&mut self, blocks: &[u8]) -> io::Result<()> {
        self.file.write_all(blocks)?;
        self.file.sync_data()?;
        self.length += blocks.len() as u64;
        Ok(())
    }

    /// Leaves a file that a write has failed on. What of the write stands there is cut off if that
    /// is possible; if not, a reader says that the end is torn. After a failed wait for the disk
    /// nobody knows what of a file is on it, so the next block goes to another file.
    fn give_up(self) {
        let _a_reader_bears_a_torn_end = if self.length == 0 {
            std::fs::remove_file(&self.path)
        } else {
            self.file.set_len(self.length)
        };
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("folder", &self.folder)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
