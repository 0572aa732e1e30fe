//! Appending of lines, each on the disk before the caller goes on.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Serialize;
use state_folder::FileLock;

use crate::error::AuditError;
use crate::files::{self, io_error};
use crate::head::Head;
use crate::limits::MAX_WAIT;
use crate::line;
use crate::torn::{self, TORN_EVENT};
use crate::verify::verify;

/// Appends a line to a log that several processes write, and returns once it is on the disk.
///
/// Each of them holds the log for one line only: it waits until it has its turn, for
/// [`MAX_WAIT`] at most, and checks the whole log before it goes on after it.
/// `now` may therefore be a little earlier than that of the line before. The rest is as for
/// [`Log::open`] and [`Log::append`].
///
/// # Errors
/// [`AuditError::Busy`] if the turn did not come; else as [`Log::open`] and [`Log::append`].
pub fn append_shared(
    folder: &Path,
    now: DateTime<Utc>,
    event: &str,
    details: &impl Serialize,
) -> Result<Head, AuditError> {
    files::prepare(folder)?;
    let lock = files::lock_in_turn(folder, MAX_WAIT)?;
    Log::open_locked(folder, lock, now)?.append(now, event, details)
}

/// Log that this process alone appends to.
#[derive(Debug)]
pub struct Log {
    folder: PathBuf,
    head: Head,
    /// Name of the newest file; empty before the first line.
    name: String,
    file: Option<File>,
    /// Length of the newest file up to the end of its newest line, in bytes.
    length: u64,
    /// True after a failure, until the newest file ends with its newest line again.
    is_untidy: bool,
    _lock: FileLock,
}

impl Log {
    /// Opens the log in `folder`, which is made with mode 0700 where it is missing, and checks
    /// every line. A last line that a crash has torn is cut into a file of its own, and a line
    /// notes that.
    ///
    /// # Errors
    /// [`AuditError`]: the log is damaged, in use, too open, or cannot be read and written.
    pub fn open(folder: &Path, now: DateTime<Utc>) -> Result<Self, AuditError> {
        files::prepare(folder)?;
        let lock = files::lock(folder)?;
        Self::open_locked(folder, lock, now)
    }

    fn open_locked(folder: &Path, lock: FileLock, now: DateTime<Utc>) -> Result<Self, AuditError> {
        let verified = verify(folder, None)?;
        let name = files::names(folder)?.pop().unwrap_or_default();
        let note = verified.head.sequence + 1;
        if verified.torn_bytes > 0 {
            let path = folder.join(&name);
            torn::cut(folder, &path, verified.torn_bytes, note)?;
        }
        let mut log = Self {
            folder: folder.to_owned(),
            head: verified.head,
            name: String::new(),
            file: None,
            length: 0,
            is_untidy: false,
            _lock: lock,
        };
        if !name.is_empty() {
            log.take_file(name)?;
        }
        if let Some(details) = torn::unnoted(folder, note) {
            log.append(now, TORN_EVENT, &details)?;
        }
        Ok(log)
    }

    /// Head of the log.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Appends a line, and returns once it is on the disk. `event` is a word of a-z, 0-9 and -;
    /// `details` is what else the line says.
    ///
    /// The file is that of the month of `now`, or the newest one where the clock has gone back.
    ///
    /// # Errors
    /// [`AuditError::Io`], after which the log is as before and a later line may be appended;
    /// [`AuditError::Unfit`].
    pub fn append(
        &mut self,
        now: DateTime<Utc>,
        event: &str,
        details: &impl Serialize,
    ) -> Result<Head, AuditError> {
        let mut line = line::write(self.head, now, event, details)?;
        let head = self.head.after(&line);
        line.push(b'\n');
        if self.is_untidy {
            self.tidy()?;
        }
        let name = files::name_at(now);
        if name > self.name {
            self.take_file(name)?;
        }
        let path = self.path();
        self.write(&line).map_err(|error| {
            // What of the line was written must not stand before the next one.
            self.is_untidy = true;
            let _again_before_the_next_line = self.tidy();
            io_error(&path)(error)
        })?;
        self.length += line.len() as u64;
        self.head = head;
        Ok(head)
    }

    /// Behaves as after a failed write.
    #[cfg(test)]
    pub(crate) const fn mark_untidy(&mut self) {
        self.is_untidy = true;
    }

    fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Goes on in this file.
    fn take_file(&mut self, name: String) -> Result<(), AuditError> {
        let file = files::open(&self.folder, &name)?;
        let path = self.folder.join(&name);
        self.length = file.metadata().map_err(io_error(&path))?.len();
        self.file = Some(file);
        self.name = name;
        Ok(())
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.write_all(line)?;
        file.sync_data()
    }

    /// Removes what stands after the newest line.
    fn tidy(&mut self) -> Result<(), AuditError> {
        let path = self.path();
        if let Some(file) = &self.file {
            file.set_len(self.length).map_err(io_error(&path))?;
            file.sync_all().map_err(io_error(&path))?;
        }
        self.is_untidy = false;
        Ok(())
    }
}
